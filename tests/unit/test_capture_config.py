"""Settings of the synthetic capture, and what changes between its people."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from pegasus_runtime.errors import InvalidInput
from pegasus_runtime.head import load_free_head
from trainer.synthetic.config import CaptureConfig
from trainer.synthetic.frame_sampling import draw_frame_parameters
from trainer.synthetic.person import make_person


@pytest.mark.parametrize(
    "settings",
    [
        {"image_size": 0},
        {"image_size": 64.5},
        {"seed": -1},
        {"num_source_frames": True},
        {"subjects": ()},
        {"subjects": "source"},
        {"subjects": ("source", "source")},
        {"subjects": ("hat_crown",)},
    ],
)
def test_bad_settings_are_refused_in_one_line(settings: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput) as refusal:
        CaptureConfig(**settings)
    assert next(iter(settings)) in str(refusal.value) and "\n" not in str(refusal.value)


def test_moments_depend_on_seed_subject_and_frame_alone() -> None:
    names = load_free_head().expression_names
    first = draw_frame_parameters(7, "source", 3, 64, names)
    assert np.array_equal(first.pose, draw_frame_parameters(7, "source", 3, 64, names).pose)
    for other in ((8, "source", 3), (7, "hat_cap", 3), (7, "source", 4)):
        assert not np.array_equal(first.pose, draw_frame_parameters(*other, 64, names).pose)


def test_a_nose_changes_the_nose_alone() -> None:
    head = load_free_head()
    source, button = (
        make_person(head, 7, name).head.template for name in ("source", "nose_button")
    )
    moved = (button[: head.num_vertices] - source[: head.num_vertices]).norm(dim=1)
    assert head.part_labels is not None
    nose = head.part_labels == head.part_names.index("nose")
    eyes = head.part_labels == head.part_names.index("eyes")
    assert moved[nose].max() > 0.015
    assert moved[eyes].max() < 0.001
    assert moved[head.template[:, 1] > 0.2].max() < 1e-4
