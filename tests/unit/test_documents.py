"""Documents of strangers: what is good comes back, whatever else there is ends in one line."""

from __future__ import annotations

import codecs
import os
from pathlib import Path
from typing import Any

import pytest

from pegasus_runtime.documents import parse_json, parse_yaml, read_json, read_yaml
from pegasus_runtime.errors import MAX_MESSAGE, InvalidInput, quoted


@pytest.mark.parametrize("read", [read_json, read_yaml])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_texts_of_other_programs_are_read(read: Any, encoding: str, tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text('{"Jürgen": [1, -2.5e+3, true, null, "x"]}', encoding=encoding)
    assert read(path, dict) == {"Jürgen": [1, -2500.0, True, None, "x"]}


_BILLION = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{new}: &{new} [{','.join([f'*{old}'] * 9)}]\n"
    for old, new in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize(
    ("parse", "text"),
    [
        *(
            (parse_json, text)
            for text in [
                "[" * 100_000,
                "[" * 100_000 + "]" * 100_000,
                '{"a":' * 70 + "1" + "}" * 70,
                '"' + '\\"' * 100_000,
                "1" + "0" * 400,
                "1" * 5000,
                "1e999",
                "NaN",
                "-Infinity",
                '{"a": 1, "a": 2}',
                '"\\ud800"',
                "",
                "{",
                "{'a': 1}",
                "[" + "1," * 9_000_000 + "1]",
                b"\xff\xfe\x00",
                b"\x80abc",
                b"\x00\x00\x00",
            ]
        ),
        *(
            (parse_yaml, text)
            for text in [
                "[" * 100_000,
                "- " * 100_000,
                _BILLION,
                "&a [*a]",
                "a: 1\na: 2",
                "a: " + "1" * 400,
                "a: " + "1" * 5000,
                "a: 0x" + "f" * 60,
                "a: .nan",
                "a: 1e999\nb: .inf",
                "? [a]\n: 1",
                "!!python/object/apply:os.system [ls]",
                "!!binary aGFsbG8=",
                "!!set {a, b}",
                "a: [",
                "a\tb: 'x",
                "{a: 1}}",
                "a: \x00",
                "--- 1\n--- 2",
                b"\x80abc",
                "*nobody",
                "!!int x",
            ]
        ),
    ],
)
def test_bombs_and_nonsense_are_refused_in_one_line(parse: Any, text: Any) -> None:
    with pytest.raises(InvalidInput, match="^here: ") as refusal:
        parse(text, "here")
    assert str(refusal.value).isprintable() and len(str(refusal.value)) < 400


def test_numbers_that_are_not_finite_are_taken_where_the_caller_looks_at_them() -> None:
    assert str(parse_json("[NaN, Infinity, 1e999]", allow_nan=True)) == "[nan, inf, inf]"
    assert str(parse_yaml("[.nan, .inf]", allow_nan=True)) == "[nan, inf]"


def test_what_yaml_reads_stays_plain() -> None:
    text = "base: &b {a: 1}\nmore: {<<: *b, c: 2}\nday: 2024-01-02\nsize: 1_000\nhex: 0x10\n2: no"
    assert parse_yaml(text, "x", dict) == {
        "base": {"a": 1},
        "more": {"a": 1, "c": 2},
        "day": "2024-01-02",
        "size": 1000,
        "hex": 16,
        2: False,
    }
    assert parse_yaml("") is None


@pytest.mark.parametrize("read", [read_json, read_yaml])
def test_paths_that_are_no_file(read: Any, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no such file"):
        read(tmp_path / "none")
    with pytest.raises(InvalidInput, match="folder"):
        read(tmp_path)
    with pytest.raises(InvalidInput, match="not a path"):
        read("a\0b")
    (tmp_path / "large").write_bytes(b"[" + b" " * 1000 + b"]")
    with pytest.raises(InvalidInput, match="1,002 bytes"):
        read(tmp_path / "large", max_bytes=1000)
    with pytest.raises(InvalidInput, match="expected an object of names and values, found \\[\\]"):
        read(tmp_path / "large", dict)
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe")
        with pytest.raises(InvalidInput, match="regular"):
            read(tmp_path / "pipe")


@pytest.mark.parametrize(
    "text",
    ["a\nb\r\n\x1b[31mc\x00", "x" * 200_000, "\u202eevil\u2028more", "\udc80 of a file name"],
)
def test_a_refusal_is_one_line_whatever_is_put_into_it(text: str) -> None:
    message = str(InvalidInput(f"a.avatar: {text} is bad; get another."))
    assert message.startswith("a.avatar: ") and message.endswith("get another.")
    assert message.isprintable() and len(message) <= MAX_MESSAGE
    assert str(InvalidInput("a  b.json: spaces of names stay")).startswith("a  b.json")


def test_values_are_quoted_in_brief() -> None:
    nested: Any = []
    for _ in range(100_000):
        nested = [nested]
    values = [nested, "x\n" * 10**5, 10**6000, list(range(10**5)), {1: {2: {3: 4}}}, codecs]
    assert all(len(quoted(value)) <= 120 and quoted(value).isprintable() for value in values)
    while nested:
        nested = nested.pop()
