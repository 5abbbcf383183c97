"""Who is found in a folder of captures, and what their part pictures show."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from pegasus_runtime.errors import InvalidInput
from tests.factories import SIDE, write_plain_subject
from trainer.database.people import find_people, find_source

NAMES = ("skin", "hair", "hat", "nose", "ears", "background")


def write_person(folder: Path, shown: dict[str, int], count: int = 4) -> Path:
    """A subject whose part pictures show so many rows of each part below one another."""
    write_plain_subject(folder, count)
    (folder / "semantic").mkdir()
    (folder / "semantic_names.json").write_text(json.dumps(NAMES), "utf-8")
    parts = np.full((SIDE, SIDE), NAMES.index("background"), np.uint8)
    parts[:20] = NAMES.index("skin")
    first = 20
    for name, rows in shown.items():
        parts[first : first + rows] = NAMES.index(name)
        first += rows
    for index in range(1, count + 1):
        cv2.imwrite(str(folder / "semantic" / f"{index}.png"), parts)
    return folder


def test_people_are_subjects_or_captures_and_have_what_is_seen(tmp_path: Path) -> None:
    write_person(tmp_path / "ann", {"hair": 9, "nose": 3})
    write_person(tmp_path / "ben" / "source", {"hair": 9, "hat": 9, "nose": 3, "ears": 2})
    write_person(tmp_path / "cy" / "me", {"nose": 3})
    write_plain_subject(tmp_path / "dee", 3)
    (tmp_path / "notes").mkdir()
    people, problems = find_people(tmp_path)
    found = {person.name: person.categories for person in people}
    assert found == {"ann": ("hair", "nose"), "ben": ("hat", "nose", "ears"), "cy": ("nose",)}
    assert people[1].attribute("hat") == "hat_ben"
    assert "hat" in people[1].missing["hair"]
    assert len(problems) == 1 and "dee" in problems[0] and "semantic" in problems[0]


def test_the_source_is_not_a_person_of_its_own_database(tmp_path: Path) -> None:
    write_person(tmp_path / "ann", {"hair": 9})
    write_person(tmp_path / "ben", {"hair": 9})
    source = find_source(tmp_path / "ann")
    people, problems = find_people(tmp_path, source=source.folder)
    assert [person.name for person in people] == ["ben"] and "ann" in problems[0]


@pytest.mark.parametrize("name", ["source", "a+b"])
def test_names_that_attributes_cannot_have_are_told(tmp_path: Path, name: str) -> None:
    write_person(tmp_path / name, {"hair": 9})
    people, problems = find_people(tmp_path)
    assert not people and name in problems[0]


def test_frames_without_masks_are_told(tmp_path: Path) -> None:
    folder = write_person(tmp_path / "ann", {"hair": 9})
    for path in (folder / "mask").iterdir():
        path.unlink()
    assert "mask" in find_people(tmp_path)[1][0]


def test_mistakes_are_one_line(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no such folder"):
        find_people(tmp_path / "none")
    with pytest.raises(InvalidInput, match="holds no captures"):
        find_people(tmp_path)
    with pytest.raises(InvalidInput, match="is no capture"):
        find_source(tmp_path)
    write_person(tmp_path / "mara", {"hair": 9})
    with pytest.raises(InvalidInput, match="mean mara"):
        find_people(tmp_path, ["marra"])


FACE_NAMES = ("skin", "eyes", "eyebrows", "nose", "background")
EYES = {"one": (slice(24, 32), slice(12, 24)), "other": (slice(24, 32), slice(40, 52))}


def write_face(folder: Path, hides: str) -> Path:
    """Two eyes that mirror one another, of which something may hide one."""
    write_plain_subject(folder, 4)
    (folder / "semantic").mkdir()
    (folder / "semantic_names.json").write_text(json.dumps(FACE_NAMES), "utf-8")
    draw = np.random.default_rng(3)
    eye = cv2.resize(draw.integers(0, 255, (4, 6, 3), np.uint8), (12, 8))
    strands = cv2.resize(draw.integers(0, 255, (1, 8, 3), np.uint8), (24, 24))
    for index in range(1, 5):
        parts = np.full((SIDE, SIDE), FACE_NAMES.index("skin"), np.uint8)
        parts[16:20, 12:52] = FACE_NAMES.index("eyebrows")
        parts[36:44, 28:36] = FACE_NAMES.index("nose")
        picture = np.full((SIDE, SIDE, 3), 160, np.uint8)
        for name, place in EYES.items():
            is_hidden = name == "other" and hides
            if not is_hidden or hides == "picture":
                parts[place] = FACE_NAMES.index("eyes")
            own = eye if name == "one" else eye[:, ::-1]
            picture[place] = own
            if is_hidden:
                picture[16:40, 34:58] = strands
        cv2.imwrite(str(folder / "semantic" / f"{index}.png"), parts)
        cv2.imwrite(str(folder / "image" / f"{index}.png"), picture)
    return folder


@pytest.mark.parametrize("hides", ["", "picture", "parts"])
def test_eyes_of_which_one_is_hidden_are_not_lent(tmp_path: Path, hides: str) -> None:
    """Part pictures of a video say where both are thought to be, drawn ones what is seen."""
    person = find_source(write_face(tmp_path / "ann", hides))
    is_lent = {"eyes", "eyebrows"} <= set(person.categories)
    assert is_lent == (not hides)
    assert not hides or "hidden" in person.missing["eyes"]


def test_a_picture_that_is_cut_off_leaves_its_person_out(tmp_path: Path) -> None:
    for name in ("ann", "ben"):
        write_face(tmp_path / name, "")
    damaged = tmp_path / "ann" / "image" / "1.png"
    damaged.write_bytes(damaged.read_bytes()[:60])
    people, problems = find_people(tmp_path)
    assert [person.name for person in people] == ["ben"]
    assert len(problems) == 1 and "ann" in problems[0] and "image/1.png is cut off" in problems[0]
