"""Finding a name among many, and naming the nearest when it is not there."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from typing import NoReturn

from pegasus_runtime.errors import InvalidInput

_MAX_LISTED = 8
"""More make a line in which the one that was meant is not seen."""


def find_name(kind: str, name: str, known: Sequence[str]) -> int:
    """The place of ``name`` in ``known``; case, spaces, dashes and underscores do not matter.

    Raises:
        InvalidInput: it is not there; the message lists the nearest names.
    """
    plain = [_plain(k) for k in known]
    if _plain(name) in plain:
        return plain.index(_plain(name))
    refuse_name(kind, name, known)


def refuse_name(kind: str, name: str, known: Sequence[str]) -> NoReturn:
    """Refuse a name that does not exist, listing those nearest to it."""
    if not known:
        raise InvalidInput(f"{kind} {name!r}: there is none in this avatar.")
    plain = {_plain(k): k for k in known}
    close = difflib.get_close_matches(_plain(name), plain, n=_MAX_LISTED, cutoff=0.4)
    listed = [plain[c] for c in close] or list(known)[:_MAX_LISTED]
    more = ", …" if len(listed) < len(known) else ""
    raise InvalidInput(f"{kind} {name!r} does not exist; nearest: {', '.join(listed)}{more}.")


def _plain(name: str) -> str:
    return re.sub(r"[\s_-]+", "", name).lower()
