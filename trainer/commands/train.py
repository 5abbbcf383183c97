"""`train`: an avatar from a capture."""

from __future__ import annotations

import argparse
from typing import Any

from trainer.commands.arguments import (
    add_head,
    add_resume,
    add_settings,
    add_slurm,
    without_slurm,
)


def add_parser(commands: Any) -> None:
    """Describe the command."""
    parser = commands.add_parser("train", help="train an avatar from a capture")
    add_settings(parser)
    add_resume(parser)
    parser.add_argument(
        "--dry-run", action="store_true", help="check configuration and data, do one step, stop"
    )
    add_slurm(parser)
    add_head(parser)
    parser.set_defaults(run=run_train)


def run_train(options: argparse.Namespace) -> int:
    """Train an avatar, or let SLURM do it."""
    if not options.slurm:
        from trainer.commands.training import train_avatar

        return train_avatar(options)
    from rich.console import Console

    from trainer.commands.run_settings import training_config
    from trainer.slurm import submit

    training_config(options)
    call = without_slurm(options.given)
    number = submit(options.main, call, options.out.absolute(), options.slurm)
    said = f"job {number}; its log is in {options.out / 'slurm'}"
    Console(stderr=True).print(said, markup=False, soft_wrap=True)
    return 0
