"""The contact sheet: every subject from the front and in a few of its frames."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from pegasus_runtime.files import replace_file
from pegasus_runtime.head import load_free_head
from trainer.synthetic.casting import drawn_subjects, renderer_for
from trainer.synthetic.config import CaptureConfig
from trainer.synthetic.dataset_writer import write_png
from trainer.synthetic.frame_sampling import draw_frame_parameters, still_frame_parameters

SHEET_NAME = "contact_sheet.png"
_TILE = 256
"""Pixels; smaller ones do not show lashes, larger ones make a large file."""
_NUM_MOVING = 4
"""More show more of what a person does, in a wider sheet."""


def write_contact_sheet(config: CaptureConfig, out: Path) -> None:
    """Write ``out``/contact_sheet.png: a row per subject, the first picture at rest."""
    tile = min(_TILE, config.image_size)
    rows = [_row(config, subject, tile) for subject in drawn_subjects(config)]
    with replace_file(out / SHEET_NAME) as partial:
        write_png(partial, np.concatenate(rows, axis=0))


def _row(config: CaptureConfig, subject: str, tile: int) -> np.ndarray:
    head = load_free_head()
    count = min(_NUM_MOVING, config.num_frames(subject))
    moving = [
        draw_frame_parameters(config.seed, subject, i, tile, head.expression_names)
        for i in range(count)
    ]
    moving += [still_frame_parameters(tile)] * (_NUM_MOVING - count)
    with renderer_for(config, subject, tile) as renderer:
        pictures = [
            renderer.draw(frame_parameters).image
            for frame_parameters in [still_frame_parameters(tile), *moving]
        ]
    return np.concatenate(pictures, axis=1)
