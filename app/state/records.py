"""The plain form of what a user has chosen, as project files and journals hold it.

Expressions, shapes, joints and attributes go by name, so that a record survives an avatar in which
they stand in another order; a number in the place of a name is a place in the list, for what has no
name of its own. Only what differs from the neutral person is written. Numbers come back to the bit.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from app.state.display import BACKGROUNDS, PASS_TITLES, Display
from app.state.face import Face
from app.state.view import FOV_RANGE_DEG, MAX_PITCH_DEG, View
from pegasus_runtime.errors import InvalidInput, quoted
from pegasus_runtime.parameters import (
    MAX_STRENGTH,
    NUM_EXPRESSIONS,
    NUM_POSE,
    POSE_JOINTS,
    AttributeBlend,
)

if TYPE_CHECKING:
    from pegasus_runtime.avatar.avatar import Avatar

_MAX_COEFFICIENT = 1e3
"""Beyond what the runtime takes; larger numbers in a project are damage, not a face."""
_MAX_ANGLE_RAD = 2 * math.pi
_MAX_PLACE = 1e4
"""Of joints and of the point the camera looks at: beyond what the window can make; larger numbers
in a project are damage, too."""
_NUM_SHAPES = 100
_VIEW_LIMITS = {
    "reach": (1e-3, 1e3),
    "yaw_deg": (-360.0, 360.0),
    "pitch_deg": (-MAX_PITCH_DEG, MAX_PITCH_DEG),
    "roll_deg": (-360.0, 360.0),
    "fov_deg": FOV_RANGE_DEG,
}


@dataclass(frozen=True)
class Vocabulary:
    """The names that an avatar gives to what can be chosen about it."""

    neutral: Face = field(default_factory=Face)
    expression: Sequence[str] = ()
    shape: Sequence[str] = ()
    attributes: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """category → names of its attributes"""

    @classmethod
    def of(cls, avatar: Avatar) -> Vocabulary:
        """That of an avatar and its head."""
        head, categories = avatar.head, avatar.categories
        return cls(
            Face.of(avatar.neutral()),
            head.expression_names,
            head.identity_names,
            {category: avatar.attributes_of(category) for category in categories},
        )


@dataclass
class FaceReading:
    """A face that was read, and what this avatar does not have of it."""

    face: Face
    unknown: dict[str, Any] = field(default_factory=dict)
    """by part of the record, to be written again as it was"""

    @property
    def missing(self) -> list[str]:
        """What was left out, in words."""
        kinds = {"attributes": "attribute", "expression": "expression", "shape": "shape"}
        return [
            f"{kinds[part]} {_attribute_name(value) if part == 'attributes' else name}"
            for part, values in self.unknown.items()
            for name, value in values.items()
        ]


def face_record(
    face: Face, names: Vocabulary, unknown: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """A face as plain values.

    Args:
        face: the face.
        names: of the avatar that shows it.
        unknown: what an earlier record said that the avatar does not have; kept where the user has
            not chosen otherwise.
    """
    neutral = names.neutral
    record: dict[str, Any] = {
        "expression": _named(face.expression, neutral.expression, names.expression),
        "pose": {
            joint: list(face.pose[3 * i : 3 * i + 3])
            for i, joint in enumerate(POSE_JOINTS)
            if face.pose[3 * i : 3 * i + 3] != neutral.pose[3 * i : 3 * i + 3]
        },
        "shape": _named(face.shape, neutral.shape, names.shape),
        "attributes": {
            category: {"name": wear.name, "strength": wear.strength}
            for category, wear in face.attributes.items()
        },
    }
    for part, values in (unknown or {}).items():
        record[part] = {**values, **record[part]}
    return {part: values for part, values in record.items() if values}


def read_face(record: Any, names: Vocabulary, where: str) -> FaceReading:
    """The face of a record; what is not in it is as the neutral person has it.

    Args:
        record: plain values, as `face_record` makes them.
        names: of the avatar that shall show it.
        where: the file and the key, for messages.

    Raises:
        InvalidInput: something in it is not a name or a number that a face can have.
    """
    parts = read_keys(record, ("expression", "pose", "shape", "attributes"), where)
    reading = FaceReading(names.neutral)
    expression = _read_named(parts, "expression", names.expression, NUM_EXPRESSIONS, where, reading)
    shape = _read_named(parts, "shape", names.shape, _NUM_SHAPES, where, reading)
    pose = list(names.neutral.pose)
    for joint, value in read_keys(parts.get("pose"), POSE_JOINTS, f"{where}.pose").items():
        start = 3 * POSE_JOINTS.index(joint)
        pose[start : start + 3] = read_numbers(
            value, 3, f"{where}.pose.{joint}", _MAX_ANGLE_RAD, "radians"
        )
    attributes = _read_attributes(parts, names, where, reading)
    assert len(pose) == NUM_POSE
    neutral = names.neutral
    reading.face = Face(
        tuple(expression.get(i, x) for i, x in enumerate(neutral.expression)),
        tuple(pose),
        tuple(shape.get(i, x) for i, x in enumerate(neutral.shape)),
        attributes,
    )
    return reading


def view_record(view: View) -> dict[str, Any]:
    """A view as plain values."""
    numbers = {name: getattr(view, name) for name in _VIEW_LIMITS}
    return {"target": list(view.target), **numbers}


def read_view(record: Any, where: str, usual: View) -> View:
    """The view of a record; what is not in it is as ``usual``.

    Raises:
        InvalidInput: a number is missing, wild or none.
    """
    values = read_keys(record, ("target", *_VIEW_LIMITS), where)
    target = usual.target
    if "target" in values:
        x, y, z = read_numbers(values["target"], 3, f"{where}.target", _MAX_PLACE)
        target = (x, y, z)
    numbers = {
        name: read_number(values[name], f"{where}.{name}", *limits)
        if name in values
        else getattr(usual, name)
        for name, limits in _VIEW_LIMITS.items()
    }
    return View(target, **numbers)


def display_record(display: Display) -> dict[str, Any]:
    """What is displayed, as plain values."""
    return {
        "pass": display.pass_name,
        "background": display.background,
        "colour": list(display.colour),
    }


def read_display(record: Any, where: str, usual: Display) -> Display:
    """The display of a record; what is not in it is as ``usual``.

    Raises:
        InvalidInput: there is no such pass, background or colour.
    """
    values = read_keys(record, ("pass", "background", "colour"), where)
    colour = usual.colour
    if "colour" in values:
        red, green, blue = read_numbers(values["colour"], 3, f"{where}.colour", 1.0)
        colour = (max(red, 0.0), max(green, 0.0), max(blue, 0.0))
    return Display(
        read_choice(values.get("pass", usual.pass_name), PASS_TITLES, f"{where}.pass"),
        read_choice(values.get("background", usual.background), BACKGROUNDS, f"{where}.background"),
        colour,
    )


def read_keys(record: Any, known: Sequence[str], where: str) -> dict[str, Any]:
    """A mapping of which every key is known; None is an empty one.

    Raises:
        InvalidInput: it is none, or has another key.
    """
    values = _mapping(record, where)
    for key in values:
        if key not in known:
            raise InvalidInput(f"{where}: {quoted(key)} is not known here; use {', '.join(known)}.")
    return values


def read_number(value: Any, where: str, low: float, high: float, unit: str = "") -> float:
    """A finite number within limits.

    Raises:
        InvalidInput: it is none, or lies outside.
    """
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not low <= value <= high:
        limits = f"a number from {low:g} to {high:g}{f' {unit}' if unit else ''}"
        raise InvalidInput(f"{where}: {quoted(value)} is not {limits}.")
    return float(value)


def read_numbers(value: Any, count: int, where: str, limit: float, unit: str = "") -> list[float]:
    """So many finite numbers, none of them further from 0 than ``limit``.

    Raises:
        InvalidInput: they are not.
    """
    if not isinstance(value, list) or len(value) != count:
        raise InvalidInput(f"{where}: {quoted(value)} is not a list of {count} numbers.")
    return [read_number(item, where, -limit, limit, unit) for item in value]


def read_choice(value: Any, known: Mapping[str, Any], where: str) -> str:
    """One of some names.

    Raises:
        InvalidInput: it is none of them.
    """
    if not isinstance(value, str) or value not in known:
        raise InvalidInput(f"{where}: {quoted(value)} is not one of {', '.join(known)}.")
    return value


def _named(
    values: Sequence[float], neutral: Sequence[float], names: Sequence[str]
) -> dict[str | int, float]:
    counts = Counter(names)
    return {
        names[index] if index < len(names) and counts[names[index]] == 1 else index: value
        for index, (value, usual) in enumerate(zip(values, neutral, strict=True))
        if value != usual
    }


def _read_named(
    parts: Mapping[str, Any],
    part: str,
    names: Sequence[str],
    count: int,
    where: str,
    reading: FaceReading,
) -> dict[int, float]:
    found: dict[int, float] = {}
    for key, value in _mapping(parts.get(part), f"{where}.{part}").items():
        limit = _MAX_COEFFICIENT
        number = read_number(value, f"{where}.{part}.{_shown(key)}", -limit, limit)
        if isinstance(key, str) and key in names:
            found[list(names).index(key)] = number
        elif isinstance(key, int) and not isinstance(key, bool) and 0 <= key < count:
            found[key] = number
        else:
            reading.unknown.setdefault(part, {})[key] = number
    return found


def _read_attributes(
    parts: Mapping[str, Any], names: Vocabulary, where: str, reading: FaceReading
) -> dict[str, AttributeBlend]:
    found: dict[str, AttributeBlend] = {}
    for category, value in _mapping(parts.get("attributes"), f"{where}.attributes").items():
        wear = _read_wear(value, f"{where}.attributes.{_shown(category)}")
        known = names.attributes.get(category, ())
        full = next((n for n in (wear.name, f"{category}_{wear.name}") if n in known), None)
        if full is None:
            reading.unknown.setdefault("attributes", {})[category] = value
        else:
            found[category] = AttributeBlend(full, wear.strength)
    return found


def _read_wear(value: Any, where: str) -> AttributeBlend:
    values = {"name": value} if isinstance(value, str) else value
    values = read_keys(values, ("name", "strength"), where)
    name = values.get("name")
    if not isinstance(name, str) or not name:
        raise InvalidInput(f"{where}: {quoted(name)} is not the name of an attribute.")
    limit = MAX_STRENGTH
    return AttributeBlend(
        name, read_number(values.get("strength", 1.0), f"{where}.strength", -limit, limit)
    )


def _attribute_name(value: Any) -> str:
    return str(value["name"]) if isinstance(value, dict) else str(value)


def _mapping(record: Any, where: str) -> dict[Any, Any]:
    if record is None:
        return {}
    if not isinstance(record, dict):
        raise InvalidInput(f"{where}: {quoted(record)} is not a list of names with values.")
    return record


def _shown(key: Any) -> str:
    return key if isinstance(key, str) and len(key) <= 60 else quoted(key)
