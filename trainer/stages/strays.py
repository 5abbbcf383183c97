"""Points that an attribute carries to where nobody is, found when a training is finished.

The offset that takes an attribute's points out of the store is learned everywhere at once, and may
catch points that are not the attribute's. Below the bust they hang in the air.
"""

from __future__ import annotations

from dataclasses import replace

import torch

from pegasus_runtime.avatar.avatar import PublishedAvatar

_MARGIN = 0.03
"""below the person's lowest point, in units of the head"""


@torch.no_grad()
def without_strays(avatar: PublishedAvatar) -> PublishedAvatar:
    """The avatar without points that some attribute carries below the person's bust."""
    if not (avatar.moves_points and avatar.attribute_names and avatar.num_points):
        return avatar
    deformer, codes = avatar.networks.deformer, avatar.codes
    heights = []
    for name in ("", *avatar.attribute_names):
        code = codes.compose({name.partition("_")[0]: name} if name else {})
        moved = avatar.points + deformer.canonical_offset(avatar.points, code)
        heights.append(moved[:, 1])
    lowest = heights[0].min() - _MARGIN
    kept = torch.stack(heights).min(dim=0).values >= lowest
    return replace(avatar, points=avatar.points[kept].clone())
