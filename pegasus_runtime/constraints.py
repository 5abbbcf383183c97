"""What a value of a setting may be: kind, range, choices. The one check of such values.

The trainer writes a constraint down beside each setting and sends it to the editor as JSON
(`as_json`), which checks the fields of its form by the same rules.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from pegasus_runtime.errors import InvalidInput, one_line, quoted

_WHOLE = re.compile(r"[+-]?[0-9](_?[0-9])*")
_NUMBER = re.compile(r"[+-]?([0-9][0-9_]*\.?[0-9]*|\.[0-9]+)(e[+-]?[0-9]+)?", re.IGNORECASE)
_YES, _NO = ("true", "yes", "on"), ("false", "no", "off")
_MAX_DIGITS = 300
"""longer than any number that a float can hold"""
_MAX_ITEMS, _MAX_TEXT, _MAX_SHOWN = 1000, 4096, 60
"""Far above what settings hold; more only lets a wrong file be read for longer, or fill a
message."""


@dataclass(frozen=True)
class Constraint:
    """A kind of value and its limits."""

    kind: str
    """int, float, bool or text: of the value itself, or of each item of a list or map"""
    container: str = ""
    """list, map (from names) or nothing"""
    minimum: float | None = None
    maximum: float | None = None
    above_minimum: bool = False
    """whether the minimum itself is too small already"""
    choices: tuple[str, ...] = ()
    """of a text, where only these are possible"""
    pattern: str = ""
    """of a text: a regular expression that all of it matches"""
    wanted: str = ""
    """what is to be given, where the rules cannot say it themselves"""

    @property
    def allowed(self) -> str:
        """What may be given, in words that follow "use"."""
        if self.wanted:
            return self.wanted
        if self.choices:
            return " or ".join(filter(None, (", ".join(self.choices[:-1]), self.choices[-1])))
        singular = {"int": "a whole number", "float": "a number", "bool": "true or false"}
        plural = {"int": "whole numbers", "float": "numbers", "bool": "true or false"}
        if self.container:
            items = f"{plural.get(self.kind, 'texts')}{self._range}"
            return f"names with {items}" if self.container == "map" else f"a list of {items}"
        return f"{singular.get(self.kind, 'text on one line')}{self._range}"

    @property
    def _range(self) -> str:
        low, high = (None if end is None else _plain(end) for end in (self.minimum, self.maximum))
        if low is None or high is None:
            return "" if high is None else f" up to {high}"
        return f" above {low}, up to {high}" if self.above_minimum else f" from {low} to {high}"

    def convert(self, value: object) -> Any:
        """The value in its own type, from itself or from text as it stands in a file.

        Raises:
            InvalidInput: what to use instead; the caller knows the setting's name.
        """
        if not self.container:
            return self._convert_item(value)
        if self.container == "list" and isinstance(value, list | tuple):
            if len(value) <= _MAX_ITEMS:
                return tuple(self._convert_item(item) for item in value)
        elif self.container == "map" and isinstance(value, Mapping) and len(value) <= _MAX_ITEMS:
            names = Constraint("text", wanted=self.allowed)
            return {names.convert(name): self._convert_item(each) for name, each in value.items()}
        elif self.container == "map" and value == "":
            return {}
        raise InvalidInput(f"use {self.allowed}.")

    def as_json(self) -> dict[str, Any]:
        """Plain values, of which ``Constraint(**…)`` makes the same again."""
        return asdict(self)

    def _convert_item(self, value: object) -> Any:
        try:
            converted: Any = _CONVERT[self.kind](value)
        except (ValueError, OverflowError):
            raise InvalidInput(f"use {self.allowed}.") from None
        is_number = self.kind in ("int", "float")
        if is_number and not self._is_inside(converted):
            raise InvalidInput(f"use {self.allowed}.")
        if self.choices and converted not in self.choices:
            raise InvalidInput(f"use {self.allowed}.")
        if self.pattern and not re.fullmatch(self.pattern, converted):
            raise InvalidInput(f"use {self.allowed}.")
        return converted

    def _is_inside(self, number: float) -> bool:
        if self.minimum is not None and (
            number < self.minimum or (self.above_minimum and number == self.minimum)
        ):
            return False
        return self.maximum is None or number <= self.maximum


def shown(value: object) -> str:
    """A value as it may stand in a message: one short line, a text without quotes."""
    if not isinstance(value, str):
        return quoted(value)
    return one_line(value, _MAX_SHOWN) or "(nothing)"


def _plain(number: float) -> str:
    """As a person writes it: 4,096, 0.001, 1e-09."""
    if number == int(number) and abs(number) < 1e15:
        return f"{int(number):,}"
    return f"{number:g}"


def _whole(value: object) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    text = value.strip() if isinstance(value, str) else ""
    if len(text) > _MAX_DIGITS:
        raise ValueError
    if _WHOLE.fullmatch(text):
        return int(text)
    # 1e5 is a whole number too, as people write them.
    if "e" in text.lower() and _NUMBER.fullmatch(text) and float(text).is_integer():
        return int(float(text))
    raise ValueError


def _number(value: object) -> float:
    if isinstance(value, str):
        text = value.strip()
        if not _NUMBER.fullmatch(text) or len(text) > _MAX_DIGITS:
            raise ValueError
        value = float(text)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError
    if not math.isfinite(float(value)):
        raise ValueError
    return float(value)


def _truth(value: object) -> bool:
    if isinstance(value, bool):
        return value
    text = value.strip().lower() if isinstance(value, str) else ""
    if text not in (*_YES, *_NO):
        raise ValueError
    return text in _YES


def _checked_text(value: object) -> str:
    if not isinstance(value, str) or len(value) > _MAX_TEXT or not _can_be_stored(value):
        raise ValueError
    return value


def _can_be_stored(text: str) -> bool:
    """Neither control characters nor halves of letters that no file can hold."""
    return not any(ord(c) < 32 or 0x7F <= ord(c) < 0xA0 or 0xD800 <= ord(c) < 0xE000 for c in text)


_CONVERT = {"int": _whole, "float": _number, "bool": _truth, "text": _checked_text}
