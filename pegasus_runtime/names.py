"""Names that travel in files: of avatars, categories and attributes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pegasus_runtime.errors import InvalidInput, quoted

MAX_NAME_LENGTH = 100
"""Characters: longer names fit in no list, and not all file systems take them."""
MAX_NAMES = 10_000
"""Far above what avatars have; more lets a damaged file fill the window."""


def check_name(kind: str, name: Any) -> str:
    """A name that can be shown in one line, and that no system takes for a path.

    Raises:
        InvalidInput: it is not a text, empty, longer than `MAX_NAME_LENGTH`, begins with a dot, or
            holds a line break, a control character or a separator of paths.
    """
    if not isinstance(name, str):
        raise InvalidInput(f"{kind} {quoted(name)}: a name has to be a text.")
    if not name.strip() or len(name) > MAX_NAME_LENGTH:
        raise InvalidInput(
            f"{kind} {quoted(name)}: use a name of 1 to {MAX_NAME_LENGTH} characters."
        )
    if not name.isprintable() or name.startswith(".") or set(name) & set("/\\"):
        raise InvalidInput(
            f"{kind} {quoted(name)}: use a name without slashes and control characters that does "
            "not begin with a dot."
        )
    return name


def check_names(kind: str, names: Any) -> tuple[str, ...]:
    """Names as `check_name` takes them, each once.

    Raises:
        InvalidInput: they are not a list of such names, too many, or one stands twice.
    """
    if isinstance(names, str | bytes | dict) or not isinstance(names, Iterable):
        raise InvalidInput(f"{kind} names {quoted(names)}: give a list of names.")
    found = tuple(names)
    if len(found) > MAX_NAMES:
        raise InvalidInput(f"{kind} names: {len(found)} are more than {MAX_NAMES}.")
    for name in found:
        check_name(kind, name)
    if len(set(found)) < len(found):
        double = next(name for index, name in enumerate(found) if name in found[:index])
        raise InvalidInput(f"{kind} {quoted(double)} stands twice; give each its own name.")
    return found
