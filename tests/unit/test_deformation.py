"""Derivatives that travel forward agree with autograd, values and parameter gradients alike."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

import pegasus_runtime as pr
from pegasus_runtime.deform.surface import apply_rows, carry_normals, invert_3x3
from pegasus_runtime.model.encoding import encode_position
from pegasus_runtime.model.networks import AvatarNetworks

SIZES = pr.NetworkSizes(
    num_frequencies=3,
    geometry_width=24,
    geometry_depth=3,
    geometry_skip=2,
    deformer_width=16,
    deformer_depth=2,
    shading_width=8,
    latent_size=7,
)


@pytest.fixture
def networks() -> AvatarNetworks:
    torch.manual_seed(0)
    return AvatarNetworks(SIZES).double()


@pytest.fixture
def points() -> Tensor:
    return torch.rand(6, 3, dtype=torch.float64) - 0.5


@pytest.fixture
def code() -> Tensor:
    return torch.randn(7, dtype=torch.float64)


def _jacobian(function: object, points: Tensor) -> Tensor:
    """(3, N, D): derivative of every output along every axis, by autograd."""
    full = torch.autograd.functional.jacobian(function, points)  # type: ignore[no-untyped-call]
    return torch.einsum("ndni->ind", full)


def test_geometry_gradient(networks: AvatarNetworks, points: Tensor, code: Tensor) -> None:
    found = networks.geometry(points, code, slope=True).sdf_gradient
    wanted = _jacobian(lambda p: networks.geometry(p, code).sdf[:, None], points)[:, :, 0].T
    assert torch.allclose(found, wanted, atol=1e-9)


def test_deformer_tangents(networks: AvatarNetworks, points: Tensor, code: Tensor) -> None:
    found = networks.deformer(points, code, tangents=True)
    hidden = _jacobian(lambda p: networks.deformer(p, code).hidden, points)
    weights = _jacobian(lambda p: networks.deformer(p, code).skinning, points)
    assert torch.allclose(found.hidden_tangents, hidden, atol=1e-9)
    assert torch.allclose(found.skinning_tangents, weights, atol=1e-9)


def test_positional_encoding_order() -> None:
    encoded = encode_position(torch.tensor([[0.1, 0.2, 0.3]]), 2)
    x = torch.tensor([0.1, 0.2, 0.3])
    wanted = torch.cat([x, x.sin(), x.cos(), (2 * x).sin(), (2 * x).cos()])
    assert torch.allclose(encoded[0], wanted)


def test_gradient_of_a_derivative_reaches_the_weights(
    networks: AvatarNetworks, points: Tensor, code: Tensor
) -> None:
    weight = networks.geometry.layers[1].weight_v

    def loss() -> Tensor:
        output = networks.geometry(points, code, slope=True)
        assert output.sdf_gradient is not None
        return output.sdf_gradient.square().sum() + output.albedo.sum()

    (found,) = torch.autograd.grad(loss(), weight)
    with torch.no_grad():
        for row, column in ((0, 0), (3, 5), (7, 11)):
            weight[row, column] += 1e-6
            above = loss()
            weight[row, column] -= 2e-6
            below = loss()
            weight[row, column] += 1e-6
            assert found[row, column] == pytest.approx(float((above - below) / 2e-6), rel=1e-4)


def test_blend_map_is_the_directions_folded(
    networks: AvatarNetworks, points: Tensor, code: Tensor
) -> None:
    deformer = networks.deformer
    hidden = deformer(points, code).hidden
    expression, feature = torch.randn(50).double(), torch.randn(36).double()
    pose_directions, expression_directions = deformer.directions(hidden)
    wanted = expression_directions @ expression
    wanted = wanted + torch.einsum("nfc,f->nc", pose_directions, feature)
    weight, bias = deformer.blend_map(expression, feature)
    assert torch.allclose(hidden @ weight.T + bias, wanted, atol=1e-12)


def test_normals_are_the_gradient_through_the_inverse_jacobian() -> None:
    jacobians = torch.randn(20, 3, 3, dtype=torch.float64)
    gradient = torch.randn(20, 3, dtype=torch.float64)
    rows = (gradient[:, None, :] @ torch.linalg.inv(jacobians))[:, 0]
    wanted = torch.nn.functional.normalize(rows, dim=1)
    assert torch.allclose(carry_normals(gradient, jacobians.permute(2, 0, 1)), wanted, atol=1e-9)


def test_small_inverse_and_product() -> None:
    matrices = torch.randn(10, 3, 3, dtype=torch.float64)
    vectors = torch.randn(10, 3, dtype=torch.float64)
    assert torch.allclose(invert_3x3(matrices), torch.linalg.inv(matrices), atol=1e-9)
    assert torch.allclose(apply_rows(matrices, vectors), (matrices @ vectors[..., None])[..., 0])
