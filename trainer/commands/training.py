"""What `train` does, from the settings to the avatar."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import torch
from rich.console import Console

from pegasus_runtime.errors import EXIT_INTERRUPTED
from pegasus_runtime.memory import keep_freed_memory
from pegasus_runtime.run_lock import hold
from trainer.commands.run_settings import CONFIG_FILE, training_config
from trainer.config.loading import to_yaml
from trainer.config.settings import settings_of
from trainer.config.training import TrainingConfig
from trainer.data.dataset import Capture, load_capture
from trainer.data.memory_check import refuse_too_little_memory, unused_settings
from trainer.engine.distributed import ProcessGroup, init_process_group
from trainer.engine.resume import load_configured_head

_MOST_NAMED = 5
"""bad frames; the look before a training lists more; more make a line that nobody reads to its
end"""


def train_avatar(options: argparse.Namespace) -> int:
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
            config = _prepared(config, options, group, say)
        except Interrupted as stopped:
            say(str(stopped))
            return EXIT_INTERRUPTED
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
            return EXIT_INTERRUPTED
    return 0


def _prepared(
    config: TrainingConfig,
    options: argparse.Namespace,
    group: ProcessGroup,
    say: Callable[[str], None],
) -> TrainingConfig:
    """With the data that are made of its video and of other people, by the first process."""
    if not (config.data.video or config.data.people):
        return config
    from trainer.engine.train import make_run_folder, note_settings
    from trainer.engine.video_capture import with_capture

    config, out = with_capture(config, options.out), options.out
    if group.is_first:
        if not out.is_dir():
            _refuse_before_the_folder(config, out)
        make_run_folder(out, config)
        # From here on the same command goes on, and the run is one that is listed.
        if not (out / CONFIG_FILE).is_file():
            note_settings(out, config)
        _make_data(config, out)
    group.barrier()
    if config.data.people:
        from trainer.engine.people_database import with_database

        config = with_database(config, out)
    return config


def _refuse_before_the_folder(config: TrainingConfig, out: Path) -> None:
    """What is no video, and people who lend nothing, leave no folder behind."""
    data = config.data
    if data.video:
        from trainer.preprocess.frames import open_source

        open_source(Path(data.video))
    if data.people:
        from trainer.database.plan import plan_synthesis
        from trainer.engine.people_database import (
            DATABASE_FOLDER,
            person_of,
            synthesis_settings,
            videos_in,
        )

        people = Path(data.people)
        if not videos_in(people) and not data.video:
            place = out / DATABASE_FOLDER
            plan_synthesis(person_of(config), people, place, synthesis_settings(config))


def _make_data(config: TrainingConfig, out: Path) -> None:
    from trainer.engine.video_capture import make_capture
    from trainer.preprocess.progress_lines import ProgressLines

    data = config.data
    with ProgressLines(Console(stderr=True)) as lines:
        if data.video:
            from trainer.engine.people_database import VIDEO_SHARE

            until = VIDEO_SHARE if data.people else 1.0
            video = Path(data.video)
            make_capture(config, out, lines.say, partial(lines.report, video), until)
        if data.people:
            from trainer.engine.people_database import make_database

            make_database(config, out, lines.say, partial(lines.report, Path(data.people)))


def _taken(options: argparse.Namespace, group: ProcessGroup) -> AbstractContextManager[Any]:
    """The run folder, if it is there, before pictures are read: who comes second learns it soon."""
    is_needed = group.is_first and not options.dry_run and options.out.is_dir()
    return hold(options.out) if is_needed else nullcontext()


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
