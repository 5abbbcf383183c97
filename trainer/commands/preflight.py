"""`preflight`: whether a training would run, for programs."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from typing import Any

from trainer.commands.arguments import add_head, add_resume, add_settings


def add_parser(commands: Any) -> None:
    """Describe the command."""
    parser = commands.add_parser(
        "preflight",
        help="look whether a training would run, print it as JSON",
        description="Looks at settings, data, head, device, memory and disk without training. "
        "Prints JSON: problems, notes, facts, bad frames, subjects. Exit code 0, problems or not.",
    )
    add_settings(parser)
    add_resume(parser)
    add_head(parser)
    parser.set_defaults(run=run_preflight)


def run_preflight(options: argparse.Namespace) -> int:
    """Print, as JSON, whether a training would run."""
    from trainer.commands.run_settings import training_config
    from trainer.config.settings import InvalidSettings
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
