"""Writing one subject's folder in the layout of the IMavatar family."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from pegasus_runtime.camera import Camera
from pegasus_runtime.errors import InvalidInput
from trainer.data.capture_folder import PART_NAMES_FILE
from trainer.synthetic.frame_sampling import FrameParameters
from trainer.synthetic.gl_renderer import RenderedFrame
from trainer.synthetic.person import Person

_FOLDERS = ("image", "mask", "mask_object", "normal_rendering", "normal_original", "semantic")
OWN_NAMES = (*(f"{name}/" for name in _FOLDERS), "*.json")
"""what a subject's folder holds"""


def make_folders(folder: Path) -> None:
    """The empty picture folders of a subject."""
    for name in _FOLDERS:
        (folder / name).mkdir()


def write_frame(folder: Path, number: int | str, drawing: RenderedFrame) -> None:
    """Write the pictures of one frame, by its number, which starts at 1, or its name."""
    pictures = {
        "image": drawing.image,
        "mask": drawing.mask,
        "mask_object": drawing.mask_object,
        "normal_rendering": drawing.normal,
        "normal_original": drawing.normal,
        "semantic": drawing.semantic,
    }
    for name, pixels in pictures.items():
        write_png(folder / name / f"{number}.png", pixels)


def write_png(path: Path, pixels: Any) -> None:
    """Write grey (H, W) or RGB (H, W, 3) bytes.

    Raises:
        InvalidInput: the disk is full or the folder cannot be written.
    """
    import cv2

    ordered = pixels[..., ::-1] if pixels.ndim == 3 else pixels
    done = cv2.imwrite(str(path), np.ascontiguousarray(ordered), [cv2.IMWRITE_PNG_COMPRESSION, 3])
    if not done:
        raise InvalidInput(f"{path}: cannot be written; free some space or choose another folder.")


class TrackedFrame(Protocol):
    """What a parameters file says of one frame."""

    @property
    def expression(self) -> Any:
        """(50,)"""

    @property
    def pose(self) -> Any:
        """(15,)"""

    @property
    def camera(self) -> Camera:
        """Its intrinsics are those of all frames."""


def write_parameters(folder: Path, person: Person, frames: list[FrameParameters]) -> None:
    """Write flame_params.json, skip.json and semantic_names.json."""
    document = parameters_document(person.shape, frames)
    (folder / "flame_params.json").write_text(json.dumps(document))
    (folder / "skip.json").write_text("{}\n")
    names = [*person.part_names, "background"]
    (folder / PART_NAMES_FILE).write_text(json.dumps(names, indent=1) + "\n")


def parameters_document(shape: Any, frames: Sequence[TrackedFrame]) -> dict[str, Any]:
    """The content of a parameters file, whose pictures are numbered from 1."""
    return {
        "frames": [_frame(number, frame) for number, frame in enumerate(frames, start=1)],
        "shape_params": _numbers(shape),
        "intrinsics": file_intrinsics(frames[0].camera),
    }


def _frame(number: int, frame: TrackedFrame) -> dict[str, Any]:
    return {
        "file_path": f"./image/{number}",
        "world_mat": [_numbers(row) for row in file_world_mat(frame.camera)],
        "expression": _numbers(frame.expression),
        "pose": _numbers(frame.pose),
    }


def file_world_mat(camera: Camera) -> Any:
    """The 3×4 matrix that reads back as this camera.

    A reader negates the rotation's third column and the last element of the translation.
    """
    matrix = np.concatenate([camera.rotation, camera.translation[:, None]], axis=1)
    matrix[:, 2] *= -1
    matrix[2, 3] *= -1
    return matrix


def file_intrinsics(camera: Camera) -> list[float]:
    """[fx, fy, cx, cy] as fractions of the picture's size."""
    k = camera.intrinsics.astype(float)
    return [k[0, 0] / 2, k[1, 1] / 2, (1 - k[0, 2]) / 2, (1 - k[1, 2]) / 2]


def _numbers(values: Any) -> list[float]:
    return [float(value) for value in values]
