"""Surfels of eyes stay within the eyeball, so that lids close over them.

A lid lies a fraction of a millimetre before the eye. Frames with open eyes do not care how far
before the eyeball its surfels are, and few frames show closed ones: surfels of an iris that stand
out came through closed lids as dark specks.
"""

from __future__ import annotations

from dataclasses import replace

import torch

from pegasus_runtime.head import Head
from pegasus_runtime.head.parts import require_parts
from pegasus_runtime.surfels.attributes import Wardrobe


def within_eyeballs(wardrobe: Wardrobe, head: Head) -> Wardrobe:
    """The same with the person's surfels that are bound to eyes no higher than their triangles."""
    source = wardrobe.source
    on_eyes = require_parts(head).on("eyes")[head.faces].all(dim=1)[source.triangle]
    outwards = torch.tensor([False, False, True])
    sunk = torch.where(on_eyes[:, None] & outwards, source.offset.clamp_max(0), source.offset)
    return replace(wardrobe, source=replace(source, offset=sunk))
