"""The engines against the numbers of the reference rasteriser."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from pegasus_runtime import raster

Case = dict[str, NDArray[np.float32]]


@pytest.fixture(params=range(4))
def case(request: pytest.FixtureRequest, golden: Path) -> Case:
    with np.load(golden / "reference_a" / "raster.npz") as file:
        prefix = f"{request.param}/"
        return {name.removeprefix(prefix): file[name] for name in file if name.startswith(prefix)}


@pytest.fixture(params=raster.available_engines())
def engine(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def _options(case: Case) -> tuple[tuple[int, int], float, int]:
    height, width = case["idx"].shape[1:3]
    return (height, width), float(case["radius"]), int(case["K"])


def _inputs(case: Case) -> tuple[torch.Tensor, torch.Tensor]:
    return tuple(torch.tensor(case[name], requires_grad=True) for name in ("points", "features"))


@pytest.mark.slow
def test_fragments_are_those_of_the_reference(case: Case, engine: str) -> None:
    fragments = raster.rasterize(torch.tensor(case["points"]), *_options(case), engine)
    same = fragments.index.numpy() == case["idx"][0]
    assert same.mean() >= 0.999
    np.testing.assert_allclose(fragments.depth.numpy()[same], case["zbuf"][0][same], atol=1e-6)
    np.testing.assert_allclose(
        fragments.distance2.numpy()[same], case["dists2"][0][same], atol=1e-6
    )


@pytest.mark.slow
@pytest.mark.parametrize("fused", [False, True])
def test_image_and_gradients_are_those_of_the_reference(
    case: Case, engine: str, fused: bool
) -> None:
    points, features = _inputs(case)
    size, radius, num_kept = _options(case)
    if fused:
        image = raster.render_points(
            points,
            features,
            image_size=size,
            radius=radius,
            points_per_pixel=num_kept,
            engine=engine,
        )
    else:
        fragments = raster.rasterize(points, size, radius, num_kept, engine)
        image = raster.composite(fragments, features, radius)
    expected = np.moveaxis(case["image"][0], 0, -1)
    np.testing.assert_allclose(image.detach().numpy(), expected, atol=1e-5)

    upstream = torch.tensor(np.moveaxis(case["grad_image"][0], 0, -1))
    (image * upstream).sum().backward()
    for tensor, name in ((points, "grad_points"), (features, "grad_features")):
        error = np.abs(tensor.grad.numpy() - case[name]).max()
        assert error <= 1e-4 * np.abs(case[name]).max()
    assert not points.grad[:, 2].any()
