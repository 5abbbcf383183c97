"""JSON and YAML that others wrote, read within one budget of size, depth, count and digits.

What is too large is refused before memory is taken for it: a file by its size, a text by its
brackets and commas, a YAML document by its events, an alias by the size of what it stands for.
What comes back are dicts, lists, texts, numbers, truths and None, nested so little that any
function may walk through them by calling itself.
"""

from __future__ import annotations

import json
import math
import os
import re
import stat
from collections.abc import Iterator
from itertools import accumulate
from pathlib import Path
from typing import Any

from pegasus_runtime.errors import InvalidInput, one_line, quoted

MAX_JSON_BYTES = 256 << 20
MAX_YAML_BYTES = 4 << 20
"""Both keep a wrong file from being read for long; YAML takes much longer."""
MAX_DEPTH = 64
"""Lists and dicts within one another; far more would end in Python's own limit."""
MAX_ITEMS = 8_000_000
"""Values of a JSON text: about 600 MB as Python's objects."""
MAX_YAML_ITEMS = 100_000
"""Of one document: more lets a wrong file hold a program up for longer."""
MAX_INTEGER = 2**64
"""Integers are smaller, so that any of them is a float and fits a tensor or its unsigned twin."""

_STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"?', re.DOTALL)
_NOT_BRACKETS = bytes(c for c in range(256) if c not in b"[]{}")
_OPENING = b"[{"
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]|[\ud800-\udfff]")
_KINDS: dict[type, str] = {dict: "an object of names and values", list: "a list", str: "a text"}


def read_json(
    path: str | os.PathLike[str],
    kind: type | tuple[type, ...] = object,
    *,
    max_bytes: int = MAX_JSON_BYTES,
    allow_nan: bool = False,
) -> Any:
    """The content of a JSON file, in UTF-8 or UTF-16, with or without a byte order mark.

    Args:
        path: the file.
        kind: what its outermost value has to be: dict, list, or several of them.
        max_bytes: a larger file is refused unread.
        allow_nan: take NaN and infinities, which JSON does not know but many programs write, for a
            caller that says itself which number is not finite.

    Raises:
        FileNotFoundError: there is no such file.
        InvalidInput: it cannot be read, is not JSON, names something twice, or exceeds the budget.
    """
    return parse_json(read_bytes(path, max_bytes), str(path), kind, allow_nan=allow_nan)


def parse_json(
    text: str | bytes,
    source: str = "JSON",
    kind: type | tuple[type, ...] = object,
    *,
    max_items: int = MAX_ITEMS,
    allow_nan: bool = False,
) -> Any:
    """The value of a JSON text; ``source`` names it in messages, the rest is as for `read_json`.

    Raises:
        InvalidInput: it is not JSON, names something twice, or exceeds the budget.
    """
    written = text if isinstance(text, str) else _decode(text, source)
    _check_structure(written, source, max_items)
    try:
        value = json.loads(
            written,
            parse_int=_integer,
            parse_float=_any_float if allow_nan else _finite_float,
            parse_constant=_any_float if allow_nan else _finite_float,
            object_pairs_hook=_without_doubles,
        )
        if _SURROGATE.search(written):
            json.dumps(value, ensure_ascii=False).encode()
    except InvalidInput as error:
        raise InvalidInput(f"{source}: {error}") from None
    except (ValueError, RecursionError) as error:
        raise InvalidInput(f"{source}: not valid JSON ({one_line(str(error))}).") from None
    return _of_kind(value, source, kind)


def read_yaml(
    path: str | os.PathLike[str],
    kind: type | tuple[type, ...] = object,
    *,
    max_bytes: int = MAX_YAML_BYTES,
    allow_nan: bool = False,
    as_texts: bool = False,
) -> Any:
    """The content of a YAML file, as `read_json`; an empty one is None.

    With ``as_texts`` its values stay texts as they were written, for a caller that knows of each
    whether a number or a name is wanted: 074, no and 1e3 are names too.

    Raises:
        FileNotFoundError: there is no such file.
        InvalidInput: it cannot be read, is not YAML, names something twice, holds anything but
            plain values, or exceeds the budget.
    """
    content = read_bytes(path, max_bytes)
    return parse_yaml(content, str(path), kind, allow_nan=allow_nan, as_texts=as_texts)


def parse_yaml(
    text: str | bytes,
    source: str = "YAML",
    kind: type | tuple[type, ...] = object,
    *,
    max_items: int = MAX_YAML_ITEMS,
    allow_nan: bool = False,
    as_texts: bool = False,
) -> Any:
    """The value of a YAML text, as `parse_json`. Dates stay texts.

    Raises:
        InvalidInput: it is not YAML, names something twice, holds anything but plain values, or
            exceeds the budget.
    """
    import yaml

    from pegasus_runtime.plain_yaml import check_events, make_loader

    written = text if isinstance(text, str) else _decode(text, source)
    try:
        check_events(written, MAX_DEPTH, max_items)
        value = yaml.load(written, make_loader(_integer, allow_nan, as_texts))
    except InvalidInput as error:
        raise InvalidInput(f"{source}: {error}") from None
    except (yaml.YAMLError, ValueError, RecursionError, OverflowError, TypeError) as error:
        raise InvalidInput(f"{source}: not valid YAML ({one_line(str(error))}).") from None
    return _of_kind(value, source, kind)


def read_bytes(path: str | os.PathLike[str], max_bytes: int) -> bytes:
    """What is in a regular file that is not larger than ``max_bytes``.

    Raises:
        FileNotFoundError: there is no such file.
        InvalidInput: it is a folder, a device or a pipe, cannot be read, or is larger.
    """
    try:
        with require_file(path, max_bytes).open("rb") as stream:
            content = stream.read(max_bytes + 1)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise InvalidInput(f"{path}: cannot be read ({error.strerror or error}).") from None
    if len(content) > max_bytes:
        raise InvalidInput(f"{path}: grows while it is read; is it the right file?")
    return content


def require_file(path: str | os.PathLike[str], max_bytes: int) -> Path:
    """The path of a regular file that is not larger than ``max_bytes``.

    Raises:
        FileNotFoundError: there is no such file.
        InvalidInput: it is a folder, a device or a pipe, or is larger.
    """
    try:
        found = os.stat(os.fspath(path))
    except (FileNotFoundError, NotADirectoryError):
        raise FileNotFoundError(f"{one_line(str(path), 1000)}: no such file.") from None
    except OSError as error:
        raise InvalidInput(f"{path}: cannot be read ({error.strerror or error}).") from None
    except (ValueError, TypeError) as error:  # a NUL in the path, or not a path at all
        raise InvalidInput(f"{quoted(path)}: not a path ({error}).") from None
    if stat.S_ISDIR(found.st_mode):
        raise InvalidInput(f"{path}: is a folder; name a file.")
    if not stat.S_ISREG(found.st_mode):
        raise InvalidInput(f"{path}: is not a regular file; name a file.")
    if found.st_size > max_bytes:
        raise InvalidInput(
            f"{path}: has {found.st_size:,} bytes, more than the {max_bytes:,} that a file of its "
            "kind may have; is it the right one?"
        )
    return Path(path)


def _decode(raw: bytes, source: str) -> str:
    """Text in UTF-8, or in what its byte order mark says."""
    marks = ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))
    encoding = next((name for mark, name in marks if raw.startswith(mark)), "utf-8")
    try:
        return raw.decode(encoding)
    except UnicodeDecodeError:
        raise InvalidInput(f"{source}: not a text in UTF-8; save it in that encoding.") from None


def _check_structure(text: str, source: str, max_items: int) -> None:
    """Refuse what would be too deep or too much, by its brackets and commas outside of texts."""
    structure = _STRING.sub(b"", text.encode("utf-8", "surrogatepass"))
    brackets = structure.translate(None, _NOT_BRACKETS)
    if structure.count(b",") + len(brackets) > max_items:
        raise InvalidInput(f"{source}: holds more than {max_items:,} values; is it the right file?")
    steps = (1 if bracket in _OPENING else -1 for bracket in brackets)
    if max(accumulate(steps), default=0) > MAX_DEPTH:
        raise InvalidInput(
            f"{source}: nested more than {MAX_DEPTH} levels deep; is it the right file?"
        )


def _integer(text: str) -> int:
    if len(text) > 40 or abs(int(text)) >= MAX_INTEGER:
        raise InvalidInput(
            f"the number {one_line(text, 30)} is too large ({len(text)} characters)."
        )
    return int(text)


def _any_float(text: str) -> float:
    return float(text)


def _finite_float(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise InvalidInput(f"the number {one_line(text, 30)} is not finite.")
    return value


def _without_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise InvalidInput(f"{quoted(_first_double(name for name, _ in pairs))} stands twice.")
    return found


def _first_double(names: Iterator[str]) -> str:
    seen: set[str] = set()
    return next(name for name in names if name in seen or seen.add(name))  # type: ignore[func-returns-value]


def _of_kind(value: Any, source: str, kind: type | tuple[type, ...]) -> Any:
    if isinstance(value, kind):
        return value
    kinds = kind if isinstance(kind, tuple) else (kind,)
    wanted = " or ".join(_KINDS.get(each, each.__name__) for each in kinds)
    raise InvalidInput(f"{source}: expected {wanted}, found {quoted(value)}.")
