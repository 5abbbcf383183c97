"""Processes that are started again meet each other, not those who died."""

from __future__ import annotations

import threading
import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest
from torch.distributed import FileStore, HashStore, Store

from trainer.engine.rendezvous import fresh_rendezvous

LONG, SHORT = timedelta(seconds=60), timedelta(seconds=0.3)


def test_all_find_the_same_place() -> None:
    assert len(set(_addresses_of(HashStore(), 3))) == 1


def test_what_an_earlier_attempt_left_is_not_found() -> None:
    store = HashStore()
    first = _addresses_of(store, 3)
    second = _addresses_of(store, 3)
    assert len(set(second)) == 1 and second[0] != first[0]


def test_the_numbers_of_the_dead_are_replaced() -> None:
    store = HashStore()
    _addresses_of(store, 2)
    # The first process of the new attempt sees the old number of the second for a while.
    with ThreadPoolExecutor(2) as pool:
        lead = pool.submit(fresh_rendezvous, store, 0, 2, LONG)
        threading.Event().wait(0.2)
        assert not lead.done()
        follow = pool.submit(fresh_rendezvous, store, 1, 2, LONG)
        lead.result().set("address", "mine")
        assert follow.result().get("address") == b"mine"


def test_who_stays_alone_says_so(tmp_path: Path) -> None:
    store = FileStore(str(tmp_path / "store"), 2)
    with pytest.raises(TimeoutError, match="process 1 of 2 waited"):
        fresh_rendezvous(store, 1, 2, SHORT)


def _addresses_of(store: Store, size: int) -> list[bytes]:
    """What each of them reads under one key after the first has written something new there."""
    with ThreadPoolExecutor(size) as pool:
        stores = list(pool.map(lambda rank: fresh_rendezvous(store, rank, size, LONG), range(size)))
    assert not stores[1].check(["address"])
    stores[0].set("address", uuid.uuid4().hex)
    return [place.get("address") for place in stores]
