"""A training as a SLURM job, through submitit: it waits, runs on many machines and is requeued.

SLURM warns a job before its time is up or a more urgent one takes its place, with SIGTERM or with
the signal that submitit asks for. The step under way is ended and saved, then submitit puts the job
into the queue again, and it goes on from there. While there is nothing to save it is put back at
once.
"""

from __future__ import annotations

import os
import re
import signal
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

import yaml

from pegasus_runtime.errors import InvalidInput

if TYPE_CHECKING:
    from submitit.helpers import DelayedSubmission

_INTERRUPTED = 130
"""what a training ends with that was asked to stop, and has saved"""
_REQUEUE_S = 120
"""Until SLURM ends the job that it has queued anew: with less it ends by itself first, as a
failure."""
_KEY = re.compile(r"[a-z_]+")


class TrainingJob:
    """What one task of the job does; submitit stores it as a file and loads it on the machine."""

    def __init__(self, main: Callable[[Sequence[str]], int], arguments: Sequence[str]) -> None:
        """Call ``main``, the command line, with the arguments of ``python -m trainer``."""
        self._main = main
        self._arguments = list(arguments)

    def __call__(self) -> int:
        """Train to the end; a job whose training fails has failed too."""
        from submitit.helpers import TorchDistributedEnvironment

        from trainer.engine.stop_requests import was_interrupted

        TorchDistributedEnvironment().export(set_cuda_visible_devices=False, overwrite=True)
        number, requeue = _requeue_of_submitit()
        if requeue:
            signal.signal(signal.SIGTERM, requeue)
        code = self._main(self._arguments)
        if code == _INTERRUPTED and requeue and not was_interrupted():
            # Ends the first process; the others are ended by SLURM, which must not see them fail.
            requeue(number, None)
            time.sleep(_REQUEUE_S)
        if code:
            raise SystemExit(code)
        return code

    def checkpoint(self, *_: Any) -> DelayedSubmission:
        """Asked for by submitit when the job has to leave its machines."""
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self)


def _requeue_of_submitit() -> tuple[int, Callable[[int, FrameType | None], Any] | None]:
    """The signal that submitit asks SLURM for, and what it does when that comes."""
    name = f"SIG{os.environ.get('SUBMITIT_PREEMPT_SIGNAL', 'USR2')}"
    number = int(getattr(signal, name, 0))
    handler = signal.getsignal(number) if number else None
    return number, handler if callable(handler) else None


def submit(
    main: Callable[[Sequence[str]], int],
    arguments: Sequence[str],
    run_dir: Path,
    options: Sequence[str],
) -> str:
    """Hand a training to SLURM; the job's number.

    Args:
        main: what the job calls with the arguments, the trainer's command line.
        arguments: of ``python -m trainer``, without those for SLURM.
        run_dir: its log and the job's file go into ``slurm`` below it.
        options: ``key=value`` as submitit names them: partition, nodes, gpus_per_node,
            tasks_per_node, timeout_min, slurm_account … Each GPU has a task, unless they say else.

    Raises:
        InvalidInput: submitit is not installed, there is no SLURM here, or it does not take the
            options.
    """
    (number,) = submit_array(main, [arguments], run_dir, options)
    return number


def submit_array(
    main: Callable[[Sequence[str]], int],
    calls: Sequence[Sequence[str]],
    folder: Path,
    options: Sequence[str],
) -> list[str]:
    """Hand several calls of the trainer to SLURM as one array; the jobs' numbers.

    Args:
        main: as for `submit`.
        calls: the arguments of each job.
        folder: their logs and files go into ``slurm`` below it.
        options: as for `submit`.

    Raises:
        InvalidInput: as `submit`.
    """
    try:
        import submitit
    except ImportError:
        raise InvalidInput(
            "submitit is not installed: pip install 'pegasus-editor[slurm]', or use torchrun."
        ) from None
    settings = _parse(options)
    logs = folder / "slurm"
    try:
        logs.mkdir(parents=True, exist_ok=True)
        executor = submitit.AutoExecutor(logs, cluster=settings.pop("cluster", "slurm"))
        settings.setdefault("tasks_per_node", settings.get("gpus_per_node", 1))
        executor.update_parameters(name=folder.name, **settings)
        if len(calls) == 1:
            jobs = [executor.submit(TrainingJob(main, calls[0]))]
        else:
            with executor.batch():
                jobs = [executor.submit(TrainingJob(main, call)) for call in calls]
    except OSError as error:
        raise InvalidInput(f"{logs}: cannot be written ({error.strerror}).") from None
    except Exception as error:
        raise InvalidInput(f"SLURM: {' '.join(str(error).split())}") from None
    return [str(job.job_id) for job in jobs]


def _parse(options: Sequence[str]) -> dict[str, Any]:
    settings = {}
    for option in options:
        key, found, value = option.partition("=")
        if not found or not _KEY.fullmatch(key):
            raise InvalidInput(f"--slurm {option}: write KEY=VALUE, e.g. partition=gpu.")
        settings[key] = yaml.safe_load(value)
    return settings
