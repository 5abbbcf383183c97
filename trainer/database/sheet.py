"""The contact sheet: each attribute on a few frames, beside the person whose it is."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt

from trainer.data.capture_folder import PARAMETERS_FILE, read_subject
from trainer.data.images import decode_frame
from trainer.database.attribute_steps import view_of
from trainer.database.plan import Plan
from trainer.preprocess.crop import save_picture

SHEET_NAME = "contact_sheet.png"
_TILE = 256
"""Pixels; smaller ones hide seams, larger ones make a large file."""
_COLUMNS = 5
"""Frames from the front round to the sides; more show more sides, in a wider sheet."""
Bytes = npt.NDArray[np.uint8]


def write_sheet(plan: Plan, out: Path) -> None:
    """Write the sheet: a row of the source person's frames, then one for each attribute."""
    size = plan.settings.size
    tile = min(_TILE, size)
    record = read_subject(plan.source.folder, size, 1.0)
    chosen = [record.frames[i] for i in _spread([view_of(frame) for frame in record.frames])]
    white = np.full((tile, tile, 3), 255, np.uint8)
    rows = [[white, *(_tile(frame.files, tile) for frame in chosen)]]
    people = {person.name: person for person in plan.people}
    for each in plan.attributes:
        folder = out / each.name
        if not (folder / PARAMETERS_FILE).is_file():
            continue
        record = read_subject(folder, size, 1.0)
        shown = [record.frames[i] for i in _spread([view_of(f) for f in record.frames])]
        theirs = read_subject(people[each.person].folder, size, 1.0).frames
        front = theirs[_spread([view_of(frame) for frame in theirs])[0]]
        tiles = [_tile(front.files, tile)]
        tiles += [_tile(frame.files, tile) for frame in shown]
        rows.append(tiles + [white] * (_COLUMNS + 1 - len(tiles)))
    rows[0] += [white] * (_COLUMNS + 1 - len(rows[0]))
    sheet = np.concatenate([np.concatenate(row[: _COLUMNS + 1], axis=1) for row in rows])
    save_picture(out / SHEET_NAME, sheet)


def _spread(views: list[npt.NDArray[np.float64]]) -> list[int]:
    """Indices of frames from the front and then farther and farther to the sides."""
    sides = np.array([np.arctan2(view[0], view[2]) for view in views])
    order = np.argsort(np.abs(sides))
    return [
        int(order[i]) for i in np.linspace(0, len(order) - 1, min(_COLUMNS, len(order))).astype(int)
    ]


def _tile(files: Mapping[str, Path], tile: int) -> Bytes:
    """What is learned of a frame: what is behind the person does not belong to it."""
    pictures = decode_frame(
        {kind: files[kind] for kind in ("image", "mask") if kind in files}, tile, needs_matte=False
    )
    matte = pictures.mask[..., None] / 255
    return np.asarray((pictures.image * matte + 255 * (1 - matte)).round(), np.uint8)
