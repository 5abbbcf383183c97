"""Points that are added beneath the skin where what lies behind shows through."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

import pegasus_runtime as pr
from pegasus_runtime.avatar.avatar import Avatar
from tests.skin_sheet import SIDE, skin_sheet
from trainer.stages import lining
from trainer.stages.lining import line_skin
from trainer.stages.skin import drawn_radius

BEHIND = -0.3


@pytest.fixture(autouse=True)
def few_small_views(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lining, "_NUM_VIEWS", 4)
    monkeypatch.setattr(lining, "_SIDE", 256)


def _two_sheets(radius: float, is_unlike: bool = True) -> Avatar:
    """Light skin in front of another sheet, which is dark or of the same colour."""
    avatar = skin_sheet()
    output = avatar.networks.geometry.output
    with torch.no_grad():
        for row in (1, 2, 3):
            output.weight_v[row] = 0.0
            output.weight_v[row, 0], output.weight_g[row] = 1.0, float(is_unlike)
        output.bias[1:4] = -1.85 if is_unlike else 0.1
    points = torch.cat([avatar.points, avatar.points + torch.tensor([0.0, 0.0, BEHIND])])
    return replace(avatar, points=points, radius=radius)


def test_skin_that_is_seen_through_gets_points_beneath() -> None:
    avatar = _two_sheets(0.055)
    lined = line_skin(avatar, "cpu")
    added = lined.points[avatar.num_points :]
    assert torch.equal(lined.points[: avatar.num_points], avatar.points)
    assert 0.5 < len(added) / (SIDE * SIDE) < 4
    depth = -added[:, 2] / drawn_radius(avatar)
    assert depth.min() > 0.4 and depth.max() < 3
    assert added[:, :2].abs().max() <= 0.1 + 1e-6

    camera = avatar.default_camera((96, 96))
    before, after = (
        pr.Session(each, "cpu").render(each.neutral(), camera, ("albedo", "alpha"))
        for each in (avatar, lined)
    )
    middle = (slice(32, 64), slice(32, 64))
    # What was a pattern of dots is even, and the outline stays where it was.
    assert before["albedo"][middle].std() > 5 * after["albedo"][middle].std()
    assert after["albedo"][middle].mean() > before["albedo"][middle].mean()
    areas = [(each["alpha"] > 0.5).sum() for each in (before, after)]
    assert areas[0] <= areas[1] < 1.01 * areas[0]


@pytest.mark.parametrize(("radius", "is_unlike"), [(0.1, True), (0.055, False)])
def test_skin_that_covers_or_hides_nothing_else_stays(radius: float, is_unlike: bool) -> None:
    avatar = _two_sheets(radius, is_unlike)
    assert line_skin(avatar, "cpu").num_points == avatar.num_points


def test_few_points_are_left_alone() -> None:
    avatar = skin_sheet()
    few = replace(avatar, points=avatar.points[:5])
    assert line_skin(few, "cpu") is few
