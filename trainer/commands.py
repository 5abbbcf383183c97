"""The trainer's commands behind their arguments."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import torch
from rich.console import Console

from pegasus_runtime.head import Head, load_free_head, load_head
from pegasus_runtime.memory import keep_freed_memory
from pegasus_runtime.run_lock import hold
from trainer.config.loading import load_config, to_yaml
from trainer.config.training import TrainingConfig
from trainer.data.dataset import Capture, load_capture
from trainer.engine.ranks import Ranks, join

_MOST_NAMED = 5
"""bad frames; the look before a training lists more"""


def run_capture(options: argparse.Namespace) -> int:
    """Draw a synthetic capture."""
    from trainer.synthesis.capture import CaptureConfig, capture

    config = load_config(CaptureConfig, options.config, options.settings)
    console = Console(stderr=True)
    with console.status("drawing") as status:
        capture(
            config, options.out, lambda done, total: status.update(f"drawing {done} of {total}")
        )
    console.print(f"capture in {options.out}")
    return 0


def run_train(options: argparse.Namespace) -> int:
    """Train an avatar, evaluate it on held-out frames and write it."""
    from trainer.engine.dry_run import describe, dry_run
    from trainer.engine.loop import Interrupted, train

    keep_freed_memory()
    # Derivatives in bfloat16 fall below what a processor multiplies at full speed; here, because
    # threads take the setting over from the one that starts them.
    torch.set_flush_denormal(True)
    config = load_config(TrainingConfig, options.config, options.settings)
    with join(config.device) as ranks, _taken(options, ranks):
        console = Console(stderr=True, quiet=not ranks.is_first)
        say = partial(console.print, markup=False, highlight=False, soft_wrap=True)
        capture = load_capture(config.data)
        say(_describe(capture))
        head = _load_head(options.head)
        if options.dry_run:
            estimates = dry_run(config, capture, head, ranks)
            console.print(to_yaml(config), markup=False)
            console.print(describe(config, estimates), markup=False)
            return 0
        try:
            train(config, capture, head, options.out, options.resume, ranks, say)
        except Interrupted as stopped:
            say(str(stopped))
            return 130
    return 0


def _taken(options: argparse.Namespace, ranks: Ranks) -> AbstractContextManager[Any]:
    """The run folder, if it is there, before pictures are read: who comes second learns it soon."""
    is_needed = ranks.is_first and not options.dry_run and options.out.is_dir()
    return hold(options.out) if is_needed else nullcontext()


def run_on_slurm(options: argparse.Namespace, given: Sequence[str]) -> int:
    """Check the configuration here, then let SLURM train."""
    from trainer.slurm import submit

    load_config(TrainingConfig, options.config, options.settings)
    number = submit(_without_slurm(given), options.out.absolute(), options.slurm)
    Console(stderr=True).print(f"job {number}; its log is in {options.out / 'slurm'}")
    return 0


def _without_slurm(given: Sequence[str]) -> list[str]:
    kept, words = [], iter(given)
    for word in words:
        if word == "--slurm":
            next(words, None)
        elif not word.startswith("--slurm="):
            kept.append(word)
    return kept


def _load_head(path: Path | None) -> Head:
    return load_head(path) if path else load_free_head()


def _describe(capture: Capture) -> str:
    held_out = sum(len(frames) for frames in capture.held_out.values())
    text = (
        f"{len(capture.training)} subjects, {capture.num_training} frames to learn from, "
        f"{held_out} held out"
    )
    if capture.num_bad or capture.num_skipped:
        text += f"; {capture.num_bad} bad frames left out, {capture.num_skipped} skipped"
    bad = [f"left out: {name}: {reason}" for name, reason in capture.bad.items()]
    return "\n".join([text, *capture.notes, *bad[:_MOST_NAMED]])
