"""A filmed person's tongue is whole and of one colour, whatever the film has made of it."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import cast

import pytest
import torch

import pegasus_runtime as pr
import trainer.refine.tongue as module
from pegasus_runtime.head.expression_ranges import expression_ranges, shown_ranges
from pegasus_runtime.head.parts import require_parts
from pegasus_runtime.surfels.attributes import Attribute, Difference, Wardrobe, rest_corners
from pegasus_runtime.surfels.binding import place_on_triangles
from pegasus_runtime.surfels.surfels import Surfels, concatenate, new_surfels
from trainer.data.dataset import Capture
from trainer.refine.tongue import with_whole_tongue

HEAD = pr.load_free_head()
SHAPE = torch.zeros(100)
PARTS = require_parts(HEAD)
COUNT = 600
RED, DARK = torch.tensor([1.0, -1.0, -1.0]), torch.tensor([-0.5, -1.5, -1.5])


def _bound_to(part: str, count: int, seed: int) -> Surfels:
    triangles = PARTS.on(part)[HEAD.faces].all(dim=1).nonzero()[:, 0]
    random = torch.Generator().manual_seed(seed)
    chosen = triangles[torch.randint(len(triangles) // 3, (count,), generator=random)]
    third, offset = torch.full((count, 3), 1 / 3), torch.randn(count, 3, generator=random)
    return new_surfels(chosen, third, 0.02 * offset, offset, 0.01)


def _torn() -> Wardrobe:
    """Surfels of all colours, crowded on a third of the tongue, between red lips."""
    random = torch.Generator().manual_seed(2)
    tongue, lips, inside = (
        _bound_to(part, count, seed)
        for seed, (part, count) in enumerate((("tongue", COUNT), ("lips", 50), ("mouth", 50)))
    )
    tongue = replace(
        tongue,
        colour=torch.randn(COUNT, 3, generator=random),
        offset_states=torch.ones_like(tongue.offset_states),
    )
    lips, inside = (
        replace(each, colour=colour.expand(50, 3)) for each, colour in ((lips, RED), (inside, DARK))
    )
    source = concatenate([tongue, lips, inside])
    region = torch.tensor([3, COUNT + 4])
    change = replace(Difference.none(2), colour=torch.ones(2, 3))
    mouth = Attribute(
        "mouth_x", region, change, source.chosen(torch.zeros(0).long()),
        torch.zeros(2, dtype=torch.uint8),
    )  # fmt: skip
    return Wardrobe(source, (mouth,), rest_corners(HEAD, SHAPE))


def _mended(monkeypatch: pytest.MonkeyPatch, filmed: bool) -> tuple[Wardrobe, Wardrobe]:
    monkeypatch.setattr(module, "is_one_sided", lambda frames: filmed)
    capture = cast(Capture, SimpleNamespace(training={"me": []}, source="me", shape=SHAPE))
    torn = _torn()
    return torn, with_whole_tongue(torn, HEAD, capture)


def test_it_is_covered_evenly_in_one_colour(monkeypatch: pytest.MonkeyPatch) -> None:
    torn, mended = _mended(monkeypatch, filmed=True)
    tongue, lips = torch.arange(COUNT), torch.arange(COUNT, COUNT + 50)
    found = mended.source.chosen(tongue)
    triangles = PARTS.on("tongue")[HEAD.faces].all(dim=1)
    assert triangles[found.triangle].all()
    assert len(found.triangle.unique()) > 0.6 * int(triangles.sum())
    assert found.offset_states.abs().max() == 0 and found.offset.abs().max() < 0.005
    points, _ = place_on_triangles(
        mended.rest_corners, found.triangle, found.barycentric, found.offset
    )
    # From the mouth's own colour to that of the lips at the tip.
    tip = points[:, 2] > points[:, 2].quantile(0.9)
    assert (found.colour[tip] - RED).norm(dim=1).mean() < 0.8
    assert found.colour.std(dim=0).max() < 0.6 < torn.source.colour.std(dim=0).min()
    for name in vars(torn.source):
        before, after = getattr(torn.source, name)[lips], getattr(mended.source, name)[lips]
        assert torch.equal(before, after), "lips are as they were"


def test_it_is_the_same_after_it_was_trained_further(monkeypatch: pytest.MonkeyPatch) -> None:
    _, mended = _mended(monkeypatch, filmed=True)
    capture = cast(Capture, SimpleNamespace(training={"me": []}, source="me", shape=SHAPE))
    again = with_whole_tongue(mended, HEAD, capture)
    for name in vars(mended.source):
        assert torch.equal(getattr(again.source, name), getattr(mended.source, name)), name


def test_an_attribute_leaves_it_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    _, mended = _mended(monkeypatch, filmed=True)
    (mouth,) = mended.attributes
    assert mouth.region.tolist() == [COUNT + 4]
    assert len(mouth.difference.colour) == 1 and mouth.part is not None and len(mouth.part) == 1


def test_who_was_drawn_keeps_theirs(monkeypatch: pytest.MonkeyPatch) -> None:
    torn, same = _mended(monkeypatch, filmed=False)
    assert same is torn


def test_no_film_ends_its_slider() -> None:
    names = list(HEAD.expression_names)
    tongue, smile = names.index("tongue out"), names.index("smile left")
    found = shown_ranges(HEAD, torch.zeros(50))
    assert found[tongue] == expression_ranges(HEAD)[tongue] and found[smile][1] == 0.6
