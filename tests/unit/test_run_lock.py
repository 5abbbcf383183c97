"""A run folder belongs to one training at a time, and to nobody when that is dead."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import pytest

from pegasus_runtime.errors import InvalidInput
from pegasus_runtime.process_identity import ProcessIdentity, this_process
from pegasus_runtime.run_lock import LOCK_FILE, Owner, find_owner, hold

HOLDER = """
import sys
from pathlib import Path
from pegasus_runtime.run_lock import hold
with hold(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def start_holder(folder: Path) -> subprocess.Popen[str]:
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(folder)],
        cwd=Path(__file__).resolve().parents[2],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert holder.stdout and holder.stdout.readline() == "held\n"
    return holder


def write_lock(folder: Path, process: ProcessIdentity, job: str = "") -> Path:
    path = folder / LOCK_FILE
    path.write_text(json.dumps(asdict(Owner(process, job, "token"))), "utf-8")
    return path


def test_one_at_a_time_until_the_owner_is_dead(tmp_path: Path) -> None:
    assert find_owner(tmp_path) is None
    for end in (subprocess.Popen.kill, lambda process: process.communicate("")):
        holder = start_holder(tmp_path)
        found = find_owner(tmp_path)
        assert found is not None and found.process.pid == holder.pid
        with pytest.raises(
            InvalidInput, match=rf"training is running there \(process {holder.pid}\)"
        ):
            hold(tmp_path).__enter__()
        end(holder)
        holder.wait(20)
        assert find_owner(tmp_path) is None
        with hold(tmp_path) as lock, hold(tmp_path) as again:
            assert lock is again and find_owner(tmp_path) is not None
            lock.check()
        assert list(tmp_path.iterdir()) == []


def test_owners_elsewhere_are_believed_while_they_touch_their_file(tmp_path: Path) -> None:
    path = write_lock(tmp_path, ProcessIdentity(1, 1.0, "far"))
    with pytest.raises(InvalidInput, match=r"process 1 on 'far'"):
        hold(tmp_path).__enter__()
    os.utime(path, (1, 1))
    with hold(tmp_path):
        found = find_owner(tmp_path)
        assert found is not None and found.process == this_process()


@pytest.mark.parametrize("written", [b"", b"\xff", b"null", b"{}", b"[" * 9_000, b'{"process":1}'])
def test_what_no_owner_wrote_holds_nobody_up(tmp_path: Path, written: bytes) -> None:
    (tmp_path / LOCK_FILE).write_bytes(written)
    assert find_owner(tmp_path) is None
    with hold(tmp_path):
        assert find_owner(tmp_path) is not None


def test_restarted_processes_of_a_job_wait_for_those_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "mine")
    before = start_holder(tmp_path)
    waiting = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path)],
        cwd=Path(__file__).resolve().parents[2],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    before.kill()
    before.wait(20)
    assert waiting.stdout and waiting.stdout.readline() == "held\n"
    waiting.communicate("", timeout=20)
