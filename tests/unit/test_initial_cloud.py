"""What pictures say of a subject's surface before any training."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from pegasus_runtime.camera import Camera
from pegasus_runtime.deform.nearest_vertex import nearest_vertices
from pegasus_runtime.head import Head, load_free_head
from pegasus_runtime.head.canonical import CanonicalHead, make_canonical_head
from pegasus_runtime.raster import rasterize
from tests.factories import DISTANCE, FOCAL
from trainer.init.mesh_sampling import sample_head
from trainer.init.skin_visibility import HeadVisibility
from trainer.init.tracked_head import head_vertex_motion
from trainer.init.visual_hull import Grid, Hull, make_hull

SIDE = 128
YAWS_DEG = (-50, -30, -15, 0, 10, 25, 40, 55)


@pytest.fixture(scope="module")
def head() -> Head:
    return load_free_head()


@pytest.fixture(scope="module")
def canonical(head: Head) -> CanonicalHead:
    return make_canonical_head(head, torch.zeros(50))


def _labels(head: Head) -> torch.Tensor:
    assert head.part_labels is not None
    return head.part_labels


def _camera(yaw_deg: float) -> Camera:
    yaw = np.radians(yaw_deg)
    turn = np.array([[np.cos(yaw), 0, np.sin(yaw)], [0, 1, 0], [-np.sin(yaw), 0, np.cos(yaw)]])
    intrinsics = np.zeros((4, 4), np.float32)
    intrinsics[0, 0] = intrinsics[1, 1] = FOCAL
    intrinsics[2, 3] = intrinsics[3, 2] = 1
    rotation = (turn @ np.diag([-1.0, 1.0, -1.0])).astype(np.float32)
    place = np.array([0, 0, DISTANCE], np.float32)
    return Camera(rotation, place, intrinsics, (SIDE, SIDE))


def _capture(head: Head, canonical: CanonicalHead, with_parts: bool = True) -> Any:
    """Pictures of the bare head before a foreground that fills every frame, as a curtain would."""
    names = (*head.part_names, "curtain")
    capture: Any = SimpleNamespace(
        training={}, source="source", shape=torch.zeros(100), part_names=names if with_parts else ()
    )
    surface, _ = sample_head(head, canonical, 60_000, torch.Generator().manual_seed(2))
    labels = _labels(head)[nearest_vertices(surface, canonical.vertices)].numpy()
    riders = nearest_vertices(surface, canonical.vertices)
    frames = []
    for yaw_deg in YAWS_DEG:
        record = SimpleNamespace(
            camera=_camera(yaw_deg), expression=np.zeros(50, np.float32), pose=np.zeros(15, "f4")
        )
        frame: Any = SimpleNamespace(record=record, pictures=None)
        posed = head_vertex_motion(head, canonical, capture, frame).of(riders).transform(surface)
        front = rasterize(record.camera.project(posed), (SIDE, SIDE), 0.02, 1).index[:, :, 0]
        parts = np.where(
            front.numpy() >= 0, labels[front.clamp_min(0).numpy()], len(names) - 1
        ).astype(np.uint8)
        mask = np.full((SIDE, SIDE), 255, np.uint8)
        frame.pictures = SimpleNamespace(mask=mask, parts=parts if with_parts else None)
        frames.append(frame)
    capture.training["source"] = frames
    return capture


def _hull(head: Head, canonical: CanonicalHead, capture: Any) -> Hull:
    grid = Grid.around(canonical)
    bare = HeadVisibility.of(head, canonical, capture)
    return make_hull(head, canonical, capture, capture.training["source"], grid, bare)


@pytest.mark.slow
def test_nothing_stands_before_skin_that_is_seen(head: Head, canonical: CanonicalHead) -> None:
    nose = canonical.vertices[_labels(head) == head.part_names.index("nose")]
    before = nose[nose[:, 2].argmax()][None] + torch.tensor([[0, 0, 0.1]])
    seen = _hull(head, canonical, _capture(head, canonical))
    assert float(seen.distance(before)) < 0
    unknown, hidden = _capture(head, canonical, with_parts=False), _capture(head, canonical)
    for frame in hidden.training["source"]:
        frame.pictures.parts[:] = len(head.part_names)
    for capture in (unknown, hidden):
        hull = _hull(head, canonical, capture)
        assert float(hull.distance(before)) > 0.1 and not bool(hull.bare.any())
    face = _labels(head) == head.part_names.index("skin")
    assert float(seen.bare[face].float().mean()) > 0.6


@pytest.mark.slow
def test_a_hull_is_one_piece(head: Head, canonical: CanonicalHead) -> None:
    capture = _capture(head, canonical, with_parts=False)
    frames = capture.training["source"]
    for frame in frames:
        frame.record.camera = _camera(0)
        frame.pictures.mask[:] = 0
        frame.pictures.mask[40:100, 44:84] = 255
        frame.pictures.mask[:20] = 255
    hull = _hull(head, canonical, capture)
    high = hull.grid.places[:, 1] > canonical.vertices[:, 1].max() + 0.3
    assert float(hull.distance(canonical.vertices.mean(dim=0)[None])) > 0
    assert bool(high.any()) and float(hull.distance(hull.grid.places[high]).max()) <= 0


def test_hair_is_carved_with_the_scalp(head: Head, canonical: CanonicalHead) -> None:
    scalp = _labels(head) == head.part_names.index("scalp")
    grid = Grid.around(canonical).on(canonical.vertices, scalp)
    assert bool(scalp[grid.nearest].all()) and len(grid.nearest) == len(grid.places)


@pytest.mark.parametrize("steepness", [1.0, 5.0])
@pytest.mark.slow
def test_a_hull_has_no_holes_however_steep_its_distance(
    canonical: CanonicalHead, steepness: float
) -> None:
    grid = Grid.around(canonical)
    centre, radius = canonical.vertices.mean(dim=0), 0.4
    values = torch.full((int(np.prod(grid.shape)),), -1.0)
    distance = radius - (grid.places - centre).norm(dim=1)
    values[grid.inside] = (steepness * distance).clamp(-0.99, 0.99)
    bare = torch.zeros(len(canonical.vertices), dtype=torch.bool)
    hull = Hull(grid, values.view(1, 1, *grid.shape), bare)
    points, normals = hull.sample_surface(20_000, torch.Generator().manual_seed(0))
    away = points - centre
    reached = (grid.places - centre).norm(dim=1).sub(radius).abs() < 0.01
    assert float((away.norm(dim=1) - radius).abs().max()) < 0.008
    assert float((torch.nn.functional.normalize(away, dim=1) * normals).sum(dim=1).min()) > 0.9
    places = grid.places[reached]
    gap = (places - points[nearest_vertices(places, points)]).norm(dim=1)
    assert float(gap.max()) < 0.04


def test_what_is_behind_the_surface_is_inside(head: Head, canonical: CanonicalHead) -> None:
    bare = HeadVisibility.of(head, canonical, _capture(head, canonical))
    skull = _labels(head) == head.part_names.index("scalp")
    middle = canonical.vertices[skull].mean(dim=0)
    outward = torch.nn.functional.normalize(canonical.vertices[skull] - middle, dim=1)
    assert float(bare.is_inside(canonical.vertices[skull] - 0.04 * outward).float().mean()) > 0.95
    assert float(bare.is_inside(canonical.vertices[skull] + 0.04 * outward).float().mean()) < 0.05
