"""What can be trained, as the trainer describes it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from app.runs.settings import Setting, converted, read_setting
from pegasus_runtime.errors import InvalidInput

_FORMAT = 3


@dataclass(frozen=True)
class TrainingPreset:
    """One kind of training and the values it begins with."""

    name: str
    title: str
    help: str
    file: str
    """that its values come from"""
    has_attributes: bool
    is_of_video: bool
    """whether it begins with a video"""
    is_of_people: bool
    """whether it begins with other people"""
    values: dict[str, Any]
    """by key, where they differ from the usual ones"""
    small_values: dict[str, Any]
    """those of them that a processor can do"""


@dataclass(frozen=True)
class Description:
    """Everything that the form is made of."""

    settings: list[Setting]
    presets: list[TrainingPreset]
    has_gpu: bool
    """whether the sizes of the presets can be trained on this machine"""


def read_description(described: dict[str, Any], has_gpu: bool) -> Description:
    """The settings and presets as the trainer described them.

    Raises:
        InvalidInput: the trainer is of another version.
    """
    if described.get("format") != _FORMAT:
        raise InvalidInput("The trainer is of another version than the editor: install both anew.")
    settings = [read_setting(entry) for entry in described["settings"]]
    return Description(settings, [_preset(e, settings) for e in described["presets"]], has_gpu)


def _preset(described: dict[str, Any], settings: list[Setting]) -> TrainingPreset:
    known = {setting.key: setting for setting in settings}
    values = {key: converted(known[key], value) for key, value in described["values"].items()}
    small = {key: value for key, value in values.items() if not known[key].asks_for_gpu}
    return TrainingPreset(**{**described, "values": values, "small_values": small})
