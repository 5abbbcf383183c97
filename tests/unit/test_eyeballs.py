"""Eyes that are learned stay behind their lids."""

from __future__ import annotations

from dataclasses import replace

import torch

from pegasus_runtime import load_avatar
from pegasus_runtime.head.parts import require_parts
from pegasus_runtime.surfels.avatar import SurfelAvatar
from trainer.refine.eyeballs import within_eyeballs


def test_an_iris_does_not_stand_out_and_all_else_stays() -> None:
    avatar = load_avatar("demo")
    assert isinstance(avatar, SurfelAvatar)
    wardrobe, head = avatar.wardrobe, avatar.head
    raised = wardrobe.source.offset + torch.tensor([0.001, 0.0, 0.01])
    raised[::2, 2] = -0.02
    high = replace(wardrobe, source=replace(wardrobe.source, offset=raised))
    found = within_eyeballs(high, head).source
    on_eyes = require_parts(head).on("eyes")[head.faces].all(dim=1)[found.triangle]
    assert on_eyes.sum() > 100
    assert float(found.offset[on_eyes, 2].max()) == 0.0
    assert torch.equal(found.offset[:, :2], raised[:, :2])
    kept = ~on_eyes | (raised[:, 2] <= 0)
    assert torch.equal(found.offset[kept], raised[kept])
