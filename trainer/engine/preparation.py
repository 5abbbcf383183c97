"""What a run does before its first step: it tells how far it is, and can be stopped.

In the run's events stand lines that tell of no training step: the log drops them with the first.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from pegasus_runtime.errors import InvalidInput, one_line
from pegasus_runtime.progress import progress_line
from pegasus_runtime.run_lock import hold
from trainer.engine.event_log import EVENTS_FILE
from trainer.engine.stop_requests import Interrupted, stop_requests
from trainer.preprocess.progress_lines import seconds_left

Tell = Callable[[str, float], None]
"""called with what is being done, in words for people, and the share of all of it that is done"""
_TELL_EVERY_S = 0.5
"""More often the events grow longer; less often a progress bar jerks."""


@contextmanager
def preparing(run_dir: Path, what: str) -> Iterator[Tell]:
    """Take the run, and tell in its events how far it is, and why it failed.

    Args:
        run_dir: the run folder, which is there.
        what: is being done, for the line that says where it was stopped.

    Raises:
        Interrupted: the run was asked to stop; raised when the next is told.
    """
    events = _Events(run_dir)
    with hold(run_dir), stop_requests(run_dir) as stop:

        def tell(words: str, share: float) -> None:
            events.tell(words, share)
            if stop.is_set:
                raise Interrupted(
                    f"stopped while {what} ({words.lower()}); the same command goes on from there"
                )

        try:
            yield tell
        except (InvalidInput, OSError) as error:
            events.fail(one_line(str(error), 2000))
            raise


def part_of(tell: Tell, begin: float, end: float, prefix: str = "") -> Tell:
    """Tells of a part that goes from one share of the whole to another."""
    return lambda words, share: tell(f"{prefix}{words}", begin + (end - begin) * share)


class _Events:
    def __init__(self, run_dir: Path) -> None:
        self._path = run_dir / EVENTS_FILE
        self._begun: tuple[float, float] | None = None
        self._told = ("", 0.0)

    def tell(self, words: str, share: float) -> None:
        """How far it is; not every time that it is called."""
        now = time.monotonic()
        self._begun = self._begun or (now, share)
        if words == self._told[0] and now - self._told[1] < _TELL_EVERY_S:
            return
        self._told = (words, now)
        left = seconds_left(now - self._begun[0], self._begun[1], share)
        self._write(progress_line(words, share, left))

    def fail(self, reason: str) -> None:
        """Why there is nothing to train on."""
        # On a full disk there is no room for this either, and the reason is told all the same.
        with suppress(OSError):
            self._write(json.dumps({"failed": reason}))

    def _write(self, line: str) -> None:
        with self._path.open("a", encoding="utf-8") as stream:
            stream.write(f"{line}\n")
