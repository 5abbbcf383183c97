"""Mattes, their rims, and networks that users bring."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import cast

import cv2
import numpy as np
import pytest

from pegasus_runtime.errors import InvalidInput
from tests.onnx_file import convolution, node, write_network, write_pixel_network
from trainer.preprocess.colours_behind import ColoursBehind
from trainer.preprocess.face_track import Track
from trainer.preprocess.foreground import foreground_colours
from trainer.preprocess.matte import keep_person, refine
from trainer.preprocess.onnx_networks import (
    PARSING_CLASSES,
    FaceParser,
    PersonSegmenter,
    PortraitMatte,
)
from trainer.preprocess.outline_in_time import OutlineInTime, follow_head
from trainer.preprocess.still_background import StillBackground

SIDE = 256
OWN, BEHIND = np.array([180, 120, 90]), np.array([40, 70, 200])


def disc(side: int, radius: float, soft: float = 1.0) -> np.ndarray:
    """A matte of a disc with a few teeth at its edge."""
    y, x = np.mgrid[:side, :side] + 0.5 - side / 2
    edge = side * radius * (1 + 0.06 * np.sin(9 * np.arctan2(y, x)))
    return np.clip((edge - np.hypot(x, y)) / soft + 0.5, 0, 1).astype(np.float32)


def picture_of(matte: np.ndarray) -> np.ndarray:
    noise = np.random.default_rng(0).normal(0, 3, (*matte.shape, 3))
    mixed = matte[..., None] * OWN + (1 - matte[..., None]) * BEHIND + noise
    return mixed.clip(0, 255).astype(np.uint8)


def iou(first: np.ndarray, second: np.ndarray) -> float:
    one, other = first > 0.5, second > 0.5
    return float((one & other).sum() / (one | other).sum())


def test_a_coarse_matte_finds_the_picture_s_edges() -> None:
    truth = disc(SIDE, 0.3)
    # As a network gives it: round, small and soft.
    small = cv2.resize(truth, (48, 48), interpolation=cv2.INTER_AREA)
    coarse = cv2.GaussianBlur(small, (0, 0), 1.5)
    plain = cv2.resize(coarse, (SIDE, SIDE), interpolation=cv2.INTER_LINEAR)
    found = refine(picture_of(truth), coarse)
    assert found.shape == (SIDE, SIDE) and 0 <= found.min() <= found.max() <= 1
    assert iou(found, truth) > 0.985 and iou(found, truth) > iou(plain, truth)
    assert np.abs(found - truth).mean() < 0.5 * np.abs(plain - truth).mean()


def test_other_people_are_left_out() -> None:
    matte = disc(SIDE, 0.2)
    two = np.maximum(np.roll(matte, -70, axis=1), np.roll(matte, 70, axis=1))
    angle = np.linspace(0, 2 * np.pi, 478)
    places = np.column_stack([58 + 20 * np.cos(angle), 128 + 20 * np.sin(angle)])
    kept = keep_person(two, places)
    assert iou(kept, np.roll(matte, -70, axis=1)) > 0.99 and kept[:, 140:].max() == 0


def test_background_is_taken_off_the_rim() -> None:
    alpha = disc(SIDE, 0.3, soft=6.0)
    picture = picture_of(alpha)
    # The matte believes that more is the person's than is.
    found = foreground_colours(picture, disc(SIDE, 0.3, soft=2.0))
    rim = (alpha > 0.55) & (alpha < 0.95)
    before, after = (np.abs(p[rim].astype(float) - OWN).mean() for p in (picture, found))
    assert after < 0.35 * before
    for still in (slice(0, 20), slice(120, 136)):
        assert (found[still, still] == picture[still, still]).all()


def test_a_halo_at_the_rim_takes_no_colour_of_its_own() -> None:
    """Sharpened films are brighter beside dark hair; left in, that made a red rim before blue."""
    alpha = disc(SIDE, 0.3, soft=6.0)
    halo = np.exp(-((alpha - 0.5) ** 2) / 0.02)[..., None] * np.array([50, 25, 0])
    picture = (picture_of(alpha) + halo).clip(0, 255).astype(np.uint8)
    found = foreground_colours(picture, disc(SIDE, 0.3, soft=2.0)).astype(float)
    rim = (alpha > 0.4) & (alpha < 0.6)
    assert np.abs(found[rim] - OWN).mean() < 0.6 * np.abs(picture[rim].astype(float) - OWN).mean()
    assert (found[rim, 0] - OWN[0]).mean() < 30


def test_networks_of_users(tmp_path: Path) -> None:
    picture = np.zeros((100, 100, 3), np.uint8)
    picture[:50] = (255, 0, 0)
    matting = write_pixel_network(tmp_path / "modnet.onnx", np.array([[9.0, 0, 0]]), sigmoid=True)
    matte = PortraitMatte(matting).estimate(picture)
    assert matte.shape == (512, 512) and matte[:200].min() > 0.99 and matte[300:].max() < 0.01
    weights = np.zeros((len(PARSING_CLASSES), 3))
    weights[PARSING_CLASSES.index("hair"), 0] = 1
    weights[PARSING_CLASSES.index("clothes"), 0] = -1
    parsing = write_pixel_network(tmp_path / "bisenet.onnx", weights)
    parts = FaceParser(parsing).parse(picture)
    assert PARSING_CLASSES[parts[100, 100]] == "hair"
    assert PARSING_CLASSES[parts[400, 100]] == "clothes"
    with pytest.raises(InvalidInput, match="not a matte"):
        PortraitMatte(parsing).estimate(picture)
    with pytest.raises(InvalidInput, match="not 19 classes"):
        FaceParser(matting).parse(picture)
    (tmp_path / "bad.onnx").write_bytes(b"no network")
    with pytest.raises(InvalidInput, match="OpenCV cannot read it"):
        PortraitMatte(tmp_path / "bad.onnx").estimate(picture)


FEATURES = 256


def write_encoder(path: Path) -> Path:
    """How light each of 64 × 64 fields is, as the first of its features."""
    weights = np.zeros((FEATURES, 3, 16, 16))
    weights[0] = 1 / (3 * 16 * 16)
    shapes = {"image": (1, 3, 1024, 1024)}, {"features": (1, FEATURES, 64, 64)}
    return write_network(path, [convolution("image", "w", "features", 16)], *shapes, {"w": weights})


def write_decoder(path: Path) -> Path:
    """Two masks, what is light and what is dark, of which the first is said to be better."""
    larger = np.zeros((FEATURES, 2, 4, 4))
    larger[0, 0], larger[0, 1] = 9, -9
    nodes = [
        node("ConvTranspose", ["image_embeddings", "w"], "a", kernel_shape=[4, 4], strides=[4, 4]),
        node("Mul", ["mask_input", "has_mask_input"], "b"),
        node("Add", ["a", "b"], "low_res_masks"),
        node("ReduceMean", ["point_coords"], "c", axes=[2], keepdims=0),
        node("Mul", ["c", "point_labels"], "d"),
        node("MatMul", ["d", "two"], "iou_predictions"),
        node("ReduceMean", ["orig_im_size"], "e", axes=[0], keepdims=1),
        node("Mul", ["low_res_masks", "e"], "masks"),
    ]
    inputs = {
        "image_embeddings": (1, FEATURES, 64, 64), "point_coords": (1, 3, 2),
        "point_labels": (1, 3), "mask_input": (1, 1, 256, 256), "has_mask_input": (1,),
        "orig_im_size": (2,),
    }  # fmt: skip
    outputs = {
        "masks": (1, 2, 256, 256), "iou_predictions": (1, 2), "low_res_masks": (1, 2, 256, 256),
    }  # fmt: skip
    weights = {"w": larger, "two": np.array([[1.0, -1], [0, 0], [0, 0]])}
    return write_network(path, nodes, inputs, outputs, weights)


def test_segment_anything_is_pointed_at_the_face(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PEGASUS_ASSETS", str(tmp_path))
    assert PersonSegmenter.find() is None
    picture = np.zeros((300, 300, 3), np.uint8)
    picture[:150] = 255
    face = np.random.default_rng(0).uniform(100, 200, (478, 2))
    encoder = write_encoder(tmp_path / "sam_encoder.onnx")
    with pytest.raises(InvalidInput, match=r"sam_decoder\.onnx has to lie beside it"):
        PersonSegmenter.find()
    decoder = write_decoder(tmp_path / "sam_decoder.onnx")
    segmenter = PersonSegmenter.find()
    assert segmenter is not None
    matte = segmenter.estimate(picture, face)
    assert matte.shape == (256, 256) and matte[:120].min() > 0.99 and matte[136:].max() < 0.01
    with pytest.raises(InvalidInput, match="not the features"):
        PersonSegmenter(write_pixel_network(tmp_path / "x.onnx", np.ones((2, 3)), (1024, 1024)),
                        decoder).estimate(picture, face)  # fmt: skip
    with pytest.raises(InvalidInput, match=r"sam_encoder\.onnx: cannot be run"):
        PersonSegmenter(encoder, encoder).estimate(picture, face)


def test_mattes_of_neighbours_follow_the_head() -> None:
    matte = disc(SIDE, 0.2)
    before = np.random.default_rng(0).uniform(0.3, 0.6, (478, 2))
    now = before + [0.15, -0.05]
    moved = np.roll(matte, (round(-0.05 * SIDE), round(0.15 * SIDE)), axis=(0, 1))
    assert iou(follow_head(matte, before, now), moved) > 0.97 > iou(matte, moved)


def _noisy_film(fps: float) -> tuple[list[np.ndarray], list[np.ndarray], Track, np.ndarray]:
    """Mattes of a head that moves, each with its own noise at the outline; the truth, the track
    and the landmarks in 0..1."""
    noise, still = np.random.default_rng(0), np.random.default_rng(1).uniform(0.35, 0.6, (478, 2))
    mattes, truths, places = [], [], []
    for k in range(11):
        moved = 3 * k
        truth = np.roll(disc(SIDE, 0.2), moved, axis=1)
        bumps = cv2.resize(noise.normal(0, 0.6, (32, 32)).astype(np.float32), (SIDE, SIDE))
        soft = cv2.GaussianBlur(truth, (0, 0), 4)
        mattes.append((soft + bumps * 4 * soft * (1 - soft) > 0.5).astype(np.float32))
        truths.append(truth)
        places.append(still + [moved / SIDE, 0])
    track = SimpleNamespace(fps=fps, present=np.ones(11, bool))
    return mattes, truths, cast(Track, track), np.array(places)


def test_what_differs_from_frame_to_frame_leaves_an_outline() -> None:
    mattes, truths, track, places = _noisy_film(25.0)
    asked: list[int] = []

    def matte(number: int) -> np.ndarray:
        asked.append(number)
        return mattes[number - 1]

    in_time = OutlineInTime(matte, 3, 1, track, places)
    found = [in_time(number) for number in range(1, 12)]
    before, after = (
        [iou(one, truth) for one, truth in zip(given, truths, strict=True)]
        for given in (mattes, found)
    )
    assert 1 - np.mean(after[3:8]) < 0.75 * (1 - np.mean(before[3:8]))
    assert sorted(asked) == list(range(1, 12)), "each is worked out once"
    track.present[6] = False
    again = OutlineInTime(matte, 3, 1, track, places)(5)
    assert (again == mattes[4]).all(), "a lost face tells no way to follow"


def test_frames_that_are_seconds_apart_tell_nothing_of_one_another() -> None:
    mattes, _, track, places = _noisy_film(2.0)
    assert (OutlineInTime(lambda n: mattes[n - 1], 3, 1, track, places)(6) == mattes[5]).all()


def test_a_clip_shows_what_is_behind_a_head() -> None:
    """A wall whose colours the hair has, too, of which the network takes a rim along."""
    noise = np.random.default_rng(0)
    wall = cv2.resize(noise.normal(110, 30, (24, 24, 3)).astype(np.float32), (SIDE, SIDE))
    hair = cv2.resize(noise.normal(90, 12, (64, 64, 3)).astype(np.float32), (SIDE, SIDE))
    frames, truths = [], []
    for k in range(24):
        alpha = np.roll(disc(SIDE, 0.2), round(50 * np.sin(k)), axis=1)
        own = np.roll(hair, round(50 * np.sin(k)), axis=1)
        mixed = alpha[..., None] * own + (1 - alpha[..., None]) * wall
        shown = (mixed + noise.normal(0, 2, mixed.shape)).clip(0, 255).astype(np.uint8)
        frames.append((shown, cv2.GaussianBlur(cv2.dilate(alpha, np.ones((9, 9))), (0, 0), 1)))
        truths.append(alpha)
    behind = StillBackground.of(frames)
    before = [iou(refine(*frame), truth) for frame, truth in zip(frames, truths, strict=True)]
    after = [
        iou(refine(picture, behind.correct(picture, coarse)), truth)
        for (picture, coarse), truth in zip(frames, truths, strict=True)
    ]
    assert np.mean(after) > 0.93 > 0.86 > np.mean(before)
    # A camera that moves shows another wall each time, which tells nothing.
    moving = [
        (np.roll(picture, 17 * k, axis=1), np.roll(coarse, 17 * k, axis=1))
        for k, (picture, coarse) in enumerate(frames)
    ]
    lost = StillBackground.of(moving)
    away = [np.abs(lost.correct(*frame) - frame[1]).mean() for frame in moving]
    change = [np.abs(behind.correct(*frame) - frame[1]).mean() for frame in frames]
    assert np.mean(away) < 0.5 * np.mean(change)


def test_colours_that_only_the_background_has_are_cut_off() -> None:
    """A network takes a rim of netting along, another each time, for the camera moves."""
    noise = np.random.default_rng(1)
    truth = disc(SIDE, 0.25)
    hair = cv2.resize(noise.normal(60, 12, (64, 64, 3)).astype(np.float32), (SIDE, SIDE))
    frames = []
    for k in range(8):
        leaves = cv2.resize(noise.normal(65, 20, (40, 40, 3)).astype(np.float32), (SIDE, SIDE))
        netting = noise.normal(150, 8, (SIDE, SIDE, 3))
        wall = np.where((np.arange(SIDE) < SIDE // 2)[:, None, None], netting, leaves)
        mixed = truth[..., None] * hair + (1 - truth[..., None]) * wall
        coarse = cv2.GaussianBlur(cv2.dilate(truth, np.ones((9, 9))), (0, 0), 1)
        frames.append((np.roll(mixed, 9 * k, 1).clip(0, 255).astype(np.uint8),
                       np.roll(coarse, 9 * k, 1)))  # fmt: skip
    behind = ColoursBehind.of(frames)
    upper, lower = slice(0, SIDE // 2 - 8), slice(SIDE // 2 + 8, SIDE)
    for k, (picture, coarse) in enumerate(frames):
        found, own = behind.correct(picture, coarse), np.roll(truth, 9 * k, 1)
        assert iou(found[upper], own[upper]) > 0.93 > iou(coarse[upper], own[upper])
        # Dark leaves have the colours of dark hair: there the network is right or wrong.
        assert np.abs(found[lower] - coarse[lower]).mean() < 0.01
        assert (found <= coarse + 1e-6).all()
    nobody = ColoursBehind.of([])
    assert (nobody.correct(*frames[0]) == frames[0][1]).all()
