"""Positions alone, as `find_shown_points` of a training asks for them."""

from __future__ import annotations

import pytest
import torch

import pegasus_runtime as pr
from pegasus_runtime import devices
from pegasus_runtime.avatar.networks import AvatarNetworks
from pegasus_runtime.avatar.sizes import NetworkSizes
from pegasus_runtime.deform.canonical_head import make_canonical_head
from pegasus_runtime.deform.positions import find_positions


@pytest.mark.parametrize("width", [11, 32])
@pytest.mark.parametrize("count", [0, 1, 2500])
def test_compiled_loops_give_what_torch_gives(
    width: int, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(1)
    sizes = NetworkSizes(deformer_width=width, deformer_depth=3, latent_size=9)
    networks = AvatarNetworks(sizes).freeze()
    with torch.no_grad():
        for linear in (networks.deformer.blendshapes, networks.deformer.skinning):
            torch.nn.init.normal_(linear.weight, std=0.05)
    canonical = make_canonical_head(pr.load_free_head(), torch.zeros(50))
    coded, points = networks.at(torch.randn(9)), 0.3 * torch.randn(count, 3)
    blend = networks.deformer.blend_map(torch.randn(50), 0.3 * torch.randn(36))
    found = find_positions(coded, canonical, points, blend)
    monkeypatch.setattr(devices, "has_loops", lambda _device: False)
    expected = find_positions(coded, canonical, points, blend)
    for name, one, other in zip(found._fields, found, expected, strict=True):
        assert one.shape == other.shape, name
        assert torch.allclose(one, other, atol=1e-5), name
    assert count == 0 or (found.bent - found.on_head).abs().max() > 0.1
