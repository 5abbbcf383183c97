"""Configurations of research programs."""

from __future__ import annotations

from pathlib import Path

import pytest

from pegasus_runtime.errors import InvalidInput
from pegasus_runtime.hocon import look_up, parse_hocon, read_hocon

_TEXT = r"""
train{
    # exps_folder/subject/[checkpoints, saved {conf}]
    exps_folder = ../data/experiments/ # "a place"
    a.b : 3 // as well
    rate=1.0e-4, flag = True
    base = ${HOME}/x
    said = "two \"words\" # and more"  #
    none = ""
    text = one two
}
dataset { train { sub_dir = [hair_a, "hat b"  # first
      nose_c
    ] } }
model { geometry_network
    {
        dims = [256, 256]
    }
    bare.key.of.dots { x = 1 }
}
train { rate = 2 }
dataset.train.more: [[1], {k = v}]
"""


@pytest.mark.parametrize("text", [_TEXT, "{" + _TEXT + "}", _TEXT.replace("\n", "\r\n")])
def test_what_programs_write(text: str) -> None:
    found = parse_hocon(text)
    wanted = {
        "train.exps_folder": "../data/experiments/",
        "train.a.b": "3",
        "train.rate": "2",
        "train.flag": "True",
        "train.base": "${HOME}/x",
        "train.said": 'two "words" # and more',
        "train.none": "",
        "train.text": "one two",
        "dataset.train.sub_dir": ["hair_a", "hat b", "nose_c"],
        "dataset.train.more": [["1"], {"k": "v"}],
        "model.geometry_network.dims": ["256", "256"],
        "model.bare.key.of.dots.x": "1",
        "model.nothing": None,
    }
    assert {path: look_up(found, path) for path in wanted} == wanted


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('x = 1\ninclude "/etc/passwd"', "line 2: other files are not read"),
        ("include file(x)", "not read"),
        ("a {", "'}' is missing"),
        ("a = [1", "']' is missing"),
        ("a = 1\n\n}", "line 3"),
        ("a b = 1", "'=' is missing"),
        ("= 1", "a name is missing"),
        ("a =", "a value is missing"),
        ('a = "open', "has no end"),
        ('a = """open', "has no end"),
        ('a = "\\q"', "escaped"),
        ("a = {} b", "does not belong here"),
        ("a = 1 [2]", "does not belong here"),
        ("a = ${x", "'}' is missing"),
        ("a = " + "[" * 100, "levels deep"),
        ("a { " * 100, "levels deep"),
    ],
)
def test_what_is_refused_with_its_line(text: str, says: str) -> None:
    with pytest.raises(InvalidInput, match="configuration: line") as refusal:
        parse_hocon(text)
    assert says in str(refusal.value) and str(refusal.value).isprintable()


def test_files_that_are_no_configuration(tmp_path: Path) -> None:
    path = tmp_path / "runconf.conf"
    path.write_bytes(b"\xff\xfe\x00a")
    with pytest.raises(InvalidInput, match="UTF-8"):
        read_hocon(path)
    path.write_bytes(b"a = 1\n" * 300_000)
    with pytest.raises(InvalidInput, match="bytes"):
        read_hocon(path)
    path.write_text("a = 1", "utf-8-sig")
    assert read_hocon(path) == {"a": "1"}
