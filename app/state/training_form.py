"""The settings of a training as a form: values by key, and the YAML they stand for."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import yaml

from pegasus_runtime.errors import Refused

COMMON = {
    "name": "Name of the avatar",
    "steps": "Steps",
    "batch_size": "Frames per step",
    "data.image_size": "Picture size",
    "points.maximum": "Points at most",
    "device": "Device",
    "checkpoint_every": "Save every",
    "preview_every": "Preview every",
}
"""shown first, in this order, in words"""
UNITS = {
    "steps": " steps",
    "warm_start_steps": " steps",
    "checkpoint_every": " steps",
    "preview_every": " steps",
    "points.grow_every": " steps",
    "data.image_size": " px",
    "points.maximum": " points",
    "points.initial": " points",
}
_HELP = {
    "name": "The finished file is called NAME.avatar.",
    "steps": "More steps, a better likeness, more time.",
    "batch_size": "Shared by all GPUs, so a multiple of their number.",
    "points.maximum": "More points show finer detail, and take longer.",
    "device": "auto: the graphics card if there is one, otherwise the processor.",
    "checkpoint_every": "How much work a crash may cost.",
    "preview_every": "A preview takes about as long as two steps for each subject shown.",
}
_CHOICES = {
    "device": ("auto", "cpu", "cuda"),
    "model.tangent_precision": ("auto", "float32", "bfloat16"),
}


@dataclass(frozen=True)
class Setting:
    """One setting, as the trainer describes it."""

    key: str
    kind: str
    """int, float, bool, str or other (written as YAML)"""
    default: Any
    help: str = ""
    wanted: str = ""

    @property
    def title(self) -> str:
        """What it is called in the form."""
        words = self.key.rpartition(".")[2].replace("_", " ")
        return COMMON.get(self.key, words[:1].upper() + words[1:])

    @property
    def group(self) -> str:
        """The heading it is found under."""
        section = self.key.partition(".")[0] if "." in self.key else "general"
        return section[:1].upper() + section[1:]

    @property
    def tooltip(self) -> str:
        """Help, what is accepted and its name in the file."""
        accepted = f"Accepted: {self.wanted}." if self.wanted else ""
        help_text = _HELP.get(self.key, self.help[:1].upper() + self.help[1:])
        name = f"In the file: {self.key}, usually {_short(self.default)}"
        return "\n".join(filter(None, (help_text, accepted, name)))

    @property
    def choices(self) -> tuple[str, ...]:
        """Values to choose from; others can be typed."""
        return _CHOICES.get(self.key, ())

    @property
    def limits(self) -> tuple[float, float]:
        """Smallest and largest number."""
        numbers = [float(word) for word in re.findall(r"-?\d+(?:\.\d+)?", self.wanted)]
        low = numbers[0] if numbers else 0.0
        return low, numbers[1] if len(numbers) > 1 else 1e7


def to_yaml(settings: list[Setting], values: dict[str, Any]) -> str:
    """What differs from the usual values, as the file that the trainer reads."""
    content: dict[str, Any] = {}
    for setting in settings:
        value = values.get(setting.key, setting.default)
        if value == setting.default and setting.key not in ("name", "data.folder", "steps"):
            continue
        *sections, last = setting.key.split(".")
        place = content
        for section in sections:
            place = place.setdefault(section, {})
        place[last] = value
    return yaml.safe_dump(content, sort_keys=False, allow_unicode=True)


def from_yaml(settings: list[Setting], text: str) -> dict[str, Any]:
    """Values by key; what the text leaves out has its usual value.

    Raises:
        Refused: it is not YAML, or holds a key or a kind of value that is not known.
    """
    try:
        content = yaml.safe_load(text) or {}
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f" in line {mark.line + 1}" if mark else ""
        raise Refused(f"This is not YAML{line}; check indents and colons.") from None
    if not isinstance(content, dict):
        raise Refused("Write each setting as key: value.")
    known = {setting.key: setting for setting in settings}
    values = {setting.key: setting.default for setting in settings}
    for key, value in _flat(content, known).items():
        if key not in known:
            raise Refused(f"{key} is not a setting; compare it with the form.")
        values[key] = _converted(known[key], value)
    return values


def flat_yaml(text: str) -> dict[str, str]:
    """Each value as YAML on one line, by key: what ``--set`` takes; nothing if it is no YAML."""
    try:
        flat = _flat(yaml.safe_load(text) or {}, {})
    except (yaml.YAMLError, AttributeError):
        return {}
    dumped = {k: yaml.safe_dump(v, default_flow_style=True, width=10_000) for k, v in flat.items()}
    return {key: value.removesuffix("...\n").strip() for key, value in dumped.items()}


def _flat(content: dict[str, Any], known: dict[str, Setting], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in content.items():
        key = f"{prefix}{name}"
        if isinstance(value, dict) and key not in known:
            flat |= _flat(value, known, f"{key}.")
        else:
            flat[key] = value
    return flat


def _converted(setting: Setting, value: Any) -> Any:
    try:
        if setting.kind == "float" and not isinstance(value, bool):
            return float(value)
        if setting.kind == "other" or type(value).__name__ == setting.kind:
            return value
    except (TypeError, ValueError):
        pass
    kinds = {"int": "a whole number", "float": "a number", "bool": "true or false", "str": "words"}
    raise Refused(f"{setting.key}: {value!r} is not {kinds[setting.kind]}.")


def _short(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:g}"
    return "empty" if value in ("", [], {}) else str(value)
