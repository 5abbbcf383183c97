"""Would the memory do for the sizes that are asked for? Judged before any of it is taken."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from operator import attrgetter

import torch

from pegasus_runtime.errors import InvalidInput
from pegasus_runtime.memory import free_memory_bytes
from trainer.config.settings import settings_of
from trainer.config.training import TrainingConfig

_NUMBERS_PER_SURFEL = 70
"""that are learned, eight states of seven among them"""
_BYTES_PER_NUMBER = 16
"""the number, its gradient and Adam's two moments"""
_BYTES_PER_UNIT = 16
"""of a network's layer for one point: its value and the derivatives along three directions"""
_SHOWN = 0.5
"""of the points of a head, which a picture shows at the same time; more refuses trainings that
would fit, less lets some run out of memory"""


def refuse_too_little_memory(
    config: TrainingConfig, device: torch.device, named: Sequence[str] = ()
) -> None:
    """Refuse sizes for which there is too little memory.

    Args:
        config: of the training.
        device: on which it shall run.
        named: keys of the settings that were asked for here and now. Those which the chosen model
            does not use are judged like the others: somebody wanted them.

    Raises:
        InvalidInput: there is less memory than the least that the settings need.
    """
    free = free_memory_bytes()
    if device.type == "cuda":
        free = int(torch.cuda.mem_get_info(device)[0])
    unused = unused_settings(config, named)
    _judge(config, [key for key in named if key not in unused], free, "lower points.initial")
    if unused:
        other = "surfels" if config.model.kind == "published" else "published"
        judged = replace(config, model=replace(config.model, kind=other))
        words = f"lower them, or leave them out: {config.model.kind} does not use them"
        _judge(judged, unused, free, words.replace("surfels does", "surfels do"))


def unused_settings(config: TrainingConfig, named: Sequence[str]) -> list[str]:
    """Which of the named settings the chosen model does not use."""
    others = {
        each.key
        for each in settings_of(TrainingConfig)
        if each.only_for not in ("", config.model.kind)
    }
    return [key for key in named if key in others]


def num_learned(config: TrainingConfig, num_points: int) -> int:
    """How many numbers a training with so many points learns."""
    if config.model.kind == "surfels":
        return _NUMBERS_PER_SURFEL * num_points
    model = config.model
    networks = model.geometry_depth * model.geometry_width**2
    networks += model.deformer_depth * model.deformer_width**2 * 60 + 200_000
    return networks + 3 * num_points


def _judge(config: TrainingConfig, keys: Sequence[str], free: int, advice: str) -> None:
    need = _least_bytes(config)
    if need <= free:
        return
    sizes = [key for key in keys if key.startswith(("model.", "points.")) and key != "model.kind"]
    asked = ", ".join(f"{key} = {attrgetter(key)(config)}" for key in sizes) or config.model.kind
    raise InvalidInput(
        f"{asked}: a training of these sizes takes at least {need / 2**30:.1f} GB of memory, "
        f"and {free / 2**30:.1f} GB are free; {advice}."
    )


def _least_bytes(config: TrainingConfig) -> int:
    """With the points of the beginning: less is never taken."""
    points, model = config.points.initial, config.model
    need = _BYTES_PER_NUMBER * num_learned(config, points)
    if model.kind == "published":
        units = model.geometry_width * model.geometry_depth
        need += int(_BYTES_PER_UNIT * _SHOWN * points * units)
    return need
