"""The plain-text summary of a finished training."""

from __future__ import annotations

from pegasus_runtime.avatar.avatar import Avatar
from trainer.engine.evaluation import Score, average


def summarise(avatar: Avatar, scores: dict[str, Score]) -> str:
    """A table of held-out scores by subject and their mean."""
    lines = [f"{avatar.name}: {avatar.num_points} points, radius {avatar.radius:.5f}"]
    if not scores:
        return lines[0] + "; no held-out frames\n"
    lines.append(f"{'held-out frames of':24}{'PSNR frame':>12}{'PSNR head':>12}{'mask IoU':>12}")
    for name, score in [*scores.items(), ("mean over subjects", average(scores))]:
        lines.append(
            f"{name:24}{score.psnr_frame:12.2f}{score.psnr_head:12.2f}{score.mask_iou:12.4f}"
        )
    return "\n".join(lines) + "\n"
