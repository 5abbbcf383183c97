"""Two processes on the CPU train as one does, and go on when one is killed."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
import torch

from pegasus_runtime.run_lock import find_owner
from tests.factories import SIDE, surfel_avatar, write_small_capture

ROOT = Path(__file__).resolve().parents[2]
SETTINGS = {
    "steps": "12",
    "batch_size": "2",
    "preview_every": "100",
    "checkpoint_every": "4",
    "keep_checkpoints": "20",
    "threads": "1",
    "device": "cpu",
    "data.image_size": str(SIDE),
    "data.held_out_every": "3",
    "points.initial": "200",
    "points.maximum": "700",
    "points.grow_every": "6",
}
TORCHRUN = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(os.name == "nt", reason="gloo and signals as POSIX has them"),
]


@pytest.fixture(scope="module")
def capture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_small_capture(
        tmp_path_factory.mktemp("capture"), {"source": 6, "hat_a": 4, "nose_b": 4}
    )


def command(capture: Path, run: Path, *launcher: str, **changes: str) -> list[str]:
    settings = {**SETTINGS, "data.folder": str(capture), **changes}
    pairs = [part for key, value in settings.items() for part in ("--set", f"{key}={value}")]
    return [sys.executable, *launcher, "-m", "trainer", "train", "--out", str(run), *pairs]


def train(arguments: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        arguments, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False
    )


def events(run: Path) -> list[dict]:
    if not (run / "events.jsonl").is_file():
        return []
    lines = (run / "events.jsonl").read_text("utf-8").splitlines(keepends=True)
    return [json.loads(line) for line in lines if line.endswith("\n")]


@pytest.fixture(scope="module")
def two(capture: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of two processes."""
    run = tmp_path_factory.mktemp("runs") / "two"
    done = train(command(capture, run, *TORCHRUN))
    assert done.returncode == 0, done.stderr[-3000:]
    return run


@pytest.mark.slow
def test_two_processes_train_as_one(capture: Path, two: Path, tmp_path: Path) -> None:
    one = tmp_path / "one"
    assert train(command(capture, one)).returncode == 0
    alone, together = events(one), events(two)
    assert [e["num_points"] for e in alone] == [e["num_points"] for e in together]
    for name, value in alone[0]["losses"].items():
        assert together[0]["losses"][name] == pytest.approx(value, rel=1e-4), name
    first, second = (
        torch.load(run / "checkpoints" / "step-00000004" / "state.pt", weights_only=True)
        for run in (one, two)
    )
    # Adam's first moments after four steps are sums of the gradients.
    for key, state in first["optimiser"]["state"].items():
        other = second["optimiser"]["state"][key]
        scale = float(state["exp_avg"].abs().max())
        assert torch.allclose(state["exp_avg"], other["exp_avg"], atol=0.02 * scale + 1e-12)


@pytest.mark.slow
def test_growth_and_pruning_are_the_same_everywhere(capture: Path, tmp_path: Path) -> None:
    probe = tmp_path / "probe.py"
    probe.write_text(
        "import os, sys, torch\n"
        f"sys.path.insert(0, {str(ROOT)!r})\n"
        "import trainer.engine.train as loop\n"
        "from trainer.engine.surfel_state import SurfelState\n"
        "change, found = SurfelState.change_points, []\n"
        "def watched(self, step):\n"
        "    change(self, step)\n"
        "    found.append([p.detach().clone() for p in self.module.parameters()])\n"
        "SurfelState.change_points = watched\n"
        "from trainer.cli import main\n"
        "code = main(sys.argv[1:])\n"
        f"torch.save(found, os.path.join({str(tmp_path)!r}, os.environ['RANK'] + '.pt'))\n"
        "sys.exit(code)\n",
        "utf-8",
    )
    arguments = command(capture, tmp_path / "run")[3:]
    done = train([sys.executable, *TORCHRUN, str(probe), *arguments])
    assert done.returncode == 0, done.stderr[-3000:]
    first, second = (torch.load(tmp_path / f"{rank}.pt") for rank in (0, 1))
    assert len(first) == 1 and max(len(values) for values in first[0]) > 200
    assert all(torch.equal(a, b) for a, b in zip(first[0], second[0], strict=True))


@pytest.mark.slow
def test_a_killed_process_is_started_again(capture: Path, two: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    launcher = (*TORCHRUN, "--max-restarts=2")
    process = subprocess.Popen(
        command(capture, run, *launcher),
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 200
    while not (run / "checkpoints" / "step-00000004").is_dir():
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.02)
    workers = children_of(process.pid)
    assert len(workers) == 2
    os.kill(workers[1], signal.SIGKILL)
    _, said = process.communicate(timeout=300)
    assert process.returncode == 0, said[-3000:]
    # The same steps, each once, with the losses of the run that nobody disturbed.
    assert [e["step"] for e in events(run)] == list(range(1, 13))
    for ours, theirs in zip(events(run), events(two), strict=True):
        assert ours["losses"]["rgb"] == pytest.approx(theirs["losses"]["rgb"], rel=0.05)


def children_of(pid: int) -> list[int]:
    listed = subprocess.run(["ps", "-A", "-o", "pid=,ppid="], capture_output=True, text=True)
    pairs = [tuple(map(int, line.split())) for line in listed.stdout.splitlines()]
    return sorted(child for child, parent in pairs if parent == pid)


@pytest.mark.slow
def test_an_evaluation_is_shared_and_goes_on_alone(capture: Path, tmp_path: Path) -> None:
    surfel_avatar(("hat_a", "nose_b"), 300).save(tmp_path / "a.avatar")
    said = ["evaluate", "--avatar", str(tmp_path / "a.avatar"), "--data", str(capture)]
    said += ["--size", str(SIDE), "--device", "cpu", "--only", "rendering"]
    two, one = tmp_path / "two", tmp_path / "one"
    done = train([sys.executable, *TORCHRUN, "-m", "trainer", *said, "--out", str(two)])
    assert done.returncode == 0, done.stderr[-3000:]
    parts = [two / "progress" / f"results-{rank:03d}.jsonl" for rank in (0, 1)]
    lines = [part.read_bytes().splitlines() for part in parts]
    assert abs(len(lines[0]) - len(lines[1])) <= 1 and len(lines[0]) + len(lines[1]) == 14
    # What one of them has lost is done again by a single process, and nothing else.
    parts[1].unlink()
    shutil.copytree(two, one)
    assert train([sys.executable, "-m", "trainer", *said, "--out", str(one)]).returncode == 0
    assert len((one / "progress" / parts[0].name).read_bytes().splitlines()) == 14
    first, second = (
        json.loads((folder / "report.json").read_text("utf-8")) for folder in (two, one)
    )
    assert first["subjects"] == second["subjects"] and first["results"] == second["results"]


@pytest.mark.slow
def test_a_batch_that_cannot_be_divided_and_too_many_processes(
    capture: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    done = train(command(capture, run, *TORCHRUN, batch_size="3"))
    assert done.returncode != 0
    assert "batch_size 3 cannot be divided among 2 processes" in done.stderr
    lonely = write_small_capture(tmp_path / "lonely", {"source": 1})
    done = train(command(lonely, run, *TORCHRUN, **{"data.held_out_every": "0"}))
    assert "2 processes for 1 frames" in done.stderr


@pytest.mark.slow
def test_slurm_jobs_through_their_local_stand_in(capture: Path, two: Path, tmp_path: Path) -> None:
    pytest.importorskip("submitit")
    run = tmp_path / "run"
    options = ["--slurm", "cluster=local", "--slurm=tasks_per_node=2", "--slurm", "timeout_min=10"]
    handed = train([*command(capture, run), *options])
    assert handed.returncode == 0 and "job " in handed.stderr, handed.stderr[-2000:]
    deadline = time.monotonic() + 200
    while not (run / "avatar.avatar").is_file():
        logs = [path.read_text() for path in (run / "slurm").glob("*_log.err")]
        assert time.monotonic() < deadline, logs
        time.sleep(0.5)
    for ours, theirs in zip(events(run), events(two), strict=True):
        assert ours["losses"]["rgb"] == pytest.approx(theirs["losses"]["rgb"], rel=0.05)


@pytest.mark.slow
def test_a_queues_signals_save_and_requeue(capture: Path, tmp_path: Path) -> None:
    pytest.importorskip("submitit")
    run = tmp_path / "run"
    asked = command(capture, run, steps="100000", checkpoint_every="100000")
    options, said = ["--slurm", "cluster=local", "--slurm=timeout_min=10"], tmp_path / "said"
    # Not through a pipe, which the job would hold open.
    with said.open("w") as stream:
        subprocess.run([*asked, *options], cwd=ROOT, stdout=stream, stderr=stream, check=True)
    controller = int(said.read_text("utf-8").split("job ")[1].split(";")[0])
    try:
        done = 0
        for number in (signal.SIGTERM, signal.SIGUSR2):
            wait_until(lambda done=done: len(events(run)) > done + 1)
            owner = find_owner(run)
            assert owner is not None
            os.kill(owner.process.pid, number)
            wait_until(lambda owner=owner: not owner.process.is_alive)
            # What the queue started again goes on from the step at which the signal came.
            saved = (run / "current_checkpoint").read_text("utf-8").strip()
            done = int(saved.removeprefix("step-"))
            assert done > 1 and (run / "checkpoints" / saved).is_dir()
        wait_until(lambda: len(events(run)) > done)
        assert [e["step"] for e in events(run)] == list(range(1, len(events(run)) + 1))
    finally:
        for process in (psutil.Process(controller), *psutil.Process(controller).children()):
            process.kill()


def wait_until(condition: Callable[[], bool], seconds: float = 200) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


@pytest.mark.slow
def test_without_slurm_it_says_so(capture: Path, tmp_path: Path) -> None:
    pytest.importorskip("submitit")
    done = train([*command(capture, tmp_path / "run"), "--slurm", "partition=gpu"])
    assert done.returncode == 2 and done.stderr.count("\n") == 1
    assert "SLURM" in done.stderr
    done = train([*command(capture, tmp_path / "run"), "--slurm", "gpu"])
    assert done.returncode == 2 and "KEY=VALUE" in done.stderr
