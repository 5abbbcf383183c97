"""Who is in a folder of captures, and which attributes their part pictures show."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pegasus_runtime.errors import InvalidInput, one_line, quoted
from pegasus_runtime.names import check_name
from trainer.config.data import DataConfig
from trainer.data.capture_folder import (
    PARAMETERS_FILE,
    PART_NAMES_FILE,
    FrameRecord,
    SubjectRecord,
    read_part_names,
    read_subject,
)
from trainer.data.image_file import Bytes, PictureFile
from trainer.data.pairs import worn_by
from trainer.database.hidden_eye import one_eye_is_hidden

SOURCE = DataConfig().source
"""the subject of a capture that is its person without attributes"""
PARTS_OF: dict[str, tuple[str, ...]] = {
    "hair": ("hair",),
    "hat": ("hat",),
    "eyebrows": ("eyebrows",),
    "eyes": ("eyes", "eyelids"),
    "nose": ("nose",),
    "mouth": ("lips", "mouth", "teeth", "tongue"),
    "ears": ("ears",),
    "eyeglasses": ("glasses",),
}
"""category → the classes of part pictures that show it"""
_LEAST_SHARE = {"hair": 0.02, "hat": 0.04, "eyeglasses": 0.003}
"""Of what a picture shows of the person: less is a stray label, or a collar taken for hair; more
loses thin rims and short hair."""
_LEAST_PART = 2e-4
"""The same of what everybody has, a few pixels of 512²: less takes ears under hair, more loses lids
and brows of small faces."""
_LEAST_FRAMES = 0.2
"""Share of the frames in which it has to be seen: with more, ears and glasses of people who turn
about are lost; with less what is seen once cannot be learned."""
_SAMPLED_FRAMES = 16
"""that are looked at: more are surer and take longer"""
_SIDE = 256
"""Of the pictures that are looked at: less loses thin rims and leaves an eye few pixels, more takes
longer."""
_HIDDEN = "one eye is hidden"
_ANY_SIDE = 512
"""of the cameras, which do not matter here"""


@dataclass(frozen=True)
class Person:
    """One person of a database."""

    name: str
    folder: Path
    """of the subject"""
    num_frames: int
    """that can be used"""
    categories: tuple[str, ...] = ()
    """of which an attribute can be taken from them"""
    missing: dict[str, str] = field(default_factory=dict)
    """category → why none can"""

    def attribute(self, category: str) -> str:
        """The name of an attribute of this person's."""
        return f"{category}_{self.name}"


def find_source(source: Path) -> Person:
    """The source person: a subject's folder, or a capture's with one subject or `SOURCE`.

    Raises:
        FileNotFoundError: there is no such folder.
        InvalidInput: it holds no person or several, or the person cannot be used.
    """
    _require_folder(source, "--source")
    subject = subject_in(source)
    if subject is None:
        raise InvalidInput(
            f"{source}: is no capture: it has neither {PARAMETERS_FILE}, nor a folder {SOURCE!r} "
            "or a single folder with one; make one with preprocess or capture."
        )
    return _look_at(SOURCE, subject)


def find_people(
    database: Path, only: Sequence[str] = (), source: Path | None = None
) -> tuple[list[Person], list[str]]:
    """The people of a folder of captures, and why others cannot be used.

    Args:
        database: each folder in it is a subject, or a capture with one subject or `SOURCE`.
        only: names of those that are wanted; none: all.
        source: a subject that is left out, for it is the source person.

    Returns:
        People in the order of their names, and lines of text.

    Raises:
        FileNotFoundError: there is no such folder.
        InvalidInput: it cannot be listed, holds nobody, or somebody who is wanted is not there.
    """
    _require_folder(database, "--database")
    subjects = dict(_subjects(database))
    for name in only:
        if name not in subjects:
            near = get_close_matches(name, subjects, 1)
            hint = f"; did you mean {near[0]}?" if near else f"; it has {', '.join(subjects)}."
            raise InvalidInput(f"{database}: has nobody called {quoted(name)}{hint}")
    own = source.resolve() if source else None
    people, problems = [], []
    for name, folder in subjects.items():
        if only and name not in only:
            continue
        if folder.resolve() == own:
            problems.append(f"{name}: is the source person, and is left out.")
            continue
        try:
            people.append(_look_at(_person_name(name), folder))
        except (InvalidInput, FileNotFoundError) as error:
            problems.append(f"{name}: is left out: {one_line(str(error), 400)}")
    if not subjects:
        raise InvalidInput(
            f"{database}: holds no captures of people (folders with {PARAMETERS_FILE}, or with a "
            f"folder {SOURCE!r} that has one); make them with preprocess or capture."
        )
    return people, problems


def subject_in(folder: Path) -> Path | None:
    """The person's subject of a folder: itself, its `SOURCE`, or the only one; None without."""
    if (folder / PARAMETERS_FILE).is_file():
        return folder
    if (folder / SOURCE / PARAMETERS_FILE).is_file():
        return folder / SOURCE
    inner = [path for path in _folders(folder) if (path / PARAMETERS_FILE).is_file()]
    return inner[0] if len(inner) == 1 else None


def _subjects(database: Path) -> Iterator[tuple[str, Path]]:
    for path in _folders(database):
        subject = subject_in(path)
        if subject is not None:
            yield path.name, subject


def _folders(folder: Path) -> list[Path]:
    try:
        return [p for p in sorted(folder.iterdir()) if p.is_dir() and not p.name.startswith(".")]
    except OSError as error:
        raise InvalidInput(f"{folder}: cannot be read ({error.strerror}).") from None


def _require_folder(folder: Path, option: str) -> None:
    if not folder.exists():
        raise FileNotFoundError(f"{folder}: no such folder; {option} wants one with captures.")
    if not folder.is_dir():
        raise InvalidInput(f"{folder}: is a file; {option} wants a folder with captures.")


def _person_name(name: str) -> str:
    """A name that can stand in CATEGORY_NAME, which readers of captures take apart."""
    check_name("person", name)
    if len(worn_by(name)) > 1 or name.casefold() == SOURCE:
        raise InvalidInput(f"person {quoted(name)}: rename the folder; + and {SOURCE!r} are taken.")
    return name


def _look_at(name: str, folder: Path) -> Person:
    record = read_subject(folder, _ANY_SIDE, DataConfig().max_bad_share)
    if not any("mask" in frame.files for frame in record.frames):
        # Their images may have alpha: that is seen when they are read.
        _require_alpha(record)
    names, sampled = _part_names(record), _sampled(record)
    labels = [_labels(frame, folder) for frame in sampled]
    shares = _part_shares(labels, names)
    missing = {category: why_not(category, shares) for category in PARTS_OF}
    hide_hair(missing)
    pictures = (_picture(frame, folder) for frame in sampled)
    if one_eye_is_hidden(pictures, labels, names):
        missing |= {name: missing[name] or _HIDDEN for name in ("eyes", "eyebrows")}
    found = tuple(category for category, reason in missing.items() if not reason)
    kept = {category: reason for category, reason in missing.items() if reason}
    return Person(name, folder, len(record.frames), found, kept)


def _require_alpha(record: SubjectRecord) -> None:
    try:
        alpha = PictureFile.read(record.frames[0].files["image"]).alpha(_SIDE)
    except ValueError as error:
        raise InvalidInput(f"{record.folder}: {error}.") from None
    if alpha is None:
        raise InvalidInput(
            f"{record.folder}: its frames have no masks (mask/NAME.png, or alpha in the image)."
        )


def _part_names(record: SubjectRecord) -> tuple[str, ...]:
    names = read_part_names(record.folder)
    if not names or not any("semantic" in frame.files for frame in record.frames):
        raise InvalidInput(
            f"{record.folder}: has no part pictures (semantic/ and {PART_NAMES_FILE}), by which "
            "attributes are told; make them with preprocess."
        )
    return names


def _sampled(record: SubjectRecord) -> list[FrameRecord]:
    """Some frames with part pictures, evenly spread."""
    labelled = [frame for frame in record.frames if "semantic" in frame.files]
    count = min(_SAMPLED_FRAMES, len(labelled))
    return [labelled[i] for i in np.linspace(0, len(labelled) - 1, count).astype(int)]


def _labels(frame: FrameRecord, folder: Path) -> Bytes:
    """(_SIDE, _SIDE) index of each pixel's part."""
    try:
        return PictureFile.read(frame.files["semantic"]).classes(_SIDE)
    except ValueError as error:
        raise InvalidInput(f"{folder}: {error}.") from None


def _picture(frame: FrameRecord, folder: Path) -> Bytes:
    try:
        return PictureFile.read(frame.files["image"]).composite_over_white(_SIDE)
    except ValueError as error:
        raise InvalidInput(f"{folder}: {error}.") from None


def _part_shares(
    labels: Sequence[Bytes], names: Sequence[str]
) -> dict[str, npt.NDArray[np.float64]]:
    """Share (K,) of each part in what K part pictures show of the person."""
    counts = np.array([np.bincount(each.ravel(), minlength=256)[: len(names)] for each in labels])
    shown = [index for index, name in enumerate(names) if name not in ("background", "clothes")]
    total = np.maximum(counts[:, shown].sum(axis=1), 1)
    return {name: counts[:, index] / total for index, name in enumerate(names)}


def hide_hair(missing: dict[str, str]) -> None:
    """Of categories with why they cannot be taken: hair under a hat cannot."""
    if not missing["hat"] and not missing["hair"]:
        missing["hair"] = "is under a hat"


def why_not(category: str, shares: Mapping[str, npt.NDArray[np.floating[Any]]]) -> str:
    """Why an attribute of a category cannot be taken; empty where it can.

    Args:
        category: one of `PARTS_OF`.
        shares: part → its share (K,) in what K pictures show of the person.
    """
    known = [shares[name] for name in PARTS_OF[category] if name in shares]
    if not known:
        return f"its part pictures know no {PARTS_OF[category][0]}"
    share = np.sum(known, axis=0)
    seen = float((share > _LEAST_SHARE.get(category, _LEAST_PART)).mean())
    return "" if seen >= _LEAST_FRAMES else f"is seen in {seen:.0%} of the frames"
