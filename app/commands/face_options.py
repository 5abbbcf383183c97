"""Command-line values that describe a face, turned into the runtime's parameters."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from app.commands.name_suggestions import find_name, refuse_name
from app.commands.option_errors import said_of
from app.state.controls import Control, combined_controls, single_controls
from pegasus_runtime.errors import InvalidInput

if TYPE_CHECKING:
    from pegasus_runtime import Avatar, Parameters

JOINTS = {"root": (0,), "neck": (1,), "jaw": (2,), "left_eye": (3,), "right_eye": (4,)}
_POSE_NAMES = {**JOINTS, "eyes": (3, 4)}


def face_parameters(
    avatar: Avatar,
    attributes: Sequence[str],
    expressions: Sequence[str],
    poses: Sequence[str],
    start: Parameters,
) -> Parameters:
    """Parameters of the options --attribute, --expression and --pose.

    Args:
        avatar: what they are for.
        attributes: each ``CATEGORY=NAME`` or ``CATEGORY=NAME:STRENGTH``.
        expressions: each ``NAME=VALUE`` or ``INDEX=VALUE``; a name of a slider of the editor too.
        poses: each ``JOINT=X,Y,Z``, an axis-angle in radians.
        start: the face that they change, neutral or a project's.

    Raises:
        InvalidInput: a text cannot be read or names something that the avatar does not have.
    """
    params = start.copy()
    worn: dict[str, Any] = {}
    for text in attributes:
        with said_of("--attribute", text):
            _wear(avatar, worn, text)
    params.attributes.update(worn)
    for text in expressions:
        with said_of("--expression", text):
            _set_expression(avatar, params, text)
    for text in poses:
        with said_of("--pose", text):
            _set_pose(avatar, params, text)
    return params


def _set_expression(avatar: Avatar, params: Parameters, text: str) -> None:
    name, value = split_option("--expression", text, "smile=0.8")
    moved = _expression(name, avatar.head.expression_names)
    for index, share in moved.values(read_number("--expression", text, value)).items():
        params.expression[index] = share
    params.checked(avatar.codes.latent_size)


def _set_pose(avatar: Avatar, params: Parameters, text: str) -> None:
    name, value = split_option("--pose", text, "jaw=0.2,0,0")
    joints = list(_POSE_NAMES.values())[find_name("joint", name, list(_POSE_NAMES))]
    for joint in joints:
        params.pose[3 * joint : 3 * joint + 3] = read_numbers("--pose", text, value, 3)
    params.checked(avatar.codes.latent_size)


def _wear(avatar: Avatar, worn: dict[str, Any], text: str) -> None:
    name, value = split_option("--attribute", text, "hair=curly:0.7")
    category = avatar.categories[find_name("category", name, avatar.categories)]
    if category in worn:
        raise InvalidInput(f"--attribute {text}: {category} was given before; give it once.")
    wanted, _, strength = value.partition(":")
    known = avatar.attributes_of(category)
    full = wanted if wanted.startswith(f"{category}_") else f"{category}_{wanted}"
    if not known or not wanted:
        refuse_name(f"{category} attribute", wanted, avatar.attribute_names)
    chosen = known[find_name(f"{category} attribute", full, known)]
    amount = read_number("--attribute", text, strength) if ":" in value else 1.0
    worn[category] = avatar.codes.resolve(category, (chosen, amount))


def _expression(name: str, known: Sequence[str]) -> Control:
    """One component by name or number, or several that the editor moves with one slider."""
    single = single_controls(known)
    if name.strip().isdigit():
        if int(name) < len(known):
            return single[int(name)]
        raise InvalidInput(f"--expression {name}: components go from 0 to {len(known) - 1}.")
    combined = combined_controls(known)
    names = [*known, *(control.title for control in combined)]
    return [*single, *combined][find_name("expression", name, names)]


def split_option(option: str, text: str, example: str) -> tuple[str, str]:
    """The two sides of ``NAME=VALUE``.

    Raises:
        InvalidInput: there are not two.
    """
    name, equals, value = text.partition("=")
    if not (name.strip() and equals and value.strip()):
        raise InvalidInput(f"{option} {text!r}: write NAME=VALUE, for example {option} {example}.")
    return name.strip(), value.strip()


def read_number(option: str, text: str, value: str) -> float:
    """A finite number.

    Raises:
        InvalidInput: it is not one.
    """
    return read_numbers(option, text, value, 1)[0]


def read_numbers(option: str, text: str, value: str, count: int) -> list[float]:
    """Finite numbers with commas between them.

    Raises:
        InvalidInput: there are not ``count`` of them, or one is not a finite number.
    """
    try:
        numbers = [float(part) for part in value.split(",")]
    except ValueError:
        numbers = []
    if len(numbers) != count or not all(math.isfinite(n) for n in numbers):
        wanted = "a number" if count == 1 else f"{count} numbers with commas between them"
        raise InvalidInput(f"{option} {text!r}: {value!r} is not {wanted}.")
    return numbers
