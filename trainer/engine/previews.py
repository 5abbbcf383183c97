"""Pictures of how a training is going."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from pegasus_runtime.errors import InvalidInput
from pegasus_runtime.files import replace_file
from trainer.data.dataset import Capture, TrainingFrame
from trainer.engine.train_state import TrainState

_MAX_ROWS = 4
_MAX_COLUMNS = 4
"""More pictures show more frames and hold the training up for longer."""
_SIDE = 256
"""Of one picture: more shows more detail in a larger file."""


def preview_frames(capture: Capture) -> list[TrainingFrame]:
    """A few frames of different subjects, held out where there are any."""
    frames = []
    for subject, training in capture.training.items():
        held_out = capture.held_out.get(subject) or training
        frames.append(min(held_out, key=lambda f: abs(float(f.record.camera.rotation[0, 2]))))
    return frames[: _MAX_ROWS * _MAX_COLUMNS]


@torch.no_grad()
def write_preview(state: TrainState, frames: list[TrainingFrame], path: Path) -> None:
    """A grid with the target, the picture and the normals of each frame side by side."""
    tiles = [_tile(state, frame) for frame in frames]
    columns = min(_MAX_COLUMNS, len(tiles))
    while len(tiles) % columns:
        tiles.append(np.full_like(tiles[0], 255))
    rows = [np.concatenate(tiles[i : i + columns], axis=1) for i in range(0, len(tiles), columns)]
    save_picture(path, np.concatenate(rows, axis=0))


def _tile(state: TrainState, frame: TrainingFrame) -> npt.NDArray[np.uint8]:
    import cv2

    rgb, normals = state.picture(frame)
    pictures = [frame.pictures.image] + [
        (picture.clamp(0, 1) * 255).byte().cpu().numpy() for picture in (rgb, normals)
    ]
    small = [cv2.resize(p, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA) for p in pictures]
    return np.concatenate(small, axis=1).astype(np.uint8)


def save_picture(path: Path, rgb: npt.NDArray[np.uint8]) -> None:
    """Write a PNG beside its place, then rename."""
    import cv2

    done, encoded = cv2.imencode(".png", np.ascontiguousarray(rgb[:, :, ::-1]))
    if not done:
        raise InvalidInput(f"{path}: the picture could not be encoded.")
    with replace_file(path) as partial:
        partial.write_bytes(encoded.tobytes())
