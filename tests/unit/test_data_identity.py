"""A run goes on with the frames it was begun with."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch

from pegasus_runtime.errors import InvalidInput
from trainer.engine.data_identity import data_facts, refuse_other_data


def capture(source: str = "me", value: float = 0.5, **counts: int) -> Any:
    frames = {name: [None] * count for name, count in (counts or {"me": 3, "hat_a": 2}).items()}
    return SimpleNamespace(source=source, training=frames, mean_expression=torch.full((50,), value))


@pytest.mark.parametrize(
    ("now", "said"),
    [
        (capture(me=3), "'hat_a' is gone"),
        (capture(me=3, hat_a=2, hair_b=1), "'hair_b' is new"),
        (capture(me=3, hat_a=1), "'hat_a' had 2 frames to learn from, now 1"),
        (capture(source="you"), "the source was 'me'"),
        (capture(value=0.6), "the mean of its expressions"),
        (capture(a=1, b=1, c=1), "'me' is gone, 'hat_a' is gone, 'a' is new and 2 changes more"),
    ],
)
def test_other_frames_are_refused_by_name(now: Any, said: str) -> None:
    before = data_facts(capture())
    refuse_other_data(before, capture(), "folder")
    with pytest.raises(InvalidInput, match=f"^folder: .*{said}.*put them back"):
        refuse_other_data(before, now, "folder")
