"""The processes that train one avatar together.

torchrun starts them and tells each its place; communication is PyTorch's own: NCCL between GPUs,
gloo between processors.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from pegasus_runtime.devices import choose_device
from pegasus_runtime.errors import Refused
from trainer.engine.meeting import meet

_TIMEOUT = timedelta(hours=1)
"""the others wait while the first one fits the start, which takes minutes"""


@dataclass(frozen=True)
class Ranks:
    """This process among all; alone without torchrun."""

    device: torch.device
    rank: int = 0
    size: int = 1

    @property
    def is_first(self) -> bool:
        """Whether this is the one that writes."""
        return self.rank == 0

    def wait(self) -> None:
        """Until all are here."""
        if self.size > 1:
            dist.barrier()

    def add_up(self, values: Tensor) -> Tensor:
        """The sum of all processes' tensors."""
        if self.size > 1:
            dist.all_reduce(values)
        return values

    def any_of(self, flags: Tensor) -> Tensor:
        """Which flags are set in any process."""
        if self.size == 1:
            return flags
        counts = flags.to(torch.int32)
        dist.all_reduce(counts, dist.ReduceOp.MAX)
        return counts.bool()

    def share(self, module: nn.Module) -> nn.Module:
        """The module with gradients averaged over all processes after each backward pass.

        Parameters of all become those of the first. To be called again when they are replaced.
        """
        if self.size == 1:
            return module
        # A code, or a head of the networks, may go without gradient in some frame.
        return DistributedDataParallel(module, find_unused_parameters=True)

    def share_of(self, batch_size: int) -> int:
        """How many of a batch's frames are this process's.

        Raises:
            Refused: the batch cannot be divided evenly.
        """
        if batch_size % self.size:
            raise Refused(
                f"batch_size {batch_size} cannot be divided among {self.size} processes; use a "
                f"multiple of {self.size}."
            )
        return batch_size // self.size


@contextmanager
def join(device_name: str) -> Iterator[Ranks]:
    """Join the processes that torchrun started; on its own without it.

    Args:
        device_name: "auto", "cpu", "cuda" or "cuda:1"; of several GPUs each process takes its own.
    """
    device = choose_device(device_name)
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        yield Ranks(device)
        return
    if device.type == "cuda":
        device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
        torch.cuda.set_device(device)
    store, rank, size = next(iter(dist.rendezvous("env://", timeout=_TIMEOUT)))  # type: ignore[attr-defined]
    dist.init_process_group(
        "nccl" if device.type == "cuda" else "gloo",
        store=meet(store, rank, size, _TIMEOUT),
        rank=rank,
        world_size=size,
        timeout=_TIMEOUT,
    )
    try:
        yield Ranks(device, rank, size)
    finally:
        dist.destroy_process_group()
