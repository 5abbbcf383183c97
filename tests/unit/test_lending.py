"""What one made-up person lends another, and what they always wear."""

from __future__ import annotations

import pytest
import torch

from pegasus_runtime.head import load_free_head
from pegasus_runtime.head.parts import require_parts
from trainer.head_regions import SHAPED_BY, lent_shape, region_weights
from trainer.synthetic.casting import person_for
from trainer.synthetic.config import CaptureConfig, PersonConfig
from trainer.synthetic.lending import lent_morph, with_lent
from trainer.synthetic.people import people_presets


def test_lent_hair_leaves_brows_as_they_were_and_lent_brows_the_hair() -> None:
    jonas, mara = people_presets()["jonas"], people_presets()["mara"]
    haired = with_lent(jonas, "hair_mara")
    assert (haired.hair, haired.hair_colour) == (mara.hair, mara.hair_colour)
    assert (haired.eyebrows, haired.brow_colour) == (jonas.eyebrows, jonas.hair_colour)
    browed = with_lent(jonas, "eyebrows_mara+hat_cap")
    assert (browed.eyebrows, browed.brow_colour) == (mara.eyebrows, mara.hair_colour)
    assert browed.hair_colour == jonas.hair_colour


@pytest.mark.parametrize("category", SHAPED_BY)
def test_a_lent_shape_moves_its_part_and_nothing_far_from_it(category: str) -> None:
    head = load_free_head()
    change = torch.zeros(100)
    change[:8] = 1.0
    directions = head.identity_directions
    moved = lent_shape(head, category, change, head.template, directions).norm(dim=1)
    weights = region_weights(head, category, head.template)
    on = require_parts(head).on(*SHAPED_BY[category])
    assert bool((weights[on] > 0.99).all()) and float(moved[on].mean()) > 1e-3
    assert float(moved[weights == 0].abs().max()) == 0.0
    assert float((weights == 0).float().mean()) > 0.5
    # Put where one's own was: less than by the whole difference of the two heads.
    assert float(moved[on].mean()) < 2 * float((directions @ change).norm(dim=1)[on].mean())


def test_only_categories_with_a_shape_change_the_head() -> None:
    head, own = load_free_head(), people_presets()["jonas"].identity()
    for subject, is_shaped in (
        ("hair_mara", False),
        ("nose_mara+hat_cap", True),
        ("source", False),
    ):
        moved = lent_morph(head, own, subject, head.template, head.identity_directions)
        assert bool((moved != 0).any()) == is_shaped


def test_what_a_person_always_wears_is_on_in_every_subject() -> None:
    worn = PersonConfig(made_of="painted", wears=("hat_cap", "eyeglasses_round"))
    config = CaptureConfig(image_size=64, person=worn)
    names = load_free_head().part_names
    for subject in ("source", "eyes_green"):
        person = person_for(config, subject)
        shown = {person.part_names[int(part)] for part in set(person.face_part)}
        assert {"hat", "glasses"} <= shown and len(person.part_names) > len(names)
