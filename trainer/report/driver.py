"""Somebody else's motion, from a flame_params.json without its pictures."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pegasus_runtime.avatar.avatar import Avatar
from pegasus_runtime.camera import Camera
from pegasus_runtime.documents import read_json
from pegasus_runtime.errors import InvalidInput, quoted
from pegasus_runtime.head import load_free_head
from pegasus_runtime.parameters import NUM_EXPRESSIONS, NUM_IDENTITIES
from trainer.config.data import DataConfig
from trainer.data.capture_folder import PARAMETERS_FILE, FrameRecord
from trainer.data.flame_parameters import (
    FloatArray,
    read_camera,
    read_expression,
    read_intrinsics,
    read_pose,
    read_shape,
)
from trainer.data.frame_names import frame_name, list_pictures
from trainer.data.head_in_view import HeadInView
from trainer.data.images import Pictures
from trainer.data.tracking_outliers import wild_expressions

_MAX_BAD_SHARE = DataConfig().max_bad_share


@dataclass(frozen=True, eq=False)
class DriverFrame:
    """One frame of the motion."""

    name: str
    expression: FloatArray
    """(50,)"""
    pose: FloatArray
    """(15,)"""
    camera: Camera
    picture: Path | None
    """of the driver, where it lies beside the file"""


@dataclass(frozen=True, eq=False)
class Driver:
    """A motion."""

    path: Path
    frames: list[DriverFrame]
    notes: list[str]


def read_driver(path: Path, avatar: Avatar, size: int) -> Driver:
    """Read a motion for an avatar.

    Args:
        path: a flame_params.json, or the folder that holds it.
        avatar: that is to move.
        size: side of the pictures.

    Raises:
        FileNotFoundError: there is no such file.
        InvalidInput: it is damaged, of another head, or more than a tenth of its frames are bad.
    """
    path = path / PARAMETERS_FILE if path.is_dir() else path
    content = read_json(path, dict, allow_nan=True)
    entries = content.get("frames")
    if not isinstance(entries, list) or not entries:
        raise InvalidInput(f"{path}: needs a list of frames, found {quoted(entries)}.")
    try:
        _, num_shape = read_shape(content.get("shape_params", [0.0] * NUM_IDENTITIES))
        intrinsics = read_intrinsics(content.get("intrinsics"))
    except ValueError as error:
        raise InvalidInput(f"{path}: {error}.") from None
    pictures, head = list_pictures(path.parent)["image"], HeadInView()
    frames, bad, longest = [], {}, 0
    for index, entry in enumerate(entries):
        name = str(index + 1)
        try:
            if not isinstance(entry, dict):
                raise ValueError(f"its entry is no object of keys, but {quoted(entry)}")
            name = frame_name(entry.get("file_path", index + 1))
            expression, length = read_expression(entry.get("expression"))
            longest = max(longest, length)
            pose = read_pose(entry.get("pose"))
            camera = read_camera(entry.get("world_mat"), intrinsics, size)
            head.check(FrameRecord("", name, expression, pose, camera, {}), _everything(size))
            frames.append(DriverFrame(name, expression, pose, camera, pictures.get(name)))
        except ValueError as error:
            bad[name] = str(error)
    wild = wild_expressions(frames)
    bad |= wild
    kept = [frame for frame in frames if frame.name not in wild]
    if longest > NUM_EXPRESSIONS or num_shape > NUM_IDENTITIES:
        _refuse_flame(path, avatar)
    if not kept or len(bad) > _MAX_BAD_SHARE * len(entries):
        first, reason = next(iter(bad.items()))
        raise InvalidInput(
            f"{path}: {len(bad)} of {len(entries)} frames are bad (frame {first}: {reason}); "
            "repair or remove them."
        )
    notes = [f"Re-enactment, frame {name}: left out, {why}" for name, why in bad.items()]
    return Driver(path, kept, notes)


def _refuse_flame(path: Path, avatar: Avatar) -> None:
    """Raises InvalidInput for numbers of FLAME, where the avatar rides on the free head."""
    if avatar.head.sha256 == load_free_head().sha256:
        raise InvalidInput(
            f"{path}: was tracked with FLAME, but the avatar rides on the {avatar.head.name!r}, "
            "whose expressions are others; give a motion that `preprocess` made, or an avatar of "
            "FLAME."
        )


def _everything(size: int) -> Pictures:
    """A mask of the whole picture, for a head that is only looked for in it."""
    full: Any = np.full((size, size), 255, np.uint8)
    return Pictures(full, full, None, None, None)
