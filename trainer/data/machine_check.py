"""Device, memory and disk: would they do for a training?"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from pegasus_runtime.errors import InvalidInput
from pegasus_runtime.memory import free_memory_bytes
from trainer.config.training import TrainingConfig
from trainer.data.images import BYTES_PER_PIXEL, PictureCache
from trainer.data.memory_check import num_learned, refuse_too_little_memory
from trainer.data.preflight_report import Report

_SESSION_BYTES = 2 << 30
"""Of a training without its pictures; with more, machines are refused that would do, with less
trainings are begun that run out of memory."""
_GAIN, USED_CORES = 0.77, 8
"""so many cores more than one are worth cores ** _GAIN, for the time that is guessed; more cores
than that were not tried"""
_GPU_SPEED = 12
"""against one core; only for the time that is guessed before a training: more promises less of
it"""
_SURFELS_S, _PIXELS_S, _START_S = 0.12, 0.32, 40.0
"""On one core, of 40,000 surfels and of a picture of 512² in each step, and of reading all before
the first; only for the time that is guessed. From steps of 27,000 surfels at 256² (0.095 s each),
of 54,000 at 256² (0.137) and of 90,000 at 512² (0.3), on a core whose `Look.slowness` is 0.63: more
promises less."""
_PREVIEW_BYTES, _EVENT_BYTES = 700_000, 1000
"""At most, of a preview and of a step's line: more refuses disks that would do, less lets some
become full."""


def check_device(config: TrainingConfig, report: Report) -> None:
    """Whether the chosen device is there, and how long it would take on it."""
    import torch

    from pegasus_runtime.devices import choose_device

    try:
        device = choose_device(config.device)
    except InvalidInput as error:
        report.refuse(str(error), "Set the device to auto or cpu.")
        return
    if device.type == "cuda":
        # A device with a number is that one alone.
        report.num_gpus = torch.cuda.device_count() if device.index is None else 1
        free, total = torch.cuda.mem_get_info(device)
        name = torch.cuda.get_device_name(device)
        report.facts["Device"] = f"{name}, {free / 2**30:.0f} of {total / 2**30:.0f} GB free"
    else:
        report.facts["Device"] = f"processor, {os.cpu_count()} cores"
        built = torch.backends.cuda.is_built()
        why = "no NVIDIA card answers" if built else "this Python has no CUDA"
        report.notes.append(f"Training on the processor ({why}): it works, but takes longer.")
    report.seconds = estimate_seconds(config, report.num_gpus)
    try:
        refuse_too_little_memory(config, device)
    except InvalidInput as error:
        report.refuse(str(error), "Then look again.")


def estimate_seconds(config: TrainingConfig, num_gpus: int) -> float:
    """Seconds: right within a factor of two on processors, and a guess on GPUs.

    Measured on one core: see `_SURFELS_S`; of the published model a step takes 4 s with 60,000
    points and networks of 128 × 5 and 96.
    """
    points = (config.points.initial + config.points.maximum) / 2
    pixels = (config.data.image_size / 512) ** 2
    if config.model.kind == "surfels":
        step = _SURFELS_S * points / 40_000 + _PIXELS_S * pixels
    else:
        model = config.model
        weights = model.geometry_depth * model.geometry_width**2 + 4 * model.deformer_width**2
        step = 3.6 * points / 60_000 * weights / (5 * 128**2 + 4 * 96**2) + 0.4 * pixels
    total = config.steps * config.batch_size * step + _START_S
    cores = min(config.threads or os.cpu_count() or 1, USED_CORES)
    return total / (_GPU_SPEED * num_gpus) if num_gpus else total / cores**_GAIN


def check_room(config: TrainingConfig, num_frames: int, out: Path, report: Report) -> None:
    """Whether memory and disk suffice."""
    pictures = num_frames * config.data.image_size**2 * BYTES_PER_PIXEL
    free = free_memory_bytes()
    report.facts["Memory"] = f"{(pictures + _SESSION_BYTES) / 2**30:.1f} GB for all pictures"
    if free:
        report.facts["Memory"] += f", {free / 2**30:.1f} GB free"
        if free < _SESSION_BYTES:
            report.refuse(
                f"{_SESSION_BYTES / 2**30:.0f} GB of memory are needed, "
                f"{free / 2**30:.1f} are free.",
                "Close other programs.",
            )
        elif pictures > PictureCache(config.data.image_size, config.data.memory_gb).room:
            report.notes.append(
                "Not all pictures fit into memory: they are read again while training goes on, "
                "which a quick disk and some cores keep up with."
            )
    existing = next(p for p in (out.absolute(), *out.absolute().parents) if p.exists())
    if not os.access(existing, os.W_OK):
        report.refuse(f"{existing} cannot be written.", "Choose another folder for the run.")
    room = shutil.disk_usage(existing).free
    size = run_bytes(config)
    report.facts["Disk"] = f"{size / 2**20:.0f} MB needed, {room / 2**30:.1f} GB free"
    if size > room:
        report.refuse(
            f"The run needs {size / 2**20:.0f} MB, {room / 2**20:.0f} MB are free.",
            "Free some space, or choose a folder on another disk.",
        )


def run_bytes(config: TrainingConfig) -> int:
    """Of a run folder: checkpoints (parameters with two moments), previews and the event log."""
    checkpoint = 12 * num_learned(config, config.points.maximum)
    previews = config.steps // config.preview_every * _PREVIEW_BYTES
    return (config.keep_checkpoints + 2) * checkpoint + previews + _EVENT_BYTES * config.steps
