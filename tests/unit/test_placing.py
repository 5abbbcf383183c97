"""Points placed in compiled loops, and their gradients, are those of torch's operations."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

import pegasus_runtime as pr
from pegasus_runtime.avatar.networks import AvatarNetworks
from pegasus_runtime.deform.canonical_head import CanonicalHead, make_canonical_head
from pegasus_runtime.deform.placing import place_surface
from pegasus_runtime.deform.surface import (
    PosedHead,
    PosedSurface,
    evaluate_surface,
    pose_surface,
    prepare_pose,
)

LATENT = 5
SIZES = pr.NetworkSizes(
    num_frequencies=2, geometry_width=16, geometry_depth=2, geometry_skip=0, deformer_width=12,
    deformer_depth=2, shading_width=8, latent_size=LATENT,
)  # fmt: skip


@pytest.fixture(scope="module")
def canonical() -> CanonicalHead:
    return make_canonical_head(pr.load_free_head(), torch.zeros(50))


@pytest.fixture(scope="module")
def posed(canonical: CanonicalHead) -> PosedHead:
    generator = torch.Generator().manual_seed(4)
    expression, shape = (torch.randn(n, generator=generator) for n in (50, 100))
    pose = 0.3 * torch.randn(15, generator=generator)
    return prepare_pose(pr.load_free_head(), canonical, expression, pose, shape)


def _networks() -> AvatarNetworks:
    torch.manual_seed(1)
    networks = AvatarNetworks(SIZES)
    with torch.no_grad():
        for linear in (networks.deformer.blendshapes, networks.deformer.skinning):
            torch.nn.init.normal_(linear.weight, std=0.1)
    return networks


def _composed(
    networks: AvatarNetworks, canonical: CanonicalHead, posed: PosedHead, points: Tensor,
    nearest: Tensor, code: Tensor, still: bool, move: bool,
) -> PosedSurface:  # fmt: skip
    surface = evaluate_surface(networks.at(code), canonical, points, still=still, move=move)
    blend = networks.deformer.blend_map(posed.expression_change, posed.feature_change)
    return pose_surface(blend, canonical, surface, posed, nearest)


def _at_once(
    networks: AvatarNetworks, canonical: CanonicalHead, posed: PosedHead, points: Tensor,
    nearest: Tensor, code: Tensor, still: bool, move: bool,
) -> PosedSurface:  # fmt: skip
    blend = networks.deformer.blend_map(posed.expression_change, posed.feature_change)
    coded = networks.at(code)
    return place_surface(
        coded, canonical, points, blend, posed, nearest, still=still, move=move
    )[0]  # fmt: skip


@pytest.mark.parametrize("still", [False, True])
@pytest.mark.parametrize(("count", "move", "shaped"), [(1, True, True), (150, False, False)])
def test_places_and_gradients(
    canonical: CanonicalHead, posed: PosedHead, still: bool, count: int, move: bool, shaped: bool
) -> None:
    if not shaped:
        posed = replace(posed, shape_displacements=None)
    networks, generator = _networks(), torch.Generator().manual_seed(2)
    points = (0.4 * torch.randn(count, 3, generator=generator)).requires_grad_()
    code = torch.randn(LATENT, generator=generator).requires_grad_()
    nearest = torch.randint(len(canonical.vertices), (count,), generator=generator)
    upstream = torch.randn(2, count, 3, generator=generator)
    names = ["points", "code", *(name for name, _ in networks.named_parameters())]
    leaves = [points, code, *networks.parameters()]
    found: list[PosedSurface] = []
    gradients = []
    for place in (_composed, _at_once):
        surface = place(networks, canonical, posed, points, nearest, code, still, move)
        assert surface.normals is not None
        loss = (torch.stack([surface.points, surface.normals]) * upstream).sum()
        gradients.append(torch.autograd.grad(loss, leaves, allow_unused=True))
        found.append(surface)
    for wanted, value in zip(*(vars(each).values() for each in found), strict=True):
        assert torch.allclose(value, wanted, atol=2e-5)
    largest = max(float(g.abs().max()) for g in gradients[0] if g is not None)
    for name, wanted, value in zip(names, *gradients, strict=True):
        assert (wanted is None) == (value is None), name
        if wanted is not None and value is not None:
            scale = max(float(wanted.abs().max()), 1e-3 * largest)
            assert float((value - wanted).abs().max()) < 1e-3 * scale, name


def test_a_point_without_a_normal_has_finite_gradients(
    canonical: CanonicalHead, posed: PosedHead
) -> None:
    networks = _networks()
    with torch.no_grad():
        networks.geometry.output.weight_g.zero_()  # a distance that is the same everywhere
    points = torch.zeros(3, 3, requires_grad=True)
    nearest = torch.zeros(3, dtype=torch.long)
    surface = _at_once(
        networks, canonical, posed, points, nearest, torch.zeros(LATENT), False, True
    )  # fmt: skip
    assert surface.normals is not None and bool((surface.normals == 0).all())
    (found,) = torch.autograd.grad(surface.normals.sum() + surface.points.sum(), points)
    assert torch.isfinite(found).all()


def test_other_precisions_go_another_way(canonical: CanonicalHead, posed: PosedHead) -> None:
    networks, code = _networks().double(), torch.zeros(LATENT, dtype=torch.float64)
    points = 0.4 * torch.randn(9, 3, dtype=torch.float64)
    doubled = PosedHead(**{name: value.double() for name, value in vars(posed).items()})
    canonical = CanonicalHead(**{name: value.double() for name, value in vars(canonical).items()})
    nearest = torch.zeros(9, dtype=torch.long)
    surface = _at_once(networks, canonical, doubled, points, nearest, code, False, True)
    assert surface.points.dtype == torch.float64
