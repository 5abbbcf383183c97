"""How a configuration is written down: dataclasses whose fields know what they may be.

A field made with `setting` carries its constraint, help, label and unit. All that is done with a
configuration comes from there: `Settings` checks itself whenever it is made, `settings_of` lists
the fields for forms and documents, `refuse_changes` says what a run cannot change on resume.
"""

from __future__ import annotations

import typing
from collections.abc import Iterator
from dataclasses import dataclass, field, fields, is_dataclass
from operator import attrgetter
from typing import Any

from pegasus_runtime.constraints import Constraint, shown
from pegasus_runtime.errors import InvalidInput

_KINDS: dict[Any, tuple[str, str]] = {
    int: ("int", ""),
    float: ("float", ""),
    bool: ("bool", ""),
    str: ("text", ""),
    tuple[int, ...]: ("int", "list"),
    tuple[str, ...]: ("text", "list"),
    dict[str, float]: ("float", "map"),
}
_SETTING = "setting"
MAX_STEPS = 100_000_000
MAX_POINTS = 10_000_000
"""Of points; both only keep typing errors out: memory and patience end long before."""
_MODELS = ("surfels", "published")
_MAX_LISTED = 6
"""Mistakes told at once; the message stays one line that can be read."""


@dataclass(frozen=True)
class Setting:
    """One setting: its name and all that is known of it."""

    key: str
    """with its section: points.maximum"""
    default: Any
    constraint: Constraint
    help: str
    label: str
    """what a form calls it"""
    unit: str
    """of the number: steps, px …"""
    is_common: bool
    """whether a form shows it first"""
    may_change: bool
    """whether a run that is resumed takes another value"""
    asks_for_gpu: bool
    """whether a preset's value is too much for a processor"""
    is_path: bool
    suggestions: tuple[str, ...]
    """that a form offers, where others can be typed"""

    @property
    def only_for(self) -> str:
        """The one model that uses it, which is the one that its help speaks of; empty for all."""
        named = [model for model in _MODELS if f"{model}:" in self.help]
        return named[0] if len(named) == 1 else ""

    def as_json(self) -> dict[str, Any]:
        """Plain values, the default among them."""
        return {**vars(self), "constraint": self.constraint.as_json()}


@dataclass(frozen=True)
class Problem:
    """A value that cannot be used."""

    key: str
    text: str
    """what was given and what to use, to be read after the key"""

    def __str__(self) -> str:
        return f"{self.key} {self.text}".rstrip()


class InvalidSettings(InvalidInput):
    """One line that names every setting that is wrong."""

    def __init__(self, problems: list[Problem], where: str = "", advice: str = "") -> None:
        """Refuse a configuration that was read from ``where``, with what to do about all."""
        self.problems = problems
        texts = [str(problem).removesuffix(".") for problem in problems[:_MAX_LISTED]]
        if len(problems) > _MAX_LISTED:
            texts.append(f"and {len(problems) - _MAX_LISTED} more")
        text = "; ".join([*texts, *filter(None, [advice])])
        end = "" if text.endswith("?") else "."
        super().__init__(f"{where}{': ' if where else ''}{text}{end}")


def setting(
    default: Any,
    help: str,
    *,
    minimum: float | None = None,
    maximum: float | None = None,
    above: float | None = None,
    choices: tuple[str, ...] = (),
    pattern: str = "",
    wanted: str = "",
    label: str = "",
    unit: str = "",
    is_common: bool = False,
    may_change: bool = True,
    asks_for_gpu: bool = False,
    is_path: bool = False,
    suggestions: tuple[str, ...] = (),
) -> Any:
    """A field of `Settings`.

    Args:
        default: its usual value.
        help: one sentence for people.
        minimum: smallest number.
        maximum: largest number.
        above: instead of a minimum: numbers are larger than this.
        choices: of a text.
        pattern: of a text, a regular expression.
        wanted: what a pattern wants, in words after "use".
        label: what a form calls it, by default its name.
        unit: of the number.
        is_common: see `Setting`.
        may_change: see `Setting`.
        asks_for_gpu: see `Setting`.
        is_path: see `Setting`.
        suggestions: see `Setting`.
    """
    limits = {
        "minimum": minimum if above is None else above,
        "maximum": maximum,
        "above_minimum": above is not None,
        "choices": choices,
        "pattern": pattern,
        "wanted": wanted,
    }
    facts = {
        "help": help,
        "label": label,
        "unit": unit,
        "is_common": is_common,
        "may_change": may_change,
        "asks_for_gpu": asks_for_gpu,
        "is_path": is_path,
        "suggestions": suggestions,
    }
    metadata = {_SETTING: (limits, facts)}
    if isinstance(default, dict):
        return field(default_factory=lambda: dict(default), metadata=metadata)
    return field(default=default, metadata=metadata)


class Settings:
    """Base of the dataclasses: a value that cannot be used is refused when it is made.

    Raises:
        InvalidSettings: what is wrong with which settings.
    """

    def __post_init__(self) -> None:
        problems = []
        for each in own_settings(type(self)):
            given = getattr(self, each.key)
            try:
                object.__setattr__(self, each.key, each.constraint.convert(given))
            except InvalidInput as error:
                problems.append(Problem(each.key, f"= {shown(given)}: {error}"))
        if problems or (problems := list(self.conflicts())):
            raise InvalidSettings(problems)

    def conflicts(self) -> Iterator[Problem]:
        """Values that are possible each, but not together."""
        return iter(())


def own_settings(kind: type[Any]) -> tuple[Setting, ...]:
    """The settings of a dataclass, without those of its sections."""
    types_by_name = typing.get_type_hints(kind)
    found = []
    for each in fields(kind):
        if is_dataclass(types_by_name[each.name]):
            continue
        limits, facts = each.metadata[_SETTING]
        kind_name, container = _KINDS[types_by_name[each.name]]
        default = each.default_factory() if callable(each.default_factory) else each.default
        words = each.name.replace("_", " ")
        label = facts["label"] or f"{words[:1].upper()}{words[1:]}"
        constraint = Constraint(kind_name, container, **limits)
        found.append(Setting(each.name, default, constraint, **{**facts, "label": label}))
    return tuple(found)


def sections_of(kind: type[Any]) -> dict[str, type[Any]]:
    """The dataclasses below a dataclass, by name."""
    types = typing.get_type_hints(kind)
    return {f.name: types[f.name] for f in fields(kind) if is_dataclass(types[f.name])}


def settings_of(kind: type[Any]) -> tuple[Setting, ...]:
    """All settings of a configuration, in the order they are written down."""
    found = list(own_settings(kind))
    for name, section in sections_of(kind).items():
        found += [
            Setting(**{**vars(each), "key": f"{name}.{each.key}"}) for each in settings_of(section)
        ]
    return tuple(found)


def values_of(config: Settings) -> dict[str, Any]:
    """A configuration's values by key, plain enough for any file."""
    return {each.key: attrgetter(each.key)(config) for each in settings_of(type(config))}


def refuse_changes(before: dict[str, Any], config: Settings) -> None:
    """Let a run go on only with what may change in the middle of it.

    Args:
        before: values by key (`values_of`) that the run was begun with; others are not compared.
        config: the configuration to go on with.

    Raises:
        InvalidSettings: the settings that cannot change, with both values.
    """
    problems = []
    for each in settings_of(type(config)):
        now = attrgetter(each.key)(config)
        then = before.get(each.key, now)
        if not each.may_change and then != now:
            words = f"cannot change in a run: it was {shown(then)}, now it is {shown(now)}"
            problems.append(Problem(each.key, words))
    if problems:
        raise InvalidSettings(problems, advice="set it back, or train in another folder")
