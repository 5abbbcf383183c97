"""Would a capture become of this video? A part of the look before a training."""

from __future__ import annotations

import base64
import math
import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np

from pegasus_runtime.errors import InvalidInput
from trainer.config.presets import PRESETS
from trainer.config.training import TrainingConfig
from trainer.data.machine_check import USED_CORES, estimate_seconds
from trainer.data.preflight_report import Report
from trainer.engine.video_capture import captures_beside, options_of
from trainer.preprocess.estimators import Bytes
from trainer.preprocess.frames import Selection
from trainer.preprocess.look import Look, LookedAt, look
from trainer.preprocess.video import share_to_do, usual_steps

BYTES_PER_FRAME = 1 << 20
"""of a frame's crop, picture, mask and parts, at 512², which is 0.7 MB before a patterned wall:
more refuses disks that would do, less fills some"""
START_S = 15.0
"""of the program and of what it reads first; only for the time that is guessed"""
_GAIN = 0.5
"""so many cores more than one are worth cores ** _GAIN while a video is prepared; only for the time
that is guessed: more promises less of it on many cores"""


def check_video(config: TrainingConfig, out: Path, report: Report) -> Look | None:
    """Look at a training's video.

    Args:
        config: of the training.
        out: the run's folder.
        report: takes what is found; its device is known by now.

    Returns:
        What was seen; None where it cannot be used.
    """
    advice = "Choose another video."
    try:
        seen = look(Path(config.data.video), config.data.video_face)
    except (InvalidInput, FileNotFoundError) as error:
        report.refuse(str(error), advice)
        return None
    except OSError as error:
        report.refuse(f"{config.data.video}: cannot be read ({error.strerror or error}).", advice)
        return None
    report.frames = [_as_json(one) for one in seen.shown]
    report.num_faces = seen.num_faces
    report.notes += seen.notes
    height, width = seen.size
    length = f"{seen.duration_s:.0f} s, {seen.num_frames:,} frames, " if seen.num_frames else ""
    report.facts["Video"] = f"{length}{width} × {height} px"
    until = f" up to {seen.until_s:.0f} s" if seen.until_s < seen.duration_s - 2 else ""
    report.facts["Looked at"] = f"{seen.num_looked_at} frames{until}, {seen.num_left_out} left out"
    _estimate(config, seen, out, report)
    _check_capture_room(num_used(config, seen.num_frames), out, report)
    return seen


def as_base64(picture: Bytes) -> str:
    """A picture (H, W, 3) RGB as a JPEG in base64."""
    import cv2

    _, encoded = cv2.imencode(".jpg", np.ascontiguousarray(picture[..., ::-1]))
    return base64.b64encode(encoded.tobytes()).decode("ascii")


def _as_json(one: LookedAt) -> dict[str, str]:
    seconds = int(one.time_s)
    return {
        "picture": as_base64(one.picture),
        "time": f"{seconds // 60}:{seconds % 60:02}",
        "reason": one.reason,
    }


def preparation_seconds(
    config: TrainingConfig, seen: Look, video: Path, folder: Path, out: Path
) -> float:
    """From a video to its capture, less what is done already.

    Args:
        config: of the training.
        seen: in the video.
        video: the file.
        folder: the subject that is made of it.
        out: the run's folder; what runs beside it have made of the video is used.
    """
    options = options_of(config, seen.num_frames)
    left = share_to_do(video, folder, options, captures_beside(out), seen.num_frames)
    cost_s = sum(step.cost for step in usual_steps()) / 1000
    gain = math.pow(min(os.cpu_count() or 1, USED_CORES), _GAIN)
    return left * seen.slowness * cost_s * num_used(config, seen.num_frames) / gain


def num_used(config: TrainingConfig, count: int) -> int:
    """Frames of a video with so many."""
    most = config.data.video_frames
    if not most:
        return count
    return -(-count // Selection.spread(count, most).every) if count else most


def _estimate(config: TrainingConfig, seen: Look, out: Path, report: Report) -> None:
    """Seconds from the start to the finished avatar, right within a factor of two."""

    def whole(one: TrainingConfig) -> float:
        train = estimate_seconds(one, report.num_gpus)
        # How quick the processor is says nothing of a graphics card.
        pace = 1.0 if report.num_gpus else seen.slowness
        video, mine = Path(config.data.video), Path(config.data.folder) / config.data.source
        return START_S + preparation_seconds(one, seen, video, mine, out) + pace * train

    report.seconds = whole(config)
    for preset in PRESETS:
        if preset.is_of_video:
            other = preset.config()
            data = replace(other.data, video_face=config.data.video_face)
            report.seconds_by_preset[preset.name] = whole(replace(other, data=data))


def _check_capture_room(num_frames: int, out: Path, report: Report) -> None:
    existing = next(p for p in (out.absolute(), *out.absolute().parents) if p.exists())
    size, room = num_frames * BYTES_PER_FRAME, shutil.disk_usage(existing).free
    if size > room:
        report.refuse(
            f"The frames of the video need {size / 2**20:.0f} MB, {room / 2**20:.0f} MB are free.",
            "Free some space, or choose a folder on another disk.",
        )
