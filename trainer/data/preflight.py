"""Would this training run? ``python -m trainer preflight`` prints it as JSON.

It looks at frames exactly as the training does, all pictures included.
"""

from __future__ import annotations

from pathlib import Path

from pegasus_runtime.avatar.avatar import PublishedAvatar
from pegasus_runtime.avatar_file import load_avatar
from pegasus_runtime.errors import InvalidInput
from pegasus_runtime.model.latent import CATEGORIES, category_of
from trainer.config.training import TrainingConfig
from trainer.data.capture_folder import (
    PARAMETERS_FILE,
    SubjectRecord,
    check_bad_share,
    learned_folders,
    subject_folders,
)
from trainer.data.frame_checks import check_frames
from trainer.data.images import PictureCache
from trainer.data.machine_check import check_device, check_room
from trainer.data.people_check import check_people
from trainer.data.preflight_report import Report
from trainer.data.video_check import check_video, num_used
from trainer.engine.resume import load_configured_head
from trainer.engine.video_capture import has_capture, with_capture

_MAX_SHOWN = 12
"""More bad frames say nothing new, and make the report longer than a screen."""
_CACHE_GB = 0.25
"""for pictures that are looked at once; more keeps what nobody asks for again"""


def preflight(config: TrainingConfig, out: Path) -> Report:
    """Look at everything that could go wrong before a training is started."""
    report = Report()
    config = with_capture(config, out)
    if config.data.people:
        check_head(config, report)
        check_device(config, report)
        num_frames = check_people(config, out, report)
        check_processes(config, num_frames, report)
        check_room(config, num_frames, out, report)
        return report
    is_filmed = bool(config.data.video) and not has_capture(config)
    num_frames = 0 if is_filmed else _check_data(config, report)
    check_head(config, report)
    check_start(config, report)
    check_device(config, report)
    if is_filmed:
        seen = check_video(config, out, report)
        num_frames = num_used(config, seen.num_frames) if seen else 0
    check_processes(config, num_frames, report)
    check_room(config, num_frames, out, report)
    return report


def _check_data(config: TrainingConfig, report: Report) -> int:
    folder = Path(config.data.folder)
    if not config.data.folder or not folder.is_dir():
        report.refuse(
            f"{config.data.folder}: there is no such folder."
            if config.data.folder
            else "No data folder is chosen.",
            "Choose the folder that holds one folder for each subject.",
        )
        return 0
    try:
        found = subject_folders(folder)
    except InvalidInput as error:
        report.refuse(str(error), "Then look again.")
        return 0
    report.subjects = [path.name for path in found]
    if not found:
        report.refuse(
            f"{folder} holds no subject: no folder in it has a {PARAMETERS_FILE}.",
            "Choose the folder above the subjects, or track the videos first.",
        )
        return 0
    if config.data.source not in report.subjects:
        report.refuse(
            f"There is no subject named {config.data.source}.",
            f"Choose the person without attributes: {', '.join(report.subjects[:6])}.",
        )
    if config.data.pairs and not Path(config.data.pairs).is_dir():
        report.refuse(
            f"{config.data.pairs}: there is no such folder of pairs.",
            "Choose the folder that holds one folder NAME+NAME for each pair, or leave it empty.",
        )
    learned = learned_folders(config.data)
    if len(learned) < len(found):
        report.notes.append(
            f"Only {config.data.source} is learned; the folder's other subjects "
            f"({len(found) - 1}) are left alone."
        )
    for name in (path.name for path in learned):
        if name != config.data.source and ("_" not in name or category_of(name) not in CATEGORIES):
            report.refuse(
                f"{name} does not say which attribute it is.",
                f"Rename it to CATEGORY_NAME with one of {', '.join(CATEGORIES)}.",
            )
    sides: dict[str, set[int]] = {}
    good = sum(_check_subject(path, config, report, sides) for path in learned)
    _note_sizes(sides, config.data.image_size, report)
    report.facts["Subjects"] = str(len(learned))
    report.facts["Frames"] = f"{good:,} good, {len(report.bad):,} bad"
    del report.bad[_MAX_SHOWN:]
    return good


def check_head(config: TrainingConfig, report: Report) -> None:
    """The head that is set opens."""
    try:
        load_configured_head(config)
    except (InvalidInput, OSError) as error:
        fix = "Choose the generic_model.pkl that the videos were tracked with, or leave it empty."
        report.refuse(str(error), fix)


def check_start(config: TrainingConfig, report: Report) -> None:
    """The avatar to begin with opens, and is of the model and the sizes that are set."""
    if not config.start_from:
        return
    fix = "Choose the .avatar file of an earlier training, or leave the field empty."
    try:
        earlier = load_avatar(Path(config.start_from))
    except (InvalidInput, OSError) as error:
        report.refuse(str(error), fix)
        return
    is_published = isinstance(earlier, PublishedAvatar)
    if is_published != (config.model.kind == "published"):
        report.refuse(f"{config.start_from}: is an avatar of the other model.", fix)
    if not isinstance(earlier, PublishedAvatar):
        return
    theirs = vars(earlier.networks.sizes)
    wanted = {name: value for name, value in vars(config.model).items() if name in theirs}
    different = [name for name, value in wanted.items() if theirs[name] != value]
    if different:
        listed = ", ".join(f"model.{name} to {theirs[name]}" for name in different)
        report.refuse(f"{config.start_from}: has networks of other sizes.", f"Set {listed}.")


def check_processes(config: TrainingConfig, num_frames: int, report: Report) -> None:
    """Each GPU has a process, and in each step all see the same number of frames."""
    size = report.num_gpus
    if size < 2:
        return
    if config.batch_size % size:
        more = -(-config.batch_size // size) * size
        report.refuse(
            f"{config.batch_size} frames per step cannot be divided among {size} GPUs.",
            f"Set the frames per step to {more}, or the device to cuda:0 to use one GPU.",
        )
    if num_frames and size > num_frames:
        report.refuse(
            f"There are {size} GPUs for {num_frames} frames.",
            "Give more frames, or set the device to cuda:0 to use one GPU.",
        )


def _check_subject(
    folder: Path, config: TrainingConfig, report: Report, sides: dict[str, set[int]]
) -> int:
    cache = PictureCache(config.data.image_size, _CACHE_GB)
    try:
        subject = check_frames(folder, config.data.image_size, cache)
    except InvalidInput as error:
        report.refuse(str(error), "Track this subject's video again, or move its folder away.")
        return 0
    report.notes += subject.notes
    _report_bad(subject, config, report)
    sides[folder.name] = subject.sides
    return len(subject.frames)


def _note_sizes(sides: dict[str, set[int]], wanted: int, report: Report) -> None:
    found = set().union(*sides.values())
    if len(found) > 1:
        listed = ", ".join(f"{side} px" for side in sorted(found))
        report.notes.append(
            f"Pictures of several sizes ({listed}); all are resized to {wanted} px."
        )
    if found and max(found) < wanted:
        report.notes.append(
            f"Pictures of {max(found)} px are enlarged to {wanted} px; with a picture size of "
            f"{max(found)} px the training is quicker and as sharp."
        )


def _report_bad(subject: SubjectRecord, config: TrainingConfig, report: Report) -> None:
    for name, reason in subject.bad.items():
        picture = subject.folder / "image" / f"{name}.png"
        report.bad.append(
            {"frame": f"{subject.name}/{name}", "reason": reason, "picture": str(picture)}
        )
    try:
        check_bad_share(subject, config.data.max_bad_share)
    except InvalidInput as error:
        report.refuse(str(error), "The reasons are below.")
