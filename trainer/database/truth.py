"""Composites of made-up people against the same person drawn wearing the attribute.

Only captures of `python -m trainer capture` have a truth: their settings say who it is, and that
person can be drawn with what another one lends.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from pegasus_runtime.documents import read_json
from pegasus_runtime.errors import InvalidInput
from pegasus_runtime.files import replace_folder
from trainer.config.data import DataConfig
from trainer.config.loading import build
from trainer.data.capture_folder import PARAMETERS_FILE, PART_NAMES_FILE, FrameRecord, read_subject
from trainer.data.images import Pictures, decode_frame
from trainer.database.attribute_steps import source_files
from trainer.database.composite import BACKGROUND
from trainer.database.people import SOURCE
from trainer.database.plan import Plan
from trainer.preprocess.linked_files import link
from trainer.synthetic.capture import SETTINGS_FILE
from trainer.synthetic.casting import person_for, renderer_for
from trainer.synthetic.config import CaptureConfig
from trainer.synthetic.dataset_writer import OWN_NAMES, make_folders, write_frame
from trainer.synthetic.frame_sampling import FrameParameters
from trainer.synthetic.lending import is_lent

_INSIDE = 128
"""of 255, of a mask: what is more than half covered counts, on both sides of the comparison"""
_CHANGED = 6
"""Grey levels by which the truth differs from the person without the attribute where it counts as
changed; less takes in rounding, more leaves out the shade of a nose"""


@dataclass(frozen=True)
class Compared:
    """One attribute against its truth; means over the frames in which it is seen in either."""

    name: str
    frames: int
    psnr: float
    """dB, of colours over white within the true mask of the head"""
    iou: float
    """of the masks"""
    psnr_object: float
    """dB where the attribute is seen in either"""
    iou_object: float
    """of where the attribute is seen"""
    psnr_changed: float
    """dB where the attribute changes the true picture, wherever that is"""
    psnr_untouched: float
    """dB of the person's own frames there, with nothing put on: what a composite has to be above"""


def compare_with_truth(plan: Plan, out: Path, folder: Path) -> list[Compared]:
    """Draw the truth of a database as another one, and compare all attributes that have one.

    Args:
        plan: of the database.
        out: the database.
        folder: where the truth is written, a subject for each attribute beside the source's; what
            is there already is kept.

    Raises:
        InvalidInput: the source person is not made up, or a frame cannot be read or written.
    """
    config = capture_settings(plan.source.folder)
    if config is None:
        raise InvalidInput(f"{plan.source.folder}: is no made-up person, and has no truth.")
    people = {person.name: person for person in plan.people}
    share = DataConfig().max_bad_share
    frames = read_subject(plan.source.folder, plan.settings.size, share).frames
    plain = {frame.name: frame for frame in frames}
    found = []
    for each in plan.attributes:
        lender = capture_settings(people[each.person].folder)
        subject = "" if lender is None else true_subject(each.category, lender)
        if subject and (out / each.name / PARAMETERS_FILE).is_file():
            _draw(out / each.name, folder / each.name, config, subject)
            found.append(_compare(out / each.name, folder / each.name, plain, plan.settings.size))
    if found:
        for path in source_files(plan.source.folder):
            link(path, folder / SOURCE / path.relative_to(plan.source.folder))
    return found


def true_subject(category: str, lender: CaptureConfig) -> str:
    """The subject of the capture tool that shows a lender's part; empty where there is none."""
    worn = [name for name in lender.person.wears if name.startswith(f"{category}_")]
    if worn:
        return worn[0]
    name = f"{category}_{lender.person.name}"
    return name if is_lent(name) else ""


def capture_settings(subject: Path) -> CaptureConfig | None:
    """With which a subject was drawn; None where it is of no such capture."""
    path = subject.parent / SETTINGS_FILE
    if not path.is_file():
        return None
    content = dict(read_json(path, dict))
    content.pop("drawn_with", None)
    return build(CaptureConfig, content)


def _draw(made: Path, folder: Path, config: CaptureConfig, subject: str) -> None:
    """The true pictures of all frames of an attribute, as large as the person's own."""
    if (folder / PARAMETERS_FILE).is_file():
        return
    folder.parent.mkdir(parents=True, exist_ok=True)
    size = config.image_size
    frames = read_subject(made, size, DataConfig().max_bad_share).frames
    with (
        renderer_for(config, subject, size) as renderer,
        replace_folder(folder, OWN_NAMES) as partial,
    ):
        make_folders(partial)
        for frame in frames:
            seen = FrameParameters(frame.expression, frame.pose, frame.camera)
            write_frame(partial, frame.name, renderer.draw(seen))
        for name in ("skip.json", PARAMETERS_FILE):
            link(made / name, partial / name)
        names = [*person_for(config, subject).part_names, BACKGROUND]
        (partial / PART_NAMES_FILE).write_text(json.dumps(names) + "\n", "utf-8")


def _compare(made: Path, folder: Path, plain: Mapping[str, FrameRecord], size: int) -> Compared:
    share = DataConfig().max_bad_share
    truth = {frame.name: frame for frame in read_subject(folder, size, share).frames}
    frames = read_subject(made, size, share).frames
    known = [frame for frame in frames if frame.name in truth and frame.name in plain]
    if not known:
        raise InvalidInput(f"{folder}: has none of the frames of {made}; remove it.")
    scores = [
        score(*(decode_frame(f.files, size) for f in (frame, truth[frame.name], plain[frame.name])))
        for frame in known
    ]
    values = np.array(scores).reshape(-1, 6)
    # From behind a nose is the same as any other, and would be counted as perfect.
    seen = values[np.isfinite(values[:, :4]).all(axis=1)]
    changed = seen[np.isfinite(seen).all(axis=1), 4:]
    means = [of.mean(axis=0) if len(of) else np.full(of.shape[1], np.nan) for of in (seen, changed)]
    return Compared(made.name, len(seen), *map(float, [*means[0][:4], *means[1]]))


def score(made: Pictures, true: Pictures, plain: Pictures) -> tuple[float, ...]:
    """The numbers of `Compared` for one frame, NaN where the attribute is not seen.

    Args:
        made: the composite.
        true: the person drawn with the attribute.
        plain: the person without it.
    """
    head = true.mask > _INSIDE
    objects = [
        np.zeros_like(head) if p.part_mask is None else p.part_mask > _INSIDE for p in (made, true)
    ]
    levels = np.abs(true.image.astype(np.int16) - plain.image).max(axis=2)
    changed = levels > _CHANGED
    return (
        _psnr(made.image, true.image, head),
        _iou(made.mask > _INSIDE, head),
        _psnr(made.image, true.image, objects[0] | objects[1]),
        _iou(objects[0], objects[1]),
        _psnr(made.image, true.image, changed),
        _psnr(plain.image, true.image, changed),
    )


def _psnr(
    first: npt.NDArray[np.uint8], second: npt.NDArray[np.uint8], where: npt.NDArray[np.bool_]
) -> float:
    if not where.any():
        return float("nan")
    error = np.square(first[where].astype(np.float64) - second[where]).mean() / 255**2
    return float(-10 * np.log10(max(error, 1e-10)))


def _iou(first: npt.NDArray[np.bool_], second: npt.NDArray[np.bool_]) -> float:
    union = int((first | second).sum())
    return float((first & second).sum() / union) if union else float("nan")


def table(compared: Sequence[Compared]) -> str:
    """Lines for people, with the mean over categories at the end."""
    lines = [
        f"{'attribute':24} {'frames':>6} {'head dB':>8} {'IoU':>6} {'own dB':>7} {'own IoU':>7} "
        f"{'changed dB':>10} {'untouched dB':>12}"
    ]
    lines += [f"{each.name:24} {each.frames:6} {_numbers(each)}" for each in compared]
    categories: dict[str, list[Compared]] = {}
    for each in (one for one in compared if one.frames):
        categories.setdefault(each.name.partition("_")[0], []).append(each)
    means = [np.mean([astuple(c)[1:] for c in group], axis=0) for group in categories.values()]
    if means:
        name = f"mean of {len(means)} categories"
        mean = Compared(name, 0, *(float(value) for value in np.mean(means, axis=0)[1:]))
        lines.append(f"{name:31} {_numbers(mean)}")
    lines.append(
        "head: inside the true mask; own: where the part is seen; changed: where it changes the "
        "true picture,\nuntouched: the same of frames with nothing put on."
    )
    return "\n".join(lines)


def _numbers(each: Compared) -> str:
    return (
        f"{each.psnr:8.2f} {each.iou:6.3f} {each.psnr_object:7.2f} {each.iou_object:7.3f} "
        f"{each.psnr_changed:10.2f} {each.psnr_untouched:12.2f}"
    )
