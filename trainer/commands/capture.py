"""`capture`: a made-up person as training data."""

from __future__ import annotations

import argparse
from typing import Any

from trainer.commands.arguments import add_settings


def add_parser(commands: Any) -> None:
    """Describe the command."""
    parser = commands.add_parser("capture", help="draw a made-up person as training data")
    add_settings(parser)
    parser.set_defaults(run=run_capture)


def run_capture(options: argparse.Namespace) -> int:
    """Draw a synthetic capture."""
    from rich.console import Console

    from trainer.config.loading import load_config
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
