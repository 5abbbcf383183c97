"""Points that wait in the store of an avatar of an earlier program: there, but not drawn."""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import pegasus_runtime as pr
from pegasus_runtime.passes import PASSES
from tests.factories import published_avatar

STORE = torch.tensor([[-0.2, -0.1, -0.3], [0.2, 0.2, 0.1]])
NUM_WAITING = 400


@pytest.fixture(scope="module")
def bare() -> pr.Avatar:
    """An avatar without a store."""
    made = published_avatar(["hat_a"], every=3, radius=0.06, blendshapes=0.02)
    with torch.no_grad():
        made.networks.deformer.offset.weight.zero_()
        made.networks.deformer.offset.bias.zero_()
    low, high = STORE
    outside = ~((made.points > low) & (made.points < high)).all(dim=1)
    made.points = made.points[outside]
    return made


@pytest.fixture(scope="module")
def avatar(bare: pr.Avatar) -> pr.Avatar:
    """The same with points that wait, between the others."""
    low, high = STORE
    generator = torch.Generator().manual_seed(0)
    waiting = low + (high - low) * torch.rand(NUM_WAITING, 3, generator=generator)
    points = torch.cat([bare.points[:100], waiting, bare.points[100:]])
    return replace(bare, points=points, store=STORE)


def _moved(avatar: pr.Avatar) -> pr.Parameters:
    params = avatar.neutral()
    params.expression[:5], params.pose[3:9], params.shape[:4] = 1.5, 0.3, 2.0
    return params


@pytest.mark.parametrize("exact", [False, True])
def test_the_picture_is_that_of_the_points_outside(
    avatar: pr.Avatar, bare: pr.Avatar, exact: bool
) -> None:
    params, camera = _moved(avatar), avatar.default_camera((64, 64))
    wanted = pr.Session(bare, "cpu").render(params, camera, PASSES)
    found = pr.Session(avatar, "cpu", exact=exact).render(params, camera, PASSES)
    for name in PASSES:
        assert np.abs(found[name] - wanted[name]).mean() < 1e-5, name
    assert found.points.shape == (avatar.num_points, 3)
    # A code that lifts all points by more than the box is high shows them.
    networks = copy.deepcopy(avatar.networks)
    with torch.no_grad():
        networks.deformer.offset.bias[1] = 0.5
    shown, without = (
        pr.Session(replace(each, networks=networks), "cpu", exact=exact).render(params, camera)
        for each in (avatar, bare)
    )
    assert not np.array_equal(shown["rgb"], without["rgb"])


def test_the_store_is_kept_in_the_file(avatar: pr.Avatar, bare: pr.Avatar, tmp_path: Path) -> None:
    avatar.save(tmp_path / "a.avatar")
    bare.save(tmp_path / "b.avatar")
    kept = pr.load_avatar(tmp_path / "a.avatar").store
    assert kept is not None and torch.equal(kept, STORE)
    assert pr.load_avatar(tmp_path / "b.avatar").store is None
    with pytest.raises(pr.InvalidInput, match=r"c\.avatar.*store.*corner of a box"):
        replace(avatar, store=STORE.flip(0)).save(tmp_path / "c.avatar")
