"""What surfels do with an expression, carried over to another avatar.

Each avatar has learned states of expression of its own: the same smile is other numbers in each.
What the surfels of one add for its states is what they would add for a mixture of the other's,
found by least squares over expressions and poses that are drawn by chance.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from pegasus_runtime.head import pose_head
from pegasus_runtime.surfels.avatar import SurfelAvatar
from pegasus_runtime.surfels.surfels import Surfels

_NUM_DRAWN = 400
"""expressions and poses: more take longer, fewer than a hundred meet some of the 50 expressions
never"""
_MOST_AT_ONCE = 3
"""expressions of a face: more are faces that nobody makes, where all states are at their ends"""
_NECK_RAD, _JAW_RAD, _GAZE_RAD = 0.12, 0.3, 0.25
"""how far neck, jaw and eyes turn; with more the ends of a state count as much as usual faces, with
less a jaw is not told from a smile"""
_NECK, _JAW, _GAZE = slice(3, 6), 6, (9, 12)


@torch.no_grad()
def states_across(source: SurfelAvatar, target: SurfelAvatar) -> Tensor:
    """(R, R) by which the target's states (R,) become the source's: ``states @ this``."""
    generator = torch.Generator().manual_seed(0)

    def drawn(*size: int) -> Tensor:
        return torch.rand(*size, generator=generator)

    expressions, poses = torch.zeros(_NUM_DRAWN, 50), torch.zeros(_NUM_DRAWN, 15)
    order = drawn(_NUM_DRAWN, 50).argsort(dim=1)[:, :_MOST_AT_ONCE]
    expressions.scatter_(1, order, drawn(_NUM_DRAWN, _MOST_AT_ONCE))
    poses[:, _NECK] = _NECK_RAD * (2 * drawn(_NUM_DRAWN, 3) - 1)
    poses[:, _JAW] = _JAW_RAD * (1.5 * drawn(_NUM_DRAWN) - 0.5).clamp_min(0)
    gaze = _GAZE_RAD * (2 * drawn(_NUM_DRAWN, 2) - 1)
    for first in _GAZE:
        poses[:, first : first + 2] = gaze
    features = [
        pose_head(source.head, source.shape, torch.zeros(50), pose).pose_feature for pose in poses
    ]
    theirs, ours = (
        torch.stack([a.states(e, f) for e, f in zip(expressions, features, strict=True)])
        for a in (source, target)
    )
    mixture: Tensor = torch.linalg.lstsq(ours, theirs, driver="gelsd").solution
    return mixture


def with_states_of(surfels: Surfels, mixture: Tensor) -> Surfels:
    """Surfels that do with the target's states what they did with the source's.

    Args:
        surfels: of the source, bound to the same triangles of the same head.
        mixture: (R, R) of `states_across`.
    """
    return replace(
        surfels,
        offset_states=torch.einsum("jk,nkc->njc", mixture, surfels.offset_states),
        colour_states=torch.einsum("jk,nkc->njc", mixture, surfels.colour_states),
        opacity_states=surfels.opacity_states @ mixture.T,
    )
