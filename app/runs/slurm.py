"""Handing a training to SLURM, through the trainer's own command."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from app.runs.launch import ROOT, command_of, make_run, refuse_second_start
from app.runs.run import Run
from pegasus_runtime.errors import InvalidInput
from pegasus_runtime.queued_job import read_job

_TIMEOUT_S = 120
"""Less gives up on a busy cluster, more waits longer for one that is down."""
_FURTHER = re.compile(r"[a-z_]+=.+")


def is_slurm_here() -> bool:
    """Whether this machine can hand in jobs."""
    return find_spec("submitit") is not None and shutil.which("sbatch") is not None


@dataclass(frozen=True)
class SlurmJob:
    """What is asked of SLURM."""

    nodes: int = 1
    gpus_per_node: int = 1
    hours: float = 24.0
    partition: str = ""
    account: str = ""
    further: str = ""
    """KEY=VALUE words, as submitit names them"""

    @property
    def num_processes(self) -> int:
        """Each GPU has one."""
        return self.nodes * max(self.gpus_per_node, 1)

    def options(self) -> list[str]:
        """What ``--slurm`` takes, each KEY=VALUE.

        Raises:
            InvalidInput: a further word is not KEY=VALUE.
        """
        named = {
            "slurm_partition": self.partition,
            "nodes": self.nodes,
            "gpus_per_node": self.gpus_per_node,
            "timeout_min": max(round(self.hours * 60), 1),
            "slurm_account": self.account,
        }
        try:
            further = shlex.split(self.further)
        except ValueError:
            raise InvalidInput("Further options: close the quotation mark.") from None
        wrong = [word for word in further if not _FURTHER.fullmatch(word)]
        if wrong:
            raise InvalidInput(f"{wrong[0]}: write KEY=VALUE, e.g. slurm_qos=long.")
        return [f"{key}={value}" for key, value in named.items() if value not in ("", 0)] + further


def submit_run(folder: Path, config_text: str, job: SlurmJob) -> str:
    """Make a run's folder and hand the training to SLURM; the job's number.

    Raises:
        InvalidInput: the folder holds a run already, or SLURM does not take the job.
    """
    options = _words(job.options())
    run = make_run(folder, config_text)
    try:
        return _submit([*command_of(run.folder), *options])
    except InvalidInput:
        # It is no run, and the same folder can be used for the next attempt.
        with suppress(OSError):
            (run.folder / "config.yaml").unlink()
        raise


def resubmit_run(run: Run) -> str:
    """Hand a training that was paused or broken off to SLURM again, as before; the job's number.

    Raises:
        InvalidInput: it runs or waits, SLURM is not here, or does not take the job.
    """
    refuse_second_start(run)
    job = read_job(run.folder)
    if job is None or not (run.folder / "config.yaml").is_file():
        raise InvalidInput(f"{run.folder}: no job of SLURM was made of it; start it anew.")
    if not is_slurm_here():
        raise InvalidInput(
            f"{run.folder}: was handed to SLURM, which is not on this machine; resume it where "
            f"sbatch is, or here with: python -m trainer train --out {run.folder}"
        )
    return _submit([*command_of(run.folder), *_words(job.options)])


def _words(options: Iterable[str]) -> list[str]:
    return [word for option in options for word in ("--slurm", option)]


def _submit(command: list[str]) -> str:
    try:
        done = subprocess.run(
            command, cwd=ROOT, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False
        )
    except subprocess.TimeoutExpired:
        raise InvalidInput(f"SLURM did not answer within {_TIMEOUT_S} s; try again.") from None
    number = re.search(r"^job (\S+);", done.stderr, re.MULTILINE)
    if done.returncode or number is None:
        said = done.stderr.strip().splitlines() or ["no reason given"]
        raise InvalidInput(said[-1].removeprefix("trainer: "))
    return number[1]
