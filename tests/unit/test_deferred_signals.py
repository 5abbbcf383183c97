"""Signals while a loop is compiled: their handlers are called where nothing is half done."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from typing import Any

import pytest
from numba.core import event

from pegasus_runtime.cpu.jit import njit


class Interrupting(event.Listener):
    """Sends Ctrl+C in the middle of the compiler, where no exception may arise."""

    went_on = 0

    def on_start(self, event: Any) -> None:
        signal.raise_signal(signal.SIGINT)
        self.went_on += 1

    def on_end(self, event: Any) -> None:
        pass


@pytest.fixture
def loop() -> Iterator[Any]:
    @njit
    def double(number: int) -> int:
        return number * 2

    before = signal.getsignal(signal.SIGINT)
    yield double
    signal.signal(signal.SIGINT, before)


def test_ctrl_c_waits_until_nothing_is_half_done(loop: Any) -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)
    interrupting = Interrupting()
    with event.install_listener("numba:compile", interrupting), pytest.raises(KeyboardInterrupt):
        loop(2)
    assert interrupting.went_on == 1
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert loop(2) == 4


def test_a_handler_that_goes_on_is_called_once(loop: Any) -> None:
    calls: list[int] = []
    signal.signal(signal.SIGINT, lambda number, _: calls.append(interrupting.went_on))
    interrupting = Interrupting()
    with event.install_listener("numba:compile", interrupting):
        assert loop(2) == 4
    assert calls == [1]
