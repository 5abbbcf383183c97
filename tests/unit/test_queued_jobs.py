"""Trainings that SLURM has: they wait, are asked to end meanwhile, and are handed in again."""

from __future__ import annotations

import os
import queue
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from app.controllers.training_controller import TrainingController
from app.runs import launch
from app.runs.run import Run, State, Status
from app.state.jobs import Activity
from pegasus_runtime.errors import InvalidInput
from pegasus_runtime.queued_job import read_job
from tests.factories import write_small_capture
from tests.videos import grey_levels, write_video
from trainer.cli import main

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.skipif(os.name == "nt", reason="SLURM has no Windows")
WAITS = State(Status.WAITING, "for SLURM, as job 123", True)


@pytest.fixture
def run(sbatch: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Handed in, and waiting."""
    monkeypatch.setenv("PEGASUS_HOME", str(tmp_path / "home"))
    capture = write_small_capture(tmp_path / "capture", {"source": 3})
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "config.yaml").write_text(
        f"data: {{folder: {capture}, held_out_every: 0}}\nsteps: 1\ndevice: cpu\n", "utf-8"
    )
    (folder / "request").write_text("stop", "utf-8")
    given = ["train", "--config", str(folder / "config.yaml"), "--out", str(folder)]
    assert main([*given, "--slurm", "slurm_partition=gpu", "--slurm=timeout_min=7"]) == 0
    return Run(folder)


def begin(run: Run, tmp_path: Path) -> subprocess.CompletedProcess[str]:
    """What the queue does when the job's turn comes."""
    environment = {
        **os.environ, "SLURM_JOB_ID": "123", "SLURM_NTASKS": "1", "SLURM_JOB_NUM_NODES": "1",
        "SLURM_NODEID": "0", "SLURM_PROCID": "0", "SLURM_LOCALID": "0",
        "SLURM_JOB_NODELIST": "localhost", "SUBMITIT_EXECUTOR": "slurm",
    }  # fmt: skip
    command = [sys.executable, "-m", "submitit.core._submit", str(run.folder / "slurm")]
    return subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300
    )


def resume(run: Run) -> list[str]:
    """Press Resume; what is said."""
    said: list[str] = []
    calls: queue.Queue[Callable[[], None]] = queue.Queue()
    controller = TrainingController(Activity(), calls.put)
    controller.submitted.connect(lambda _run, number: said.append(f"job {number}"))
    controller.failed.connect(said.append)
    controller.started.connect(lambda _: said.append("started here"))
    controller.resume(run)
    calls.get(timeout=300)()
    return said


@pytest.mark.parametrize("wanted", [launch.pause, launch.stop, launch.stop_now])
def test_what_is_asked_while_a_job_waits_counts_when_it_begins(run, wanted, tmp_path) -> None:
    # What was asked of an earlier training in the folder is not asked of this one.
    assert run.state() == WAITS and run.request() == ""
    with pytest.raises(InvalidInput, match="waits for SLURM, as job 123"):
        launch.refuse_second_start(run)
    wanted(run)
    assert run.state().status is Status.WAITING and "when it begins" in run.state().detail
    done = begin(run, tmp_path)
    assert "not begun" in done.stderr and not run.events.curves.steps, done.stderr
    expected = Status.PAUSED if wanted is launch.pause else Status.INTERRUPTED
    assert run.state().status is expected


@pytest.mark.slow
def test_a_job_that_is_paused_leaves_the_queue_and_is_handed_in_again(run, sbatch, tmp_path):
    told, script = tmp_path / "told", tmp_path / "script"
    cancel = sbatch.with_name("scancel")
    cancel.write_text(f'#!/bin/sh\necho "$@" >{told}\n', "utf-8")
    cancel.chmod(0o755)
    launch.pause(run)
    assert told.read_text().split() == ["--state=PENDING", "123"]
    assert run.state() == State(Status.PAUSED, "before its first save")

    sbatch.write_text(f'#!/bin/sh\ncp "$1" {script}\necho Submitted batch job 124\n', "utf-8")
    assert resume(run) == ["job 124"]
    assert "--partition=gpu" in script.read_text() and "--time=7" in script.read_text()
    assert run.state().detail == "for SLURM, as job 124" and run.request() == ""
    assert not run.process_facts()

    # The cluster does not take it this time: it is as it was before.
    launch.pause(run)
    sbatch.write_text("#!/bin/sh\necho queue is closed >&2\nexit 1\n", "utf-8")
    assert "queue is closed" in resume(run)[0]
    assert run.state().status is Status.PAUSED
    sbatch.unlink()
    assert "sbatch" in resume(run)[0] and str(run.folder) in resume(run)[0]


@pytest.mark.slow
def test_a_job_that_has_begun_is_judged_by_what_it_writes(run, tmp_path) -> None:
    done = begin(run, tmp_path)
    assert "Job completed successfully" in done.stdout + done.stderr, done.stderr
    job = read_job(run.folder)
    assert job and job.status == "ended" and run.state().status is Status.FINISHED
    (run.folder / "avatar.avatar").unlink()
    (run.folder / "events.jsonl").unlink()
    assert run.state() == State(
        Status.FAILED, "SLURM's job 123 has written nothing; its log is in slurm"
    )


@pytest.mark.parametrize(
    ("videos", "says"),
    [(["none.mp4"], "none.mp4"), (["a/me.mkv", "b/me.mkv"], "both would be me")],
)
def test_videos_that_cannot_be_used_are_not_handed_in(
    sbatch, tmp_path, capsys, videos, says
) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        write_video(tmp_path / name / "me.mkv", grey_levels(2))
    given = [str(tmp_path / video) for video in videos]
    words = ["preprocess", *given, "--out", str(tmp_path / "capture")]
    assert main([*words, "--slurm", "slurm_partition=cpu"]) == 2
    said = capsys.readouterr().err
    assert says in said and said.count("\n") == 1
    assert not (tmp_path / "capture").exists()
