"""The two nearest vertices, as a k-d tree finds them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.spatial import cKDTree

from pegasus_runtime.deform.nearest import nearest_vertices
from pegasus_runtime.deform.nearest_kernel import VertexClusters, find_two_nearest


def _find(points: np.ndarray, vertices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    among = VertexClusters.of(vertices)
    distances, found = np.empty((len(points), 2), np.float32), np.empty((len(points), 2), np.int32)
    find_two_nearest(
        points, among.vertices, among.index, among.starts, among.centres, among.radii, 2,
        distances, found,
    )  # fmt: skip
    return distances, found


@pytest.mark.parametrize("num_vertices", [2, 7, 65, 3000])
@pytest.mark.parametrize("spread", [0.01, 1.0, 50.0])
def test_the_two_nearest_are_those_of_a_tree(num_vertices: int, spread: float) -> None:
    generator = np.random.default_rng(num_vertices)
    vertices = generator.random((num_vertices, 3)).astype(np.float32)
    vertices[:, 2] *= 0.01  # flat, as a surface is
    points = (0.5 + spread * generator.normal(size=(500, 3))).astype(np.float32)
    distances, found = _find(points, vertices)
    wanted, index = cKDTree(vertices).query(points, k=2)
    assert np.allclose(distances, wanted, rtol=1e-5, atol=1e-6)
    clear = wanted[:, 1] - wanted[:, 0] > 1e-5 * spread
    assert np.array_equal(found[clear, 0], index[clear, 0])


def test_vertices_at_one_place_are_told_apart_by_index() -> None:
    vertices = np.zeros((200, 3), np.float32)
    distances, found = _find(np.ones((3, 3), np.float32), vertices)
    assert found.tolist() == [[0, 1]] * 3
    assert np.allclose(distances, np.sqrt(3))


def test_one_vertex_is_nearest_to_all_and_points_may_be_none_or_no_numbers() -> None:
    vertices = torch.tensor([[1.0, 2.0, 3.0]])
    points = torch.tensor([[0.0, 0.0, 0.0], [torch.nan, 1.0, 1.0]])
    assert nearest_vertices(points, vertices).tolist() == [0, 0]
    assert nearest_vertices(points[:0], vertices).shape == (0,)
