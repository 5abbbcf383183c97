"""A refusal of the runtime, told with the option that it is about."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from pegasus_runtime.errors import InvalidInput, one_line

_MAX_SHOWN = 80
"""Characters of what was typed: enough to know it again, and the message stays a line."""


@contextmanager
def said_of(option: str, text: str) -> Iterator[None]:
    """What is refused within, is refused as the value ``text`` of an option.

    Raises:
        InvalidInput: begins with the option.
    """
    try:
        yield
    except InvalidInput as error:
        if str(error).startswith(f"{option} "):
            raise
        raise InvalidInput(f"{option} {one_line(text, _MAX_SHOWN)}: {error}") from None
