"""Whoever is asked to stop, stops: also when a part of the whole was being done."""

from __future__ import annotations

import signal

from trainer.engine.stop_requests import stop_requests


def test_a_signal_at_the_end_of_a_part_stops_the_whole() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with stop_requests() as whole:
        with stop_requests() as part:
            part.take_all()
            signal.raise_signal(signal.SIGTERM)
            assert part.is_set and not whole.is_set
        assert whole.is_set
    assert signal.getsignal(signal.SIGTERM) == before
