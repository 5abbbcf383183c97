"""The nearest vertex of every point."""

from __future__ import annotations

import pytest
import torch

from pegasus_runtime.deform.nearest_vertex import nearest_vertices


@pytest.mark.parametrize("num_vertices", [1, 7, 3000])
def test_the_nearest_is_the_one_with_the_least_distance(num_vertices: int) -> None:
    generator = torch.Generator().manual_seed(num_vertices)
    vertices = torch.rand(num_vertices, 3, generator=generator)
    points = torch.rand(500, 3, generator=generator)
    found = nearest_vertices(points, vertices)
    assert torch.equal(found, torch.cdist(points, vertices).argmin(dim=1))


def test_points_may_be_none_or_no_numbers() -> None:
    vertices = torch.tensor([[1.0, 2.0, 3.0]])
    points = torch.tensor([[0.0, 0.0, 0.0], [torch.nan, 1.0, 1.0]])
    assert nearest_vertices(points, vertices).tolist() == [0, 0]
    assert nearest_vertices(points[:0], vertices).shape == (0,)
