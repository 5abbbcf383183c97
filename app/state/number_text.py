"""Numbers as people type them: with either decimal sign, in any digits, with their unit."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Iterable

from pegasus_runtime.errors import InvalidInput

MAX_LENGTH = 400
"""Characters of a text that is read at all. More lets what was pasted by mistake hold the window
up."""
_SHOWN = 30
"""Characters of what was typed in a complaint about it, so that it stays a line."""
_NUMBER = re.compile(r"[+-]?(?:\d+(?:[.,]\d*)?|[.,]\d+)(?:[eE][+-]?\d+)?")
_UNGROUPED = re.compile(r"\d \d{1,2}(?!\d)|\d \d{4,}")
_SAME_UNITS = (
    ("°", "º", "deg", "degs", "degree", "degrees"),
    ("px", "pixel", "pixels"),
    ("s", "sec", "second", "seconds"),
)
_SIGNS = str.maketrans("\u2212\ufe63\uff0d\uff0b\u066b\uff0e\uff0c", "---+,.,")


def read_number(text: str, units: Iterable[str] = (), is_whole: bool = False) -> float:
    """The number that a text says.

    "0.5" and "0,5" are the same number whatever the language of the system, so a sign that groups
    thousands cannot be told from it: texts with several signs are refused. Spaces group.

    Args:
        text: what was typed or pasted.
        units: what may stand after the number, such as "°".
        is_whole: only integers; then also "1.000", which is 1 to some and 1000 to others, is
            refused.

    Returns:
        The number; infinite if it is too large to be represented.

    Raises:
        InvalidInput: the text is no number, or can be read as two.
    """
    if len(text) > MAX_LENGTH:
        raise InvalidInput(f"{len(text)} characters are too many for a number.")
    plain = _without_unit(_plain(text), units)
    shown = text.strip()[:_SHOWN]
    if len(re.findall(r"[.,\u066c'\u2019]", plain)) > 1:
        raise InvalidInput(
            f"“{shown}” can be read in two ways: type it with one decimal sign only."
        )
    if _UNGROUPED.search(plain):
        raise InvalidInput(f"“{shown}” looks like two numbers: type one.")
    plain = re.sub(r"(?<=\d) (?=\d)", "", plain)
    plain = re.sub(r"(?<=[+-]) ", "", plain)
    if not _NUMBER.fullmatch(plain):
        raise InvalidInput(f"“{shown}” is not a number." if shown else "There is no number.")
    if is_whole and re.search(r"[.,]\d{3}$", plain):
        raise InvalidInput(f"“{shown}” can be read in two ways: type whole numbers without a sign.")
    number = float(plain.replace(",", "."))
    if is_whole and math.isfinite(number) and number != math.floor(number):
        raise InvalidInput(f"“{shown}” is not a whole number.")
    return number


def _plain(text: str) -> str:
    """The same in the digits 0 to 9, one kind of minus and of space, without invisible marks."""
    plain = []
    for letter in text.translate(_SIGNS):
        if letter.isdecimal():
            plain.append(str(unicodedata.decimal(letter)))
        elif unicodedata.category(letter) not in ("Cf", "Cc") or letter.isspace():
            plain.append(" " if letter.isspace() else letter)
    return "".join(plain).strip()


def _without_unit(text: str, units: Iterable[str]) -> str:
    known = {unit.strip().casefold() for unit in units if unit.strip()}
    for same in _SAME_UNITS:
        if known & set(same):
            known |= set(same)
    # A paste may bring a unit that the field then writes again.
    for _ in range(2):
        for unit in sorted(known, key=len, reverse=True):
            if text.casefold().endswith(unit):
                text = text[: len(text) - len(unit)].rstrip()
                break
    return text
