"""One subject's folder of a capture, in the layout that existing captures have."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pegasus_runtime.camera import Camera
from pegasus_runtime.documents import read_json
from pegasus_runtime.errors import InvalidInput, quoted
from pegasus_runtime.names import check_name
from pegasus_runtime.parameters import NUM_EXPRESSIONS, NUM_IDENTITIES
from trainer.config.training import DataConfig
from trainer.data.flame_parameters import (
    FloatArray,
    read_camera,
    read_expression,
    read_intrinsics,
    read_pose,
    read_shape,
)
from trainer.data.frame_names import frame_name, list_pictures, pictures_of
from trainer.data.pairs import is_pair
from trainer.data.tracking_outliers import wild_expressions

PARAMETERS_FILE, PART_NAMES_FILE = "flame_params.json", "semantic_names.json"
_MOST_CLASSES = 256
"""that a picture of bytes can tell apart"""


def read_part_names(folder: Path) -> tuple[str, ...]:
    """The names of the classes of a subject's part pictures; none without the list.

    Raises:
        InvalidInput: the list cannot be read.
    """
    path = folder / PART_NAMES_FILE
    if not path.is_file():
        return ()
    names = read_json(path, list)
    if len(names) > _MOST_CLASSES or not all(isinstance(name, str) for name in names):
        raise InvalidInput(f"{path}: expected a list of {_MOST_CLASSES} part names at most.")
    return tuple(names)


def subject_folders(folder: Path) -> list[Path]:
    """The subjects that a capture holds; hidden folders and pairs of attributes are none.

    Raises:
        InvalidInput: the folder cannot be listed, or a subject's name cannot be that of an
            attribute.
    """
    return [path for path in _all_folders(folder) if not is_pair(path.name)]


def pair_folders(folder: Path) -> list[Path]:
    """Those that show two attributes at once, which no training learns from.

    Raises:
        InvalidInput: as `subject_folders`.
    """
    return [path for path in _all_folders(folder) if is_pair(path.name)]


def _all_folders(folder: Path) -> list[Path]:
    try:
        shown = [path for path in sorted(folder.iterdir()) if not path.name.startswith(".")]
        found = [path for path in shown if (path / PARAMETERS_FILE).is_file()]
    except OSError as error:
        raise InvalidInput(f"{folder}: cannot be read ({error.strerror}).") from None
    for path in found:
        try:
            check_name("subject", path.name)
        except InvalidInput as error:
            raise InvalidInput(f"{folder}: {error}") from None
    return found


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
    files: Mapping[str, Path]
    """of its pictures, by kind"""


@dataclass
class SubjectRecord:
    """One subject: its frames that can be used, and why the others cannot."""

    folder: Path
    shape: FloatArray
    """(100,)"""
    frames: list[FrameRecord]
    bad: dict[str, str] = field(default_factory=dict)
    skipped: int = 0
    sides: set[int] = field(default_factory=set)
    """of the pictures as they are stored, in pixels"""
    notes: list[str] = field(default_factory=list)
    """what was taken otherwise than it is written"""

    @property
    def name(self) -> str:
        return self.folder.name

    def leave_out(self, reasons: Mapping[str, str]) -> None:
        """Count frames as bad, by name with the reason."""
        self.bad |= reasons
        self.frames = [frame for frame in self.frames if frame.name not in reasons]


def read_subject(folder: Path, image_size: int, max_bad_share: float) -> SubjectRecord:
    """Read a subject's parameters; pictures are only checked for being there.

    Args:
        folder: of the subject.
        image_size: side of the square pictures the cameras are made for.
        max_bad_share: the largest share of bad frames that is accepted.

    Raises:
        InvalidInput: the parameters file is missing or damaged, or too many frames are bad.
    """
    path = folder / PARAMETERS_FILE
    content = _read_json(path, dict)
    entries = content.get("frames")
    if not isinstance(entries, list) or not entries:
        raise InvalidInput(
            f"{path}: needs a list of frames, shape_params (100) and intrinsics (4); found "
            f"frames: {quoted(entries)}."
        )
    try:
        shape, num_shape = read_shape(content.get("shape_params"))
        reader = _FrameReader(folder, read_intrinsics(content.get("intrinsics")), image_size)
    except ValueError as error:
        raise InvalidInput(f"{path}: {error}.") from None
    subject = SubjectRecord(folder, shape, [])
    reader.read_all(entries, _read_skip(folder), subject)
    subject.leave_out(wild_expressions(subject.frames))
    if num_shape > NUM_IDENTITIES:
        subject.notes.append(
            f"{subject.name}: the first {NUM_IDENTITIES} of {num_shape} shapes count."
        )
    if reader.num_expression > NUM_EXPRESSIONS:
        subject.notes.append(
            f"{subject.name}: the first {NUM_EXPRESSIONS} of {reader.num_expression} expressions "
            "count."
        )
    check_bad_share(subject, max_bad_share)
    return subject


def check_bad_share(subject: SubjectRecord, max_bad_share: float) -> None:
    """Raises InvalidInput when more of a subject's frames are bad than is acceptable."""
    total = len(subject.frames) + len(subject.bad)
    if not total:
        raise InvalidInput(f"{subject.folder}: skip.json leaves out all {subject.skipped} frames.")
    if not subject.frames or len(subject.bad) > max_bad_share * total:
        first, reason = next(iter(subject.bad.items()))
        raise InvalidInput(
            f"{subject.folder}: {len(subject.bad)} of {total} frames are bad (frame {first}: "
            f"{reason}); repair them or list them in skip.json."
        )


class _FrameReader:
    """Reads the entries of a parameters file."""

    def __init__(self, folder: Path, intrinsics: FloatArray, image_size: int) -> None:
        self._subject, self._pictures = folder.name, list_pictures(folder)
        self._intrinsics, self._image_size = intrinsics, image_size
        self.num_expression = 0
        """the most that a frame has"""

    def read_all(self, entries: list[Any], skip: set[str], subject: SubjectRecord) -> None:
        """Add what can be used to the subject's frames, and count the others."""
        seen: set[str] = set()
        for index, entry in enumerate(entries):
            name = str(index + 1)
            try:
                if not isinstance(entry, dict):
                    raise ValueError(f"its entry is no object of keys, but {quoted(entry)}")
                name = frame_name(entry.get("file_path", index + 1))
                if name in skip:
                    subject.skipped += 1
                    continue
                if name in seen:
                    first, name = name, f"{name} (entry {index + 1})"
                    raise ValueError(f"a frame before it is named {first} too")
                seen.add(name)
                subject.frames.append(self._read(entry, name))
            except ValueError as error:
                subject.bad[name] = str(error)

    def _read(self, entry: dict[str, Any], name: str) -> FrameRecord:
        expression, length = read_expression(entry.get("expression"))
        self.num_expression = max(self.num_expression, length)
        pose = read_pose(entry.get("pose"))
        camera = read_camera(entry.get("world_mat"), self._intrinsics, self._image_size)
        files = pictures_of(name, self._pictures)
        if "image" not in files:
            raise ValueError(f"image/{name}.png is missing")
        return FrameRecord(self._subject, name, expression, pose, camera, files)


def _read_skip(folder: Path) -> set[str]:
    """The names of a list, or the keys of an object whose values are reasons."""
    path = folder / "skip.json"
    if not path.exists():
        return set()
    content = _read_json(path, (dict, list))
    reasons = content.values() if isinstance(content, dict) else ()
    try:
        if any(isinstance(reason, dict | list) for reason in reasons):
            raise ValueError
        return {frame_name(name) for name in content}
    except ValueError:
        raise InvalidInput(
            f"{path}: has to be frames' names with the reason of each, or a list of names, found "
            f"{quoted(content)}."
        ) from None


def _read_json(path: Path, kinds: type | tuple[type, ...]) -> Any:
    try:
        return read_json(path, kinds, allow_nan=True)
    except FileNotFoundError:
        raise InvalidInput(f"{path}: is missing; is this the folder of a capture?") from None
