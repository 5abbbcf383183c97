"""The states that training starts from: what the frames vary in most.

A surfel learns by as much as its states move. Drawn at random, a state begins at a fifth of the
size that it ends with, and a quarter of that is the neck's: hair that swings with the head is
hardly learned. Here each state begins as a principal component (Pearson 1901) of the frames, at the
size of a tanh that does not saturate yet.

This is for films. A drawn head moves as its mesh does, in a hundred frames that are each of another
expression: states have only accidents to learn there (−0.6 dB).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from pegasus_runtime.head.skinning import pose_features, rotation_matrices
from pegasus_runtime.parameters import NUM_EXPRESSIONS
from pegasus_runtime.surfels.pose import StateNetwork
from trainer.data.dataset import TrainingFrame

NUM_NECK_STATES = 3
"""How many follow the neck alone, one for each axis it turns about; what it moves, hair at the
shoulders, differs from what faces do. With fewer hair swings less than it should."""
_SIZE = 0.2
"""Standard deviation over the frames, before the tanh. With more of it frames between those that
are learned are shown better, and motion that no frame has shown worse: in a film of long hair
held-out frames have 25.9, 26.4 and 26.9 dB in the mask at 0.1, 0.2 and 0.5 (24.7 when states are
drawn at random), and its last fifth, when only the rest is learned, 23.7, 23.6 and 23.5 (23.7). In
a film of short hair the last fifth gains too: 26.9 at 0.2, of 26.4."""
_LEAST = 0.02
"""The same of what is hardly there: in less than this a tracker's noise would be brought to the
size of an expression."""
_NECK = slice(NUM_EXPRESSIONS, NUM_EXPRESSIONS + 9)
"""Where the neck's rotation lies in what states are told: the first joint after the root."""


@torch.no_grad()
def spread_states(states: StateNetwork, frames: Sequence[TrainingFrame]) -> None:
    """Let the first states follow the neck of frames, and the others the face, in place.

    States for which the frames have no component are left as they are.
    """
    given = _given(frames)
    moves = given - given.mean(dim=0)
    of_neck = torch.zeros(moves.shape[1], dtype=torch.bool)
    of_neck[_NECK] = True
    weight = states.linear.weight
    for rows, columns in (
        (weight[:NUM_NECK_STATES], of_neck), (weight[NUM_NECK_STATES:], ~of_neck)
    ):  # fmt: skip
        found = _components(moves[:, columns], len(rows))
        rows[: len(found)] = 0.0
        rows[: len(found), columns] = found


def _given(frames: Sequence[TrainingFrame]) -> Tensor:
    """What the network is told of each frame (F, 86)."""
    expression, pose = (
        torch.stack([torch.from_numpy(getattr(frame.record, name)) for frame in frames])
        for name in ("expression", "pose")
    )
    return torch.cat([expression, pose_features(rotation_matrices(pose.unflatten(1, (-1, 3))))], 1)


def _components(moves: Tensor, count: int) -> Tensor:
    """Weights (K, C), K ≤ count, of the largest principal components of moves (F, C)."""
    _, _, directions = torch.linalg.svd(moves, full_matrices=False)
    directions = directions[:count]
    deviation = (moves @ directions.T).square().mean(dim=0).sqrt()
    weights: Tensor = _SIZE * directions / deviation.clamp_min(_LEAST)[:, None]
    return weights
