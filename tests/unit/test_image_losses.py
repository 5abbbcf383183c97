"""The losses on pictures."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from trainer.config.training import LossConfig
from trainer.data.images import Pictures
from trainer.losses.image import image_losses, make_targets

CPU = torch.device("cpu")


def _pictures(region: tuple[slice, slice] | None, parts: np.ndarray | None = None) -> Pictures:
    part_mask = None
    if region is not None:
        part_mask = np.zeros((20, 20), np.uint8)
        part_mask[region] = 255
    white = np.full((20, 20, 3), 255, np.uint8)
    return Pictures(white, np.full((20, 20), 255, np.uint8), part_mask, None, parts)


def _weights(pictures: Pictures, **settings: object) -> torch.Tensor:
    config = LossConfig(**settings)  # type: ignore[arg-type]
    weights = make_targets(pictures, ("skin", "eyes"), config, CPU).pixel_weights
    assert weights is not None
    return weights[:, :, 0]


def test_a_small_region_has_the_share_of_the_loss_it_is_given() -> None:
    region = (slice(4, 9), slice(4, 8))
    weights = _weights(_pictures(region), region_share=0.3)
    assert weights[region].sum() / weights.sum() == pytest.approx(0.3)
    assert weights[0, 0] == 1.0


def test_a_large_region_keeps_its_share() -> None:
    region = (slice(0, 15), slice(0, 20))
    assert _weights(_pictures(region), region_share=0.3).eq(1.0).all()


def test_the_share_counts_what_parts_weigh_already() -> None:
    parts = np.zeros((20, 20), np.uint8)
    region = (slice(4, 9), slice(4, 8))
    parts[region] = 1
    pictures = _pictures(region, parts)
    weights = _weights(pictures, region_share=0.3, part_weights={"eyes": 4.0})
    assert weights[region].sum() / weights.sum() == pytest.approx(0.3)


def test_a_region_that_a_few_pixels_show_does_not_rule_the_picture() -> None:
    weights = _weights(_pictures((slice(0, 1), slice(0, 1))), region_share=0.3)
    assert weights[0, 0] == 20.0 and weights[1, 1] == 1.0


def test_an_unseen_region_changes_nothing() -> None:
    assert _weights(_pictures((slice(0, 0), slice(0, 0))), region_share=0.3).eq(1.0).all()


def test_without_parts_and_region_all_pixels_count_alike() -> None:
    targets = make_targets(_pictures(None), ("skin", "eyes"), LossConfig(region_share=0.3), CPU)
    assert targets.pixel_weights is None


def test_the_colour_loss_sees_the_weights() -> None:
    region = (slice(4, 9), slice(4, 8))
    targets = make_targets(_pictures(region), (), LossConfig(region_share=0.5), CPU)
    channels = {
        "rgb": torch.ones(20, 20, 3),
        "alpha": torch.ones(20, 20, 1),
        "segmentation": targets.part_mask.clone(),  # type: ignore[union-attr]
        "normal": torch.zeros(20, 20, 3),
    }
    channels["rgb"][region] = 0.0
    plain = make_targets(_pictures(region), (), LossConfig(), CPU)
    favoured = image_losses(channels, targets)["rgb"]
    assert favoured / image_losses(channels, plain)["rgb"] == pytest.approx(380 / 20)
