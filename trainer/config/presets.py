"""What can be trained, and with which values: the presets in resources/presets, in words."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from importlib.resources import as_file, files
from typing import Any

from trainer.config.loading import load_config
from trainer.config.settings import settings_of, values_of
from trainer.config.training import TrainingConfig

FORMAT = 3
"""of what `describe_training` gives; a program that reads it compares the number"""


@dataclass(frozen=True)
class TrainingPreset:
    """One kind of training."""

    name: str
    title: str
    help: str
    file: str
    """in resources/presets"""
    has_attributes: bool = False
    """whether there are subjects beside the person, and an earlier stage to begin with"""
    is_of_video: bool = False
    """whether it begins with a video, which is made a capture of first"""
    is_of_people: bool = False
    """whether it begins with other people, whose attributes are put onto its person first"""

    def config(self) -> TrainingConfig:
        """The whole training."""
        with as_file(files("resources") / "presets" / self.file) as path:
            return load_config(TrainingConfig, path)

    def values(self) -> dict[str, Any]:
        """Where the preset differs from the defaults, by key."""
        values = values_of(self.config())
        usual = values_of(TrainingConfig())
        return {key: value for key, value in values.items() if value != usual[key]}


PRESETS = (
    TrainingPreset(
        "personal_avatar",
        "Personal avatar: a person with attributes",
        "A person and the same person with hats, hair and other attributes, which can be mixed.",
        "personal_avatar.yaml",
        has_attributes=True,
    ),
    TrainingPreset(
        "single_person",
        "One person, as they are",
        "The quickest way from a video to an avatar.",
        "single_person.yaml",
    ),
    TrainingPreset(
        "database_avatar",
        "Person from the database",
        "A person whose hat or hair will be lent to someone else.",
        "database_avatar.yaml",
    ),
    TrainingPreset(
        "transfer_target",
        "Transfer target",
        "The person to whom attributes will later be transferred.",
        "single_person.yaml",
    ),
    TrainingPreset(
        "published",
        "The paper's model",
        "The networks of the PEGASUS paper, for comparisons: a graphics card, and days.",
        "published.yaml",
        has_attributes=True,
    ),
    TrainingPreset(
        "video_quick",
        "Quick look",
        "A face that blinks and smiles, small and soft: to see what the video is good for.",
        "video_quick.yaml",
        is_of_video=True,
    ),
    TrainingPreset(
        "video_good",
        "Good",
        "An avatar to work with.",
        "video_good.yaml",
        is_of_video=True,
    ),
    TrainingPreset(
        "video_best",
        "Best",
        "More detail, for several times the time.",
        "video_best.yaml",
        is_of_video=True,
    ),
    TrainingPreset(
        "people_quick",
        "Quick look",
        "Small and soft, to see which attributes suit the person.",
        "people_quick.yaml",
        has_attributes=True,
        is_of_people=True,
    ),
    TrainingPreset(
        "people_good",
        "Good",
        "A personal avatar to work with.",
        "people_good.yaml",
        has_attributes=True,
        is_of_people=True,
    ),
    TrainingPreset(
        "people_best",
        "Best",
        "More detail, for several times the time.",
        "people_best.yaml",
        has_attributes=True,
        is_of_people=True,
    ),
)
"""the first one is what is usually wanted"""


def describe_training() -> dict[str, Any]:
    """All settings and presets as plain values, of which forms and documents are made.

    Returns:
        ``format``, a number; ``settings``, in order, each with ``key``, ``default``, ``label``,
        ``help``, ``unit``, ``suggestions``, ``constraint`` (see
        `pegasus_runtime.constraints.Constraint`) and the truths ``is_common``, ``may_change``,
        ``asks_for_gpu``, ``is_path``; ``presets``, each with ``name``, ``title``, ``help``,
        ``file``, ``has_attributes``, ``is_of_video``, ``is_of_people`` and ``values``, which are
        those that differ from the defaults.
    """
    return {
        "format": FORMAT,
        "settings": [each.as_json() for each in settings_of(TrainingConfig)],
        "presets": [{**asdict(preset), "values": preset.values()} for preset in PRESETS],
    }
