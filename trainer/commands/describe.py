"""`describe`: the settings and presets of a training, for programs."""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any


def add_parser(commands: Any) -> None:
    """Describe the command."""
    parser = commands.add_parser(
        "describe",
        help="print all settings and presets of a training as JSON",
        description="Prints the settings (type, limits, unit, help) and presets as JSON, of which "
        "forms are made.",
    )
    parser.set_defaults(run=run_describe)


def run_describe(_options: argparse.Namespace) -> int:
    """Print them; without torch, so that a form is there at once."""
    from trainer.config.presets import describe_training

    json.dump(describe_training(), sys.stdout)
    return 0
