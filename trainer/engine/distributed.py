"""The processes that train one avatar together.

torchrun starts them and tells each its place; communication is PyTorch's own: NCCL between GPUs,
gloo between processors.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from pegasus_runtime.devices import choose_device
from pegasus_runtime.errors import InvalidInput, one_line, quoted
from trainer.engine.rendezvous import fresh_rendezvous

_TIMEOUT = timedelta(hours=1)
"""the others wait while the first one fits the start, which takes minutes"""
_MEETING_TIMEOUT = timedelta(minutes=3)
"""to find one another: machines of one job do not start in the same moment"""


@dataclass(frozen=True)
class ProcessGroup:
    """This process among all; alone without torchrun."""

    device: torch.device
    rank: int = 0
    size: int = 1

    @property
    def is_first(self) -> bool:
        """Whether this is the one that writes."""
        return self.rank == 0

    def barrier(self) -> None:
        """Until all are here."""
        if self.size > 1:
            dist.barrier()

    def all_reduce_sum(self, values: Tensor) -> Tensor:
        """The sum of all processes' tensors, on the device of this one's."""
        if self.size == 1:
            return values
        total = values.to(self.device, copy=True)
        dist.all_reduce(total)
        return total.to(values.device)

    def all_reduce_any(self, flags: Tensor) -> Tensor:
        """Which flags are set in any process."""
        if self.size == 1:
            return flags
        counts = flags.to(torch.int32)
        dist.all_reduce(counts, dist.ReduceOp.MAX)
        return counts.bool()

    def any(self, flag: bool) -> bool:
        """Whether a flag is set in any process."""
        if self.size == 1:
            return flag
        return bool(self.all_reduce_any(torch.tensor(flag, device=self.device)))

    def wrap_ddp(self, module: nn.Module) -> nn.Module:
        """The module with gradients averaged over all processes after each backward pass.

        Parameters of all become those of the first. To be called again when they are replaced.
        """
        if self.size == 1:
            return module
        # A code, or a head of the networks, may go without gradient in some frame.
        return DistributedDataParallel(module, find_unused_parameters=True)

    def local_batch_size(self, batch_size: int) -> int:
        """How many of a batch's frames are this process's.

        Raises:
            InvalidInput: the batch cannot be divided evenly.
        """
        if batch_size % self.size:
            raise InvalidInput(
                f"batch_size {batch_size} cannot be divided among {self.size} processes; use a "
                f"multiple of {self.size}."
            )
        return batch_size // self.size


@dataclass(frozen=True)
class Launch:
    """What a launcher tells this process of its place, in environment variables."""

    size: int
    rank: int
    local_rank: int

    @classmethod
    def from_environment(cls) -> Launch:
        """That of torchrun or the like; alone without one.

        Raises:
            InvalidInput: the variables are no numbers, or do not fit together.
        """
        size, rank = _count("WORLD_SIZE", 1, least=1), _count("RANK", None)
        local_rank, _ = _count("LOCAL_RANK", 0), _count("LOCAL_WORLD_SIZE", 1, least=1)
        assert size is not None and local_rank is not None
        if size == 1 and not rank:
            return cls(1, 0, 0)
        advice = "start with torchrun, or unset it to train with one process."
        if rank is not None and rank >= size:
            raise InvalidInput(
                f"RANK={rank}: with WORLD_SIZE={size} it is less than {size}; {advice}"
            )
        missing = [n for n in ("RANK", "MASTER_ADDR", "MASTER_PORT") if not os.environ.get(n)]
        if missing:
            raise InvalidInput(f"WORLD_SIZE={size}: is set, but not {', '.join(missing)}; {advice}")
        assert rank is not None
        _count("MASTER_PORT", None, least=1)
        return cls(size, rank, local_rank)


def _count(name: str, default: int | None, least: int = 0) -> int | None:
    text = os.environ.get(name, "").strip()
    if not text:
        return default
    if not re.fullmatch("[0-9]{1,9}", text) or int(text) < least:
        raise InvalidInput(
            f"{name}={quoted(text)}: is no number from {least}; start with torchrun, which sets "
            "it, or unset it to train with one process."
        )
    return int(text)


@contextmanager
def init_process_group(device_name: str) -> Iterator[ProcessGroup]:
    """Join the processes that torchrun started; on its own without it.

    Args:
        device_name: "auto", "cpu", "cuda" or "cuda:1"; of several GPUs each process takes its own.

    Raises:
        InvalidInput: the launcher's variables do not fit together, or the others do not come.
    """
    launch = Launch.from_environment()
    device = choose_device(device_name)
    if launch.size == 1:
        yield ProcessGroup(device)
        return
    if device.type == "cuda":
        device = _own_card(launch.local_rank)
    try:
        rendezvous = dist.rendezvous("env://", timeout=_MEETING_TIMEOUT)  # type: ignore[attr-defined]
        store, rank, size = next(iter(rendezvous))
        store.set_timeout(_TIMEOUT)
        dist.init_process_group(
            "nccl" if device.type == "cuda" else "gloo",
            store=fresh_rendezvous(store, rank, size, _MEETING_TIMEOUT),
            rank=rank,
            world_size=size,
            timeout=_TIMEOUT,
        )
    except (dist.DistError, TimeoutError, ValueError, OSError) as error:
        place = f"{os.environ['MASTER_ADDR']}:{os.environ['MASTER_PORT']}"
        minutes = _MEETING_TIMEOUT.total_seconds() / 60
        raise InvalidInput(
            f"process {launch.rank} of {launch.size} has not met the others at {quoted(place)} "
            f"(MASTER_ADDR, MASTER_PORT) within {minutes:.0f} minutes; check that all "
            f"{launch.size} were started and can reach it ({one_line(str(error))})."
        ) from None
    try:
        yield ProcessGroup(device, rank, size)
    finally:
        dist.destroy_process_group()


def _own_card(local_rank: int) -> torch.device:
    """Of several GPUs the one of this process."""
    count = torch.cuda.device_count()
    if local_rank >= count:
        raise InvalidInput(
            f"LOCAL_RANK={local_rank} with {count} CUDA devices: start at most one process for "
            "each of them."
        )
    device = torch.device("cuda", local_rank)
    torch.cuda.set_device(device)
    return device
