"""Pickles taken apart without running anything in them.

A pickle is a program for a small machine, and unpickling one that somebody else made can run
anything. This machine only takes notes: what a program wants to call becomes a `Call` that says
so, and is never called. Of the names that heads are made with it knows a short list and refuses
every other.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pegasus_runtime.errors import InvalidInput
from pegasus_runtime.head.pickle_machine import Machine
from pegasus_runtime.head.pickle_opcodes import STEPS

MAX_STEPS = 8_000_000
"""A head whose arrays are all lists of numbers has 7 million; with fewer such heads are refused,
with more a damaged file takes longer to be."""
_STOP = ord(".")


def take_apart(
    raw: bytes,
    start: int,
    is_known: Callable[[str, str], bool],
    allow_external: bool = False,
) -> tuple[Any, int]:
    """Run one pickle without effects.

    Args:
        raw: holds it.
        start: where it begins.
        is_known: whether a module's name may be mentioned.
        allow_external: take references to objects outside of the pickle as `External`.

    Returns:
        What it describes (numbers, texts, bytes, lists, tuples, `Pairs`, `Call`, `Named`,
        `External`), and where it ends.

    Raises:
        InvalidInput: it mentions an unknown name, asks for what no head needs, or exceeds the
        budget. ValueError, IndexError, KeyError, struct.error, UnicodeError: it is damaged.
    """
    return _run(Machine(raw, start, is_known, allow_external))


def take_apart_for_torch(raw: bytes, start: int) -> tuple[Any, int, list[Any]]:
    """What a pickle describes, where it ends, and the keys of storages that it refers to.

    Names are not looked at, for torch has a list of its own. But torch hashes keys: only those
    that are hashed at once are let through.

    Raises:
        InvalidInput: it has other keys or sets, or exceeds the budget.
        ValueError, IndexError, KeyError, struct.error, UnicodeError: it is damaged.
    """
    machine = Machine(raw, start, lambda module, name: True, True)
    machine.is_hashed = True
    described, end = _run(machine)
    return described, end, machine.externals


def _run(machine: Machine) -> tuple[Any, int]:
    raw = machine.raw
    for _ in range(MAX_STEPS):
        code = raw[machine.at]
        machine.at += 1
        if code == _STOP:
            return machine.stack[-1], machine.at
        step = STEPS.get(code)
        if step is None:
            raise ValueError(f"no operation {code}")
        step(machine)
    raise InvalidInput(f"it takes more than {MAX_STEPS:,} steps")
