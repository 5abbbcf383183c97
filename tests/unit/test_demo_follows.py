"""The trained demo avatar obeys in its pictures: eyes close, mouths open on teeth, irises turn.

What a picture shows of a part is told by colours, and where colours are alike by drawing the same
avatar with that part in white and all else in black.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

import pegasus_runtime as pr
from pegasus_runtime.camera import Camera
from pegasus_runtime.head import face_landmarks, pose_head
from pegasus_runtime.head.parts import require_parts
from pegasus_runtime.surfels.avatar import SurfelAvatar

Picture = NDArray[np.float32]
SIZE = (512, 512)
JAW, LEFT_EYE, RIGHT_EYE = 6, 9, 12
EYE_RINGS, MOUTH_RING = {9: range(42, 48), 12: range(36, 42)}, range(48, 60)
IRIS_DEG = 27.0
"""half of what the free head's iris spans, seen from the eye's centre"""


class Demo:
    """The demo avatar and what its pictures show."""

    def __init__(self) -> None:
        avatar = pr.load_avatar("demo")
        assert isinstance(avatar, SurfelAvatar)
        self.avatar, self.head = avatar, avatar.head
        # The face alone: of a whole bust an eye has too few pixels to be measured.
        self.camera = Camera.orbit((0, -0.07, 0.05), 5.0, fov_deg=10, image_size=SIZE)
        self._session = pr.Session(avatar, "cpu")
        self._coded: dict[str, pr.Session] = {}

    def params(self, pose: dict[int, float] | None = None, **expression: float) -> pr.Parameters:
        params = self.avatar.neutral()
        for name, value in expression.items():
            params.expression[self.head.expression_names.index(name.replace("_", " "))] = value
        for index, value in (pose or {}).items():
            params.pose[index] = value
        return params

    def colours(self, params: pr.Parameters) -> Picture:
        """(H, W, 3)"""
        return self._session.render(params, self.camera)["rgb"]

    def part(self, name: str, params: pr.Parameters) -> Picture:
        """(H, W) in 0..1, how much of each pixel shows a part."""
        if name not in self._coded:
            source = self.avatar.wardrobe.source
            white = torch.where(self._is_on(name)[:, None], 20.0, -20.0).expand(-1, 3)
            coded = replace(
                source, colour=white, colour_states=torch.zeros_like(source.colour_states)
            )
            wardrobe = replace(self.avatar.wardrobe, source=coded)
            self._coded[name] = pr.Session(replace(self.avatar, wardrobe=wardrobe), "cpu")
        drawn = self._coded[name].render(params, self.camera, ("albedo",), (0, 0, 0))
        return drawn["albedo"][:, :, 0]

    def _is_on(self, name: str) -> Tensor:
        """(N,) which of the person's surfels."""
        corners = self.head.faces[self.avatar.wardrobe.source.triangle]
        if name != "iris":
            return require_parts(self.head).on(name)[corners].all(dim=1)
        found = torch.zeros(len(corners), dtype=torch.bool)
        for joint in (3, 4):
            mine = (self.head.skinning_weights[:, joint] > 0.5)[corners].all(dim=1)
            places = self.avatar.rest_points[: len(corners)] - self.head.joint_directions[0][joint]
            cosine = places[:, 2] / places.norm(dim=1)
            found |= mine & (cosine > np.cos(np.radians(IRIS_DEG)))
        return found

    def around(self, params: pr.Parameters, ring: range, margin: int = 3) -> tuple[slice, slice]:
        """Rows and columns of the picture around some landmarks."""
        shape, *moved = (
            torch.from_numpy(v) for v in (params.shape, params.expression, params.pose)
        )
        vertices = pose_head(self.head, shape, *moved).vertices
        marks = face_landmarks(self.head, vertices, moved[1])[list(ring)]
        seen = self.camera.project(marks)[:, :2].numpy()
        columns, rows = ((1 - seen) * (SIZE[0] / 2)).T
        return tuple(  # type: ignore[return-value]
            slice(int(v.min()) - margin, int(v.max()) + margin + 1) for v in (rows, columns)
        )


@pytest.fixture(scope="module")
def demo() -> Demo:
    return Demo()


def is_white(colours: Picture) -> NDArray[np.bool_]:
    """White of an eye or a tooth; skin is brighter in its red."""
    return (colours.min(axis=2) > 0.5) & (np.ptp(colours, axis=2) < 0.15)


def is_black(colours: Picture) -> NDArray[np.bool_]:
    return np.asarray(colours.max(axis=2) < 0.12)


def test_blink_closes_the_eyes(demo: Demo) -> None:
    at_rest, closed = demo.params(), demo.params(blink_left=1.0, blink_right=1.0)
    for ring in EYE_RINGS.values():
        eye = demo.around(at_rest, ring)
        before, after = (demo.colours(params)[eye] for params in (at_rest, closed))
        assert is_white(before).sum() > 30
        assert is_white(after).sum() <= 0.05 * is_white(before).sum()
        iris_before, iris_after = (demo.part("iris", p)[eye].sum() for p in (at_rest, closed))
        assert iris_before > 100 and iris_after <= 0.05 * iris_before


def test_an_open_jaw_shows_teeth_and_tongue_and_no_black_web(demo: Demo) -> None:
    closed, opened = demo.params(), demo.params({JAW: 0.35})
    mouth = demo.around(opened, MOUTH_RING)
    colours = demo.colours(opened)[mouth]
    assert is_white(demo.colours(closed)[demo.around(closed, MOUTH_RING)]).sum() < 10
    assert is_white(colours).sum() > 100
    assert demo.part("tongue", closed).sum() < 10 < 500 < demo.part("tongue", opened)[mouth].sum()
    assert is_black(colours).mean() < 0.03


def test_a_tongue_comes_out_over_the_lower_lip(demo: Demo) -> None:
    opened, out = demo.params({JAW: 0.25}), demo.params({JAW: 0.25}, tongue_out=1.0)
    before, after = (demo.part("tongue", params) for params in (opened, out))
    assert after.sum() > 1.5 * before.sum()
    rows = [np.flatnonzero((part > 0.5).any(axis=1)).max() for part in (before, after)]
    assert rows[1] > rows[0] + 5
    assert demo.part("lips", out).sum() < 0.75 * demo.part("lips", opened).sum()


@pytest.mark.parametrize(
    ("axis", "angle"),
    [(1, 0.25), (1, -0.25), (0, -0.2), (0, 0.2)],
    ids=["left", "right", "up", "down"],
)
def test_gaze_moves_whole_irises_with_white_around(demo: Demo, axis: int, angle: float) -> None:
    at_rest = demo.params()
    looking = demo.params({LEFT_EYE + axis: angle, RIGHT_EYE + axis: angle})
    for ring in EYE_RINGS.values():
        eye = demo.around(at_rest, ring, margin=6)
        before, after = (demo.part("iris", params)[eye] for params in (at_rest, looking))
        assert after.sum() > 0.7 * before.sum()
        moved = centre(after)[axis] - centre(before)[axis]
        assert moved * np.sign(angle) > 1.5, "of what lids leave to be seen"
        white = demo.part("eyes", looking)[eye] - after
        column = round(centre(after)[1])
        sides = white[:, :column].sum(), white[:, column:].sum()
        # An eye that looks at the nose comes near the corner of narrow lids.
        assert min(sides) > 1 and max(sides) > 80


def centre(part: Picture) -> tuple[float, float]:
    """Row and column of the middle of what is shown."""
    rows, columns = np.indices(part.shape)
    return float((rows * part).sum() / part.sum()), float((columns * part).sum() / part.sum())
