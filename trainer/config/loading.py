"""Configuration dataclasses ↔ YAML and ``--set key.sub=value``."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import yaml

from pegasus_runtime.constraints import shown
from pegasus_runtime.documents import parse_yaml, read_yaml
from pegasus_runtime.errors import InvalidInput
from pegasus_runtime.files import expanded
from trainer.config.settings import (
    InvalidSettings,
    Problem,
    Settings,
    own_settings,
    sections_of,
    settings_of,
    values_of,
)

Config = TypeVar("Config", bound=Settings)


_RETIRED = (
    "warm_start_steps", "model.tangent_precision", "points.fill_gaps", "points.line_skin",
    "optimiser.shading", "optimiser.deformer", "optimiser.directions", "optimiser.geometry",
)  # fmt: skip
"""Settings of earlier versions that nothing reads any more: files that have them still open."""


def _drop_retired(values: dict[str, Any]) -> None:
    """Take settings of earlier versions out of a configuration."""
    for key in _RETIRED:
        section, _, last = key.rpartition(".")
        inner = values.get(section) if section else values
        if isinstance(inner, dict):
            inner.pop(last, None)


def load_config(
    kind: type[Config], path: Path | None = None, settings: Sequence[str] = ()
) -> Config:
    """Read a configuration.

    Args:
        kind: the dataclass of the configuration.
        path: YAML file, None for the defaults.
        settings: ``key.sub=value`` each, over what the file says; values are YAML, and of a text
            all that stands after the ``=``.

    Raises:
        FileNotFoundError: there is no such file.
        InvalidInput: an unknown key (the nearest known one is named), or values that cannot be
            used.
    """
    values: dict[str, Any] = {}
    if path is not None:
        # Words stay words here: 074 is a number for a number, and a name for a name.
        values = read_yaml(path, as_texts=True) or {}
        if not isinstance(values, dict):
            raise InvalidInput(f"{path}: expected keys and values.")
    for setting in settings:
        _apply(kind, values, setting)
    _drop_retired(values)
    try:
        return build(kind, values)
    except InvalidSettings as error:
        raise InvalidSettings(error.problems, str(path or "configuration")) from None


def to_yaml(config: Settings) -> str:
    """The configuration as YAML, every field written out."""
    plain = {k: list(v) if isinstance(v, tuple) else v for k, v in values_of(config).items()}
    return yaml.safe_dump(_nested(plain), sort_keys=False, allow_unicode=True)


def with_absolute_paths(config: Config) -> Config:
    """The same configuration, which means the same files from any working folder.

    Raises:
        InvalidSettings: a path begins with the home of somebody who is not known here.
    """
    values, problems = values_of(config), []
    for each in settings_of(type(config)):
        if each.is_path and values[each.key]:
            try:
                values[each.key] = str(expanded(values[each.key]).absolute())
            except InvalidInput as error:
                problems.append(Problem(each.key, f"= {error}"))
    if problems:
        raise InvalidSettings(problems)
    return build(type(config), _nested(values))


def _nested(values: Mapping[str, Any]) -> dict[str, Any]:
    content: dict[str, Any] = {}
    for key, value in values.items():
        *sections, last = key.split(".")
        place = content
        for section in sections:
            place = place.setdefault(section, {})
        place[last] = value
    return content


def build(kind: type[Config], values: Mapping[str, Any], prefix: str = "") -> Config:
    """A configuration, or its section ``prefix``, of plain values, nested as in a file.

    Raises:
        InvalidSettings: all that is unknown or cannot be used, by its dotted key.
    """
    sections = sections_of(kind)
    known = [each.key for each in own_settings(kind)] + list(sections)
    problems = [
        Problem(shown(key), _unknown(shown(key), known, prefix))
        for key in values
        if key not in known
    ]
    given = {key: value for key, value in values.items() if key in known}
    for name, section in sections.items():
        if name in given:
            try:
                given[name] = _build_section(section, given[name], f"{prefix}{name}.")
            except InvalidSettings as error:
                problems += [Problem(f"{name}.{p.key}".rstrip("."), p.text) for p in error.problems]
                del given[name]
    try:
        built = kind(**given)
    except InvalidSettings as error:
        problems += error.problems
    if problems:
        raise InvalidSettings(problems)
    return built


def _build_section(kind: type[Config], values: object, prefix: str) -> Config:
    if values == "" or values is None:
        # The name of a section with nothing below it.
        return kind()
    if not isinstance(values, Mapping):
        raise InvalidSettings([Problem("", f"= {shown(values)}: expected a section of keys.")])
    return build(kind, values, prefix)


def _unknown(key: str, known: list[str], prefix: str) -> str:
    found = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
    if found:
        return f"is unknown; did you mean {prefix}{found[0]}?"
    return f"is unknown; known are {', '.join(known)}."


def _apply(kind: type[Settings], values: dict[str, Any], setting: str) -> None:
    key, equals, text = setting.partition("=")
    if not equals or not key:
        raise InvalidInput(f"--set {shown(setting)}: write it as key=value or key.sub=value.")
    *sections, last = key.split(".")
    for section in sections:
        values = values.setdefault(section, {})
        if not isinstance(values, dict):
            raise InvalidInput(f"--set {shown(setting)}: {section} has no keys below it.")
    values[last] = _value_of(text, _is_text(kind, key), f"--set {shown(setting)}")


def _is_text(kind: type[Settings], key: str) -> bool:
    return any(
        each.key == key and (each.constraint.kind, each.constraint.container) == ("text", "")
        for each in settings_of(kind)
    )


def _value_of(text: str, is_text: bool, source: str) -> Any:
    """A text takes all that was written, but for quotes around it; what else there is, is YAML."""
    is_quoted = len(text) > 1 and text[0] == text[-1] and text[0] in "'\""
    if is_text and not is_quoted:
        return text
    value = parse_yaml(text, source, as_texts=True)
    return "" if value is None else value
