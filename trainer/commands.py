"""The trainer's commands behind their arguments."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

import torch
from rich.console import Console

from pegasus_runtime.avatar.avatar import Avatar
from pegasus_runtime.errors import Refused
from pegasus_runtime.files import replace_file
from pegasus_runtime.head import Head, load_free_head, load_head
from pegasus_runtime.memory import keep_freed_memory
from trainer.config.loading import load_config, to_yaml
from trainer.config.training import TrainingConfig
from trainer.data.dataset import Capture, load_capture
from trainer.made_with import made_with


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
    from trainer.engine.ranks import join

    keep_freed_memory()
    # Derivatives in bfloat16 fall below what a processor multiplies at full speed; here, because
    # threads take the setting over from the one that starts them.
    torch.set_flush_denormal(True)
    config = load_config(TrainingConfig, options.config, options.settings)
    with join(config.device) as ranks:
        console = Console(stderr=True, quiet=not ranks.is_first)
        capture = load_capture(config.data)
        console.print(_describe(capture))
        head = _load_head(options.head)
        if options.dry_run:
            estimates = dry_run(config, capture, head, ranks)
            console.print(to_yaml(config), markup=False)
            console.print(describe(config, estimates), markup=False)
            return 0
        if ranks.is_first:
            _prepare_run(options.out, config)
        ranks.wait()
        try:
            avatar = train(config, capture, head, options.out, options.resume, ranks)
        except Interrupted as stopped:
            console.print(str(stopped))
            return 130
        if ranks.is_first:
            _finish(config, capture, avatar, options.out, console)
    return 0


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


def _finish(
    config: TrainingConfig, capture: Capture, avatar: Avatar, run_dir: Path, console: Console
) -> None:
    """Evaluate the avatar, write it and its summary."""
    from trainer.engine.evaluation import evaluate
    from trainer.engine.summary import summarise
    from trainer.stages.gaps import far_motions, fill_gaps
    from trainer.stages.lining import line_skin
    from trainer.stages.strays import without_strays

    avatar = without_strays(avatar)
    if config.points.fill_gaps:
        avatar = fill_gaps(avatar, far_motions(capture, avatar), config.device)
    if config.points.line_skin:
        avatar = line_skin(avatar, config.device)
    path = run_dir / f"{config.name}.avatar"
    scores = evaluate(avatar, capture, config.device)
    avatar.provenance["scores"] = {name: vars(score) for name, score in scores.items()}
    avatar.save(path)
    text = summarise(avatar, scores)
    with replace_file(run_dir / "summary.txt") as partial:
        partial.write_text(text, "utf-8")
    console.print(text)
    console.print(f"avatar in {path}")


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
    return text


def _prepare_run(run_dir: Path, config: TrainingConfig) -> None:
    """Make the folder and write what the run is made with."""
    try:
        (run_dir / "previews").mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise Refused(f"{run_dir}: cannot be made ({error.strerror}); name another.") from None
    with replace_file(run_dir / "config.yaml") as partial:
        partial.write_text(to_yaml(config), "utf-8")
    with replace_file(run_dir / "made_with.json") as partial:
        partial.write_text(json.dumps(made_with(), indent=1), "utf-8")
