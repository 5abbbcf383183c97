"""Projects: what is saved comes back to the bit, and what cannot be used is told in one line."""

from __future__ import annotations

import random
import re
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import yaml

from app.state.display import Display
from app.state.document import Snapshot
from app.state.export_settings import ExportSettings
from app.state.face import Face
from app.state.project import (
    AvatarNotFound,
    OtherAvatar,
    find_avatar,
    project_name,
    read_project,
    save_project,
    with_suffix,
)
from app.state.records import Vocabulary, face_record, read_face
from app.state.view import View
from pegasus_runtime.assets import file_sha256
from pegasus_runtime.camera import Camera
from pegasus_runtime.errors import InvalidInput
from pegasus_runtime.parameters import AttributeBlend

NAMES = tuple(f"look {i}" for i in range(48)) + ("smile: left", "- 7 #")
SHAPES = tuple(f"shape {i + 1}" for i in range(100))


def avatar_at(path: Path, names=NAMES, attributes=("hair_curly", "hair_long", "hat_beanie")):
    """As much of an avatar as a project asks for."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        path.write_bytes(path.name.encode())
    zeros = SimpleNamespace(expression=[0.0] * 50, pose=[0.0] * 15, shape=[0.125] * 100)
    return SimpleNamespace(
        name=path.stem,
        path=path,
        head=SimpleNamespace(expression_names=names, identity_names=SHAPES),
        categories=("hair", "hat"),
        attributes_of=lambda c: [a for a in attributes if a.startswith(f"{c}_")],
        neutral=lambda: zeros,
        rest_points=(),
        default_camera=lambda size: Camera.orbit(np.zeros(3), 3.0, image_size=size),
    )


def wild_snapshot(seed: int) -> Snapshot:
    """Every number one that is awkward to write."""
    rng = random.Random(seed)

    def number() -> float:
        return rng.choice([rng.uniform(-3, 3), rng.gauss(0, 1e-12), 1e-5, 0.1 + 0.2, -2 / 3])

    view = View((number(), number(), number()), 0.7 + rng.random(), number(), number(), number())
    return Snapshot(
        Face(
            tuple(number() for _ in range(50)),
            tuple(number() for _ in range(15)),
            tuple(number() for _ in range(100)),
            {
                "hair": AttributeBlend("hair_curly", number()),
                "hat": AttributeBlend("hat_beanie"),
            },
        ),
        view,
        Display("normal", "colour", (rng.random(), rng.random(), 1 / 3)),
        ExportSettings(Path("a-turntable.webm"), (640, 768), 48, 24.0, "transparent"),
    )


def saved(tmp_path: Path, kept: Snapshot, unknown=None) -> tuple[Path, SimpleNamespace]:
    avatar = avatar_at(tmp_path / "avatars" / "ann.avatar")
    path = tmp_path / "work" / "a.pegasus.yaml"
    path.parent.mkdir(exist_ok=True)
    save_project(path, avatar, kept, unknown or {}, file_sha256(avatar.path))
    return path, avatar


@pytest.mark.parametrize("seed", range(5))
def test_what_is_saved_comes_back_to_the_bit(tmp_path, seed):
    kept = wild_snapshot(seed)
    path, avatar = saved(tmp_path, kept)
    project = read_project(path)
    found, reading = project.snapshot(avatar, Display())
    export = replace(kept.export, out=path.with_name("a-turntable.webm"))
    assert found == replace(kept, export=export) and not reading.missing
    assert find_avatar(project) == str(avatar.path)


def test_a_project_is_read_by_people_and_by_name(tmp_path):
    face = Face(shape=(0.125,) * 100).with_expression({48: 0.75}).with_pose({6: 0.25})
    face = face.wearing("hair", AttributeBlend("hair_curly", 0.5))
    path, _ = saved(tmp_path, Snapshot(face, View(), Display()))
    content = yaml.safe_load(path.read_text())
    assert content["version"] == 1
    assert content["face"] == {
        "expression": {"smile: left": 0.75},
        "pose": {"jaw": [0.25, 0.0, 0.0]},
        "attributes": {"hair": {"name": "hair_curly", "strength": 0.5}},
    }
    assert content["avatar"]["path"] == "../avatars/ann.avatar"
    other = avatar_at(tmp_path / "other.avatar", names=NAMES[::-1])
    assert read_project(path).snapshot(other, Display())[0].face.expression[1] == 0.75


def test_what_another_avatar_does_not_have_is_told_and_kept(tmp_path):
    face = Face(shape=(0.125,) * 100).with_expression({48: 0.75, 2: 0.5})
    face = face.wearing("hair", AttributeBlend("hair_curly")).wearing(
        "hat", AttributeBlend("hat_beanie", 0.5)
    )
    path, _ = saved(tmp_path, Snapshot(face, View(), Display()))
    bald = avatar_at(tmp_path / "bald.avatar", names=NAMES[:48] + ("a", "b"), attributes=())
    kept, reading = read_project(path).snapshot(bald, Display())
    assert kept.face.attributes == {} and kept.face.expression[2] == 0.5
    assert reading.missing == [
        "expression smile: left", "attribute hair_curly", "attribute hat_beanie"
    ]  # fmt: skip
    chosen = kept.face.wearing("hair", AttributeBlend("hair_new"))
    record = face_record(chosen, Vocabulary.of(bald), reading.unknown)
    assert record["expression"] == {"smile: left": 0.75, "look 2": 0.5}
    assert record["attributes"]["hair"]["name"] == "hair_new"
    assert record["attributes"]["hat"] == {"name": "hat_beanie", "strength": 0.5}


def test_names_that_stand_twice_go_by_number():
    names = Vocabulary(expression=("a", "a", *NAMES[2:]))
    face = Face().with_expression({1: 0.5})
    record = face_record(face, names)
    assert record == {"expression": {1: 0.5}}
    assert read_face(record, names, "x").face == face


def test_the_avatar_is_found_where_it_was_where_the_project_is_and_by_its_bytes(tmp_path):
    path, avatar = saved(tmp_path, Snapshot(Face(), View(), Display()))
    moved = tmp_path / "elsewhere" / "deep" / "a.pegasus.yaml"
    moved.parent.mkdir(parents=True)
    path.rename(moved)
    assert find_avatar(read_project(moved)) == str(avatar.path)
    beside = moved.parent / "ann.avatar"
    beside.write_bytes(avatar.path.read_bytes())
    avatar.path.write_bytes(b"trained again")
    assert find_avatar(read_project(moved)) == str(beside)
    beside.unlink()
    with pytest.raises(OtherAvatar, match="not the avatar that a.pegasus.yaml was made with"):
        find_avatar(read_project(moved))
    assert find_avatar(read_project(moved), avatar.path) == str(avatar.path)
    avatar.path.unlink()
    with pytest.raises(AvatarNotFound, match="its avatar 'ann' is not at"):
        find_avatar(read_project(moved))


GARBAGE = {
    "": "not|expected",
    "- 1": "expected",
    "a: [": "YAML",
    "version: 2\nnew: 1": "version 2",
    "version: 999999": "update the program",
    "version: one": "version: 'one'",
    "version: true": "version",
    "version: 1": "avatar: has no path",
    "version: 1\navatar: 7": "avatar",
    "version: 1\navatar: {path: 7}": "avatar.path",
    'version: 1\navatar: {path: "a\\0b"}': "avatar.path",
    "version: 1\navatar: {path: a}\nfaces: {}": "faces",
    "version: 1\navatar: {path: a}\nface: 3": "face",
    "version: 1\navatar: {path: a}\nface: {expression: [1]}": "face.expression",
    "version: 1\navatar: {path: a}\nface: {expression: {smile: .nan}}": "finite|not a number",
    "version: 1\navatar: {path: a}\nface: {expression: {smile: 1e30}}": "face.expression.smile",
    "version: 1\navatar: {path: a}\nface: {pose: {jaw: [50, 0, 0]}}": "face.pose.jaw.*radians",
    "version: 1\navatar: {path: a}\nface: {pose: {tail: [0, 0, 0]}}": "tail",
    "version: 1\navatar: {path: a}\nface: {pose: {jaw: 1}}": "list of 3",
    "version: 1\navatar: {path: a}\nface: {attributes: {hair: {name: x, strength: 99}}}": "hair.st",
    "version: 1\navatar: {path: a}\nview: {fov_deg: 0}": "view.fov_deg",
    "version: 1\navatar: {path: a}\nview: {target: [1, 2]}": "view.target",
    "version: 1\navatar: {path: a}\ndisplay: {pass: x-ray}": "display.pass",
    "version: 1\navatar: {path: a}\ndisplay: {colour: [1, 2, 0]}": "display.colour",
    "version: 1\navatar: {path: a}\nexport: {format: exe}": "export.format",
    "version: 1\navatar: {path: a}\nexport: {fps: 0}": "export.fps",
    "!!python/object/apply:os.system ['true']": "YAML|plain",
}


@pytest.mark.parametrize("text", GARBAGE)
def test_garbage_is_refused_in_a_line_that_names_file_and_key(tmp_path, text):
    path = tmp_path / "bad.pegasus.yaml"
    path.write_text(text)
    with pytest.raises(InvalidInput, match=GARBAGE[text]) as refused:
        read_project(path)
    assert "bad.pegasus.yaml" in str(refused.value) and "\n" not in str(refused.value)


def test_a_damaged_project_is_refused_or_read_and_nothing_else(tmp_path, fuzz_seeds):
    path, avatar = saved(tmp_path, wild_snapshot(0))
    whole = path.read_bytes()
    for seed in fuzz_seeds:
        rng, raw = random.Random(seed), bytearray(whole)
        for _ in range(rng.randrange(1, 6)):
            raw[rng.randrange(len(raw))] = rng.randrange(256)
        path.write_bytes(raw[: rng.choice([None, rng.randrange(len(raw))])])
        try:
            read_project(path).snapshot(avatar, Display())
        except InvalidInput as refused:
            assert not re.search(r"[\r\n]", str(refused)), seed


@pytest.mark.parametrize(
    ("given", "name"),
    [("a", "a"), ("a.pegasus.yaml", "a"), ("a.yaml", "a"), ("a.b.yml", "a.b"), ("A.PEGASUS", "A")],
)
def test_a_project_gets_its_ending(given, name):
    assert project_name(with_suffix(Path(given))) == name
    assert with_suffix(Path(given)).name.lower() == f"{name.lower()}.pegasus.yaml"
