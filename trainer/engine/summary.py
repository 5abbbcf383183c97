"""The plain-text summary of a finished training."""

from __future__ import annotations

from pegasus_runtime.avatar.avatar import Avatar
from trainer.engine.evaluation import Score, above_singles, average

_COLUMNS = {
    "psnr_frame": ("PSNR frame", 2),
    "psnr_head": ("PSNR head", 2),
    "mask_iou": ("mask IoU", 4),
    "ssim": ("SSIM", 4),
    "l1": ("L1", 4),
    "lpips": ("LPIPS", 4),
    "outside": ("outside", 2),
}
"""of the table: title, digits after the point; the last two where they were measured"""
_NO_VALUE = "-"
_ABOVE_SINGLES = "  above its singles' mean"


def summarise(
    avatar: Avatar, scores: dict[str, Score], pairs: dict[str, Score] | None = None
) -> str:
    """A table of held-out scores by subject and their mean, and one of pairs of attributes."""
    lines = [f"{avatar.name}: {avatar.num_points:,} points"]
    if not scores:
        return lines[0] + "; no held-out frames\n"
    rows = {**scores, "mean over subjects": average(scores)}
    shown = [n for n in _COLUMNS if any(getattr(score, n) is not None for score in rows.values())]
    lines.append(f"{'held-out frames of':24}" + "".join(f"{_COLUMNS[n][0]:>12}" for n in shown))
    for name, score in rows.items():
        lines.append(f"{name:24}" + "".join(f"{_shown(score, n):>12}" for n in shown))
    for name, score in (pairs or {}).items():
        lines.append(f"{name:24}" + "".join(f"{_shown(score, n):>12}" for n in shown))
        above = above_singles(name, score, scores)
        words = (f"{_signed(above.get(column), column):>12}" for column in shown)
        lines.append(f"{_ABOVE_SINGLES:24}" + "".join(words))
    return "\n".join(lines) + "\n"


def _signed(value: float | None, name: str) -> str:
    return _NO_VALUE if value is None else f"{value:+.{_COLUMNS[name][1]}f}"


def _shown(score: Score, name: str) -> str:
    value = getattr(score, name)
    return _NO_VALUE if value is None else f"{value:.{_COLUMNS[name][1]}f}"
