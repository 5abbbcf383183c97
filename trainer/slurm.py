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
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

import yaml

from pegasus_runtime.errors import EXIT_INTERRUPTED, InvalidInput
from pegasus_runtime.queued_job import (
    BEGUN,
    ENDED,
    LOGS_FOLDER,
    QUEUED,
    WAITING,
    QueuedJob,
    forget_job,
    note_job,
    note_status,
    read_job,
)
from pegasus_runtime.run_request import ask, forget_request, read_request

if TYPE_CHECKING:
    from submitit import AutoExecutor
    from submitit.helpers import DelayedSubmission

_REQUEUE_S = 120
"""Until SLURM ends the job that it has queued anew: with less it ends by itself first, as a
failure."""
_KEY = re.compile(r"[a-z_]+")


class TrainingJob:
    """What one task of the job does; submitit stores it as a file and loads it on the machine."""

    def __init__(
        self,
        main: Callable[[Sequence[str]], int],
        arguments: Sequence[str],
        run_dir: Path | None = None,
    ) -> None:
        """Call ``main``, the command line, with the arguments of ``python -m trainer``.

        In ``run_dir``, the folder of a training, it notes what it is doing.
        """
        self._main = main
        self._arguments = list(arguments)
        self._run_dir = run_dir
        self._is_requeued = False

    def __call__(self) -> int:
        """Train to the end; a job whose training fails has failed too."""
        from submitit.helpers import TorchDistributedEnvironment

        task = TorchDistributedEnvironment()
        task.export(set_cuda_visible_devices=False, overwrite=True)
        self._is_requeued = False
        run_dir = self._run_dir if task.rank == 0 else None
        if run_dir:
            note_status(run_dir, BEGUN)
        try:
            code = self._train()
        except BaseException as error:
            # submitit leaves with SystemExit when the queue has taken the job back.
            if run_dir and not (self._is_requeued and isinstance(error, SystemExit)):
                note_status(run_dir, ENDED)
            raise
        if run_dir:
            note_status(run_dir, ENDED)
        return code

    def _train(self) -> int:
        from trainer.engine.stop_requests import was_interrupted

        os.environ[QUEUED] = "1"
        number, requeue = _requeue_of_submitit()
        asked = read_request(self._run_dir) if self._run_dir else ""
        if asked:
            print(f"not begun: {asked} was asked for while it waited", file=sys.stderr)
            raise SystemExit(EXIT_INTERRUPTED)
        if requeue:
            signal.signal(signal.SIGTERM, requeue)
        code = self._main(self._arguments)
        if code == EXIT_INTERRUPTED and requeue and not was_interrupted():
            # Ends the first process; the others are ended by SLURM, which must not see them fail.
            requeue(number, None)
            time.sleep(_REQUEUE_S)
        if code:
            raise SystemExit(code)
        return code

    def checkpoint(self, *_: Any) -> DelayedSubmission:
        """Asked for by submitit when the job has to leave its machines."""
        from submitit.helpers import DelayedSubmission

        self._is_requeued = True
        if self._run_dir:
            note_status(self._run_dir, WAITING)
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
        run_dir: its log and the job's files go into ``slurm`` below it. What was asked of an
            earlier training there is forgotten.
        options: ``key=value`` as submitit names them: partition, nodes, gpus_per_node,
            tasks_per_node, timeout_min, slurm_account … Each GPU has a task, unless they say else.

    Raises:
        InvalidInput: submitit is not installed, there is no SLURM here, or it does not take the
            options.
    """
    executor = _executor(run_dir, options)
    earlier, asked = read_job(run_dir), read_request(run_dir)
    forget_request(run_dir)
    # Before it is handed in: it may begin at once, and then says so there.
    note_job(run_dir, QueuedJob(tuple(options)))
    try:
        (number,) = _hand_in(executor, [TrainingJob(main, arguments, run_dir)])
    except InvalidInput:
        # It is as it was before.
        if earlier:
            note_job(run_dir, earlier)
        else:
            forget_job(run_dir)
        if asked:
            ask(run_dir, asked)
        raise
    now = read_job(run_dir) or QueuedJob(tuple(options))
    note_job(run_dir, replace(now, number=number))
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
    return _hand_in(_executor(folder, options), [TrainingJob(main, call) for call in calls])


def _executor(folder: Path, options: Sequence[str]) -> AutoExecutor:
    try:
        import submitit
    except ImportError:
        raise InvalidInput(
            "submitit is not installed: pip install 'pegasus-editor[slurm]', or use torchrun."
        ) from None
    settings = _parse(options)
    logs = folder / LOGS_FOLDER
    try:
        logs.mkdir(parents=True, exist_ok=True)
        executor = submitit.AutoExecutor(logs, cluster=settings.pop("cluster", "slurm"))
        settings.setdefault("tasks_per_node", settings.get("gpus_per_node", 1))
        executor.update_parameters(name=folder.name, **settings)
    except OSError as error:
        raise InvalidInput(f"{logs}: cannot be written ({error.strerror}).") from None
    except Exception as error:
        raise InvalidInput(f"SLURM: {' '.join(str(error).split())}") from None
    return executor


def _hand_in(executor: AutoExecutor, jobs: Sequence[TrainingJob]) -> list[str]:
    try:
        if len(jobs) == 1:
            handed = [executor.submit(jobs[0])]
        else:
            with executor.batch():
                handed = [executor.submit(job) for job in jobs]
    except OSError as error:
        raise InvalidInput(f"{executor.folder}: cannot be written ({error.strerror}).") from None
    except Exception as error:
        raise InvalidInput(f"SLURM: {' '.join(str(error).split())}") from None
    return [str(job.job_id) for job in handed]


def _parse(options: Sequence[str]) -> dict[str, Any]:
    settings = {}
    for option in options:
        key, found, value = option.partition("=")
        if not found or not _KEY.fullmatch(key):
            raise InvalidInput(f"--slurm {option}: write KEY=VALUE, e.g. partition=gpu.")
        settings[key] = yaml.safe_load(value)
    return settings
