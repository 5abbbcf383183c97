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
