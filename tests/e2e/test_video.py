"""From the pixels of a short film to an avatar that opens, looks like the film and blinks."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

import pegasus_runtime as pr
from tests.talking_demo import filmed_demo
from tests.videos import write_video
from trainer.cli import main

SIDE = 128
SETTINGS = (
    "steps=60", "checkpoint_every=60", "preview_every=60", "points.initial=6000",
    "points.maximum=6000", f"data.image_size={SIDE}", "data.source_share=1", "device=cpu",
    "data.held_out_every=0",
)  # fmt: skip


@pytest.fixture(scope="module")
def avatar(tmp_path_factory: pytest.TempPathFactory) -> pr.Avatar:
    folder = tmp_path_factory.mktemp("video")
    film = write_video(folder / "me.mkv", filmed_demo(14), rate=25)
    words = [word for text in (f"data.video={film}", *SETTINGS) for word in ("--set", text)]
    assert main(["train", *words, "--out", str(folder / "run")]) == 0
    return pr.load_avatar(folder / "run" / "avatar.avatar")


def face(avatar: pr.Avatar, **expression: float) -> np.ndarray:
    """(SIDE, SIDE, 3) of the avatar from the front."""
    params = avatar.neutral()
    for name, value in expression.items():
        for side in ("left", "right"):
            params.expression[avatar.head.expression_names.index(f"{name} {side}")] = value
    session = pr.Session(avatar, "cpu")
    return np.asarray(session.render(params, avatar.default_camera((SIDE, SIDE)))["rgb"])


@pytest.mark.slow
def test_the_avatar_of_a_film_has_a_face_and_blinks(avatar: pr.Avatar) -> None:
    opened, closed = face(avatar), face(avatar, blink=1)
    skin = opened[SIDE // 2 : 3 * SIDE // 4, 3 * SIDE // 8 : 5 * SIDE // 8]
    red, green, blue = skin.reshape(-1, 3).mean(axis=0)
    assert red > green > blue > 0.2, "skin"
    changed = np.abs(opened - closed).mean(axis=2) > 0.08
    # Fourteen frames do not hold the outline's own pixels still.
    behind = ((opened > 0.9).all(axis=2) | (closed > 0.9).all(axis=2)).astype(np.uint8)
    changed &= cv2.dilate(behind, np.ones((7, 7), np.uint8)) == 0
    rows, columns = np.nonzero(changed)
    assert len(rows) > 30, "lids close"
    assert 0.25 * SIDE < rows.mean() < 0.6 * SIDE
    assert 0.4 * SIDE < columns.mean() < 0.6 * SIDE
    # Both eyes, and nothing else: what changes lies left and right of the nose, at one height.
    assert np.ptp(np.quantile(rows, [0.05, 0.95])) < 0.2 * SIDE
    assert (columns < SIDE / 2).any()
    assert (columns > SIDE / 2).any()
