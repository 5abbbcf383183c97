"""What a synthesis would make, how long it takes and how much room it needs; nothing is written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pegasus_runtime.errors import InvalidInput, quoted
from trainer.config.presets import PRESETS
from trainer.config.training import TrainingConfig
from trainer.data.machine_check import estimate_seconds
from trainer.database.people import PARTS_OF, Person, find_people, find_source

NOTE_FILE = "synthesis.json"
"""in the database: whose it is"""
AVATARS, SOURCE_AVATAR = "avatars", "source_avatar"
"""folders of the database that are no subjects"""
_FRAME_S = 0.27
"""Of a composite of 256² on one core as slow as `Look.slowness` has as its measure; with the square
of the side above that. Like the others only for what is told before: more tells more."""
_FRAME_BYTES = 3.2
"""of all pictures of a frame for each pixel; a patterned background takes as much"""
_AVATAR_BYTES = 60 << 20
"""of a run folder: two checkpoints and the avatar; one of 24,000 surfels has 48 MB"""


@dataclass(frozen=True)
class SynthesisSettings:
    """What a user may choose."""

    categories: tuple[str, ...] = ()
    """none: all that somebody has"""
    people: tuple[str, ...] = ()
    """none: all"""
    names: tuple[str, ...] = ()
    """attributes, CATEGORY_PERSON, of those that categories and people leave; none: all"""
    frames: int = 0
    """of the source person that each attribute is put on, evenly spread; 0 for all"""
    size: int = 256
    """side of the pictures that are made, and that avatars are trained with"""
    steps: int = 700
    """of the training of each person's avatar"""
    head: str = ""
    """the FLAME head of all captures, or empty for the free head"""

    def training(self, subject: Path) -> TrainingConfig:
        """The training of one person's avatar."""
        preset = next(p for p in PRESETS if p.name == "database_avatar").config()
        every = max(min(preset.checkpoint_every, self.steps), 1)
        data = replace(
            preset.data, folder=str(subject.parent), source=subject.name, image_size=self.size
        )
        return replace(
            preset, steps=self.steps, head=self.head, data=data, checkpoint_every=every,
            preview_every=max(self.steps, 1),
        )  # fmt: skip


@dataclass(frozen=True)
class PlannedAttribute:
    """One attribute that would be made."""

    name: str
    category: str
    person: str
    frames: int
    seconds: float
    bytes: int


@dataclass(frozen=True)
class Plan:
    """All that would be made."""

    source: Person
    people: tuple[Person, ...]
    """of whom something is taken"""
    attributes: tuple[PlannedAttribute, ...]
    problems: tuple[str, ...]
    """lines: who is left out, and why"""
    settings: SynthesisSettings
    missing: Mapping[str, str] = field(default_factory=dict)
    """attribute → why it is not made"""

    @property
    def avatar_seconds(self) -> float:
        """Of the training of one avatar, on this machine."""
        return estimate_seconds(self.settings.training(self.source.folder), 0)

    @property
    def seconds(self) -> float:
        """Of all, one thing after the other."""
        avatars = (len(self.people) + 1) * self.avatar_seconds if self.attributes else 0.0
        return avatars + sum(each.seconds for each in self.attributes)

    @property
    def bytes(self) -> int:
        """On the disk."""
        avatars = (len(self.people) + 1) * _AVATAR_BYTES if self.attributes else 0
        return avatars + sum(each.bytes for each in self.attributes)

    def as_json(self) -> dict[str, Any]:
        """For programs: what ``--dry-run`` prints."""
        return {
            "source": {"folder": str(self.source.folder), "frames": self.source.num_frames},
            "people": [
                {"name": p.name, "folder": str(p.folder), "frames": p.num_frames,
                 "seconds": round(self.avatar_seconds, 1)}
                for p in self.people
            ],
            "attributes": [vars(each) for each in self.attributes],
            "missing": dict(self.missing),
            "problems": list(self.problems),
            "seconds": round(self.seconds, 1),
            "bytes": self.bytes,
        }  # fmt: skip


def plan_synthesis(
    source: Path, database: Path, out: Path, settings: SynthesisSettings, strict: bool = True
) -> Plan:
    """Who lends what to the source person.

    Args:
        source: a subject, or a capture with one or with `SOURCE`.
        database: a folder of several people's captures.
        out: the database that would be made.
        settings: what is wanted.
        strict: whether it is an error when nothing would be made.

    Raises:
        FileNotFoundError: a folder is not there.
        InvalidInput: one cannot be used, ``out`` is one of them, or nobody has what is wanted.
    """
    unknown = [name for name in settings.categories if name not in PARTS_OF]
    if unknown:
        raise InvalidInput(
            f"attribute {quoted(unknown[0])}: is no category; use {', '.join(PARTS_OF)}."
        )
    person = find_source(source)
    people, problems = find_people(database, settings.people, person.folder)
    _check_place(out, source, database, [person, *people])
    plan = plan_of(person, people, problems, settings)
    if strict:
        _refuse_nothing(plan, database)
    return plan


def plan_of(
    person: Person, people: Sequence[Person], problems: Sequence[str], settings: SynthesisSettings
) -> Plan:
    """Who of these people lends what to a person.

    Args:
        person: who gets it.
        people: who could lend.
        problems: lines on those who are left out, which the plan keeps.
        settings: what is wanted.
    """
    wanted = settings.categories or tuple(PARTS_OF)
    attributes, missing = [], {}
    frames = min(settings.frames or person.num_frames, person.num_frames)
    # Small pictures take hardly less: the surfels are posed for each of them.
    scale = max((settings.size / 256) ** 2, 0.5)
    for category in wanted:
        for each in people:
            name = each.attribute(category)
            if settings.names and name not in settings.names:
                continue
            if category not in each.categories:
                missing[name] = each.missing.get(category, "is not seen")
                continue
            size = int(frames * settings.size**2 * _FRAME_BYTES)
            attributes.append(
                PlannedAttribute(
                    name, category, each.name, frames, round(frames * scale * _FRAME_S, 1), size
                )
            )
    used = {each.person for each in attributes}
    return Plan(
        person, tuple(p for p in people if p.name in used), tuple(attributes), tuple(problems),
        settings, missing,
    )  # fmt: skip


def _refuse_nothing(plan: Plan, database: Path) -> None:
    """Raises InvalidInput where a category that was asked for is nobody's."""
    made = {each.category for each in plan.attributes}
    for category in plan.settings.categories:
        if category not in made:
            why = [
                f"{name.partition('_')[2]}: {reason}"
                for name, reason in plan.missing.items()
                if name.startswith(f"{category}_")
            ]
            raise InvalidInput(
                f"{category}: nobody in {database} has one to lend "
                f"({'; '.join([*why, *plan.problems][:4])}); leave it out, or add a capture."
            )
    if not plan.attributes:
        raise InvalidInput(
            f"{database}: nobody in it can lend anything ({'; '.join(plan.problems[:4])})."
        )


def _check_place(out: Path, source: Path, database: Path, people: list[Person]) -> None:
    """Raises InvalidInput where the output is, holds or lies in what is read."""
    place = out.resolve()
    for what, folder in [("--source", source), ("--database", database)]:
        inner = folder.resolve()
        if place == inner or place in inner.parents or inner in place.parents:
            raise InvalidInput(
                f"{out}: is {what} itself, or one lies within the other; choose another folder."
            )
    for person in people:
        if place == person.folder.resolve() or place in person.folder.resolve().parents:
            raise InvalidInput(f"{out}: holds the capture of {person.name}; choose another folder.")
    if out.exists() and not out.is_dir():
        raise InvalidInput(f"{out}: is a file; choose another folder for the database.")
    if out.is_dir() and any(out.iterdir()) and not (out / NOTE_FILE).is_file():
        raise InvalidInput(
            f"{out}: holds something else than what synthesize writes; choose an empty folder."
        )
