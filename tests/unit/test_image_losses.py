"""The losses on pictures."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from trainer.config.training import LossConfig
from trainer.data.images import Pictures
from trainer.losses.image import image_losses, make_targets, random_ground

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


def _half_a_person() -> tuple[Pictures, dict[str, torch.Tensor]]:
    """A gray person on the left half of a picture, and the same as it is blended."""
    mask = np.zeros((20, 20), np.uint8)
    mask[:, :10] = 255
    alpha = torch.from_numpy(mask).float()[:, :, None] / 255
    gray = np.full((20, 20, 3), 128, np.uint8)
    return Pictures(gray, mask, None, None, None), {"rgb": alpha * 128 / 255, "alpha": alpha}


@pytest.mark.parametrize("ground", [(1.0, 1.0, 1.0), (0.0, 0.0, 0.0), (0.2, 0.9, 0.4)])
def test_who_is_right_is_right_on_any_ground(ground: tuple[float, float, float]) -> None:
    pictures, channels = _half_a_person()
    targets = make_targets(pictures, (), LossConfig(), CPU).over(torch.tensor(ground))
    assert targets.rgb[0, 19].tolist() == pytest.approx(ground)
    assert targets.rgb[0, 0].tolist() == pytest.approx([128 / 255] * 3)
    losses = image_losses(channels, targets)
    assert losses["rgb"] < 1e-6 and losses["mask"] == 0


def test_a_white_rim_is_wrong_on_all_grounds_but_white() -> None:
    pictures, channels = _half_a_person()
    rim = torch.zeros(20, 20, 1)
    rim[:, 10:12] = 1.0
    seen = {"rgb": channels["rgb"] + rim, "alpha": channels["alpha"] + rim}
    white = make_targets(pictures, (), LossConfig(), CPU)
    assert image_losses(seen, white)["rgb"] < 1e-6
    ground = random_ground(torch.Generator().manual_seed(0))
    assert image_losses(seen, white.over(ground))["rgb"] > 0.01
