"""Which frames a training looks at, where most of them look at the face."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from pegasus_runtime.camera import Camera
from trainer.config.settings import InvalidSettings
from trainer.config.training import DataConfig
from trainer.data.frame_sampler import choose_frame, sampling_weights, spread_views

SIDES = (95.0, -110.0, 178.0)
YAWS = (*np.linspace(-20, 20, 60), SIDES[0], *np.linspace(-20, 20, 60), *SIDES[1:])


@pytest.fixture
def frames() -> Any:
    cameras = [Camera.orbit((0, 0, 0), 4, yaw_deg=yaw) for yaw in YAWS]
    still = np.zeros(15, np.float32)
    return [SimpleNamespace(record=SimpleNamespace(camera=c, pose=still)) for c in cameras]


def _yaws(frames: Any, chosen: Any) -> set[float]:
    return {YAWS[frames.index(frame)] for frame in chosen}


def test_the_few_views_from_the_side_are_among_those_chosen(frames: Any) -> None:
    chosen = spread_views(frames, 12)
    places = [frames.index(frame) for frame in chosen]
    assert len(chosen) == 12 and places == sorted(places)
    assert set(SIDES) <= _yaws(frames, chosen)
    assert spread_views(frames, 500) == frames


def test_balance_gives_every_side_its_share(frames: Any) -> None:
    side = [YAWS.index(yaw) for yaw in SIDES]
    alike, halfway, balanced = (sampling_weights(frames, b) for b in (0.0, 0.5, 1.0))
    assert np.allclose(alike, 1 / len(frames))
    assert alike[side].sum() < 0.03 < halfway[side].sum() < balanced[side].sum()
    # Three sides alone, and the front: those 40° across count for a little more than one.
    assert 0.5 < balanced[side].sum() < 0.75
    assert balanced.sum() == pytest.approx(1)


def test_a_balanced_training_sees_the_sides(frames: Any) -> None:
    capture: Any = SimpleNamespace(attribute_names=(), source="source", training={"source": frames})
    config = DataConfig(view_balance=1.0)
    seen = [choose_frame(capture, config, 3, step) for step in range(200)]
    assert seen == [choose_frame(capture, config, 3, step) for step in range(200)]
    assert set(SIDES) <= _yaws(frames, seen)
    share = sum(YAWS[frames.index(frame)] in SIDES for frame in seen) / len(seen)
    assert 0.4 < share < 0.8


def test_a_category_comes_up_as_often_as_it_weighs() -> None:
    names = ("hair_a", "nose_a", "nose_b")
    training = {name: [SimpleNamespace(name=name)] for name in ("source", *names)}
    capture: Any = SimpleNamespace(attribute_names=names, source="source", training=training)

    def shares(weights: dict[str, float]) -> list[float]:
        config = DataConfig(source_share=0.2, category_weights=weights)
        chosen: list[Any] = [choose_frame(capture, config, 3, step) for step in range(2000)]
        return [sum(frame.name == name for frame in chosen) / 2000 for name in training]

    alike = pytest.approx([0.2, 0.8 / 3, 0.8 / 3, 0.8 / 3], abs=0.04)
    assert shares({}) == alike and shares({"nose": 0, "hair": 0}) == alike
    assert shares({"hair": 2}) == pytest.approx([0.2, 0.4, 0.2, 0.2], abs=0.04)


def test_weights_are_of_categories() -> None:
    assert DataConfig(category_weights={"hair": 3.0}).category_weights == {"hair": 3.0}
    with pytest.raises(InvalidSettings, match="hiar.*hair") as refusal:
        DataConfig(category_weights={"hiar": 3.0})
    assert "\n" not in str(refusal.value)
