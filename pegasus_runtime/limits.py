"""Numbers of callers and files, within the limits that make sense for them."""

from __future__ import annotations

import math
from typing import Any

from pegasus_runtime.errors import InvalidInput, quoted


def check_number(name: str, value: Any, low: float, high: float, hint: str = "") -> float:
    """A number as a float; numpy's and torch's scalars are numbers, texts and truths are not.

    Args:
        name: of the value, as a message says it.
        value: from a caller or a file.
        low: the least, included.
        high: the most, included.
        hint: how the message goes on.

    Raises:
        InvalidInput: it is not a number from low to high.
    """
    number = math.nan
    if not isinstance(value, str | bytes | bool | complex | list | tuple):
        try:
            number = float(value)
        except (TypeError, ValueError, OverflowError, RuntimeError):
            number = math.nan
    if not low <= number <= high:
        raise InvalidInput(f"{name} {quoted(value)}: use a number from {low:g} to {high:g}{hint}.")
    return number


def check_whole(name: str, value: Any, low: int, high: int) -> int:
    """A whole number as an int, as `check_number`.

    Raises:
        InvalidInput: it is not a whole number from low to high.
    """
    try:
        number = check_number(name, value, low, high)
    except InvalidInput:
        number = math.nan
    if not number.is_integer():
        raise InvalidInput(f"{name} {quoted(value)}: use a whole number from {low} to {high}.")
    return int(number)
