"""The store: points of one attribute wait in the skull, and come out for that attribute alone."""

from __future__ import annotations

import pytest
import torch

from pegasus_runtime.avatar.avatar import Avatar, initial_avatar
from pegasus_runtime.avatar.latent import AttributeBlend
from pegasus_runtime.avatar.sizes import NetworkSizes
from pegasus_runtime.head import load_free_head
from trainer.config.schema import ModelConfig
from trainer.stages.store import Slot, hold_store, lay_out, max_slots, stretch_of, teach_store

NAMES = ("hair_bob", "hair_curly", "hat_cap", "hat_beanie", "eyeglasses_round")


@pytest.fixture(scope="module")
def places() -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    sizes = torch.tensor([0.8, 1.2, 1.0])
    made = {n: (torch.rand(200, 3, generator=generator) - 0.5) * sizes for n in NAMES}
    made["eyeglasses_round"] = made["eyeglasses_round"] * 0.2 + torch.tensor([0.0, 0.0, 0.4])
    return made


@pytest.fixture(scope="module")
def slots(places: dict[str, torch.Tensor]) -> list[Slot]:
    return lay_out(places)


@pytest.fixture()
def avatar(slots: list[Slot]) -> Avatar:
    model = ModelConfig(deformer_width=64)
    assert len(slots) <= max_slots(model)
    sizes = NetworkSizes(
        geometry_width=16, geometry_depth=2, geometry_skip=0, deformer_width=64, shading_width=8
    )
    avatar = initial_avatar(
        load_free_head(), torch.zeros(1, 3), 0.01, sizes=sizes, attribute_names=NAMES
    )
    teach_store(avatar, slots)
    return avatar


def offsets(avatar: Avatar, points: torch.Tensor, worn: dict) -> torch.Tensor:
    with torch.no_grad():
        return avatar.networks.deformer.canonical_offset(points, avatar.codes.compose(worn))


@pytest.mark.parametrize("slot", range(len(NAMES)))
def test_an_attribute_brings_out_its_own(slot: int, slots, places, avatar: Avatar) -> None:
    name = slots[slot].attribute
    stored = slots[slot].put_away(places[name])
    worn = {name.partition("_")[0]: name}
    assert torch.allclose(stored + offsets(avatar, stored, worn), places[name], atol=0.03)
    for other in NAMES:
        if other != name:
            away = slots[NAMES.index(other)].put_away(places[other])
            assert offsets(avatar, away, worn).abs().max() < 0.03
    assert offsets(avatar, stored, {}).abs().max() < 0.03


def test_the_stretch_of_what_waits_is_known(slots, places, avatar: Avatar) -> None:
    deformer, codes = avatar.networks.deformer, avatar.codes
    outside = torch.tensor([[0.0, 0.0, 0.5], [0.4, 0.1, 0.0]])
    assert torch.equal(stretch_of(deformer, codes, outside), torch.ones(2, 3))
    for slot in slots:
        middle = (slot.low + slot.high)[None] / 2
        found = stretch_of(deformer, codes, middle)
        assert torch.allclose(found, (1 / slot.scale[None]).clamp_min(1), rtol=0.05), slot.attribute


def test_the_face_stays_where_it_is(avatar: Avatar) -> None:
    face = torch.randn(500, 3, generator=torch.Generator().manual_seed(1)) * 0.4
    outside = face[face.norm(dim=1) > 0.45]
    for name in NAMES:
        assert offsets(avatar, outside, {name.partition("_")[0]: name}).abs().max() < 0.05


def test_strength_brings_it_out_gradually(slots, places, avatar: Avatar) -> None:
    stored = slots[0].put_away(places[NAMES[0]])
    wanted = (places[NAMES[0]] - stored).norm(dim=1).mean()
    shares = [
        offsets(avatar, stored, {"hair": AttributeBlend(NAMES[0], strength)}).norm(dim=1).mean()
        / wanted
        for strength in (0.2, 0.5, 1.0, 1.4)
    ]
    assert shares[0] < 0.1 < shares[1] < 0.9 < shares[2]
    assert abs(float(shares[3]) - 1) < 0.1


def test_held_units_keep_still(slots, places, avatar: Avatar) -> None:
    deformer = avatar.networks.deformer.requires_grad_(True)
    handles = hold_store(deformer, len(slots))
    optimiser = torch.optim.Adam(deformer.parameters(), lr=0.01)
    code = avatar.codes.compose({}).detach()
    loose = torch.randn(64, 3) * 0.5
    for _ in range(20):
        optimiser.zero_grad()
        output = deformer(loose, code)
        (output.skinning.square().mean() + output.hidden.square().mean()).backward()
        optimiser.step()
    for handle in handles:
        handle.remove()
    stored = slots[2].put_away(places["hat_cap"])
    moved = stored + offsets(avatar, stored, {"hat": "hat_cap"})
    # The other units have moved, and add what they like; the map itself is as it was.
    assert torch.allclose(moved, places["hat_cap"], atol=0.1)


def test_nothing_to_store_changes_nothing(avatar: Avatar) -> None:
    before = {name: value.clone() for name, value in avatar.networks.state_dict().items()}
    teach_store(avatar, lay_out({}))
    assert hold_store(avatar.networks.deformer, 0) == []
    assert all(torch.equal(before[n], v) for n, v in avatar.networks.state_dict().items())


def test_spread_points_leave_no_gaps_and_no_clumps() -> None:
    from scipy.spatial import cKDTree

    from trainer.stages.spread import spread_evenly

    generator = torch.Generator().manual_seed(0)
    flat = torch.rand(20_000, 3, generator=generator) * torch.tensor([1.0, 1.0, 0.0])
    groups = (flat[:, 0] > 0.5).long()
    chosen = spread_evenly(flat, groups, 1000, generator)
    assert abs(len(chosen) - 1000) <= 20 and len(chosen.unique()) == len(chosen)
    places = cKDTree(flat[chosen][:, :2].numpy())
    reach, _ = places.query(flat[:, :2].numpy())
    # As far apart as even points of this number can be, 1.07 / √N, less what darts waste.
    assert reach.max() < 1.2 / 1000**0.5
    for group in (0, 1):
        own = flat[chosen][groups[chosen] == group][:, :2].numpy()
        distance, _ = cKDTree(own).query(own, k=2)
        assert distance[:, 1].min() > 0.6 / 1000**0.5
    assert len(spread_evenly(flat[:5], groups[:5], 10, generator)) == 5


def test_points_that_an_attribute_carries_below_the_bust_are_dropped() -> None:
    from pegasus_runtime import initial_avatar, load_free_head
    from trainer.stages.strays import without_strays

    head = load_free_head()
    avatar = initial_avatar(head, head.template, 0.03, attribute_names=("hat_cap",))
    assert without_strays(avatar).num_points == avatar.num_points
    deformer = avatar.networks.deformer
    real, points = deformer.canonical_offset, avatar.points
    worn = avatar.codes.compose({"hat": "hat_cap"})

    def carry(moved: torch.Tensor, code: torch.Tensor) -> torch.Tensor:
        offset = torch.zeros_like(moved)
        if torch.equal(code, worn):
            offset[:7, 1] = points[:, 1].min() - points[:7, 1] - 0.1
        return offset

    deformer.canonical_offset = carry  # type: ignore[method-assign]
    try:
        kept = without_strays(avatar)
    finally:
        deformer.canonical_offset = real  # type: ignore[method-assign]
    assert torch.equal(kept.points, points[7:])
