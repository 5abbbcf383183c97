"""What launchers say about a process's place, right and wrong."""

from __future__ import annotations

import pytest

from pegasus_runtime.errors import InvalidInput
from trainer.engine.distributed import Launch

_NAMES = ("WORLD_SIZE", "RANK", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
_PLACE = {"MASTER_ADDR": "localhost", "MASTER_PORT": "29500"}


@pytest.fixture(autouse=True)
def no_launcher(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in _NAMES:
        monkeypatch.delenv(name, raising=False)


def launched(monkeypatch: pytest.MonkeyPatch, given: dict[str, str]) -> Launch:
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    return Launch.from_environment()


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, (1, 0, 0)),
        ({"WORLD_SIZE": "1"}, (1, 0, 0)),
        ({"WORLD_SIZE": "", "RANK": "0"}, (1, 0, 0)),
        ({"WORLD_SIZE": "4", "RANK": "3", "LOCAL_RANK": "1", **_PLACE}, (4, 3, 1)),
    ],
)
def test_places(monkeypatch: pytest.MonkeyPatch, given: dict[str, str], expected: tuple) -> None:
    launch = launched(monkeypatch, given)
    assert (launch.size, launch.rank, launch.local_rank) == expected


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"WORLD_SIZE": "2"}, "WORLD_SIZE=2: is set, but not RANK, MASTER_ADDR, MASTER_PORT"),
        ({"WORLD_SIZE": "2", "RANK": "0"}, "not MASTER_ADDR, MASTER_PORT"),
        ({"WORLD_SIZE": "two"}, "WORLD_SIZE='two'"),
        ({"WORLD_SIZE": "0"}, "WORLD_SIZE='0'"),
        ({"WORLD_SIZE": "2", "RANK": "2", **_PLACE}, "RANK=2: with WORLD_SIZE=2"),
        ({"RANK": "1"}, "RANK=1: with WORLD_SIZE=1"),
        ({"WORLD_SIZE": "2", "RANK": "-1", **_PLACE}, "RANK='-1'"),
        ({"WORLD_SIZE": "2", "RANK": "0", **_PLACE, "MASTER_PORT": "x"}, "MASTER_PORT='x'"),
        ({"LOCAL_WORLD_SIZE": "all"}, "LOCAL_WORLD_SIZE='all'"),
    ],
)
def test_what_does_not_fit_together(
    monkeypatch: pytest.MonkeyPatch, given: dict[str, str], said: str
) -> None:
    with pytest.raises(InvalidInput, match=said):
        launched(monkeypatch, given)
