"""What can be trained, and with which values: the presets in resources/presets, in words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.resources import as_file, files
from operator import attrgetter
from typing import Any

from trainer.config.loading import load_config
from trainer.config.training import TrainingConfig

_SIZES = ("steps", "checkpoint_every", "preview_every", "points.", "model.")
_NO_SIZE = ("model.moves_points",)


@dataclass(frozen=True)
class Kind:
    """One kind of training."""

    name: str
    title: str
    help: str
    preset: str
    """its file in resources/presets"""
    has_attributes: bool = False
    """whether there are subjects beside the person, and an earlier stage to begin with"""

    def values(self, settings: Sequence[dict[str, Any]]) -> dict[str, Any]:
        """Where the preset differs from the defaults, by key."""
        with as_file(files("resources") / "presets" / self.preset) as path:
            config = load_config(TrainingConfig, path)
        values = {entry["key"]: attrgetter(entry["key"])(config) for entry in settings}
        usual = {entry["key"]: entry["default"] for entry in settings}
        return {key: value for key, value in values.items() if value != usual[key]}


KINDS = (
    Kind(
        "personal_avatar",
        "Personal avatar: a person with attributes",
        "A person and the same person with hats, hair and other attributes, which can be mixed.",
        "personal_avatar.yaml",
        has_attributes=True,
    ),
    Kind(
        "single_person",
        "One person, as they are",
        "The quickest way from a video to an avatar.",
        "single_person.yaml",
    ),
    Kind(
        "database_avatar",
        "Person from the database",
        "A person whose hat or hair will be lent to someone else.",
        "database_avatar.yaml",
    ),
    Kind(
        "transfer_target",
        "Transfer target",
        "The person to whom attributes will later be transferred.",
        "single_person.yaml",
    ),
)
"""the first one is what is usually wanted"""


def describe_kinds(settings: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Each kind with its values, and which of them are sizes that ask for a GPU.

    Args:
        settings: as described by `trainer.config.description`.
    """
    described = []
    for kind in KINDS:
        values = kind.values(settings)
        sizes = [key for key in values if key.startswith(_SIZES) and key not in _NO_SIZE]
        described.append({**asdict(kind), "values": values, "sizes": sizes})
    return described
