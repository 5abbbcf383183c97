"""A training as a SLURM job, through submitit: it waits, runs on many machines and is requeued.

SLURM warns a job before its time is up or a more urgent one takes its place. submitit then puts it
into the queue again, and it goes on from its last checkpoint.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from pegasus_runtime.errors import Refused

if TYPE_CHECKING:
    from submitit.helpers import DelayedSubmission

_KEY = re.compile(r"[a-z_]+")


class TrainingJob:
    """What one task of the job does; submitit stores it as a file and loads it on the machine."""

    def __init__(self, arguments: Sequence[str]) -> None:
        """Train with the arguments of ``python -m trainer``."""
        self._arguments = list(arguments)

    def __call__(self) -> int:
        """Train to the end; a job whose training fails has failed too."""
        from submitit.helpers import TorchDistributedEnvironment

        from trainer.__main__ import main

        TorchDistributedEnvironment().export(set_cuda_visible_devices=False, overwrite=True)
        code = main(self._arguments)
        if code:
            raise SystemExit(code)
        return code

    def checkpoint(self, *_: Any) -> DelayedSubmission:
        """Asked for by submitit when the job has to leave its machines."""
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self)


def submit(arguments: Sequence[str], run_dir: Path, options: Sequence[str]) -> str:
    """Hand a training to SLURM; the job's number.

    Args:
        arguments: of ``python -m trainer``, without those for SLURM.
        run_dir: its log and the job's file go into ``slurm`` below it.
        options: ``key=value`` as submitit names them: partition, nodes, gpus_per_node,
            tasks_per_node, timeout_min, slurm_account … Each GPU has a task, unless they say else.

    Raises:
        Refused: submitit is not installed, there is no SLURM here, or it does not take the options.
    """
    try:
        import submitit
    except ImportError:
        raise Refused(
            "submitit is not installed: pip install 'pegasus-editor[slurm]', or use torchrun."
        ) from None
    settings = _parse(options)
    folder = run_dir / "slurm"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        executor = submitit.AutoExecutor(folder, cluster=settings.pop("cluster", "slurm"))
        settings.setdefault("tasks_per_node", settings.get("gpus_per_node", 1))
        executor.update_parameters(name=run_dir.name, **settings)
        job = executor.submit(TrainingJob(arguments))
    except OSError as error:
        raise Refused(f"{folder}: cannot be written ({error.strerror}).") from None
    except Exception as error:
        raise Refused(f"SLURM: {' '.join(str(error).split())}") from None
    return str(job.job_id)


def _parse(options: Sequence[str]) -> dict[str, Any]:
    settings = {}
    for option in options:
        key, found, value = option.partition("=")
        if not found or not _KEY.fullmatch(key):
            raise Refused(f"--slurm {option}: write KEY=VALUE, e.g. partition=gpu.")
        settings[key] = yaml.safe_load(value)
    return settings
