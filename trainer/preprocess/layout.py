"""The last step: the parameters file that makes a folder a subject, and pages to look at."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import numpy as np

from pegasus_runtime.camera import Camera
from pegasus_runtime.files import replace_file
from pegasus_runtime.head import Head, load_free_head
from trainer.data.capture_folder import PARAMETERS_FILE
from trainer.preprocess.crop import FOLDER as CROPS
from trainer.preprocess.crop import read_picture, save_picture
from trainer.preprocess.estimators import Bytes, FloatArray
from trainer.preprocess.fit_step import FittedHead
from trainer.preprocess.frame_filter import FAR_OFF, NO_FACE, read_reasons
from trainer.preprocess.frames import spread
from trainer.preprocess.steps import Fraction, Options, Workspace
from trainer.synthetic.dataset_writer import parameters_document

SHEET_FILE, MESH_FILE = "contact_sheet.png", "mesh_over_frames.png"
_TILE, _COLUMNS, _ROWS = 192, 6, 4
"""Pixels of a sheet's tiles, and how many: more show more of the clip in a larger file."""
_MESH_TILE, _MESH_COLUMNS, _MESH_ROWS = 400, 4, 2
"""The same of the meshes, large enough that lids and lips can be judged."""
_GREEN, _RED, _MESH = (40, 200, 90), (230, 60, 50), (90, 235, 255)
"""Told apart on skin and on hair; red and green differ in lightness as well."""
_MESH_PARTS = ("skin", "lips", "nose", "ears", "eyebrows", "eyelids", "eyes", "neck")
_NO_PLACE = 1e5
"""Pixels: far outside of any picture, and still a number for OpenCV's fixed point."""


@dataclass(frozen=True, eq=False)
class _Frame:
    """See `TrackedFrame`."""

    expression: FloatArray
    pose: FloatArray
    camera: Camera


class LayoutStep:
    """Writes flame_params.json, the contact sheet and the page of the mesh over frames."""

    name, version, after, cost = "layout", 1, ("parts", "filter", "fit"), 3.0
    outputs = (PARAMETERS_FILE, SHEET_FILE, MESH_FILE)
    frames_apart = None

    def settings(self, options: Options) -> dict[str, Any]:
        """Nothing beyond what it reads."""
        return {}

    def run(self, work: Workspace, report: Fraction) -> list[str]:
        """See `Step`."""
        fit, reasons = FittedHead.read(work), read_reasons(work)
        save_picture(work.folder / SHEET_FILE, _contact_sheet(work, len(fit.cameras), reasons))
        report(0.4)
        save_picture(work.folder / MESH_FILE, _mesh_page(work, fit, reasons))
        report(0.9)
        frames = [
            _Frame(*values) for values in zip(fit.expression, fit.pose, fit.cameras, strict=True)
        ]
        with replace_file(work.folder / PARAMETERS_FILE) as partial:
            partial.write_text(json.dumps(parameters_document(fit.shape, frames)), "utf-8")
        return []


def _contact_sheet(work: Workspace, count: int, reasons: dict[int, str]) -> Bytes:
    """Frames spread over the take as they are learned, those left out with the reason in red."""
    room = _COLUMNS * _ROWS
    left_out = spread(sorted(reasons), room // 3)
    kept = spread([n for n in range(1, count + 1) if n not in reasons], room - len(left_out))
    tiles = []
    for number in sorted({*kept, *left_out}):
        picture = read_picture(work.folder / "image", number).astype(np.float32)
        mask = read_picture(work.folder / "mask", number)[..., None] / 255
        shown = picture * mask + (0.35 * picture + 165) * (1 - mask)
        text = f"{number} {reasons.get(number, '')}".strip()
        tiles.append(_tile(shown.astype(np.uint8), _TILE, text, number in reasons))
    return _page(tiles, _COLUMNS)


def _mesh_page(work: Workspace, fit: FittedHead, reasons: dict[int, str]) -> Bytes:
    """The fitted head's edges over frames that are kept."""
    head = load_free_head()
    numbers = [
        n for n in range(1, len(fit.cameras) + 1) if reasons.get(n) not in (NO_FACE, FAR_OFF)
    ]
    tiles = []
    for number in spread(numbers, _MESH_COLUMNS * _MESH_ROWS):
        picture = read_picture(work.folder / CROPS, number)
        drawn = draw_mesh(picture, head, fit.vertices(head, number))
        tiles.append(_tile(drawn, _MESH_TILE, str(number), number in reasons))
    return _page(tiles, _MESH_COLUMNS)


def draw_mesh(picture: Bytes, head: Head, places: FloatArray) -> Bytes:
    """A picture (S, S, 3) with the front of the head's mesh, places (V, 2), drawn over it."""
    import cv2

    faces = head.faces.numpy()
    if head.part_labels is not None:
        wanted = [k for k, name in enumerate(head.part_names) if name in _MESH_PARTS]
        faces = faces[np.isin(head.part_labels.numpy()[faces], wanted).all(axis=1)]
    corners = places[faces]
    first, second = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    # Seen from the front triangles run against the clock; the picture's y points down.
    is_front = first[:, 0] * second[:, 1] - first[:, 1] * second[:, 0] < 0
    lines = np.nan_to_num(corners[is_front], nan=_NO_PLACE).clip(-_NO_PLACE, _NO_PLACE)
    drawn = picture.copy()
    fixed = np.round(lines * 16).astype(np.int32)
    cv2.polylines(drawn, list(fixed), True, _MESH, 1, cv2.LINE_AA, 4)
    return np.asarray(cv2.addWeighted(picture, 0.62, drawn, 0.38, 0))


def _tile(picture: Bytes, side: int, text: str, is_bad: bool) -> Bytes:
    import cv2

    tile = cv2.resize(picture, (side, side), interpolation=cv2.INTER_AREA)
    colour = _RED if is_bad else _GREEN
    cv2.rectangle(tile, (0, 0), (side - 1, side - 1), colour, 2 if is_bad else 1)
    place, font = (5, side - 7), cv2.FONT_HERSHEY_SIMPLEX
    for thickness, ink in ((3, (255, 255, 255)), (1, colour if is_bad else (20, 20, 20))):
        cv2.putText(tile, text, place, font, 0.42, ink, thickness, cv2.LINE_AA)
    return np.asarray(tile)


def _page(tiles: list[Bytes], columns: int) -> Bytes:
    side = tiles[0].shape[0] if tiles else 1
    rows = max(-(-len(tiles) // columns), 1)
    page = np.full((rows * side, columns * side, 3), 255, np.uint8)
    for number, tile in enumerate(tiles):
        top, left = number // columns * side, number % columns * side
        page[top : top + side, left : left + side] = tile
    return page
