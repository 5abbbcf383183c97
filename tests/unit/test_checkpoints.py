"""Which checkpoint a run goes on from, and which ones go."""

from __future__ import annotations

import random
import threading
from pathlib import Path

import pytest
import torch

from pegasus_runtime.errors import InvalidInput
from pegasus_runtime.run_lock import hold
from trainer.engine.checkpoints import Checkpoints, list_checkpoints, read_newest, to_drop


def saved(run_dir: Path) -> list[int]:
    return sorted(int(path.name.removeprefix("step-")) for path in list_checkpoints(run_dir))


def save(checkpoints: Checkpoints, step: int, branch: str = "") -> None:
    checkpoints.save(step, {"branch": branch, "value": torch.ones(2)})


@pytest.mark.parametrize("seed", range(20))
def test_nothing_newer_goes_before_the_run_has_passed_it(seed: int) -> None:
    chance = random.Random(seed)
    keep, step, steps, abandoned = chance.randint(1, 4), 0, {0}, set[int]()
    for _ in range(200):
        if chance.random() < 0.1:
            step = chance.choice(sorted(steps))
            abandoned = {other for other in steps if other > step}
        step += chance.randint(1, 5)
        before, own = set(steps), sorted((steps - abandoned) | {step})
        steps.add(step)
        abandoned.discard(step)
        steps -= to_drop(steps, abandoned, step, keep)
        assert {other for other in before if other > step} <= steps
        assert set(own[-keep:]) <= steps, "the newest of its own stay"
        assert len([other for other in steps if other <= step]) <= keep
        abandoned &= steps


def test_going_back_takes_nothing_until_it_is_passed(tmp_path: Path) -> None:
    first = Checkpoints(tmp_path, 3)
    for step in (10, 20, 30):
        save(first, step, "first")
    older = str(tmp_path / "checkpoints" / "step-00000010")
    second = Checkpoints(tmp_path, 3)
    state = second.restore(older)
    assert state is not None and state["step"] == 10
    save(second, 12, "second")
    assert saved(tmp_path) == [10, 12, 20, 30]
    third = Checkpoints(tmp_path, 3)
    state = third.restore("auto")
    assert state is not None and (state["step"], state["branch"]) == (12, "second")
    save(third, 25, "second")
    assert saved(tmp_path) == [10, 12, 25, 30]
    save(third, 30, "second")
    save(third, 35, "second")
    assert saved(tmp_path) == [25, 30, 35]
    state = Checkpoints(tmp_path, 3).restore("auto")
    assert state is not None and (state["step"], state["branch"]) == (35, "second")


def test_damage_is_told_and_the_one_before_taken(tmp_path: Path) -> None:
    told: list[str] = []
    checkpoints = Checkpoints(tmp_path, 2, told.append)
    assert checkpoints.restore("auto") is None and checkpoints.restore("none") is None
    save(checkpoints, 1)
    save(checkpoints, 2)
    newest, before = (tmp_path / "checkpoints" / f"step-0000000{n}" / "state.pt" for n in (2, 1))
    newest.write_bytes(newest.read_bytes()[:100])
    state = checkpoints.restore("auto")
    assert state is not None and state["step"] == 1
    assert len(told) == 1 and str(newest) in told[0] and told[0].endswith("from step-00000001.")
    with pytest.raises(InvalidInput, match="damaged"):
        checkpoints.restore(str(newest.parent))
    before.unlink()
    with pytest.raises(InvalidInput, match=r"none of the 2 checkpoints .*--resume none"):
        checkpoints.restore("auto")
    checkpoints.put_aside()
    assert checkpoints.restore("auto") is None
    assert (tmp_path / "checkpoints-before-1" / newest.parent.name).is_dir()
    with pytest.raises(FileNotFoundError):
        checkpoints.restore(str(newest.parent))


def test_a_checkpoint_that_is_being_written_is_waited_for(tmp_path: Path) -> None:
    assert read_newest(tmp_path) is None, "nobody is there to write one"
    with hold(tmp_path):
        assert read_newest(tmp_path, patience_s=0) is None
        writing = threading.Timer(0.2, save, (Checkpoints(tmp_path, 1), 7))
        writing.start()
        state = read_newest(tmp_path)
        writing.join()
    assert state is not None and state["step"] == 7
    (tmp_path / "checkpoints" / "step-00000007" / "state.pt").write_bytes(b"damaged")
    with pytest.raises(InvalidInput, match="none of the 1"):
        read_newest(tmp_path)
