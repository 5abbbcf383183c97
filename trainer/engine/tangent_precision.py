"""Which precision of derivatives a training uses: measured on its device where "auto" asks.

bfloat16 halves the memory and, on graphics cards and some processors, the time. On processors that
have no instructions for it, the same products take several times as long.
"""

from __future__ import annotations

import statistics
import time

import torch

_ROWS, _WIDTH = 12_288, 128
"""of the products measured: tangents of a slice of points, and a layer of the small presets"""
_ROUNDS = 5
_MIN_GAIN = 1.1


def choose_tangent_precision(device: torch.device) -> str:
    """``bfloat16`` where products are faster in it by a tenth at least, else ``float32``."""
    gain = _seconds(device, torch.float32) / _seconds(device, torch.bfloat16)
    return "bfloat16" if gain >= _MIN_GAIN else "float32"


def _seconds(device: torch.device, dtype: torch.dtype) -> float:
    """Median time of a layer's product, both ways as a training needs it."""
    tangents = torch.ones(_ROWS, _WIDTH, device=device, dtype=dtype)
    weight = torch.ones(_WIDTH, _WIDTH, device=device, dtype=dtype)
    durations = []
    for _ in range(_ROUNDS + 1):
        _finish(device)
        began = time.perf_counter()
        gradient = tangents.T @ (tangents @ weight)
        _finish(device)
        durations.append(time.perf_counter() - began)
    del gradient
    return statistics.median(durations[1:])


def _finish(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
