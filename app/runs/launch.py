"""Starting, pausing and stopping runs. A run never belongs to the editor's process."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

from app.runs.run import Run, Status
from app.runs.supervisor import PROCESS_FILE, send
from pegasus_runtime.errors import InvalidInput
from pegasus_runtime.files import replace_file
from pegasus_runtime.queued_job import ENDED, WAITING, QueuedJob, note_status, read_job
from pegasus_runtime.run_lock import find_owner
from pegasus_runtime.run_request import KILL, PAUSE, STOP, ask, forget_request

ROOT = Path(__file__).resolve().parents[2]
"""where the trainer can be imported from"""
_LAUNCH_S = 15.0
"""Less gives up on slow disks, more holds the window up when nothing starts."""
_CANCEL_S = 10.0
"""Less gives up on a busy cluster, more holds the window up for one that is down."""
_guards: list[subprocess.Popen[str]] = []
"""started by this process, which has to take note of their ends"""


def command_of(folder: Path, num_gpus: int = 0) -> list[str]:
    """The command that trains, or goes on with, the run in a folder."""
    torchrun = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={num_gpus}"]
    return [
        sys.executable,
        *(torchrun if num_gpus > 1 else []),
        "-m",
        "trainer",
        "train",
        "--config",
        str(folder / "config.yaml"),
        "--out",
        str(folder),
        "--resume",
        "auto",
    ]


def command_text(folder: Path, num_gpus: int, settings: dict[str, str]) -> str:
    """The same, to paste into a terminal before the folder is there."""
    words = command_of(folder, num_gpus)[1:]
    at = words.index("--config")
    pairs = [word for key, value in settings.items() for word in ("--set", f"{key}={value}")]
    command = ["python", *words[:at], *words[at + 2 :], *pairs]
    return subprocess.list2cmdline(command) if os.name == "nt" else shlex.join(command)


def free_folder(parent: Path, name: str) -> Path:
    """A folder for a run of that name, in which there is none yet."""
    folder, number = parent / (name or "run"), 2
    while folder.exists():
        folder, number = parent / f"{name}-{number}", number + 1
    return folder


def start_run(folder: Path, config_text: str, num_gpus: int = 0) -> Run:
    """Start a training in a new folder.

    Raises:
        InvalidInput: the folder holds a run already, or cannot be written.
    """
    run = make_run(folder, config_text)
    _launch(run, num_gpus)
    return run


def make_run(folder: Path, config_text: str) -> Run:
    """Make the folder of a run and write its configuration.

    Raises:
        InvalidInput: the folder holds a run already, or cannot be written.
    """
    run = Run(folder)
    refuse_second_start(run)
    if (folder / "config.yaml").exists():
        raise InvalidInput(
            f"{folder}: holds a run already; name another folder, or resume that run."
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InvalidInput(f"{folder}: cannot be made ({error.strerror}); name another.") from None
    with replace_file(folder / "config.yaml") as partial:
        partial.write_text(config_text, "utf-8")
    return run


def resume_run(run: Run, num_gpus: int | None = None) -> None:
    """Go on from the newest checkpoint, with as many GPUs as before.

    Raises:
        InvalidInput: it is running, or cannot be started.
    """
    refuse_second_start(run)
    if not (run.folder / "config.yaml").is_file():
        raise InvalidInput(f"{run.folder}: has no config.yaml, so it cannot be resumed.")
    if num_gpus is None:
        facts = run.process_facts()
        counts = [
            word.partition("=")[2]
            for word in (facts.command if facts else ())
            if re.fullmatch(r"--nproc-per-node=[0-9]{1,4}", word)
        ]
        num_gpus = int(counts[0]) if counts else 0
    _launch(run, num_gpus)


def refuse_second_start(run: Run) -> None:
    """Raises InvalidInput when a training writes into the folder, or waits to, whoever began it."""
    state = run.state()
    if state.status is Status.WAITING:
        raise InvalidInput(f"{run.folder}: a training waits {state.detail}; stop it first.")
    if state.status is not Status.RUNNING:
        return
    owner, facts = find_owner(run.folder), run.process_facts()
    pid = facts.process.pid if facts else 0
    who = str(owner) if owner else f"process {pid}"
    raise InvalidInput(f"{run.folder}: a training is running there ({who}); stop it first.")


def pause(run: Run) -> None:
    """Save and end, to go on later.

    A process that is only held would keep the memory of the graphics card, break the connection
    between several, and be lost with the machine; Windows cannot hold one. So a pause is a stop.
    """
    _request(run, PAUSE)


def stop(run: Run) -> None:
    """Save and end."""
    _request(run, STOP)


def stop_now(run: Run) -> None:
    """End without saving."""
    _request(run, KILL)


def _request(run: Run, wanted: str) -> None:
    ask(run.folder, wanted)
    job = read_job(run.folder)
    if job and job.status == WAITING:
        _take_out_of_queue(run.folder, job)
        return
    facts, owner = run.process_facts(), find_owner(run.folder)
    if facts and facts.process.is_alive:
        if not facts.guard.is_alive:
            send(facts.process.pid, wanted)
    elif owner and owner.process.is_here and wanted == KILL:
        # Started in a terminal: it looks for requests between steps, and may hang in one.
        send(owner.process.pid, wanted)


def _take_out_of_queue(folder: Path, job: QueuedJob) -> None:
    """Where SLURM is not here, a job that waits ends when it begins."""
    cancel = shutil.which("scancel")
    if cancel is None or not job.number.isdigit():
        return
    with suppress(OSError, subprocess.TimeoutExpired):
        # Only while it waits: one that has begun meanwhile saves first.
        command = [cancel, "--state=PENDING", job.number]
        done = subprocess.run(command, capture_output=True, timeout=_CANCEL_S, check=False)
        now = read_job(folder)
        if done.returncode == 0 and now is not None and now.status == WAITING:
            note_status(folder, ENDED)


def _launch(run: Run, num_gpus: int) -> None:
    forget_request(run.folder)
    with suppress(OSError):
        (run.folder / PROCESS_FILE).unlink()
    command = [sys.executable, "-m", "app.runs.supervisor", str(run.folder)]
    # A console of its own, which nobody sees: on Windows Ctrl+C comes only through one.
    flags = getattr(subprocess, "CREATE_NO_WINDOW", 0)
    guard = subprocess.Popen(
        [*command, *command_of(run.folder, num_gpus)],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=os.name != "nt",
        creationflags=flags,
    )
    _guards[:] = [guard, *(other for other in _guards if other.poll() is None)]
    deadline = time.monotonic() + _LAUNCH_S
    while not run.process_facts():
        if guard.poll() is not None or time.monotonic() > deadline:
            said = guard.stderr.read().strip() if guard.stderr and guard.poll() is not None else ""
            reason = said.splitlines()[-1] if said else "no answer"
            raise InvalidInput(f"{run.folder}: the training could not be started ({reason}).")
        time.sleep(0.02)
