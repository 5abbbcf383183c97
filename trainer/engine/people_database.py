"""A training that begins with other people: their hair, hats … are put onto its person first.

1. `person_of` says whose frames they are put on: a subject of `data.folder`, or of the capture that
   `trainer.engine.video_capture` makes of `data.video`.
2. `make_database` makes captures of those who come as videos, then runs `trainer.database` in the
   run's folder. It can be stopped like the training and goes on where it was; once it is made it is
   not made again.
3. `with_database` names what was made as the data, and `as_asked` takes that back, for a run keeps
   what it was asked.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from pegasus_runtime.documents import read_json
from pegasus_runtime.errors import InvalidInput, one_line
from pegasus_runtime.files import replace_file
from pegasus_runtime.video_names import is_video_name
from trainer.config.training import TrainingConfig
from trainer.data.capture_folder import PARAMETERS_FILE
from trainer.database.people import SOURCE
from trainer.database.plan import NOTE_FILE, SynthesisSettings
from trainer.engine.preparation import Tell, part_of, preparing
from trainer.engine.video_capture import (
    PEOPLE_FOLDER,
    WORDS,
    captures_beside,
    frame_options,
)
from trainer.engine.video_capture import as_asked as without_capture
from trainer.preprocess.frames import open_source
from trainer.preprocess.video import preprocess_video, subject_name

DATABASE_FOLDER = "database"
"""of the run folder: what is trained on"""
MADE_FILE = "database.json"
"""of the run folder, once the database is whole: what it was made with"""
VIDEO_SHARE = 0.1
"""of what comes before a training, for the video of its person; only to show how far it is"""
_PEOPLE_SHARE = 0.3
"""Of what is left, for the videos of all others: two of 90 frames took a quarter of the processor's
time, longer ones take more. With less the time that is told to be left begins too high, with more
too low."""
_LARGEST = 512
"""Side of the pictures that are made: larger ones take longer and show no more of who lends."""


def person_of(config: TrainingConfig) -> Path:
    """Where the frames of the person are; see `trainer.database.people.find_source`."""
    data = config.data
    subject = Path(data.folder) / data.source
    return subject if (subject / PARAMETERS_FILE).is_file() else Path(data.folder)


def synthesis_settings(config: TrainingConfig) -> SynthesisSettings:
    """What is made of the other people."""
    data = config.data
    return SynthesisSettings(
        names=tuple(dict.fromkeys(data.attributes)),
        frames=data.people_frames,
        size=min(data.image_size, _LARGEST),
        steps=data.people_steps,
        head=config.head,
    )


def videos_in(people: Path) -> list[Path]:
    """Those of other people who come as videos.

    Raises:
        FileNotFoundError: there is no such folder.
        InvalidInput: it is none, or holds captures beside videos.
    """
    if not people.exists():
        raise FileNotFoundError(f"{people}: no such folder; choose one with captures or videos.")
    if not people.is_dir():
        raise InvalidInput(f"{people}: is a file; choose the folder that it is in.")
    inside = sorted(people.iterdir())
    videos = [path for path in inside if path.is_file() and is_video_name(path)]
    if videos and any((path / PARAMETERS_FILE).is_file() for path in inside):
        raise InvalidInput(
            f"{people}: holds videos beside captures; put the ones or the others elsewhere."
        )
    return videos


def with_database(config: TrainingConfig, run_dir: Path) -> TrainingConfig:
    """The same training on the database that is made of the other people."""
    folder = str((run_dir / DATABASE_FOLDER).absolute())
    return replace(config, data=replace(config.data, folder=folder, source=SOURCE))


def as_asked(config: TrainingConfig, run_dir: Path) -> TrainingConfig:
    """What a run keeps as its settings: those with which the same command would begin."""
    if config.data.people and config == with_database(config, run_dir):
        person = Path(_note(run_dir).get("source", ""))
        data = replace(config.data, folder=str(person.parent), source=person.name)
        config = replace(config, data=data)
    return without_capture(config, run_dir)


def make_database(
    config: TrainingConfig,
    run_dir: Path,
    say: Callable[[str], None],
    report: Callable[[str, float], None],
) -> None:
    """Put the attributes of other people onto the person, or go on with it.

    Args:
        config: with `data.folder` and `data.source` of the person.
        run_dir: the run folder, which is there.
        say: takes what people are told, whole lines.
        report: called with what is being done and the share of all work that is done.

    Raises:
        Interrupted: the run was asked to stop.
        FileNotFoundError: a folder is not there.
        InvalidInput: nothing could be made, or the folder not be written.
    """
    from trainer.database.synthesis import synthesize

    data, database = config.data, run_dir / DATABASE_FOLDER
    made_with = _made_with(config)
    if _read(run_dir / MADE_FILE) == made_with:
        say(f"the attributes of {Path(data.people).name} are put on already, in {database}")
        return
    begin = VIDEO_SHARE if data.video else 0.0
    with preparing(run_dir, "other people's attributes are put on") as tell:

        def told(words: str, share: float) -> None:
            report(words, share)
            tell(words, share)

        people, videos = Path(data.people), videos_in(Path(data.people))
        if videos:
            end = begin + _PEOPLE_SHARE * (1 - begin)
            people = run_dir / PEOPLE_FOLDER
            _make_captures(config, videos, run_dir, say, part_of(told, begin, end))
            begin = end
        rest = part_of(told, begin, 1.0)
        made = synthesize(
            person_of(config), people, database, synthesis_settings(config),
            lambda words, share, _: rest(words, share),
        )  # fmt: skip
        with replace_file(run_dir / MADE_FILE) as partial:
            partial.write_text(json.dumps(made_with, indent=1) + "\n", "utf-8")
    for line in (*made.failures, *made.notes):
        say(line)
    count = len(made.attributes)
    say(f"{count} {'attribute is' if count == 1 else 'attributes are'} learned, in {made.folder}")


def _make_captures(
    config: TrainingConfig,
    videos: list[Path],
    run_dir: Path,
    say: Callable[[str], None],
    tell: Tell,
) -> None:
    """A capture of each video; one that cannot be used is told and left out."""
    for number, video in enumerate(videos):
        name = subject_name(video)
        mine = part_of(tell, number / len(videos), (number + 1) / len(videos), f"{name}: ")
        try:
            preprocess_video(
                video,
                run_dir / PEOPLE_FOLDER,
                frame_options(config, open_source(video)),
                lambda step, share, mine=mine: mine(WORDS.get(step, step), share),  # type: ignore[misc]
                elsewhere=captures_beside(run_dir),
            )
        except InvalidInput as error:
            say(f"left out: {one_line(str(error), 400)}")


def _made_with(config: TrainingConfig) -> dict[str, object]:
    settings = synthesis_settings(config)
    return {
        "people": config.data.people,
        "attributes": sorted(settings.names),
        "frames": settings.frames,
        "size": settings.size,
        "steps": settings.steps,
        "head": settings.head,
    }


def _note(run_dir: Path) -> dict[str, str]:
    return _read(run_dir / DATABASE_FOLDER / NOTE_FILE)


def _read(path: Path) -> dict[str, str]:
    with suppress(FileNotFoundError, InvalidInput):
        found: dict[str, str] = read_json(path, dict)
        return found
    return {}
