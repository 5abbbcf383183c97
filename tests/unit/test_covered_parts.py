"""What lids, lips and chin cover is there when a slider bares it."""

from __future__ import annotations

from pegasus_runtime.head import load_free_head
from pegasus_runtime.head.parts import require_parts
from trainer.init.covered_parts import inside_mouth, may_be_bared, mouth_depth


def test_what_lids_lips_and_chin_cover_may_come_into_sight() -> None:
    head = load_free_head()
    parts, faces = require_parts(head), head.faces
    bared = may_be_bared(head)
    for name in ("eyes", "teeth", "tongue", "mouth", "neck", "skin"):
        assert bared[parts.on(name)[faces].all(dim=1)].all()
    assert not bared[parts.on("scalp")[faces].all(dim=1)].any()
    assert not inside_mouth(head, "nothing").any()
    depth = mouth_depth(head)
    assert float(depth[parts.on("lips")[faces].all(dim=1)].abs().max()) < 0.1
    assert float(depth[inside_mouth(head, "teeth")].median()) > 0.05
