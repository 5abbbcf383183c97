"""The trainer's commands behind their arguments."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import torch
from rich.console import Console

from pegasus_runtime.memory import keep_freed_memory
from pegasus_runtime.run_lock import hold
from trainer.config.loading import load_config, to_yaml, with_absolute_paths
from trainer.config.settings import InvalidSettings, settings_of
from trainer.config.training import TrainingConfig
from trainer.data.dataset import Capture, load_capture
from trainer.data.memory_check import refuse_too_little_memory, unused_settings
from trainer.engine.distributed import ProcessGroup, init_process_group
from trainer.engine.resume import load_configured_head

_MOST_NAMED = 5
"""bad frames; the look before a training lists more; more make a line that nobody reads to its
end"""

CONFIG_FILE = "config.yaml"
"""in a run's folder: all its settings"""


def run_capture(options: argparse.Namespace) -> int:
    """Draw a synthetic capture."""
    from trainer.synthetic.capture import CaptureConfig, capture
    from trainer.synthetic.casting import describe_cast

    config = load_config(CaptureConfig, options.config, options.settings)
    console = Console(stderr=True)
    console.print(f"drawing {describe_cast(config)}", highlight=False, soft_wrap=True)
    with console.status("drawing") as status:
        capture(
            config, options.out, lambda done, total: status.update(f"drawing {done} of {total}")
        )
    console.print(f"capture in {options.out}")
    return 0


def run_preprocess(options: argparse.Namespace) -> int:
    """Make a capture of videos."""
    from trainer.preprocess.many_videos import preprocess_videos
    from trainer.preprocess.progress_lines import ProgressLines
    from trainer.preprocess.steps import Options

    names = ("every", "limit", "take", "face", "size", "focal")
    chosen = Options(**{name: getattr(options, name) for name in names})
    videos, failed = list(dict.fromkeys(options.videos)), 0
    with ProgressLines(Console(stderr=True)) as lines:
        for outcome in preprocess_videos(videos, options.out, chosen, options.jobs, lines.report):
            if outcome.summary is None:
                failed += 1
                lines.say(f"trainer: {outcome.failure}")
                continue
            summary = outcome.summary
            for note in summary.notes:
                lines.say(note)
            used = summary.num_frames - summary.num_left_out
            lines.say(f"{outcome.video.name}: {used} frames in {summary.folder}")
        if failed and len(videos) > 1:
            lines.say(f"{failed} of {len(videos)} videos could not be used.")
    return 2 if failed else 0


def run_preprocess_on_slurm(
    options: argparse.Namespace, given: Sequence[str], main: Callable[[Sequence[str]], int]
) -> int:
    """Let SLURM do each video, as an array of jobs."""
    from trainer.slurm import submit_array

    kept = _without_slurm(given)
    written = [str(video) for video in options.videos]
    rest = [word for word in kept[1:] if word not in (*written, "--")]
    calls = [["preprocess", *rest, "--", video] for video in written]
    numbers = submit_array(main, calls, options.out.absolute(), options.slurm)
    said = f"jobs {', '.join(numbers)}; their logs are in {options.out / 'slurm'}"
    Console(stderr=True).print(said, markup=False, soft_wrap=True)
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
    except InvalidSettings as error:
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
    from trainer.engine.stop_requests import Interrupted
    from trainer.engine.train import train

    keep_freed_memory()
    # Moments that fade fall below what a processor multiplies at full speed; here, because threads
    # take the setting over from the one that starts them.
    torch.set_flush_denormal(True)
    config = training_config(options)
    with init_process_group(config.device) as group, _taken(options, group):
        console = Console(stderr=True, quiet=not group.is_first)
        say = partial(console.print, markup=False, highlight=False, soft_wrap=True)
        # What takes no time comes first, so that nobody waits for a refusal.
        group.local_batch_size(config.batch_size)
        known = {each.key for each in settings_of(TrainingConfig)}
        given = (setting.partition("=")[0] for setting in options.settings)
        named = [key for key in given if key in known]
        refuse_too_little_memory(config, group.device, named)
        head = load_configured_head(config)
        try:
            config = _filmed(config, options, group, say)
        except Interrupted as stopped:
            say(str(stopped))
            return 130
        capture = load_capture(config.data)
        # One line with what the capture is: a refusal that follows is seen at a glance.
        unused = unused_settings(config, named)
        aside = f"; not used by {config.model.kind}: {', '.join(unused)}" if unused else ""
        first, *others = _describe(capture).splitlines()
        say("\n".join([first + aside, *others]))
        if options.dry_run:
            estimates = dry_run(config, capture, head, group)
            console.print(to_yaml(config), markup=False)
            console.print(describe(config, estimates), markup=False)
            return 0
        try:
            train(config, capture, head, options.out, options.resume, group, say)
        except Interrupted as stopped:
            say(str(stopped))
            return 130
    return 0


def _filmed(
    config: TrainingConfig,
    options: argparse.Namespace,
    group: ProcessGroup,
    say: Callable[[str], None],
) -> TrainingConfig:
    """With the capture of its video, if it begins with one, which the first process makes."""
    if not config.data.video:
        return config
    from trainer.engine.train import make_run_folder, note_settings
    from trainer.engine.video_capture import make_capture, with_capture
    from trainer.preprocess.frames import open_source
    from trainer.preprocess.progress_lines import ProgressLines

    config = with_capture(config, options.out)
    if group.is_first:
        video = Path(config.data.video)
        if not options.out.is_dir():
            # What is no video leaves no folder behind.
            open_source(video)
        make_run_folder(options.out, config)
        # From here on the same command goes on, and the run is one that is listed.
        if not (options.out / CONFIG_FILE).is_file():
            note_settings(options.out, config)
        with ProgressLines(Console(stderr=True)) as lines:
            make_capture(config, options.out, lines.say, partial(lines.report, video))
    group.barrier()
    return config


def _taken(options: argparse.Namespace, group: ProcessGroup) -> AbstractContextManager[Any]:
    """The run folder, if it is there, before pictures are read: who comes second learns it soon."""
    is_needed = group.is_first and not options.dry_run and options.out.is_dir()
    return hold(options.out) if is_needed else nullcontext()


def run_on_slurm(
    options: argparse.Namespace, given: Sequence[str], main: Callable[[Sequence[str]], int]
) -> int:
    """Check the configuration here, then let SLURM train."""
    from trainer.slurm import submit

    training_config(options)
    number = submit(main, _without_slurm(given), options.out.absolute(), options.slurm)
    said = f"job {number}; its log is in {options.out / 'slurm'}"
    Console(stderr=True).print(said, markup=False, soft_wrap=True)
    return 0


def _without_slurm(given: Sequence[str]) -> list[str]:
    kept, words = [], iter(given)
    for word in words:
        if word == "--slurm":
            next(words, None)
        elif not word.startswith("--slurm="):
            kept.append(word)
    return kept


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
