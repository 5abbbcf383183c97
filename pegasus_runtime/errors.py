"""The one error a user's mistake becomes, and how its message shows what strangers wrote."""

from __future__ import annotations

import errno
import reprlib

EXIT_INTERRUPTED = 130
"""What a program ends with that Ctrl+C has stopped, as shells have it: 128 and the signal."""
MAX_MESSAGE = 2_000
"""More fills a terminal or a dialog with one value of a damaged file."""
# More shows more of a value and makes a complaint about it longer than a line.
_SHORT = reprlib.Repr()
_SHORT.maxlevel, _SHORT.maxstring, _SHORT.maxother, _SHORT.maxlong = 2, 60, 60, 40
_SHORT.maxlist = _SHORT.maxtuple = _SHORT.maxset = _SHORT.maxfrozenset = _SHORT.maxdict = 4
_SHORT.maxarray = _SHORT.maxdeque = 4


class InvalidInput(ValueError):
    """A file or a value that cannot be used.

    The message is one line that names the file or the value, says what is wrong with it and what
    to do about it, and is shown to the user as it stands. Whatever a file's values bring into it,
    it stays one line of at most `MAX_MESSAGE` printable characters.
    """

    def __init__(self, message: object = "") -> None:
        super().__init__(one_line(str(message), MAX_MESSAGE))


def is_disk_full(error: OSError) -> bool:
    """Whether a disk, or what somebody may write on it, is full."""
    return error.errno in (errno.ENOSPC, errno.EDQUOT)


class Interrupted(Exception):
    """The caller asked a long piece of work to stop; the same call again goes on from there."""


def one_line(text: str, limit: int = 200) -> str:
    """A text as one line of printable characters, with its middle left out where it is longer.

    Args:
        text: line breaks, control characters and marks that turn text around become spaces.
        limit: most characters of the result.
    """
    # Two thirds from the start: it names the file. The end says what to do.
    head, tail = limit - limit // 3 - 3, limit // 3
    if len(text) > limit:
        text = f"{text[:head]} … {text[-tail:]}"
    if text.isprintable():
        return text
    marked = "".join(letter if letter.isprintable() else "\n" for letter in text)
    return " ".join(part.strip() for part in marked.split("\n") if part.strip())


def quoted(value: object) -> str:
    """A value of a file or a caller, short enough to be shown in a message."""
    try:
        return one_line(_SHORT.repr(value), 120)
    except Exception:  # a repr of somebody else's, or an integer of too many digits
        return f"a {type(value).__name__}"
