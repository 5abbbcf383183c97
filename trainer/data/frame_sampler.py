"""Which frames are looked at: in a step of the training, and where only some views are needed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from pegasus_runtime.head.skinning import rotation_matrices
from pegasus_runtime.model.latent import category_of
from trainer.config.training import DataConfig
from trainer.data.dataset import Capture, TrainingFrame

_MIN_HULL_YAW_DEG = 90.0
"""Between the outermost views. With less of it the hull of a head is a tube behind the face."""

_BESIDE_DEG = 20.0
"""views closer together than this show about the same side of the head; with far more all are one
side, with far less each is its own: either way no side is rare"""


def choose_frame(capture: Capture, config: DataConfig, seed: int, step: int) -> TrainingFrame:
    """The frame of a step: the same for the same seed and step, whatever happened before.

    The source person comes up with the configured share; attributes share the rest by the weights
    of their categories, however many frames each has.
    """
    random = np.random.default_rng((seed, step))
    names = capture.attribute_names
    subject = capture.source
    if names and random.random() >= config.source_share:
        chances = _chances(names, config.category_weights)
        subject = names[int(random.choice(len(names), p=chances))]
    frames = capture.training[subject]
    if not config.view_balance:
        return frames[int(random.integers(len(frames)))]
    return frames[int(random.choice(len(frames), p=sampling_weights(frames, config.view_balance)))]


def _chances(names: Sequence[str], weights: Mapping[str, float]) -> NDArray[np.float64]:
    """How often each attribute comes up, with the sum 1; evenly where none has a weight."""
    wanted = np.array([weights.get(category_of(name), 1.0) for name in names])
    if not wanted.any():
        wanted[:] = 1
    shares: NDArray[np.float64] = wanted / wanted.sum()
    return shares


def sampling_weights(frames: list[TrainingFrame], balance: float) -> NDArray[np.float64]:
    """How often each frame comes up, (F,) with the sum 1.

    Most videos look at the face, and the few views from the side teach little by their number. A
    frame with n views beside it counts n⁻ᵇ: with b = 1 all sides come up alike.
    """
    looks = _looks(frames)
    beside = (looks @ looks.T > np.cos(np.radians(_BESIDE_DEG))).sum(dim=1).numpy()
    counted = beside.astype(np.float64) ** -balance
    shares: NDArray[np.float64] = counted / counted.sum()
    return shares


def spread_views(frames: list[TrainingFrame], count: int) -> list[TrainingFrame]:
    """Up to ``count`` frames that look from as many sides as there are, in their order.

    Each one chosen is the farthest from those before (Gonzalez 1985).
    """
    if len(frames) <= count:
        return frames
    looks = _looks(frames)
    chosen, apart = [0], torch.full((len(frames),), torch.inf)
    while len(chosen) < count:
        apart = torch.minimum(apart, (looks - looks[chosen[-1]]).norm(dim=1))
        chosen.append(int(apart.argmax()))
    return [frames[index] for index in sorted(chosen)]


def seen_yaw_deg(frames: list[TrainingFrame]) -> float:
    """Degrees of yaw between the outermost sides from which frames show the head."""
    low, high = seen_yaw_range_deg(frames)
    return high - low


def is_one_sided(frames: list[TrainingFrame]) -> bool:
    """Whether frames show the head from about one side, as most videos do."""
    return seen_yaw_deg(frames) < _MIN_HULL_YAW_DEG


def seen_yaw_range_deg(frames: list[TrainingFrame]) -> tuple[float, float]:
    """Yaw of the outermost sides from which frames show the head, the second not the smaller.

    0 is the front, positive the person's left; where the back was seen the second may be above 180.
    """
    towards = -_looks(frames)
    yaw = torch.rad2deg(torch.atan2(towards[:, 0], towards[:, 2])).sort().values
    # The widest gap around the circle was not seen.
    gaps = torch.cat([yaw[1:], yaw[:1] + 360]) - yaw
    last = int(gaps.argmax())
    first = (last + 1) % len(yaw)
    low = float(yaw[first])
    return low, low + float(360 - gaps[last])


def _looks(frames: list[TrainingFrame]) -> torch.Tensor:
    """(F, 3) unit directions in which the frames' cameras look, as the head sees them.

    A head that turns before a camera that stands still shows its sides as well.
    """
    poses = torch.from_numpy(np.stack([frame.record.pose[:6] for frame in frames]))
    root, neck = rotation_matrices(poses.view(-1, 2, 3)).unbind(dim=1)
    ahead = torch.from_numpy(np.stack([f.record.camera.rotation[:, 2] for f in frames]))
    looks: torch.Tensor = ((root @ neck).transpose(1, 2) @ ahead[:, :, None])[:, :, 0]
    return looks
