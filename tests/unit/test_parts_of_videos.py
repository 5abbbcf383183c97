"""What is learned of a person with long hair, of the colours of shaded skin, and clothes."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch

from pegasus_runtime.camera import Camera, ndc_intrinsics
from pegasus_runtime.head import load_free_head, pose_head
from pegasus_runtime.head.parts import require_parts
from trainer.preprocess import crop as cropping
from trainer.preprocess import face_track, matte
from trainer.preprocess.arrays import write_arrays
from trainer.preprocess.fit_step import FitStep, FittedHead, covered_pixels
from trainer.preprocess.hair_colours import GuessedHair, HairColours
from trainer.preprocess.landmark_map import landmark_map
from trainer.preprocess.parts import PartsStep
from trainer.preprocess.steps import Options, Workspace

SIDE, COUNT, FPS = 192, 5, 25.0
SKIN, LIGHT_HAIR, DARK_HAIR, COAT, WALL = (
    np.array(c)
    for c in ((196, 148, 124), (128, 92, 74), (64, 46, 38), (96, 104, 124), (70, 120, 80))
)
ROLLS = np.linspace(-0.25, 0.25, COUNT)
HEAD = load_free_head()


class Drawn:
    """A head that rolls in front of a wall, with strands of hair to the shoulders and a coat.

    Or one that nods, with hair on its top and a collar beside the jaw.
    """

    def __init__(self, folder: Path, nod: float = 0.0) -> None:
        """Writes what the steps before the parts leave."""
        self.nods = nod > 0
        crop = cropping.Crop(0, 0, SIDE, SIDE, SIDE, SIDE, 1.5)
        f, d = 2 * 1.5, 1.9
        camera = Camera(np.diag([-1.0, 1.0, -1.0]), (0, 0.08, d * 2), ndc_intrinsics(f, f, 0, 0),
                        (SIDE, SIDE))  # fmt: skip
        poses = np.zeros((COUNT, 15), np.float32)
        poses[:, 3], poses[:, 5] = nod, 0 if nod else ROLLS
        expression, shape = np.zeros((COUNT, 50), np.float32), np.zeros(100, np.float32)
        found = SimpleNamespace(
            shape=shape, expression=expression, pose=poses, cameras=[camera] * COUNT,
            landmarks=np.arange(10), residuals=np.ones((COUNT, 10), np.float32),
        )  # fmt: skip
        work = Workspace(None, folder, Options(size=SIDE))  # type: ignore[arg-type]
        self.work = work
        for name in (cropping.FOLDER, matte.FOLDER, "image", "mask", "semantic"):
            (folder / name).mkdir(parents=True)
        (folder / cropping.FILE).write_text(json.dumps(asdict(crop)))
        on_mesh = landmark_map(HEAD)
        places = np.zeros((COUNT, 478, 3), np.float32)
        for k in range(COUNT):
            posed = pose_head(
                HEAD, *(torch.from_numpy(a) for a in (shape, expression[k], poses[k]))
            )
            flat = camera.project(on_mesh.on_mesh(HEAD, posed.vertices)).numpy()
            places[k, :, :2] = (1 - flat[:, :2]) * SIDE / 2
        write_arrays(
            folder / face_track.FILE,
            {
                "facts": np.array([SIDE, SIDE, 0, 0]), "fps": np.array(FPS),
                "index": np.arange(COUNT), "time_s": np.arange(COUNT) / FPS,
                "present": np.ones(COUNT, np.uint8), "places": places, "landmarks": places,
                "blendshapes": np.zeros((COUNT, 52), np.float32), "move": np.zeros(COUNT),
            },
        )  # fmt: skip
        FitStep(lambda *_: found).run(work, lambda _share: None)
        fit = FittedHead.read(work)
        self.hair, self.coat, self.chin = [], [], []
        skin = require_parts(HEAD).on("skin")[HEAD.faces].all(dim=1)
        self._skin = HEAD.faces[skin].numpy()
        for k in range(COUNT):
            self._draw(k, fit.vertices(HEAD, k + 1), places[k, :, :2])

    def _draw(self, k: int, vertices: np.ndarray, places: np.ndarray) -> None:
        """As ellipses and a trapezium, turned with the head."""
        rows, columns = np.mgrid[:SIDE, :SIDE] + 0.5
        top, chin = places[10], places[152]
        down = (chin - top) / np.linalg.norm(chin - top)
        height = np.linalg.norm(chin - top)
        right = np.array([down[1], -down[0]])
        away = np.stack([columns, rows], axis=-1) - (top + chin) / 2
        across, along = away @ right / height, away @ down / height
        cap = (np.hypot(across / 0.56, (along + 0.1) / 0.68) < 1) & (along < 0.05)
        curtain = (np.abs(across) < 0.56) & (along > -0.1) & (along < 0.95)
        head = covered_pixels(vertices[HEAD.faces.numpy()], SIDE)
        face = np.hypot(across / 0.38, along / 0.56) < 1
        neck = head & ~face & (np.abs(across) < 0.22) & (along > 0)
        hair = (along < -0.7 if self.nods else cap | curtain) & ~face & ~neck
        hair &= head | (not self.nods)
        coat = (along > 0.62 + 0.1 * np.abs(across)) & (np.abs(across) < 1.2) & ~hair & ~neck
        collar = (along > 0.3) & (along < 0.8) & (np.abs(across) < 0.9) & ~face & ~head
        coat |= collar & self.nods
        # Strands, light and dark, as wide as a few pixels.
        strand = np.sin(across * 60 + 3 * np.sin(along * 5)) > 0
        shade = 1 - 0.35 * np.clip(along + 0.2, 0, 1)[..., None]
        picture = np.broadcast_to(WALL, (SIDE, SIDE, 3)).astype(float)
        picture = np.where((face | neck | head)[..., None], SKIN * shade, picture)
        picture = np.where(coat[..., None], COAT, picture)
        colours = np.where(strand[..., None], LIGHT_HAIR, DARK_HAIR)
        picture = np.where(hair[..., None], colours, picture)
        noise = np.random.default_rng(k).normal(0, 5, picture.shape)
        shown = hair | coat | face | neck | head
        folder, name = self.work.folder, f"{k + 1}.png"
        pixels = (picture + noise).clip(0, 255).astype(np.uint8)
        cropping.save_picture(folder / cropping.FOLDER / name, pixels)
        cropping.save_picture(folder / matte.FOLDER / name, (shown * 255).astype(np.uint8))
        self.hair.append(hair)
        self.coat.append(coat & ~head)
        self.chin.append(covered_pixels(vertices[self._skin], SIDE) & (along > 0.3))


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Drawn:
    made = Drawn(tmp_path_factory.mktemp("drawn"))
    PartsStep().run(made.work, lambda _share: None)
    return made


def kept(drawn: Drawn, kind: str, k: int) -> np.ndarray:
    return cropping.read_picture(drawn.work.folder / kind, k + 1)


def test_strands_of_the_colour_of_skin_stay_hair(drawn: Drawn) -> None:
    names = json.loads((drawn.work.folder / "semantic_names.json").read_text())
    for k, hair in enumerate(drawn.hair):
        mask = kept(drawn, "mask", k) > 127
        # Beside jaw and neck, above where the head ends, and without the rim that is taken in.
        rows = np.arange(SIDE)[:, None]
        end = np.flatnonzero(mask.any(axis=1))[-1] - 8
        inside = cv2.erode(hair.astype(np.uint8), np.ones((7, 7), np.uint8)) > 0
        shown = inside & (rows < end)
        assert mask[shown].mean() > 0.99, k
        labels = kept(drawn, "semantic", k)
        assert (labels[shown] == names.index("hair")).mean() > 0.85, k
        assert not mask[drawn.coat[k] & (rows > 0)].any(), k


def test_edges_of_hair_are_hair_whatever_colour_they_have(tmp_path: Path) -> None:
    drawn = Drawn(tmp_path)
    rims = []
    for k, hair in enumerate(drawn.hair):
        own = kept(drawn, matte.FOLDER, k)
        wider = cv2.dilate(hair.astype(np.uint8), np.ones((31, 31), np.uint8)) > 0
        rims.append(wider & (own == 0))
        path = tmp_path / matte.FOLDER / f"{k + 1}.png"
        cropping.save_picture(path, np.where(rims[k], 255, own).astype(np.uint8))
        # Before a wall that is lit, brown hair ends in the colour of skin.
        picture = np.where(rims[k][..., None], SKIN, kept(drawn, cropping.FOLDER, k))
        path = tmp_path / cropping.FOLDER / f"{k + 1}.png"
        cropping.save_picture(path, picture.astype(np.uint8))
    PartsStep().run(drawn.work, lambda _share: None)
    names = json.loads((tmp_path / "semantic_names.json").read_text())
    rows = np.arange(SIDE)[:, None]
    for k, rim in enumerate(rims):
        labels = kept(drawn, "semantic", k)
        upper = rim & (rows < 0.4 * SIDE)
        assert upper.sum() > 300 and (labels[upper] == names.index("hair")).mean() > 0.95, k
        assert not (labels[rim] == names.index("skin")).any(), k


def test_necks_are_cut_level_with_the_head(drawn: Drawn) -> None:
    slopes = []
    for k in range(COUNT):
        mask = kept(drawn, "mask", k) > 127
        columns = np.flatnonzero(mask.any(axis=0))[12:-12]
        lowest = SIDE - 1 - mask[::-1, columns].argmax(axis=0)
        slopes.append(np.polyfit(columns, lowest, 1)[0])
    assert abs(slopes[COUNT // 2]) < 0.03
    assert np.ptp(slopes) > 0.05 and abs(np.corrcoef(slopes, ROLLS)[0, 1]) > 0.95


def test_chins_are_whole_and_collars_beside_them_left_out(tmp_path: Path) -> None:
    drawn = Drawn(tmp_path, nod=0.45)
    PartsStep().run(drawn.work, lambda _share: None)
    names = json.loads((tmp_path / "semantic_names.json").read_text())
    for k, (chin, coat) in enumerate(zip(drawn.chin, drawn.coat, strict=True)):
        mask, labels = kept(drawn, "mask", k) > 127, kept(drawn, "semantic", k)
        assert chin.sum() > 100 and mask[chin].mean() > 0.98, k
        assert mask[coat].mean() < 0.02, k
        assert (labels[coat] == names.index("clothes")).mean() > 0.9, k


def colours_of(mean: tuple[float, float, float], spread: float = 3, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(mean, spread, (4000, 3))


def test_hair_is_told_by_its_own_colours() -> None:
    skin, brown, coat = (65.0, 14.0, 18.0), (38.0, 10.0, 12.0), (40.0, -2.0, -10.0)
    around = np.concatenate([colours_of(brown), colours_of(skin)[:800]])
    # Hair hangs down before the chest; what is dark blue there is a coat.
    chest = np.concatenate([colours_of(brown, seed=1), colours_of(coat)])
    found = HairColours.of(around, colours_of(skin), colours_of(coat), chest)
    for colour, is_hair in ((brown, True), (skin, False), (coat, False)):
        assert ((found.evidence(colours_of(colour, seed=2)) > 0).mean() > 0.95) == is_hair
    # Black hair before a black coat is not given up.
    black = (15.0, 1.0, 1.0)
    found = HairColours.of(
        colours_of(black), colours_of(skin), colours_of(black, seed=1), colours_of(black, seed=3)
    )
    assert (found.evidence(colours_of(black, seed=2)) > 0.3).mean() > 0.95
    # A bald head: what is around the face is skin.
    bald = HairColours.of(colours_of(skin, seed=3), colours_of(skin), np.zeros((0, 3)), chest)
    assert (bald.evidence(colours_of(skin, seed=4)) > 0.3).mean() < 0.1


def test_hair_stays_hair_from_one_frame_to_the_next() -> None:
    places = np.random.default_rng(0).uniform(0.3, 0.6, (478, 2))
    moved = np.stack([places + [0.03 * k, 0] for k in range(5)])
    evidence = np.full((5, SIDE, SIDE), -2.0, np.float32)
    for k in range(5):
        evidence[k, 40:120, 40 + round(0.03 * k * SIDE) :][:, :40] = 2
    truth = evidence[2] > 0
    evidence[2, 60:90] = -1.5  # a shadow for one frame
    for fps, is_mended in ((25.0, True), (2.0, False)):
        guessed = GuessedHair(lambda n: evidence[n - 1], moved, np.ones(5, bool), fps)
        found = guessed.find(3, SIDE)
        inside = cv2.erode(truth.astype(np.uint8), np.ones((9, 9), np.uint8)) > 0
        assert (found[inside].mean() > 0.98) == is_mended
        assert not found[:, :30].any()
