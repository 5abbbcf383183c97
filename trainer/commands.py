"""The trainer's commands behind their arguments."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import torch
from rich.console import Console

from pegasus_runtime.avatar.avatar import Avatar
from pegasus_runtime.errors import Refused
from pegasus_runtime.files import replace_file
from pegasus_runtime.memory import keep_freed_memory
from trainer.config.loading import load_config, to_yaml, with_absolute_paths
from trainer.config.schema import TrainingConfig
from trainer.config.settings import SettingsRefused
from trainer.data.dataset import Capture, load_capture
from trainer.engine.checkpoints import Checkpoints
from trainer.engine.resume import load_configured_head, refuse_other_run
from trainer.made_with import made_with

CONFIG_FILE = "config.yaml"
"""in a run's folder: all its settings"""


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


def training_config(options: argparse.Namespace) -> TrainingConfig:
    """The settings of a command: of its file, or of the run that is there already, and its own."""
    settings = list(options.settings)
    if options.head is not None:
        settings.append(f"head={options.head}")
    path, own = options.config, options.out / CONFIG_FILE
    if path is None and options.resume != "none" and own.is_file():
        path = own
    return with_absolute_paths(load_config(TrainingConfig, path, settings))


def run_preflight(options: argparse.Namespace) -> int:
    """Print, as JSON, whether a training would run."""
    from trainer.data.preflight import preflight
    from trainer.data.preflight_report import Report

    try:
        report = preflight(training_config(options), options.out)
    except SettingsRefused as error:
        report = Report()
        for problem in error.problems:
            report.refuse(problem.text, "Correct this setting.", problem.key)
    json.dump(asdict(report), sys.stdout)
    return 0


def run_export_checkpoint(options: argparse.Namespace) -> int:
    """Write an avatar of a run's newest checkpoint; print its step as JSON."""
    from trainer.engine.checkpoint_avatar import export_checkpoint

    json.dump({"step": export_checkpoint(options.run, options.out, options.head)}, sys.stdout)
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
    config = training_config(options)
    with join(config.device) as ranks:
        console = Console(stderr=True, quiet=not ranks.is_first)
        ranks.share_of(config.batch_size)
        head = load_configured_head(config)
        # Before anything is written, so that a refusal leaves the run as it was.
        checkpoints = Checkpoints(options.out, 1, lambda _: None)
        saved = None if options.dry_run else checkpoints.restore(options.resume)
        if saved is not None:
            refuse_other_run(saved, config, head)
            del saved
        capture = load_capture(config.data)
        console.print(_describe(capture))
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

    training_config(options)
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
    with replace_file(run_dir / CONFIG_FILE) as partial:
        partial.write_text(to_yaml(config), "utf-8")
    with replace_file(run_dir / "made_with.json") as partial:
        partial.write_text(json.dumps(made_with(), indent=1), "utf-8")
