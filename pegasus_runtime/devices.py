"""The device that computes."""

from __future__ import annotations

import torch
from torch import Tensor

from pegasus_runtime.errors import InvalidInput, quoted


def choose_device(name: str | torch.device) -> torch.device:
    """The torch device of a name.

    Raises:
        InvalidInput: the name is not known or there is no such device.
    """
    if isinstance(name, torch.device):
        name = str(name)
    if not isinstance(name, str):
        raise InvalidInput(f"device {quoted(name)}: use auto, cpu, cuda or cuda:N.")
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        raise InvalidInput(f"device {quoted(name)}: use auto, cpu, cuda or cuda:N.") from None
    if device.type not in ("cpu", "cuda"):
        raise InvalidInput(f"device {name!r}: use auto, cpu, cuda or cuda:N.")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise InvalidInput(
            f"device {name!r}: this machine has {torch.cuda.device_count()} CUDA devices."
        )
    return device


def has_loops(device: torch.device) -> bool:
    """Whether the loops that numba compiles work on what lies on a device; elsewhere torch does."""
    return device.type == "cpu"


def use_threads(count: int) -> None:
    """Let torch and the compiled loops use at most so many CPU threads each; 0 leaves all.

    They share one OpenMP, and whichever runs first tells it its own number: torch alone would be
    given all cores again by the first loop.
    """
    if not count:
        return
    import numba

    torch.set_num_threads(count)
    # The most there can be, not what an earlier call has left: a second training may ask for more.
    numba.set_num_threads(min(count, numba.config.NUMBA_NUM_THREADS))  # type: ignore[attr-defined]


def is_for_loops(*values: Tensor) -> bool:
    """Whether compiled loops may take these: float32 on a CPU, and nobody asks for gradients."""
    watched = torch.is_grad_enabled() and any(value.requires_grad for value in values)
    return not watched and all(
        has_loops(value.device) and value.dtype == torch.float32 for value in values
    )
