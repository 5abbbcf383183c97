"""Which precision of derivatives pays on a device: measured, never guessed from its name."""

from __future__ import annotations

import platform
import statistics
import time
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from pegasus_runtime.avatar.avatar import Avatar
from pegasus_runtime.session import PRECISIONS, Session

_NUM_POINTS, _SIDE, _ROUNDS = 8_192, 256, 4
_MIN_GAIN = 1.1
MAX_DIFFERENCE = 0.5
"""of 255, mean over the head's pixels"""


@dataclass(frozen=True)
class PrecisionChoice:
    """What a measurement has found."""

    name: str
    """the precision to use, as `Session` takes it"""
    times_faster: float
    """bfloat16 than float32, evaluating a new latent code"""
    difference: float
    """between pictures of the two: mean over the head's pixels and channels, of 255"""


class PrecisionTrial:
    """Both precisions tried on an avatar, in steps short enough for a thread that has other work.

    bfloat16 is chosen where it is faster by a tenth at least, and the picture hardly changes.
    """

    def __init__(self, avatar: Avatar, device: str = "auto") -> None:
        """
        Args:
            avatar: on which to measure; its attributes are worn in turn.
            device: as `Session` takes it.
        """
        self._sessions = {name: Session(avatar, device, precision=name) for name in PRECISIONS}
        self._seconds: dict[str, list[float]] = {name: [] for name in PRECISIONS}
        self._difference = 0.0
        self._round = 0

    def step(self) -> PrecisionChoice | None:
        """Go one round, a tenth of a second or two on a CPU; the choice once all are done."""
        pictures = {}
        for name, session in self._sessions.items():
            pictures[name], seconds = _draw(session, self._round)
            self._seconds[name].append(seconds)
        self._difference = max(self._difference, _difference(*pictures.values()))
        self._round += 1
        return self._choose() if self._round == _ROUNDS else None

    def _choose(self) -> PrecisionChoice:
        # The first round compiles and warms up.
        gain = statistics.median(
            whole / half for whole, half in list(zip(*self._seconds.values(), strict=True))[1:]
        )
        pays = gain >= _MIN_GAIN and self._difference <= MAX_DIFFERENCE
        name = "bfloat16" if pays else "float32"
        return PrecisionChoice(name, round(gain, 2), round(self._difference, 3))


def choose_precision(avatar: Avatar, device: str = "auto") -> PrecisionChoice:
    """A whole `PrecisionTrial`."""
    trial = PrecisionTrial(avatar, device)
    while (choice := trial.step()) is None:
        pass
    return choice


def device_key(device: str) -> str:
    """What a choice holds for: the device ("cpu", "cuda:0") and the library computing on it."""
    if torch.device(device).type == "cuda":
        name = torch.cuda.get_device_name(device)
    else:
        processor = platform.processor() or platform.machine()
        instructions = torch.backends.cpu.get_cpu_capability()
        name = f"{processor} {instructions}, {torch.get_num_threads()} threads"
    return f"{name}, torch {torch.__version__}"


def _draw(session: Session, number: int) -> tuple[NDArray[np.float32], float]:
    """A picture (side, side, 4) of a latent code not seen before, and its seconds."""
    avatar = session.avatar
    params = avatar.neutral()
    names = avatar.attribute_names
    if names:
        category, _, name = names[number % len(names)].partition("_")
        params.attributes[category] = (name, 0.9)
    params.expression[number % len(params.expression)] = 1.0
    camera = avatar.default_camera((_SIDE, _SIDE))
    started = time.perf_counter()
    frame = session.render(
        params, camera, ("rgb", "alpha"), background=None, max_points=_NUM_POINTS
    )
    picture = np.concatenate([frame["rgb"], frame["alpha"]], axis=2)
    return picture, time.perf_counter() - started


def _difference(one: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    head = one[..., 3] > 0.5
    if not head.any():
        return 0.0
    return float(np.abs(one[head, :3] - other[head, :3]).mean() * 255)
