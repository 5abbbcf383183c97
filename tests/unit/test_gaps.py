"""Points that are added where motion pulls the skin apart."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import torch

import pegasus_runtime as pr
from tests.skin_sheet import SIDE, skin_sheet
from trainer.stages.gaps import far_motions, fill_gaps


def test_only_what_is_pulled_apart_gets_points() -> None:
    avatar = skin_sheet()
    rest, pulled = avatar.neutral(), avatar.neutral()
    pulled.expression[0] = 1.0  # x becomes 2 x on the right
    session = pr.Session(avatar, "cpu")
    width = np.ptp(session.render(pulled, avatar.default_camera((8, 8))).points[:, 0])
    assert 0.28 < width < 0.32
    filled = fill_gaps(avatar, [rest, pulled], "cpu")
    added = filled.points[avatar.num_points :]
    assert torch.equal(filled.points[: avatar.num_points], avatar.points)
    assert 0.8 < len(added) / (SIDE * SIDE / 2) < 1.3
    assert added[:, 0].min() > -0.01
    assert torch.cdist(added, added).fill_diagonal_(1).min() > 0.4 * 0.2 / (SIDE - 1)
    assert fill_gaps(avatar, [rest], "cpu").num_points == avatar.num_points


def test_skin_that_tears_beside_a_point_gets_points_where_it_tears() -> None:
    avatar, spacing = skin_sheet(), 0.2 / (SIDE - 1)
    first = avatar.networks.deformer.layers[0]
    tear = float(avatar.points[SIDE * SIDE // 2, 0]) + 0.06 * spacing
    with torch.no_grad():
        # Two hinges make a step, a quarter of the spacing wide.
        first.weight_v[1], first.weight_v[1, 0] = 0.0, 1.0  # type: ignore[index]
        first.weight_g[:2] = steep = 4 / spacing  # type: ignore[index]
        first.bias[:2] = torch.tensor([0.0, -1.0]) - steep * tear  # type: ignore[index]
        avatar.networks.deformer.blendshapes.weight[36 * 3, :2] = (
            torch.tensor([1.7, -1.7]) * spacing
        )
    torn = avatar.neutral()
    torn.expression[0] = 1.0
    added = fill_gaps(avatar, [avatar.neutral(), torn], "cpu").points[avatar.num_points :]
    assert len(added) >= SIDE
    assert ((added[:, 0] > tear) & (added[:, 0] < tear + 0.4 * spacing)).all()


def test_every_far_face_comes_with_the_jaw_wide_open_too() -> None:
    avatar = skin_sheet()
    generator = np.random.default_rng(0)
    records = [
        SimpleNamespace(
            expression=generator.normal(size=50).astype(np.float32), pose=np.zeros(15, np.float32)
        )
        for _ in range(5)
    ]
    records[3].pose[6] = 0.3
    frames = [SimpleNamespace(record=record) for record in records]
    capture: Any = SimpleNamespace(source="source", training={"source": frames})
    rest, *motions = far_motions(capture, avatar)
    assert np.array_equal(rest.expression, avatar.neutral().expression)
    assert len(motions) == 10
    for as_it_is, wide in zip(motions[::2], motions[1::2], strict=True):
        assert np.array_equal(as_it_is.expression, wide.expression)
        assert wide.pose[6] == np.float32(0.3)
    assert sorted(motion.pose[6] for motion in motions[::2])[:4] == [0.0] * 4
