"""The part of HOCON in which research programs write their configurations, read strictly.

https://github.com/lightbend/config/blob/main/HOCON.md: comments, braces within braces,
``key = value`` and ``key: value``, dotted keys, lists, quoted and unquoted texts; a later value
wins, and objects of one name are joined. Nothing is looked up outside of the text: includes are
refused, and what a substitution ``${…}`` stands for is not known. Values stay texts, for a caller
that knows what it wants.
"""

from __future__ import annotations

import json
import os
from typing import Any

from pegasus_runtime.documents import read_bytes
from pegasus_runtime.errors import InvalidInput, quoted

MAX_BYTES, MAX_DEPTH, _MAX_VALUES = 1 << 20, 32, 50_000
"""Real files have a few kilobytes and a hundred values; more lets a wrong one be read for longer,
and more depth ends in Python's own limit."""
_SPACE = " \t\r\f\v\u00a0\ufeff"

Value = str | list[Any] | dict[str, Any]


def read_hocon(path: str | os.PathLike[str]) -> dict[str, Any]:
    """The content of a file in UTF-8.

    Raises:
        FileNotFoundError: there is no such file.
        InvalidInput: it is too large, or not what this module reads; the message names the line.
    """
    raw = read_bytes(path, MAX_BYTES)
    try:
        return parse_hocon(raw.decode("utf-8-sig"), str(path))
    except UnicodeDecodeError:
        raise InvalidInput(f"{path}: not a text in UTF-8; save it in that encoding.") from None


def parse_hocon(text: str, source: str = "configuration") -> dict[str, Any]:
    """The values of a text: dicts, lists and texts.

    Raises:
        InvalidInput: as for `read_hocon`.
    """
    try:
        return _Reader(text).root()
    except _Wrong as wrong:
        line = text.count("\n", 0, wrong.at) + 1
        raise InvalidInput(f"{source}: line {line}: {wrong}.") from None


def look_up(content: dict[str, Any], path: str) -> Value | None:
    """What stands under a dotted path; None where nothing does."""
    found: Any = content
    for part in path.split("."):
        found = found.get(part) if isinstance(found, dict) else None
    return found if isinstance(found, str | list | dict) else None


class _Wrong(Exception):
    def __init__(self, at: int, what: str) -> None:
        super().__init__(what)
        self.at = at


class _Reader:
    """Goes through a text once."""

    def __init__(self, text: str) -> None:
        self._text, self._at, self._num_values = text, 0, 0

    def root(self) -> dict[str, Any]:
        """The whole text, with or without braces around it."""
        self._skip()
        has_brace = self._take("{")
        content = self._members("}" if has_brace else "", 1)
        self._skip()
        if self._at < len(self._text):
            raise _Wrong(self._at, f"{quoted(self._text[self._at])} does not belong here")
        return content

    def _members(self, end: str, depth: int) -> dict[str, Any]:
        self._check_depth(depth)
        content: dict[str, Any] = {}
        while True:
            self._skip(",")
            if self._at == len(self._text):
                if end:
                    raise _Wrong(self._at, f"{end!r} is missing")
                return content
            if end and self._take(end):
                return content
            begin, keys = self._at, self._key()
            if keys == ["include"]:
                raise _Wrong(begin, "other files are not read; put the text of the file there")
            self._skip()
            if self._peek() != "{":
                if not (self._take("=") or self._take(":")):
                    raise _Wrong(self._at, f"'=' is missing behind {quoted('.'.join(keys))}")
                self._skip()
            _put(content, keys, self._value(depth + 1))

    def _key(self) -> list[str]:
        parts: list[str] = []
        while True:
            if self._peek() == '"':
                parts.append(self._quoted())
            else:
                begin = self._at
                while self._peek() and self._peek() not in '{}[]=:,."#\n' + _SPACE:
                    self._at += 1
                if self._at == begin:
                    raise _Wrong(begin, f"a name is missing before {quoted(self._peek())}")
                parts.append(self._text[begin : self._at])
            self._blank()
            if parts == ["include"] and self._peek() not in "=:{":
                return parts
            if not self._take("."):
                return parts
            self._blank()

    def _value(self, depth: int) -> Value:
        self._num_values += 1
        if self._num_values > _MAX_VALUES:
            raise _Wrong(self._at, f"more than {_MAX_VALUES} values")
        if self._take("{"):
            return self._ended(self._members("}", depth))
        if self._take("["):
            return self._ended(self._items(depth))
        return self._words()

    def _items(self, depth: int) -> list[Any]:
        self._check_depth(depth)
        items: list[Any] = []
        while True:
            self._skip(",")
            if self._take("]"):
                return items
            if self._at == len(self._text):
                raise _Wrong(self._at, "']' is missing")
            items.append(self._value(depth + 1))

    def _ended(self, value: Value) -> Value:
        self._blank()
        if (
            self._peek()
            and self._peek() not in "\n,}]#"
            and not self._text.startswith("//", self._at)
        ):
            raise _Wrong(self._at, f"{quoted(self._peek())} does not belong here")
        return value

    def _words(self) -> str:
        """A text up to the end of its line, with or without quotes."""
        parts: list[tuple[str, bool]] = []
        begin = self._at
        while self._peek() and self._peek() not in ",}]#\n":
            if self._text.startswith("//", self._at):
                break
            if self._peek() == '"':
                parts.append((self._quoted(), True))
            elif self._text.startswith("${", self._at):
                end = self._text.find("}", self._at) + 1
                if not end:
                    raise _Wrong(self._at, "'}' is missing behind '${'")
                parts.append((self._text[self._at : end], False))
                self._at = end
            elif self._peek() in "{[":
                raise _Wrong(self._at, f"{quoted(self._peek())} does not belong here")
            else:
                parts.append((self._peek(), False))
                self._at += 1
        while parts and parts[-1][0] in _SPACE and not parts[-1][1]:
            parts.pop()
        if not parts:
            raise _Wrong(begin, "a value is missing")
        return "".join(part for part, _ in parts)

    def _quoted(self) -> str:
        begin = self._at
        if self._text.startswith('"""', begin):
            end = self._text.find('"""', begin + 3)
            if end < 0:
                raise _Wrong(begin, "the text has no end")
            self._at = end + 3
            return self._text[begin + 3 : end]
        end = begin + 1
        while end < len(self._text) and self._text[end] not in '"\n':
            end += 2 if self._text[end] == "\\" else 1
        if end >= len(self._text) or self._text[end] != '"':
            raise _Wrong(begin, "the text has no end")
        self._at = end + 1
        try:
            return str(json.loads(self._text[begin : end + 1]))
        except ValueError:
            raise _Wrong(begin, "the text holds a character that has to be escaped") from None

    def _skip(self, also: str = "") -> None:
        """Over space, ends of lines and comments."""
        while self._peek():
            if self._peek() in _SPACE + "\n" + also:
                self._at += 1
            elif self._peek() == "#" or self._text.startswith("//", self._at):
                end = self._text.find("\n", self._at)
                self._at = len(self._text) if end < 0 else end
            else:
                return

    def _blank(self) -> None:
        while self._peek() and self._peek() in _SPACE:
            self._at += 1

    def _peek(self) -> str:
        return self._text[self._at : self._at + 1]

    def _take(self, letter: str) -> bool:
        if self._peek() != letter:
            return False
        self._at += 1
        return True

    def _check_depth(self, depth: int) -> None:
        if depth > MAX_DEPTH:
            raise _Wrong(self._at, f"nested more than {MAX_DEPTH} levels deep")


def _put(content: dict[str, Any], keys: list[str], value: Any) -> None:
    *outer, last = keys
    for key in outer[:MAX_DEPTH]:
        inner = content.get(key)
        if not isinstance(inner, dict):
            inner = content[key] = {}
        content = inner
    before = content.get(last)
    if isinstance(before, dict) and isinstance(value, dict):
        _join(before, value)
    else:
        content[last] = value


def _join(first: dict[str, Any], second: dict[str, Any]) -> None:
    for key, value in second.items():
        before = first.get(key)
        if isinstance(before, dict) and isinstance(value, dict):
            _join(before, value)
        else:
            first[key] = value
