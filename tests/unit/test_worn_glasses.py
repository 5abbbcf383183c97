"""Glasses that a person always wears stand before the face, not on it."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from pegasus_runtime.head import load_free_head, pose_head
from pegasus_runtime.surfels.attributes import rest_surfels
from tests.factories import SIDE, write_small_capture
from trainer.config.data import DataConfig
from trainer.data.dataset import Capture, load_capture
from trainer.init.initial_surfels import initial_wardrobe

_NAMES = ["skin", "glasses", "background"]


def _bar() -> torch.Tensor:
    """(P, 3) a bar before both eyes of the head at rest."""
    x = torch.linspace(-0.18, 0.18, 60)
    return torch.stack([x, torch.full_like(x, 0.02), torch.full_like(x, 0.52)], dim=1)


def _read(folder: Path) -> Capture:
    return load_capture(DataConfig(folder=str(folder), image_size=SIDE, held_out_every=0))


@pytest.mark.slow
def test_worn_glasses_get_surfels_of_their_own(tmp_path: Path) -> None:
    folder = write_small_capture(tmp_path, {"source": 14})
    plain = _read(folder)
    (folder / "source" / "semantic").mkdir()
    (folder / "source" / "semantic_names.json").write_text(json.dumps(_NAMES), "utf-8")
    head = load_free_head()
    for frame in plain.training["source"]:
        record = frame.record
        given = torch.from_numpy(record.expression), torch.from_numpy(record.pose)
        root = pose_head(head, torch.zeros(100), *given).transforms[0]
        seen = record.camera.project(_bar() @ root[:3, :3].T + root[:3, 3])
        parts = np.zeros((SIDE, SIDE), np.uint8)
        for x, y, _ in seen.tolist():
            place = round((1 - x) * SIDE / 2 - 0.5), round((1 - y) * SIDE / 2 - 0.5)
            cv2.circle(parts, place, 1, _NAMES.index("glasses"), -1)
        cv2.imwrite(str(folder / "source" / "semantic" / f"{record.name}.png"), parts)

    def start(capture: Capture) -> tuple[torch.Tensor, int]:
        wardrobe = initial_wardrobe(head, capture, 600, torch.Generator().manual_seed(0))
        points, _ = rest_surfels(wardrobe.source, wardrobe.rest_corners)
        return points, len(points)

    (_, before), (points, after) = start(plain), start(_read(folder))
    assert after > before == 600
    away = torch.cdist(points[600:], _bar()).min(dim=1).values
    # A pixel is 0.04 wide, and depth is known from small turns of the head alone.
    assert float(away.median()) < 0.12
