"""What an editor would lose if it were ended now is in its journal, and only there for the next."""

from __future__ import annotations

import os
import queue
import random
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

import pegasus_runtime as pr
from app.controllers.autosave import Autosave
from app.state.app_dirs import state_folder
from app.state.display import Display
from app.state.document import Document
from app.state.jobs import Activity
from app.state.journal import State, find_recoveries, line_of, new_journal, read_journal
from app.state.project import read_project
from app.state.records import Vocabulary
from pegasus_runtime.assets import file_sha256
from pegasus_runtime.errors import InvalidInput
from pegasus_runtime.files import sweep_leftovers
from pegasus_runtime.parameters import AttributeBlend
from tests.factories import published_avatar

ROOT = Path(__file__).resolve().parents[2]
DEAD = "host~0~1.0~"
"""How the name of a journal starts that no process of this machine can own any more."""


@pytest.fixture(scope="module")
def avatar(tmp_path_factory) -> pr.Avatar:
    path = tmp_path_factory.mktemp("avatar") / "small.avatar"
    published_avatar(("hair_curly",), every=40).save(path)
    return pr.load_avatar(path)


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("PEGASUS_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def opened(avatar: pr.Avatar) -> Document:
    document = Document()
    document.open(avatar)
    document.set_avatar_sha256(file_sha256(avatar.path))
    return document


def change(document: Document, rng: random.Random) -> None:
    """One change of any kind."""
    kind = rng.randrange(8)
    if kind == 0:
        document.set_pose({rng.randrange(15): rng.uniform(-1, 1)}, "Pose")
    elif kind == 1:
        strength = rng.uniform(0, 1.5)
        document.wear("hair", rng.choice([None, AttributeBlend("hair_curly", strength)]), "Hair")
    elif kind == 2:
        document.set_view(document.view.orbited(rng.random(), rng.random() - 0.5))
    elif kind == 3:
        document.set_display(Display(colour=(rng.random(), 0.5, 1 / 3), background="colour"))
    elif kind == 4:
        document.undo()
    elif kind == 5:
        document.redo()
    else:
        document.set_expression({rng.randrange(50): rng.uniform(-2, 2)}, "Expression")
        if kind == 6:
            document.end_gesture()


def alike(document: Document, restored) -> None:
    history = document.history
    assert restored.kept == document.snapshot
    assert restored.entries == history.entries and restored.position == history.position


@pytest.mark.parametrize("seed", range(4))
def test_lines_bring_everything_back_with_the_history(avatar, tmp_path, seed):
    document, names, rng = opened(avatar), Vocabulary.of(avatar), random.Random(seed)
    path, last = tmp_path / f"{DEAD}x.journal", None
    with path.open("wb") as stream:
        for _ in range(80):
            for _ in range(rng.randrange(4)):
                change(document, rng)
            state = State.of(document, names)
            stream.write(line_of(state, last))
            last = state
    document.set_expression({0: 0.123}, "Unsaved")
    with path.open("ab") as stream:
        line = line_of(State.of(document, names), last)
        stream.write(line + line[: len(line) // 2])
    recovery = read_journal(path)
    assert recovery is not None and recovery.title == avatar.name
    alike(document, recovery.restored(avatar))


GARBAGE = [
    b"", b"{}", b"{}\n", b"[]\n", b"\xff\xfe\n", b'{"version": 1}\n', b"[" * 100_000 + b"\n",
    b'{"version": 1, "avatar": {"path": 3}, "keep": 0}\n', b"\0" * 10_000 + b"\n",
]  # fmt: skip


def test_garbage_is_set_aside_and_the_rest_is_found(avatar):
    folder, document = state_folder(), opened(avatar)
    for number, raw in enumerate(GARBAGE):
        (folder / f"{DEAD}{number}.journal").write_bytes(raw)
        os.utime(folder / f"{DEAD}{number}.journal", (1, 1))
    (folder / "name-of-nothing.journal").write_bytes(b"x")
    document.set_expression({0: 0.5}, "Smile")
    good = folder / f"{DEAD}good.journal"
    good.write_bytes(line_of(State.of(document, Vocabulary.of(avatar)), None))
    os.utime(good, (1, 1))
    found = find_recoveries()
    assert [recovery.path for recovery in found] == [good]
    assert len(list(folder.glob("*.damaged"))) == len(GARBAGE) + 1
    assert found[0].claim() and not replace(found[0], path=good).claim()
    assert find_recoveries() == []  # it belongs to this process, which is alive
    alike(document, found[0].restored(avatar))
    found[0].discard()
    assert not list(folder.glob("*.journal"))


def test_a_damaged_journal_is_refused_or_read_and_nothing_else(avatar, tmp_path, fuzz_seeds):
    document = opened(avatar)
    for _ in range(10):
        change(document, random.Random(0))
    document.set_expression({0: 0.123}, "Unsaved")
    whole = line_of(State.of(document, Vocabulary.of(avatar)), None)
    path = tmp_path / f"{DEAD}x.journal"
    for seed in fuzz_seeds:
        rng, raw = random.Random(seed), bytearray(whole)
        for _ in range(rng.randrange(1, 4)):
            raw[rng.randrange(len(raw) - 1)] = rng.randrange(256)
        path.write_bytes(raw)
        try:
            recovery = read_journal(path)
            if recovery is not None:
                restored = recovery.restored(avatar)
                document.restore(restored.kept, restored.entries, restored.position)
        except (InvalidInput, FileNotFoundError) as refused:
            assert "\n" not in str(refused), seed


class Loop:
    """Stands for the window's thread."""

    def __init__(self) -> None:
        self.waiting: queue.SimpleQueue = queue.SimpleQueue()

    def run_until(self, done) -> None:
        deadline = time.monotonic() + 30
        while not done():
            assert time.monotonic() < deadline
            try:
                self.waiting.get(timeout=0.02)()
            except queue.Empty:
                continue


@pytest.mark.slow
def test_the_journal_follows_and_stays_small_and_goes_when_the_editor_closes(avatar):
    loop, document, rng = Loop(), Document(), random.Random(1)
    keeper = Autosave(document, Activity(), loop.waiting.put, gather_s=0.0, max_bytes=20_000)
    keeper.start()
    document.open(avatar)
    written: list[int] = []
    keeper.written.connect(lambda: written.append(1))
    for _ in range(40):
        change(document, rng)
        count = len(written)
        document.set_expression({0: rng.random()}, "Smile")
        loop.run_until(lambda count=count: len(written) > count)
    (path,) = state_folder().glob("*.journal")
    loop.run_until(lambda: read_journal(path).restored(avatar).kept == document.snapshot)
    alike(document, read_journal(path).restored(avatar))
    whole = line_of(State.of(document, Vocabulary.of(avatar)), None)
    assert path.stat().st_size < 2 * len(whole)
    assert find_recoveries() == []
    document.close()
    loop.run_until(lambda: not path.exists())
    document.open(avatar)
    loop.run_until(path.exists)
    keeper.close()
    assert not list(state_folder().iterdir())


def test_a_restored_journal_goes_only_when_the_new_one_is_written(avatar):
    document, old = opened(avatar), new_journal()
    document.set_expression({0: 0.5}, "Smile")
    old.write_bytes(line_of(State.of(document, Vocabulary.of(avatar)), None))
    loop, second = Loop(), Document()
    keeper = Autosave(second, Activity(), loop.waiting.put)
    keeper.start()
    restored = read_journal(old).restored(avatar)
    second.open_project(avatar, None, restored.kept, {})
    second.restore(restored.kept, restored.entries, restored.position)
    keeper.supersede(old)
    loop.run_until(lambda: not old.exists())
    (path,) = state_folder().glob("*.journal")
    alike(second, read_journal(path).restored(avatar))
    second.undo()
    assert second.face == second.neutral
    keeper.close()


EDITS = """
import queue, sys, time
import pegasus_runtime as pr
from pathlib import Path
from app.controllers.autosave import Autosave
from app.state.jobs import Activity
from app.state.document import Document
from app.state.project import save_project
from pegasus_runtime.assets import file_sha256

avatar, out = pr.load_avatar(sys.argv[1]), Path(sys.argv[2])
document, waiting = Document(), queue.SimpleQueue()
keeper = Autosave(document, Activity(), waiting.put)
document.open(avatar)
keeper.start()
sha256, number = file_sha256(avatar.path), 0
while True:
    number += 1
    document.set_expression({0: number / 1e6}, "Number")
    document.set_pose({6: number / 1e6}, "Number")
    document.end_gesture()
    save_project(out, avatar, document.snapshot, {}, sha256)
    print(number, time.monotonic(), flush=True)
    end = time.monotonic() + 0.01
    while time.monotonic() < end:
        try:
            waiting.get(timeout=0.005)()
        except queue.Empty:
            pass
"""


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")
@pytest.mark.slow
def test_killed_at_any_moment_the_project_is_whole_and_the_last_second_is_offered(avatar, tmp_path):
    rng = random.Random(7)
    for go in range(4):
        project = tmp_path / f"{go}.pegasus.yaml"
        log = tmp_path / f"{go}.log"
        with log.open("wb") as out:
            editor = subprocess.Popen(
                [sys.executable, "-c", EDITS, str(avatar.path), str(project)],
                cwd=ROOT, stdout=out, env={**os.environ, "PYTHONPATH": str(ROOT)},
            )  # fmt: skip
        deadline = time.monotonic() + 120
        while log.read_bytes().count(b"\n") < 60:
            assert editor.poll() is None and time.monotonic() < deadline
            time.sleep(0.02)
        time.sleep(rng.random() * 0.4)
        killed = time.monotonic()
        editor.send_signal(signal.SIGKILL)
        editor.wait()
        lines = [line.split() for line in log.read_text().splitlines()]
        done = {int(line[0]): float(line[1]) for line in lines if len(line) == 2}
        last = max(done)
        kept, _ = read_project(project).snapshot(avatar, Display())
        assert kept.face.expression[0] == kept.face.pose[6]
        assert kept.face.expression[0] in (last / 1e6, (last + 1) / 1e6)
        (recovery,) = find_recoveries()
        restored = recovery.restored(avatar)
        number = round(restored.kept.face.pose[6] * 1e6)
        assert restored.position == len(restored.entries)
        # All but the last second, however busy the machine is; undo goes back to the start.
        assert number >= max((n for n, at in done.items() if at < killed - 1), default=0)
        document = opened(avatar)
        document.restore(restored.kept, restored.entries, restored.position)
        document.go_to(0)
        assert number > 900 or document.face == document.neutral
        recovery.discard()
    # As the next start does: the last one may have been killed while it wrote.
    sweep_leftovers(tmp_path)
    assert not [path.name for path in tmp_path.glob(".*.yaml")]
