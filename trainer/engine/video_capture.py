"""A training that begins with a video: a capture is made of it first, in the run's folder.

1. `with_capture` says where the capture is and who is learned; a run folder that is carried about
   takes it along, so the run's config.yaml names neither (`as_asked`).
2. `make_capture` runs the steps of `trainer.preprocess` there and tells how far they are in the
   run's events. It can be stopped like the training, and goes on where it was. What runs beside it
   have made of the same video is shared.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from trainer.config.data import DataConfig
from trainer.config.training import TrainingConfig
from trainer.data.capture_folder import PARAMETERS_FILE
from trainer.engine.preparation import preparing
from trainer.preprocess.frames import FrameSource, Selection, open_source
from trainer.preprocess.steps import Options
from trainer.preprocess.video import Report, preprocess_video, subject_name

CAPTURE_FOLDER, PEOPLE_FOLDER = "capture", "people"
"""of the run folder: of its own video, and of those of other people"""
WORDS = {
    "faces": "Reading the video",
    "landmarks": "Following the face",
    "crop": "Cutting out the head",
    "matte": "Separating the person from the background",
    "hair": "Finding the hair",
    "fit": "Fitting the head",
    "parts": "Telling skin, hair and clothes apart",
    "filter": "Leaving out frames that are no good",
    "layout": "Writing the frames",
}
"""what people are told of each step"""
_SMALLEST_CROP, _LARGEST_CROP = 512, 2048
"""Side of the pictures: smaller ones have coarse edges, even where fewer pixels are learned."""


def with_capture(config: TrainingConfig, run_dir: Path) -> TrainingConfig:
    """The same training with the folder and the person of the capture that its video becomes."""
    data, usual = config.data, DataConfig()
    if not data.video:
        return config
    folder = data.folder or str((run_dir / CAPTURE_FOLDER).absolute())
    source = subject_name(Path(data.video)) if data.source == usual.source else data.source
    return replace(config, data=replace(data, folder=folder, source=source))


def as_asked(config: TrainingConfig, run_dir: Path) -> TrainingConfig:
    """The opposite of `with_capture`: what a run keeps as its settings."""
    data, usual = config.data, DataConfig()
    given = replace(config, data=replace(data, folder=usual.folder, source=usual.source))
    return given if data.video and with_capture(given, run_dir) == config else config


def has_capture(config: TrainingConfig) -> bool:
    """Whether the video of a training, as `with_capture` gives it, is a capture already."""
    return (Path(config.data.folder) / config.data.source / PARAMETERS_FILE).is_file()


def captures_beside(run_dir: Path) -> list[Path]:
    """Of runs beside this one, what was made of videos, of which it may be the same one."""
    beside = run_dir.absolute().parent
    return [p for name in (CAPTURE_FOLDER, PEOPLE_FOLDER) for p in beside.glob(f"*/{name}/*")]


def frame_options(config: TrainingConfig, source: FrameSource) -> Options:
    """Which frames of a video are used, and how large they are cut out."""
    if config.data.video_frames:
        # Only a frame tells how many there are a second.
        source.samples(1)
    return options_of(config, source.estimated_count(Selection()))


def options_of(config: TrainingConfig, count: int) -> Options:
    """The same of a video with so many frames."""
    most = config.data.video_frames
    size = min(max(config.data.image_size, _SMALLEST_CROP), _LARGEST_CROP)
    face = config.data.video_face
    if not most:
        return Options(size=size, face=face)
    chosen = Selection.spread(count, most)
    return Options(chosen.every, chosen.limit, size=size, face=face)


def make_capture(
    config: TrainingConfig,
    run_dir: Path,
    say: Callable[[str], None],
    report: Report,
    until: float = 1.0,
) -> None:
    """Make the capture of a training's video, or go on with it.

    Args:
        config: as `with_capture` gives it.
        run_dir: the run folder, which is there.
        say: takes what people are told, whole lines.
        report: called with the name of the step and the share of all work that is done.
        until: which share of what comes before the training this is; something else follows.

    Raises:
        Interrupted: the run was asked to stop.
        FileNotFoundError: the video is not there, and neither is its capture.
        InvalidInput: the video cannot be used, or the folder not be written.
    """
    video, folder = Path(config.data.video), Path(config.data.folder)
    if has_capture(config) and not video.exists():
        say(f"{video}: is not there any more; the frames that were made of it are used.")
        return
    with preparing(run_dir, "the video is read") as tell:

        def told(step: str, share: float) -> None:
            report(step, share)
            tell(WORDS.get(step, step), until * share)

        options = frame_options(config, open_source(video))
        others = captures_beside(run_dir)
        summary = preprocess_video(video, folder, options, told, elsewhere=others)
    for note in summary.notes:
        say(note)
    used = summary.num_frames - summary.num_left_out
    say(f"{video.name}: {used} of {summary.num_frames} frames are learned, in {summary.folder}")
