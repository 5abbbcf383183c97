"""The compiled loops over patches give what torch's operations give."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import pegasus_runtime as pr
from pegasus_runtime.avatar.networks import AvatarNetworks
from pegasus_runtime.avatar.sizes import NetworkSizes
from pegasus_runtime.avatar.units_kernel import WIDE
from pegasus_runtime.deform.canonical_head import CanonicalHead, make_canonical_head
from pegasus_runtime.deform.folding import PackedRows, pack_part
from pegasus_runtime.deform.folding_kernel import LANES
from pegasus_runtime.deform.near_order import near_order
from pegasus_runtime.deform.patches import (
    Findings,
    MovePatches,
    SurfacePatches,
    is_for_patches,
)
from pegasus_runtime.deform.surface import evaluate_surface

LATENT = 9
PLAIN = NetworkSizes(
    num_frequencies=3, geometry_width=48, geometry_depth=4, geometry_skip=0, deformer_width=32,
    deformer_depth=3, shading_width=8, latent_size=LATENT,
)  # fmt: skip
ODD = NetworkSizes(
    num_frequencies=0, geometry_width=13, geometry_depth=1, geometry_skip=0, deformer_width=11,
    deformer_depth=1, shading_width=8, latent_size=LATENT,
)  # fmt: skip
SKIPPING = NetworkSizes(
    num_frequencies=2, geometry_width=50, geometry_depth=5, geometry_skip=2, deformer_width=18,
    deformer_depth=2, shading_width=8, latent_size=LATENT,
)  # fmt: skip
LAST_SKIPS = NetworkSizes(
    num_frequencies=2, geometry_width=40, geometry_depth=2, geometry_skip=1, deformer_width=9,
    deformer_depth=2, shading_width=8, latent_size=LATENT,
)  # fmt: skip


@pytest.fixture(scope="module")
def canonical() -> CanonicalHead:
    return make_canonical_head(pr.load_free_head(), torch.zeros(50))


def _networks(sizes: NetworkSizes) -> AvatarNetworks:
    torch.manual_seed(1)
    networks = AvatarNetworks(sizes).freeze()
    with torch.no_grad():
        for linear in (networks.deformer.blendshapes, networks.deformer.skinning):
            torch.nn.init.normal_(linear.weight, std=0.05)
    return networks


def _points(count: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(2)
    points = 0.3 * torch.randn(count, 3, generator=generator)
    return points[near_order(points)]


@torch.no_grad()
@pytest.mark.parametrize("sizes", [PLAIN, ODD, SKIPPING, LAST_SKIPS])
@pytest.mark.parametrize("count", [1, 2 * WIDE + LANES + 7])
def test_all_that_posing_needs(canonical: CanonicalHead, sizes: NetworkSizes, count: int) -> None:
    networks, code, points = _networks(sizes), torch.randn(LATENT), _points(count)
    coded, width = networks.at(code), sizes.deformer_width
    wanted = evaluate_surface(coded, canonical, points, move=False)
    assert wanted.geometry is not None
    wanted_rows, rows = (PackedRows.empty(count, width, torch.float32) for _ in range(2))
    pack_part(wanted, 0, wanted_rows)
    findings, patches = Findings.empty(count), SurfacePatches(coded, canonical)
    # Two slices, neither of them full.
    for part, first in zip(points.split(WIDE + LANES), (0, WIDE + LANES), strict=False):
        patches.evaluate(part, first, rows, findings)
    geometry = findings.geometry()
    assert torch.allclose(findings.places, wanted.points, atol=1e-6)
    assert torch.allclose(geometry.sdf, wanted.geometry.sdf, atol=1e-5)
    assert torch.allclose(geometry.albedo, wanted.geometry.albedo, atol=1e-5)
    assert torch.allclose(geometry.segmentation, wanted.geometry.segmentation, atol=1e-5)
    for found, expected in ((rows.values, wanted_rows.values), (rows.slopes, wanted_rows.slopes)):
        numbers = found.transpose(0, 2, 1).reshape(-1, found.shape[1])[:count]
        others = expected.transpose(0, 2, 1).reshape(-1, found.shape[1])[:count]
        assert np.abs(numbers - others).max() < 1e-4 * max(1, np.abs(others).max())


@torch.no_grad()
@pytest.mark.parametrize("sizes", [PLAIN, ODD])
def test_the_canonical_offset(sizes: NetworkSizes) -> None:
    deformer = _networks(sizes).deformer.at(torch.randn(LATENT))
    points = _points(WIDE + 5)
    moved = torch.empty_like(points)
    MovePatches(deformer).move(points, moved)
    assert torch.allclose(moved, points + deformer.canonical_offset(points), atol=1e-6)


@torch.no_grad()
def test_a_layer_that_is_off_everywhere_leaves_its_bias(canonical: CanonicalHead) -> None:
    networks, points = _networks(PLAIN), _points(40)
    networks.deformer.layers[1].bias.fill_(-1e3)
    networks.geometry.layers[2].bias.fill_(-1e3)
    coded = networks.at(torch.zeros(LATENT))
    wanted = evaluate_surface(coded, canonical, points, move=False)
    rows, findings = PackedRows.empty(40, PLAIN.deformer_width, torch.float32), Findings.empty(40)
    SurfacePatches(coded, canonical).evaluate(points, 0, rows, findings)
    assert wanted.geometry is not None
    assert torch.allclose(findings.places, wanted.points, atol=1e-6)
    assert torch.allclose(findings.geometry().albedo, wanted.geometry.albedo, atol=1e-6)
    assert not rows.values[:, -3:].any(), "a distance that does not change has no gradient"


@torch.no_grad()
def test_numbers_that_are_none_turn_a_unit_off(canonical: CanonicalHead) -> None:
    coded = _networks(PLAIN).at(torch.full((LATENT,), torch.nan))
    rows, findings = PackedRows.empty(40, PLAIN.deformer_width, torch.float32), Findings.empty(40)
    SurfacePatches(coded, canonical).evaluate(_points(40), 0, rows, findings)
    assert findings.places.isfinite().all()


def test_lower_precision_is_for_torch() -> None:
    networks = _networks(PLAIN)
    assert is_for_patches(networks.at(torch.zeros(LATENT)), torch.zeros(1, 3))
    networks.set_tangent_dtype(torch.bfloat16)
    assert not is_for_patches(networks.at(torch.zeros(LATENT)), torch.zeros(1, 3))


def test_neighbours_follow_each_other() -> None:
    points = torch.rand(4000, 3, generator=torch.Generator().manual_seed(0))
    order = near_order(points)
    assert torch.equal(order.sort().values, torch.arange(4000))
    step = (points[order][1:] - points[order][:-1]).norm(dim=1).median()
    assert step < 0.3 * (points[1:] - points[:-1]).norm(dim=1).median()
    assert len(near_order(points[:0])) == 0
    points[7] = torch.nan
    assert len(near_order(points).unique()) == 4000
