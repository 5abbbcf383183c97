"""One subject's folder of a capture, in the layout that existing captures have."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pegasus_runtime.camera import Camera, ndc_intrinsics
from pegasus_runtime.errors import Refused
from trainer.config.schema import DataConfig

PARAMETERS_FILE = "flame_params.json"
FloatArray = npt.NDArray[np.float32]


def subject_folders(folder: Path) -> list[Path]:
    """The subjects that a capture holds."""
    return [path for path in sorted(folder.iterdir()) if (path / PARAMETERS_FILE).is_file()]


def learned_folders(config: DataConfig) -> list[Path]:
    """Those that a training reads: the source alone where no step sees any other."""
    found = subject_folders(Path(config.folder))
    alone = [path for path in found if config.source_share == 1 and path.name == config.source]
    return alone or found


@dataclass(frozen=True, eq=False)
class FrameRecord:
    """What a capture says of one frame, without its pictures."""

    subject: str
    name: str
    expression: FloatArray
    """(50,)"""
    pose: FloatArray
    """(15,)"""
    camera: Camera


@dataclass
class SubjectRecord:
    """One subject: its frames that can be used, and why the others cannot."""

    folder: Path
    shape: FloatArray
    """(100,)"""
    frames: list[FrameRecord]
    bad: dict[str, str] = field(default_factory=dict)
    skipped: int = 0

    @property
    def name(self) -> str:
        return self.folder.name


def read_subject(folder: Path, image_size: int, max_bad_share: float) -> SubjectRecord:
    """Read a subject's parameters; pictures are only checked for being there.

    Args:
        folder: of the subject.
        image_size: side of the square pictures the cameras are made for.
        max_bad_share: the largest share of bad frames that is accepted.

    Raises:
        Refused: the parameters file is missing or damaged, or too many frames are bad.
    """
    content = _read_json(folder / PARAMETERS_FILE)
    entries, intrinsics = content.get("frames"), _numbers(content.get("intrinsics"), 4)
    shape = _numbers(content.get("shape_params"), 100)
    if not isinstance(entries, list) or not entries or intrinsics is None or shape is None:
        raise Refused(
            f"{folder / PARAMETERS_FILE}: needs frames, shape_params (100) and intrinsics (4)."
        )
    subject = SubjectRecord(folder, shape, [])
    skip = _read_skip(folder)
    for index, entry in enumerate(entries):
        name = _frame_name(entry, index)
        if name in skip:
            subject.skipped += 1
            continue
        try:
            subject.frames.append(_read_frame(folder, entry, name, intrinsics, image_size))
        except ValueError as error:
            subject.bad[name] = str(error)
    check_bad_share(subject, max_bad_share)
    return subject


def check_bad_share(subject: SubjectRecord, max_bad_share: float) -> None:
    """Raises Refused when more of a subject's frames are bad than is acceptable."""
    total = len(subject.frames) + len(subject.bad)
    if not subject.frames or len(subject.bad) > max_bad_share * total:
        first, reason = next(iter(subject.bad.items()), ("none", "no frames"))
        raise Refused(
            f"{subject.folder}: {len(subject.bad)} of {total} frames are bad (frame {first}: "
            f"{reason}); repair them or list them in skip.json."
        )


def convert_camera(world_mat: FloatArray, intrinsics: FloatArray, image_size: int) -> Camera:
    """The camera of a frame: OpenCV-like capture convention → PyTorch3D's.

    Args:
        world_mat: (3, 4) as stored.
        intrinsics: (4,) fx, fy, cx, cy as fractions of the picture's size; fx may be negative.
        image_size: side of the square picture.
    """
    matrix = np.array(world_mat, dtype=np.float32)
    fx, fy, cx, cy = (float(value) for value in intrinsics)
    scale_x, centre_x = 2 * fx, -(2 * cx - 1)
    if scale_x < 0:
        scale_x = -scale_x
        matrix[0] = -matrix[0]
    matrix[:, 2] = -matrix[:, 2]
    matrix[2, 3] = -matrix[2, 3]
    camera_intrinsics = ndc_intrinsics(scale_x, 2 * fy, centre_x, -(2 * cy - 1))
    return Camera(matrix[:, :3], matrix[:, 3], camera_intrinsics, (image_size, image_size))


def _read_frame(
    folder: Path, entry: Any, name: str, intrinsics: FloatArray, image_size: int
) -> FrameRecord:
    if not isinstance(entry, dict):
        raise ValueError("its entry is not a set of keys")
    expression, pose = _numbers(entry.get("expression"), 50), _numbers(entry.get("pose"), 15)
    world = _numbers(entry.get("world_mat"), 12)
    for key, value in (("expression", expression), ("pose", pose), ("world_mat", world)):
        if value is None:
            raise ValueError(f"{key} is missing or not finite numbers")
    for kind in ("image", "mask"):
        if not (folder / kind / f"{name}.png").is_file():
            raise ValueError(f"{kind}/{name}.png is missing")
    assert expression is not None and pose is not None and world is not None
    camera = convert_camera(world.reshape(3, 4), intrinsics, image_size)
    return FrameRecord(folder.name, name, expression, pose, camera)


def _frame_name(entry: Any, index: int) -> str:
    path = entry.get("file_path") if isinstance(entry, dict) else None
    return Path(path).stem if isinstance(path, str) and path else str(index + 1)


def _read_skip(folder: Path) -> set[str]:
    path = folder / "skip.json"
    if not path.is_file():
        return set()
    content = _read_json(path, (dict, list))
    return {Path(str(name)).stem for name in content}


def _read_json(path: Path, kinds: tuple[type, ...] = (dict,)) -> Any:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise Refused(f"{path}: is missing; is this the folder of a capture?") from None
    except (OSError, ValueError, RecursionError) as error:
        raise Refused(f"{path}: cannot be read ({error}).") from None
    if not isinstance(content, kinds):
        raise Refused(f"{path}: does not hold what it should.")
    return content


def _numbers(value: Any, size: int) -> FloatArray | None:
    try:
        array = np.asarray(value, dtype=np.float32).reshape(-1)
    except (TypeError, ValueError):
        return None
    return array if array.shape == (size,) and bool(np.isfinite(array).all()) else None
