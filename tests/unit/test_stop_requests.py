"""Whoever is asked to stop, stops: also when a part of the whole was being done."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest

from trainer.engine.stop_requests import stop_requests


@pytest.fixture
def nobody_listens() -> Iterator[None]:
    """Commands that other tests call listen to the end of a session for as long as they live."""
    before = signal.signal(signal.SIGTERM, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.mark.usefixtures("nobody_listens")
def test_a_signal_at_the_end_of_a_part_stops_the_whole() -> None:
    with stop_requests() as whole:
        with stop_requests() as part:
            part.take_all()
            signal.raise_signal(signal.SIGTERM)
            assert part.is_set and not whole.is_set
        assert whole.is_set
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
