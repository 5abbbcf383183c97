"""The most memory that this process has taken so far."""

from __future__ import annotations

import sys
from pathlib import Path

import torch


def peak_memory_mb(device: torch.device) -> int | None:
    """On a device since the process began, in MiB; None where it is not known."""
    if device.type == "cuda":
        return torch.cuda.max_memory_reserved(device) >> 20
    if sys.platform == "win32":
        return None
    # Linux hands what getrusage says down from the process that started this one.
    if (kilobytes := _high_water_mark()) is not None:
        return kilobytes >> 10
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak >> (20 if sys.platform == "darwin" else 10)


def _high_water_mark() -> int | None:
    try:
        lines = Path("/proc/self/status").read_text("ascii", errors="replace").splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) for line in lines if line.startswith("VmHWM:")), None)
