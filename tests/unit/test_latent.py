"""The latent code: blocks, attributes, strengths, refusals."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import pegasus_runtime as pr
from pegasus_runtime.model.latent import CATEGORIES, LatentCodes

BLOCK = 41


@pytest.fixture
def codes() -> LatentCodes:
    torch.manual_seed(3)
    return LatentCodes(["hair_curly", "hair_bob", "hat_cap"]).requires_grad_(False)


def _block(code: torch.Tensor, category: str) -> torch.Tensor:
    start = CATEGORIES.index(category) * BLOCK
    return code[start : start + BLOCK]


def test_every_block_begins_with_the_mark_of_its_category(codes: LatentCodes) -> None:
    code = codes.compose()
    assert code.shape == (369,)
    for index, category in enumerate(CATEGORIES):
        mark = _block(code, category)[:9]
        assert mark.argmax() == index
        assert mark.sum() == 1


def test_an_attribute_changes_its_own_block_only(codes: LatentCodes) -> None:
    plain, worn = codes.compose(), codes.compose({"hat": "hat_cap"})
    changed = {c for c in CATEGORIES if not torch.equal(_block(plain, c), _block(worn, c))}
    assert changed == {"hat"}


def test_strength_goes_straight_from_the_source_to_the_attribute_and_beyond(
    codes: LatentCodes,
) -> None:
    none, full = codes.compose(), codes.compose({"hair": "curly"})
    assert torch.allclose(codes.compose({"hair": ("curly", 0.0)}), none)
    beyond = codes.compose({"hair": pr.AttributeBlend("hair_curly", 1.5)})
    assert torch.allclose(beyond, none + 1.5 * (full - none), atol=1e-6)


@pytest.mark.parametrize(
    ("choice", "says"),
    [
        ({"hair": "mohawk"}, "hair_curly"),
        ({"beard": "x"}, "eyeglasses"),
        ({"hat": ("cap", float("nan"))}, "strength"),
        ({"hat": "hair_curly"}, "hat_cap"),
    ],
)
def test_what_does_not_exist_is_refused_by_name(
    codes: LatentCodes, choice: dict[str, object], says: str
) -> None:
    with pytest.raises(pr.InvalidInput, match=says):
        codes.compose(choice)  # type: ignore[arg-type]


def test_names_must_begin_with_a_category() -> None:
    with pytest.raises(pr.InvalidInput, match="CATEGORY_NAME"):
        LatentCodes(["beard_long"])
    for name in (
        "/tmp/x_a",
        "hair_a/b",
        "hair_..\\\\b",
        "hair_\nb",
        "hair_\0",
        "hair_" + 100 * "x",
        ".hair_a",
    ):
        with pytest.raises(pr.InvalidInput, match="use a name") as refusal:
            LatentCodes([name], ["hair", ".hair", "/tmp/x"], [])
        assert str(refusal.value).isprintable()
    for names in ("hair_a", None, [3], [["hair_a"]], ["hair_a"] * 20_000):
        with pytest.raises(pr.InvalidInput):
            LatentCodes(names)  # type: ignore[arg-type]
    with pytest.raises(pr.InvalidInput, match="twice"):
        LatentCodes(["hair_a", "hair_a"])


@pytest.mark.parametrize("name", ["expression", "pose", "shape", "latent"])
def test_parameters_must_be_finite_and_of_the_right_length(name: str) -> None:
    for bad in (np.zeros(7), np.full(15, np.nan), "word"):
        with pytest.raises(pr.InvalidInput, match=name):
            pr.Parameters(**{name: bad}).checked(369)  # type: ignore[arg-type]
