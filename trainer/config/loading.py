"""Configuration dataclasses ↔ YAML and ``--set key.sub=value``."""

from __future__ import annotations

import difflib
import types
import typing
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields, is_dataclass
from pathlib import Path
from typing import Any, TypeVar

import yaml

from pegasus_runtime.errors import Refused

Config = TypeVar("Config")


def load_config(
    kind: type[Config], path: Path | None = None, settings: Sequence[str] = ()
) -> Config:
    """Read a configuration.

    Args:
        kind: the dataclass of the configuration.
        path: YAML file, None for the defaults.
        settings: ``key.sub=value`` each, over what the file says; values are YAML.

    Raises:
        FileNotFoundError: there is no such file.
        Refused: an unknown key (the nearest known one is named) or a value of the wrong kind.
    """
    values = _read_yaml(path) if path else {}
    for setting in settings:
        _apply(values, setting)
    try:
        return build(kind, values)
    except Refused as error:
        raise Refused(f"{path or 'configuration'}: {error}") from None


def to_yaml(config: Any) -> str:
    """The configuration as YAML, every field written out."""
    return yaml.safe_dump(_plain(asdict(config)), sort_keys=False, allow_unicode=True)


def build(kind: type[Config], values: Mapping[str, Any], prefix: str = "") -> Config:
    """A configuration dataclass of plain values, checked key by key."""
    types_by_name = typing.get_type_hints(kind)
    known = {f.name for f in fields(kind)}  # type: ignore[arg-type]
    for key in values:
        if key not in known:
            raise Refused(f"unknown key {prefix}{key}{_nearest(str(key), known, prefix)}.")
    return kind(
        **{
            key: _convert(types_by_name[key], value, f"{prefix}{key}")
            for key, value in values.items()
        }
    )


def _nearest(key: str, known: set[str], prefix: str) -> str:
    found = difflib.get_close_matches(key, sorted(known), n=1, cutoff=0.5)
    if found:
        return f"; did you mean {prefix}{found[0]}?"
    return f"; known are {', '.join(sorted(known))}"


def _convert(kind: Any, value: Any, name: str) -> Any:
    if is_dataclass(kind) and isinstance(kind, type):
        if not isinstance(value, Mapping):
            raise Refused(f"{name}: expected a section of keys, got {value!r}.")
        return build(kind, value, f"{name}.")
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is tuple and isinstance(value, list | tuple):
        return tuple(_convert(arguments[0], item, name) for item in value)
    if origin is dict and isinstance(value, Mapping):
        return {str(k): _convert(arguments[1], item, f"{name}.{k}") for k, item in value.items()}
    if origin is types.UnionType and value is None:
        return None
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if kind is float and isinstance(value, str):
        return _number(value, name)
    if isinstance(kind, type) and type(value) is kind:
        return value
    wanted = getattr(kind, "__name__", str(kind))
    raise Refused(f"{name} = {value!r}: expected {wanted}.")


def _number(text: str, name: str) -> float:
    """YAML reads 1e-3, without a point, as a word."""
    try:
        return float(text)
    except ValueError:
        raise Refused(f"{name} = {text!r}: expected float.") from None


def _read_yaml(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such configuration file.")
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise Refused(f"{path}: not valid YAML ({' '.join(str(error).split())}).") from None
    if not isinstance(values, dict):
        raise Refused(f"{path}: expected keys and values.")
    return values


def _apply(values: dict[str, Any], setting: str) -> None:
    key, equals, text = setting.partition("=")
    if not equals or not key:
        raise Refused(f"--set {setting}: write it as key=value or key.sub=value.")
    *sections, last = key.split(".")
    for section in sections:
        values = values.setdefault(section, {})
        if not isinstance(values, dict):
            raise Refused(f"--set {setting}: {section} has no keys below it.")
    try:
        values[last] = yaml.safe_load(text)
    except yaml.YAMLError:
        raise Refused(f"--set {setting}: the value is not valid YAML.") from None


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value
