"""The plain-text summary of a finished training."""

from __future__ import annotations

from pegasus_runtime.avatar.avatar import Avatar
from trainer.engine.evaluation import Score, average

_COLUMNS = {"PSNR frame": 2, "PSNR head": 2, "mask IoU": 4, "SSIM": 4, "L1": 4}
"""and digits after the point"""


def summarise(avatar: Avatar, scores: dict[str, Score]) -> str:
    """A table of held-out scores by subject and their mean."""
    lines = [f"{avatar.name}: {avatar.num_points} points, radius {avatar.radius:.5f}"]
    if not scores:
        return lines[0] + "; no held-out frames\n"
    lines.append(f"{'held-out frames of':24}" + "".join(f"{name:>12}" for name in _COLUMNS))
    for name, score in [*scores.items(), ("mean over subjects", average(scores))]:
        values = zip(_COLUMNS.values(), vars(score).values(), strict=True)
        lines.append(f"{name:24}" + "".join(f"{value:12.{digits}f}" for digits, value in values))
    return "\n".join(lines) + "\n"
