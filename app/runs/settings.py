"""The settings of a training as a form: values by key, and the YAML they stand for."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from pegasus_runtime.constraints import Constraint, shown
from pegasus_runtime.documents import parse_yaml
from pegasus_runtime.errors import InvalidInput

_ALWAYS_WRITTEN = ("name", "data.folder", "steps")
_KEYS_IN_WORDS = re.compile(r"\b[a-z]+(?:[._][a-z]+)+\b")


@dataclass(frozen=True)
class Setting:
    """One setting, as the trainer describes it."""

    key: str
    default: Any
    constraint: Constraint
    help: str = ""
    label: str = ""
    unit: str = ""
    is_common: bool = False
    """whether it is shown first"""
    may_change: bool = True
    """whether a run that is resumed takes another value"""
    asks_for_gpu: bool = False
    """whether a preset's value is too much for a processor"""
    is_path: bool = False
    suggestions: tuple[str, ...] = ()
    """to choose from, where others can be typed"""

    @property
    def group(self) -> str:
        """The heading it is found under."""
        section = self.key.partition(".")[0] if "." in self.key else "general"
        return section[:1].upper() + section[1:]

    @property
    def name(self) -> str:
        """What messages call it: by its words in the form, and where they are."""
        return f"“{self.label}”" if self.is_common else f"“{self.label}” ({self.group})"

    @property
    def tooltip(self) -> str:
        """Help, what is accepted and its name in the file."""
        stays = "" if self.may_change else "Cannot be changed once a training has begun."
        name = f"In the file: {self.key}, usually {_short(self.default)}"
        help_text = f"{self.help[:1].upper()}{self.help[1:]}."
        accepted = f"Accepted: {self.constraint.allowed}."
        return "\n".join(filter(None, (help_text, accepted, stays, name)))


def read_setting(described: dict[str, Any]) -> Setting:
    """A setting as the trainer described it."""
    limits = dict(described["constraint"])
    limits["choices"] = tuple(limits["choices"])
    constraint = Constraint(**limits)
    read = {
        "constraint": constraint,
        "default": constraint.convert(described["default"]),
        "suggestions": tuple(described["suggestions"]),
    }
    return Setting(**{**described, **read})


def with_labels(text: str, settings: Sequence[Setting]) -> str:
    """A message of the trainer, with the form's words in the place of keys."""
    names = {setting.key: setting.name for setting in settings}
    return _KEYS_IN_WORDS.sub(lambda found: names.get(found[0], found[0]), text)


def converted(setting: Setting, value: Any) -> Any:
    """A value in the setting's own type.

    Raises:
        InvalidInput: it cannot be used; says which setting, by the form's words, and what to use.
    """
    try:
        return setting.constraint.convert(value)
    except InvalidInput as error:
        raise InvalidInput(f"{setting.name} = {shown(value)}: {error}") from None


def to_yaml(settings: list[Setting], values: dict[str, Any]) -> str:
    """What differs from the usual values, as the file that the trainer reads."""
    content: dict[str, Any] = {}
    for setting in settings:
        value = values.get(setting.key, setting.default)
        if value == setting.default and setting.key not in _ALWAYS_WRITTEN:
            continue
        *sections, last = setting.key.split(".")
        place = content
        for section in sections:
            place = place.setdefault(section, {})
        place[last] = list(value) if isinstance(value, tuple) else value
    return yaml.safe_dump(content, sort_keys=False, allow_unicode=True)


def from_yaml(settings: list[Setting], text: str) -> dict[str, Any]:
    """Values by key; what the text leaves out has its usual value.

    Raises:
        InvalidInput: it is not YAML, or holds a key or a kind of value that is not known.
    """
    content = parse_yaml(text, "The settings", as_texts=True) or {}
    if not isinstance(content, dict):
        raise InvalidInput("Write each setting as key: value.")
    known = {setting.key: setting for setting in settings}
    values = {setting.key: setting.default for setting in settings}
    for key, value in _flat(content, known).items():
        if key not in known:
            raise InvalidInput(f"{shown(key)} is not a setting; compare it with the form.")
        values[key] = converted(known[key], value)
    return values


def text_of(value: Any) -> str:
    """A value as it is written in a field of one line."""
    if isinstance(value, str):
        return value
    plain = list(value) if isinstance(value, tuple) else value
    text = yaml.safe_dump(plain, default_flow_style=True, width=10_000, allow_unicode=True)
    return text.removesuffix("\n...\n").strip()


def value_of(setting: Setting, text: str) -> Any:
    """What a field of one line says; the text itself where it says nothing that is wanted."""
    if setting.constraint.kind == "text" and not setting.constraint.container:
        return text
    try:
        return setting.constraint.convert(parse_yaml(text, as_texts=True))
    except InvalidInput:
        return text


def set_arguments(settings: list[Setting], text: str) -> dict[str, str]:
    """What ``--set`` takes, by key, for a text that `from_yaml` takes; else nothing."""
    try:
        values = from_yaml(settings, text)
    except InvalidInput:
        return {}
    usual = {setting.key: setting.default for setting in settings}
    return {
        key: _quoted(value) if isinstance(value, str) else text_of(value)
        for key, value in values.items()
        if value != usual[key] or key in _ALWAYS_WRITTEN
    }


def _quoted(text: str) -> str:
    """As it is, unless its own quotes would be taken for those of YAML."""
    has_quotes = len(text) > 1 and text[0] == text[-1] and text[0] in "'\""
    return text_of([text])[1:-1] if has_quotes else text


def _flat(content: dict[str, Any], known: dict[str, Setting], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in content.items():
        key = f"{prefix}{name}"
        if isinstance(value, dict) and key not in known:
            flat |= _flat(value, known, f"{key}.")
        elif value or key in known:
            flat[key] = value
    return flat


def _short(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:g}"
    return text_of(value) if value not in ("", [], (), {}) else "empty"
