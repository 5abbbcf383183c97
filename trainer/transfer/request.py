"""What somebody wants to be transferred, and what speaks against it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from pegasus_runtime.avatar_file import DEMO, load_avatar
from pegasus_runtime.errors import InvalidInput, one_line, quoted
from pegasus_runtime.files import output_file
from pegasus_runtime.model.latent import category_of
from pegasus_runtime.surfels.avatar import SurfelAvatar
from pegasus_runtime.surfels.parts import WORN
from trainer.transfer.carried import carried
from trainer.transfer.correspondence import Correspondence
from trainer.transfer.differences import RESHAPED, ZONES

TRANSFERABLE = (*WORN, *ZONES)
"""categories of attributes that can be put onto another person"""
_SECONDS, _SECONDS_FOR_EACH, _SECONDS_TO_RESHAPE = 4.0, 2.0, 8.0
"""to read, lay out and write two avatars, for each attribute, and more for each that reshapes a
face, on one core of 2024; only told"""


@dataclass(frozen=True)
class Request:
    """Files and names as they were given."""

    avatar: str
    target: str
    attributes: tuple[str, ...]
    out: str | None = None
    replaces: bool = False
    """attributes of the same names, and a file that is there"""
    head: str | None = None
    target_head: str | None = None


@dataclass
class Answer:
    """What a request would do."""

    problems: list[str] = field(default_factory=list)
    """why it cannot be done, a line each"""
    notes: list[str] = field(default_factory=list)
    attributes: list[dict[str, Any]] = field(default_factory=list)
    """of the avatar: name, category, transferable, in_target"""
    seconds: float = 0.0
    """that it takes, about"""


def read_both(request: Request) -> tuple[SurfelAvatar, SurfelAvatar]:
    """The avatar that has attributes, and the one that gets them.

    Raises:
        FileNotFoundError: one is not there.
        InvalidInput: one cannot be read, or is of the published model.
    """
    return _read(request.avatar, request.head), _read(request.target, request.target_head)


def _read(path: str, head: str | None) -> SurfelAvatar:
    avatar = load_avatar(path, head)
    if not isinstance(avatar, SurfelAvatar):
        raise InvalidInput(
            f"{path}: is an avatar of the published model, whose attributes are in its networks, "
            "not in points that could be carried over; use one of surfels (model.kind: surfels)."
        )
    return avatar


def check(request: Request, personal: SurfelAvatar, target: SurfelAvatar) -> None:
    """Look at all that is asked for before anything is worked out.

    Raises:
        InvalidInput: it cannot be done; the first reason.
    """
    problems = [*_name_problems(request, personal, target), *_out_problems(request)]
    if problems:
        raise InvalidInput(problems[0])


def answer(request: Request) -> Answer:
    """What a request would do, without doing it; files that cannot be read are problems too."""
    found = Answer(problems=_out_problems(request))
    try:
        personal, target = read_both(request)
        across = Correspondence.between(personal, target)
    except (InvalidInput, FileNotFoundError) as error:
        found.problems.insert(0, one_line(str(error), 2000))
        return found
    found.problems = [*_name_problems(request, personal, target), *found.problems]
    found.attributes = [_facts(name, target) for name in personal.attribute_names]
    found.notes = _notes(request, personal, target, across)
    reshaping = sum(category_of(name) in RESHAPED for name in request.attributes)
    found.seconds = _SECONDS + _SECONDS_FOR_EACH * len(request.attributes)
    found.seconds += _SECONDS_TO_RESHAPE * reshaping
    return found


def _facts(name: str, target: SurfelAvatar) -> dict[str, Any]:
    category = category_of(name)
    return {
        "name": name,
        "category": category,
        "transferable": category in TRANSFERABLE,
        "in_target": name in target.attribute_names,
    }


def _name_problems(request: Request, personal: SurfelAvatar, target: SurfelAvatar) -> list[str]:
    problems, categories = [], dict[str, str]()
    for name in request.attributes:
        problem = _name_problem(name, request, personal, target)
        category = category_of(name)
        if not problem and category in categories:
            problem = (
                f"--attribute: {categories[category]} and {name} are both {category}; put them on "
                "one after the other."
            )
        categories.setdefault(category, name)
        if problem:
            problems.append(problem)
    return problems


def _name_problem(name: str, request: Request, personal: SurfelAvatar, target: SurfelAvatar) -> str:
    known: Sequence[str] = personal.attribute_names
    if name not in known:
        near = get_close_matches(name, known, 3, 0.4)
        hint = f"did you mean {' or '.join(near)}?" if near else f"it has {', '.join(known)}."
        if not known:
            hint = "it has none."
        return f"{request.avatar}: has no attribute {quoted(name)}; {hint}"
    if category_of(name) not in TRANSFERABLE:
        return (
            f"{name}: attributes of {', '.join(TRANSFERABLE)} can be carried over, "
            f"{category_of(name)} cannot."
        )
    if name in target.attribute_names and not request.replaces:
        return f"{request.target}: has {name} already; give --replace to put this one in its place."
    return ""


def _out_problems(request: Request) -> list[str]:
    if request.out is None:
        return []
    try:
        out = output_file(request.out)
    except InvalidInput as error:
        return [str(error)]
    for path in (request.avatar, request.target):
        if path != DEMO and out.exists() and Path(path).exists() and out.samefile(path):
            return [f"--out {request.out}: is the avatar {path} itself; name a new file."]
    if out.exists() and not request.replaces:
        return [f"--out {request.out}: is there already; name a new file, or give --replace."]
    return []


def _notes(
    request: Request, personal: SurfelAvatar, target: SurfelAvatar, across: Correspondence
) -> list[str]:
    from pegasus_runtime.surfels.parts import is_part

    notes = []
    if not across.same_head:
        notes.append(
            f"the heads differ: {personal.head.name} is laid over {target.head.name} by their "
            "landmarks."
        )
    wanted = {a.name: a for a in personal.wardrobe.attributes if a.name in request.attributes}
    for name, attribute in wanted.items():
        if category_of(name) in WORN and not len(carried(personal, target, attribute, across)):
            notes.append(f"{name}: none of its surfels shows it; nothing would be put on.")
    puts_on_hair = any(category_of(name) == "hair" for name in wanted)
    if puts_on_hair and not bool(is_part(target.wardrobe.source.part, ["hair"]).any()):
        notes.append(f"{target.name} has no hair of their own: none has to go for it.")
    return notes
