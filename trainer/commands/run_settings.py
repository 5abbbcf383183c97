"""Which settings a training has: those of the command line, a file, or a run that is there."""

from __future__ import annotations

import argparse

from trainer.config.loading import load_config, with_absolute_paths
from trainer.config.training import TrainingConfig

CONFIG_FILE = "config.yaml"
"""in a run's folder: all its settings"""


def training_config(options: argparse.Namespace) -> TrainingConfig:
    """The settings of a command: of its file, or of the run that is there already, and its own."""
    settings = list(options.settings)
    if options.head is not None:
        settings.append(f"head={options.head}")
    path, own = options.config, options.out / CONFIG_FILE
    if path is None and options.resume != "none" and own.is_file():
        path = own
    return with_absolute_paths(load_config(TrainingConfig, path, settings))
