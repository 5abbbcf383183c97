"""`export-checkpoint`: an avatar of a run that may still be training."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from trainer.commands.arguments import add_head


def add_parser(commands: Any) -> None:
    """Describe the command."""
    parser = commands.add_parser(
        "export-checkpoint",
        help="write an avatar of a run's newest checkpoint",
        description="Writes an avatar of a run's newest checkpoint, also while it is training, and "
        "prints its step as JSON.",
    )
    parser.add_argument("run_folder", type=Path, metavar="RUN", help="the folder of the run")
    parser.add_argument("--out", type=Path, required=True, metavar="OUT.avatar")
    parser.add_argument(
        "--quick",
        action="store_true",
        help="for a look: leaves out what only transfers need, a minute of 25 attributes",
    )
    add_head(parser)
    parser.set_defaults(run=run_export_checkpoint)


def run_export_checkpoint(options: argparse.Namespace) -> int:
    """Write an avatar of a run's newest checkpoint; print its step as JSON."""
    from trainer.engine.checkpoint_avatar import export_checkpoint

    step = export_checkpoint(options.run_folder, options.out, options.head, options.quick)
    json.dump({"step": step}, sys.stdout)
    return 0
