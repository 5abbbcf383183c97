"""One attribute of the database: the source person's frames with another person's part."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from pegasus_runtime.errors import InvalidInput
from pegasus_runtime.files import replace_file
from pegasus_runtime.head.parts import PART_NAMES
from pegasus_runtime.head.skinning import rotation_matrices
from trainer.config.data import DataConfig
from trainer.data.capture_folder import (
    PARAMETERS_FILE,
    PART_NAMES_FILE,
    FrameRecord,
    SubjectRecord,
    read_part_names,
    read_subject,
)
from trainer.data.images import Pictures, decode_frame
from trainer.database.avatar_step import avatar_digest, load_person
from trainer.database.composite import BACKGROUND, compose
from trainer.database.lent_part import SourcePerson, lend
from trainer.database.plan import SynthesisSettings
from trainer.preprocess.crop import save_picture
from trainer.preprocess.steps import Fraction
from trainer.synthetic.dataset_writer import file_intrinsics, file_world_mat

KINDS = ("image", "mask", "mask_object", "normal_rendering", "normal_original", "semantic")
_FARTHEST_DEG = 50.0
"""Between the side from which a frame shows the head and the nearest side that the person was
filmed from: more shows what nobody has seen, less leaves out good frames."""


@dataclass(frozen=True)
class AttributeWork:
    """One attribute folder."""

    folder: Path
    options: SynthesisSettings
    category: str
    source: Path
    """the source person's subject"""
    person: Path
    """the other person's subject"""
    source_avatar: Path
    person_avatar: Path
    """folders as `make_avatar` leaves them"""

    @cached_property
    def record(self) -> SubjectRecord:
        """The source person's frames, for pictures of the asked size."""
        return read_subject(self.source, self.options.size, DataConfig().max_bad_share)

    @cached_property
    def frames(self) -> list[FrameRecord]:
        """Those that the attribute is put on."""
        every = self.record.frames
        count = min(self.options.frames or len(every), len(every))
        return [every[i] for i in np.linspace(0, len(every) - 1, count).round().astype(int)]

    @cached_property
    def skipped(self) -> dict[str, str]:
        """Frame → why it is left out."""
        person = read_subject(self.person, self.options.size, DataConfig().max_bad_share)
        theirs = np.array([view_of(frame) for frame in person.frames])
        reasons = {}
        for frame in self.frames:
            cosine = float((theirs @ view_of(frame)).max())
            away = float(np.degrees(np.arccos(np.clip(cosine, -1, 1))))
            if away > _FARTHEST_DEG:
                reasons[frame.name] = (
                    f"seen from {away:.0f}° beside any side that "
                    f"{self.folder.name.partition('_')[2]} was filmed from"
                )
        return reasons

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Of the classes of its part pictures: the source's, and what those do not have."""
        own = read_part_names(self.source)
        return own + tuple(name for name in (*PART_NAMES, BACKGROUND) if name not in own)


def view_of(frame: FrameRecord) -> npt.NDArray[np.float64]:
    """(3,) unit direction from the head to the camera, in the head's own axes."""
    root, neck = (
        rotation_matrices(torch.from_numpy(frame.pose[i : i + 3])[None])[0].numpy().astype(float)
        for i in (0, 3)
    )
    direction = (root @ neck).T @ frame.camera.centre.astype(float)
    return np.asarray(direction / max(np.linalg.norm(direction), 1e-9))


class CompositeStep:
    """Writes the pictures."""

    name, version, after, cost = "composites", 4, (), 0.98
    outputs, frames_apart = tuple(f"{kind}/" for kind in KINDS), None

    def settings(self, options: SynthesisSettings) -> dict[str, Any]:
        """The frames and their size."""
        return {"frames": options.frames, "size": options.size}

    def run(self, work: AttributeWork, report: Fraction) -> list[str]:
        """See `WorkStep`."""
        torch.manual_seed(0)
        source = load_person(work.source_avatar, work.options, "source")
        person = load_person(work.person_avatar, work.options, work.folder.name.partition("_")[2])
        _refuse_other_head(source.head.sha256, person.head.sha256, person.name)
        lent = lend(SourcePerson.of(source), person, work.category)
        wanted = [frame for frame in work.frames if frame.name not in work.skipped]
        for done, frame in enumerate(wanted):
            paths = {kind: work.folder / kind / f"{frame.name}.png" for kind in KINDS}
            if not all(path.is_file() for path in paths.values()):
                pictures = _pictures(work, frame)
                made = compose(lent, source, frame, pictures, work.names)
                normal = pictures.normals if pictures.normals is not None else made.normal
                found = (
                    made.image, made.mask, made.mask_object, made.normal, normal, made.semantic,
                )  # fmt: skip
                for path, pixels in zip(paths.values(), found, strict=True):
                    save_picture(path, pixels)
            report((done + 1) / len(wanted))
        return _notes(work)


class LayoutStep:
    """Writes parameters, names and what is left out; the folder is a subject from then on."""

    name, version, after, cost = "layout", 1, ("composites",), 0.02
    outputs, frames_apart = ("skip.json", PART_NAMES_FILE, PARAMETERS_FILE), None

    def settings(self, options: SynthesisSettings) -> dict[str, Any]:
        """None of its own."""
        return {}

    def run(self, work: AttributeWork, report: Fraction) -> list[str]:
        """See `WorkStep`."""
        shape = [float(value) for value in work.record.shape]
        frames = [_entry(frame) for frame in work.frames]
        contents: dict[str, Any] = {
            "skip.json": work.skipped,
            PART_NAMES_FILE: list(work.names),
            PARAMETERS_FILE: {
                "frames": frames,
                "shape_params": shape,
                "intrinsics": file_intrinsics(work.frames[0].camera),
            },
        }
        for name, content in contents.items():
            with replace_file(work.folder / name) as partial:
                partial.write_text(json.dumps(content) + "\n", "utf-8")
        return []


ATTRIBUTE_STEPS = (CompositeStep(), LayoutStep())


def attribute_digest(work: AttributeWork) -> str:
    """What its pictures are made from."""
    return f"{avatar_digest(work.source_avatar)} {avatar_digest(work.person_avatar)}"


def _entry(frame: FrameRecord) -> dict[str, Any]:
    return {
        "file_path": f"./image/{frame.name}",
        "world_mat": [[float(v) for v in row] for row in file_world_mat(frame.camera)],
        "expression": [float(v) for v in frame.expression],
        "pose": [float(v) for v in frame.pose],
    }


def _notes(work: AttributeWork) -> list[str]:
    if not work.skipped:
        return []
    first = next(iter(work.skipped.values()))
    return [f"{work.folder.name}: {len(work.skipped)} frames are left out (one is {first})"]


def _pictures(work: AttributeWork, frame: FrameRecord) -> Pictures:
    try:
        return decode_frame(frame.files, work.options.size)
    except ValueError as error:
        raise InvalidInput(
            f"{work.source}: {error}; repair it or list frame {frame.name} in skip.json, then "
            "start the same command again."
        ) from None


def _refuse_other_head(own: str, theirs: str, name: str) -> None:
    if own != theirs:
        raise InvalidInput(
            f"{name}: was trained on another head than the source person; use captures of one head."
        )


def source_files(source: Path) -> Iterator[Path]:
    """What the database's own copy of the source person has, parameters last."""
    for kind in KINDS:
        folder = source / kind
        if folder.is_dir():
            yield from sorted(path for path in folder.iterdir() if path.is_file())
    for name in ("skip.json", PART_NAMES_FILE, PARAMETERS_FILE):
        if (source / name).is_file():
            yield source / name
