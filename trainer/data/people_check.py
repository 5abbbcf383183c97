"""Which attributes would be taken from other people? A part of the look before a training."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from pegasus_runtime.errors import InvalidInput, one_line
from pegasus_runtime.surfels.parts import WORN
from trainer.config.data import DataConfig
from trainer.config.presets import PRESETS
from trainer.config.training import TrainingConfig
from trainer.data.machine_check import estimate_seconds, run_bytes
from trainer.data.people_pictures import pictures_of_parts
from trainer.data.preflight_report import Report
from trainer.data.video_check import (
    BYTES_PER_FRAME,
    START_S,
    as_base64,
    check_video,
    num_used,
    preparation_seconds,
)
from trainer.database.people import (
    PARTS_OF,
    SOURCE,
    Person,
    find_people,
    find_source,
    hide_hair,
    why_not,
)
from trainer.database.plan import plan_of
from trainer.engine.people_database import person_of, synthesis_settings, videos_in
from trainer.engine.video_capture import PEOPLE_FOLDER, has_capture
from trainer.preprocess.look import Look, look
from trainer.preprocess.look_parts import NOT_ALWAYS_WORN
from trainer.preprocess.model_files import PARSING_NAMES
from trainer.preprocess.video import subject_name


@dataclass
class _People:
    """Those who lend, with what is known before anything is made."""

    people: list[Person]
    pictures: dict[str, dict[str, str]] = field(default_factory=dict)
    """person → category → picture"""
    looks: list[tuple[Path, Look]] = field(default_factory=list)
    """at those who come as videos"""


def check_people(config: TrainingConfig, out: Path, report: Report) -> int:
    """Look at the people of a training and at its person.

    Args:
        config: of the training, as `trainer.engine.video_capture.with_capture` gives it.
        out: the run's folder.
        report: takes what is found; its device is known by now.

    Returns:
        How many frames would be learned.
    """
    person, own = _find_person(config, out, report)
    found = _find_people(config, person, report)
    if person is None or found is None:
        return 0
    plan = plan_of(person, found.people, (), synthesis_settings(config))
    report.attributes = _shown(found)
    if not plan.attributes:
        report.refuse(
            f"{config.data.people}: nobody in it has an attribute that can be taken.",
            "Choose people whose hair, nose or glasses are seen, or tick other attributes.",
        )
    presets = {p.name: p.config() for p in PRESETS if p.is_of_people}
    report.costs_by_preset = {
        name: _costs(_with_data(preset, config), person, own, found, out, report)
        for name, preset in presets.items()
    }
    costs = _costs(config, person, own, found, out, report)
    num_people, num_attributes = len(plan.people), len(plan.attributes)
    seconds, size = (
        costs[what]
        + num_people * costs[f"{what}_per_person"]
        + num_attributes * costs[f"{what}_per_attribute"]
        for what in ("seconds", "bytes")
    )
    report.seconds = seconds
    report.facts["Attributes"] = f"{num_attributes} of {num_people} people"
    _check_disk(size, out, report)
    return person.num_frames + sum(each.frames for each in plan.attributes)


def _find_person(
    config: TrainingConfig, out: Path, report: Report
) -> tuple[Person | None, Look | None]:
    """The one who gets the attributes, with the look at a video; None and a problem without."""
    video = config.data.video
    if video and not has_capture(config):
        seen = check_video(config, out, report)
        used = num_used(config, seen.num_frames) if seen else 0
        return (Person(SOURCE, Path(video), used) if used else None), seen
    place = person_of(config)
    advice = "Choose a capture of one person, or a video."
    if not config.data.folder and config.data.source == DataConfig().source:
        report.refuse("No person is chosen.", advice)
        return None, None
    if not place.is_dir():
        report.refuse(f"{place}: there is no such folder.", advice)
        return None, None
    try:
        return find_source(place), None
    except (InvalidInput, FileNotFoundError) as error:
        report.refuse(one_line(str(error), 400), advice)
        return None, None


def _find_people(config: TrainingConfig, person: Person | None, report: Report) -> _People | None:
    people = Path(config.data.people)
    try:
        videos = videos_in(people)
        if videos:
            return _look_at_videos(videos, config, report)
        found, problems = find_people(people, (), person.folder if person else None)
    except (InvalidInput, FileNotFoundError) as error:
        report.refuse(one_line(str(error), 400), "Choose a folder with captures or videos.")
        return None
    report.notes += problems
    pictures = {each.name: pictures_of_parts(each) for each in found}
    return _People(found, pictures)


def _look_at_videos(videos: Sequence[Path], config: TrainingConfig, report: Report) -> _People:
    found = _People([])
    for video in videos:
        name = subject_name(video)
        try:
            seen = look(video, with_parts=True)
        except (InvalidInput, OSError) as error:
            report.notes.append(f"{name}: is left out: {one_line(str(error), 400)}")
            continue
        used = num_used(config, seen.num_frames)
        missing = _missing(seen)
        categories = tuple(category for category in PARTS_OF if not missing[category])
        found.people.append(Person(name, video, used, categories, missing))
        found.looks.append((video, seen))
        found.pictures[name] = {each: as_base64(seen.parts[each]) for each in categories}
    report.notes.append("What the people of videos lend is known when their frames are made.")
    return found


def _missing(seen: Look) -> dict[str, str]:
    """Of all categories, why they are not expected of a video; empty for those that are."""
    missing = dict.fromkeys(PARTS_OF, "")
    for category in (name for name, part in WORN.items() if part in NOT_ALWAYS_WORN):
        missing[category] = (
            f"needs {PARSING_NAMES[0]} in the asset folder, which finds it in videos"
            if seen.worn is None
            else why_not(category, seen.worn)
        )
    hide_hair(missing)
    return missing


def _shown(found: _People) -> list[dict[str, str]]:
    return [
        {
            "name": person.attribute(category),
            "category": category,
            "person": person.name,
            "picture": found.pictures.get(person.name, {}).get(category, ""),
            "reason": "" if category in person.categories else person.missing.get(category, ""),
        }
        for person in found.people
        for category in PARTS_OF
    ]


def _with_data(preset: TrainingConfig, config: TrainingConfig) -> TrainingConfig:
    mine = config.data
    data = replace(
        preset.data, folder=mine.folder, source=mine.source, video=mine.video, people=mine.people
    )
    return replace(preset, data=data, head=config.head)


def _costs(
    config: TrainingConfig,
    person: Person,
    own: Look | None,
    found: _People,
    out: Path,
    report: Report,
) -> dict[str, float]:
    """Of a training: what it takes anyhow, and more for each person and attribute."""
    if own is not None:
        person = replace(person, num_frames=num_used(config, own.num_frames))
    plan = plan_of(person, found.people, (), replace(synthesis_settings(config), names=()))
    num_people, attributes = max(len(found.people), 1), plan.attributes
    prepare = sum(
        preparation_seconds(config, seen, video, out / PEOPLE_FOLDER / subject_name(video), out)
        for video, seen in found.looks
    )
    frames = sum(num_used(config, seen.num_frames) for _, seen in found.looks)
    mine = 0.0
    if own is not None:
        place = Path(config.data.folder) / config.data.source
        mine = preparation_seconds(config, own, Path(config.data.video), place, out)
    one = attributes[0] if attributes else None
    looks = [seen for _, seen in found.looks] + ([own] if own else [])
    # How quick the processor is says nothing of a graphics card.
    known = bool(looks) and not report.num_gpus
    pace = float(np.mean([seen.slowness for seen in looks])) if known else 1.0
    avatar_seconds = plan.avatar_seconds
    train_seconds = estimate_seconds(config, report.num_gpus)
    avatar_bytes = max(plan.bytes - sum(each.bytes for each in attributes), 0)
    avatar_bytes //= len(plan.people) + 1
    return {
        "seconds": START_S + mine + pace * (avatar_seconds + train_seconds),
        "seconds_per_person": pace * avatar_seconds + prepare / num_people,
        "seconds_per_attribute": pace * one.seconds if one else 0.0,
        "bytes": run_bytes(config)
        + avatar_bytes
        + (person.num_frames * BYTES_PER_FRAME if own else 0),
        "bytes_per_person": avatar_bytes + frames * BYTES_PER_FRAME / num_people,
        "bytes_per_attribute": one.bytes if one else 0,
    }


def _check_disk(size: float, out: Path, report: Report) -> None:
    existing = next(p for p in (out.absolute(), *out.absolute().parents) if p.exists())
    room = shutil.disk_usage(existing).free
    if size > room:
        report.refuse(
            f"The frames with attributes need {size / 2**30:.1f} GB, {room / 2**30:.1f} are free.",
            "Free some space, take fewer attributes, or choose a folder on another disk.",
        )
