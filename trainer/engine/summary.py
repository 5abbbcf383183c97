"""The plain-text summary of a finished training."""

from __future__ import annotations

from pegasus_runtime.avatar.avatar import Avatar
from trainer.engine.evaluation import Score, average

_COLUMNS = {
    "psnr_frame": ("PSNR frame", 2),
    "psnr_head": ("PSNR head", 2),
    "mask_iou": ("mask IoU", 4),
    "ssim": ("SSIM", 4),
    "l1": ("L1", 4),
    "lpips": ("LPIPS", 4),
}
"""of the table: title, digits after the point; LPIPS where it was measured"""


def summarise(avatar: Avatar, scores: dict[str, Score]) -> str:
    """A table of held-out scores by subject and their mean."""
    lines = [f"{avatar.name}: {avatar.num_points} points, radius {avatar.radius:.5f}"]
    if not scores:
        return lines[0] + "; no held-out frames\n"
    rows = {**scores, "mean over subjects": average(scores)}
    shown = [n for n in _COLUMNS if all(getattr(score, n) is not None for score in rows.values())]
    lines.append(f"{'held-out frames of':24}" + "".join(f"{_COLUMNS[n][0]:>12}" for n in shown))
    for name, score in rows.items():
        values = [f"{getattr(score, n):12.{_COLUMNS[n][1]}f}" for n in shown]
        lines.append(f"{name:24}" + "".join(values))
    return "\n".join(lines) + "\n"
