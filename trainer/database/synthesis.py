"""From captures of several people to the database of one: avatars, then attributes.

1. Each person's avatar, the source person's too, is trained once.
2. Each attribute is put on the source person's frames.
3. The source person's own frames are linked, or copied to another disk, beside them.
Everything is a step with a manifest (`trainer.preprocess.steps`): what is done stays, whatever ends
the program, and what depends on something that has changed is done again.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from pegasus_runtime.documents import read_json
from pegasus_runtime.errors import InvalidInput
from pegasus_runtime.files import replace_file
from trainer.database.attribute_steps import (
    ATTRIBUTE_STEPS,
    AttributeWork,
    attribute_digest,
    source_files,
)
from trainer.database.avatar_step import claimed, make_avatar, subject_digest
from trainer.database.people import SOURCE, Person
from trainer.database.plan import (
    AVATARS,
    NOTE_FILE,
    SOURCE_AVATAR,
    Plan,
    SynthesisSettings,
    plan_synthesis,
)
from trainer.database.sheet import write_sheet
from trainer.preprocess.linked_files import link
from trainer.preprocess.manifest import Manifest
from trainer.preprocess.progress_lines import seconds_left
from trainer.preprocess.side_by_side import Outcome, Piece, Report, StepReport, run_pieces
from trainer.preprocess.steps import run_steps

Notes = list[str]
Progress = Callable[[str, float, float | None], None]
"""called with what is being done, the share of all work that is done, and the seconds left"""


@dataclass(frozen=True)
class Synthesised:
    """What was made."""

    folder: Path
    attributes: tuple[str, ...]
    failures: tuple[str, ...]
    """lines: what could not be made, and why"""
    notes: tuple[str, ...]


def synthesize(
    source: Path,
    people: Path,
    out: Path,
    settings: SynthesisSettings,
    progress: Progress = lambda _what, _share, _left: None,
    jobs: int = 1,
) -> Synthesised:
    """Make the database of a person, or go on with it.

    Args:
        source: the person's subject, or a capture with it.
        people: the folder with other people's captures.
        out: the database, made when missing.
        settings: what is made.
        progress: see `Progress`; what it raises stops the work, and the same call goes on.
        jobs: how many people, then attributes, at a time.

    Raises:
        FileNotFoundError: a folder is not there.
        InvalidInput: as `plan_synthesis`, or nothing at all could be made.
    """
    plan = plan_synthesis(source, people, out, settings)
    overall = _Overall(plan, progress)
    failures, notes = list(plan.problems), []
    for outcome in run_plan(plan, out, jobs, overall.report):
        if outcome.summary is None:
            failures.append(outcome.failure)
        else:
            notes += outcome.summary
    made = tuple(
        each.name for each in plan.attributes if (out / each.name / "flame_params.json").is_file()
    )
    if not made:
        raise InvalidInput(f"{out}: no attribute could be made ({'; '.join(failures[:3])})")
    return Synthesised(out, made, tuple(failures), tuple(notes))


def run_plan(plan: Plan, out: Path, jobs: int, report: Report) -> Iterator[Outcome[Notes]]:
    """Do everything of a plan, and tell of each avatar and attribute when it is done.

    An attribute whose avatar could not be trained is left out; that was told before.
    """
    claim_database(plan, out)
    for outcome in run_pieces([_source_piece(plan, out)], 1, report):
        yield outcome
        if outcome.summary is None:
            # Without its frames nothing can be learned of the others.
            return
    trained = set()
    for outcome in run_pieces(_avatar_pieces(plan, out), jobs, report):
        if outcome.summary is not None:
            trained.add(outcome.place)
        yield outcome
    if out / SOURCE_AVATAR in trained:
        ready = {p.name for p in plan.people if out / AVATARS / p.name in trained}
        yield from run_pieces(_attribute_pieces(plan, out, ready), jobs, report)
        write_sheet(plan, out)


def claim_database(plan: Plan, out: Path) -> None:
    """Note whose database this is; refuse that of another source person."""
    note = out / NOTE_FILE
    own = {"source": str(plan.source.folder.absolute())}
    with suppress(FileNotFoundError):
        found = read_json(note, dict)
        if found.get("source") != own["source"]:
            raise InvalidInput(
                f"{out}: is the database of another source person ({found.get('source')}); choose "
                "another folder."
            )
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InvalidInput(f"{out}: cannot be made ({error.strerror}).") from None
    with replace_file(note) as partial_file:
        partial_file.write_text(json.dumps(own, indent=1) + "\n", "utf-8")


def _source_piece(plan: Plan, out: Path) -> Piece[Notes]:
    return Piece(out / SOURCE, partial(_link_source, plan.source.folder, out / SOURCE), out)


def _link_source(source: Path, folder: Path, report: StepReport) -> Notes:
    """The source person's frames beside the attributes: links, or copies on another disk."""
    paths = list(source_files(source))
    wanted = {path.relative_to(source) for path in paths}
    try:
        for old in folder.rglob("*") if folder.is_dir() else ():
            if old.is_file() and old.relative_to(folder) not in wanted:
                old.unlink()
        for done, path in enumerate(paths):
            target = folder / path.relative_to(source)
            if not (target.is_file() and _is_same(path, target)):
                link(path, target)
            report(SOURCE, (done + 1) / len(paths))
    except OSError as error:
        raise InvalidInput(
            f"{folder}: cannot be written ({error.strerror}); free some space or choose another "
            "folder."
        ) from None
    return []


def _is_same(path: Path, target: Path) -> bool:
    mine, there = path.stat(), target.stat()
    return (mine.st_size, mine.st_mtime_ns) == (there.st_size, there.st_mtime_ns)


def _avatar_pieces(plan: Plan, out: Path) -> list[Piece[Notes]]:
    who = [(out / SOURCE_AVATAR, plan.source)]
    who += [(out / AVATARS / person.name, person) for person in plan.people]
    advice = "use fewer --jobs or a smaller --size"
    return [
        Piece(folder, partial(make_avatar, folder, person.folder, plan.settings), out, advice)
        for folder, person in who
    ]


def _attribute_pieces(plan: Plan, out: Path, ready: set[str]) -> list[Piece[Notes]]:
    people = {person.name: person for person in plan.people}
    pieces: list[Piece[Notes]] = []
    for each in plan.attributes:
        if each.person in ready:
            work = _work(plan, out, people[each.person], each.name, each.category)
            pieces.append(Piece(work.folder, partial(_make_attribute, work), out))
    return pieces


def _work(plan: Plan, out: Path, person: Person, name: str, category: str) -> AttributeWork:
    return AttributeWork(
        folder=out / name, options=plan.settings, category=category, source=plan.source.folder,
        person=person.folder, source_avatar=out / SOURCE_AVATAR,
        person_avatar=out / AVATARS / person.name,
    )  # fmt: skip


def _make_attribute(work: AttributeWork, report: StepReport) -> Notes:
    with claimed(work.folder) as own:
        manifest = Manifest.read(own)
        digest = f"{attribute_digest(work)} {subject_digest(work.source)}"
        manifest.source = {"path": str(work.source.absolute()), "digest": digest}
        return run_steps(ATTRIBUTE_STEPS, work, manifest, report)


class _Overall:
    """How far all of a plan is, from how far its pieces are."""

    def __init__(self, plan: Plan, progress: Progress) -> None:
        self._progress = progress
        seconds = {SOURCE_AVATAR: plan.avatar_seconds}
        seconds |= {person.name: plan.avatar_seconds for person in plan.people}
        seconds |= {each.name: each.seconds for each in plan.attributes}
        self._seconds = seconds
        self._shares = dict.fromkeys(seconds, 0.0)
        self._begun: tuple[float, float] | None = None

    def report(self, place: Path, step: str, share: float) -> None:
        """As `Report`."""
        if place.name in self._shares:
            self._shares[place.name] = share
        total = sum(self._seconds.values())
        done = sum(self._seconds[name] * part for name, part in self._shares.items()) / total
        now = time.monotonic()
        self._begun = self._begun or (now, done)
        left = seconds_left(now - self._begun[0], self._begun[1], done)
        self._progress(in_words(place, step), done, left)


def in_words(place: Path, step: str) -> str:
    """What people are told is being done."""
    if step == "avatar":
        return f"Learning {'the source person' if place.name == SOURCE_AVATAR else place.name}"
    if place.name == SOURCE:
        return "Linking the source person's frames"
    return f"Putting on {place.name}"
