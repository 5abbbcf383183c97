"""How busy the device of a training is."""

from __future__ import annotations

import os
import time

import torch

_EVERY_S = 1.0
"""the driver itself measures no more often"""


class DeviceUse:
    """Percent since it was last asked; between two looks the last answer is given."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._looked, self._worked = time.perf_counter(), time.process_time()
        self._percent: int | None = None

    def percent(self) -> int | None:
        """Of the graphics card, or of all processor cores; None where it is not known (yet)."""
        now = time.perf_counter()
        if now - self._looked >= _EVERY_S:
            worked = time.process_time()
            if self._device.type == "cuda":
                self._percent = _card_percent(self._device)
            else:
                cores = (worked - self._worked) / (now - self._looked)
                self._percent = round(100 * cores / (os.cpu_count() or 1))
            self._looked, self._worked = now, worked
        return self._percent


def _card_percent(device: torch.device) -> int | None:
    try:
        return torch.cuda.utilization(device)
    except (RuntimeError, ImportError):
        # It asks NVIDIA's nvidia-ml-py, which not every installation has.
        return None
    except Exception as error:
        # That package has errors of its own, e.g. for cards shared by several.
        if type(error).__name__.startswith("NVMLError"):
            return None
        raise
