"""Rendezvous: where the processes of one attempt find each other, and nobody of the attempt before.

torchrun keeps one store over all its restarts (https://github.com/pytorch/pytorch/issues/135712).
A process that is started again finds in it the addresses of those who died, calls them and fails.
So the processes first agree on a name that only the living can know, and meet under it.
"""

from __future__ import annotations

import time
import uuid
from datetime import timedelta

from torch.distributed import PrefixStore, Store  # type: ignore[attr-defined]

_PAUSE = 0.02
"""Seconds between two looks; less only asks more often."""


def fresh_rendezvous(store: Store, rank: int, size: int, timeout: timedelta) -> Store:
    """A part of the store in which nobody wrote before this attempt.

    Each process leaves a number it has just made up. The first one lists them all and asks whether
    everybody finds theirs; who died long ago cannot answer, and is replaced in the list as soon as
    their successor arrives.

    Args:
        store: shared by all processes; may hold what earlier attempts left.
        rank: of this process, of ``size``.
        timeout: how long to wait for the others.

    Raises:
        TimeoutError: the others did not come.
    """
    deadline = time.monotonic() + timeout.total_seconds()
    mine = uuid.uuid4().hex
    store.set(f"meeting/here/{rank}", mine)
    agree = _lead if rank == 0 else _follow
    while (name := agree(store, rank, size, mine)) is None:
        if time.monotonic() > deadline:
            raise TimeoutError(f"process {rank} of {size} waited for the others in vain")
        time.sleep(_PAUSE)
    return PrefixStore(f"meeting/{name}", store)


def _lead(store: Store, rank: int, size: int, mine: str) -> str | None:
    others = [_read(store, f"meeting/here/{other}") for other in range(1, size)]
    if not all(others):
        return None
    name = " ".join([mine, *others])
    store.set("meeting/asked", name)
    if any(_read(store, f"meeting/agreed/{other}") != name for other in range(1, size)):
        return None
    store.set("meeting/settled", name)
    return name


def _follow(store: Store, rank: int, size: int, mine: str) -> str | None:
    asked = _read(store, "meeting/asked")
    if mine in asked.split():
        store.set(f"meeting/agreed/{rank}", asked)
    settled = _read(store, "meeting/settled")
    return settled if mine in settled.split() else None


def _read(store: Store, key: str) -> str:
    return store.get(key).decode() if store.check([key]) else ""
