"""Own surfels of hair and hats that show something else are left out of an avatar.

They begin where a hull of few views reaches over the face or the shoulders. Training gives them the
skin's colour there and turns them away from the frames' cameras, but not from all: seen from
elsewhere they are specks before an eye, tears in a shirt, skin in another person's hair. On the
demo's held-out frames without them: cap 31.0 dB inside the mask instead of 30.0, fedora 27.6
instead of 27.2, hair ±0.3; what changes outside of the region falls from 0.61 to 0.26 of 255 on
average. Glasses are carved anew instead (`carved_glasses`).
"""

from __future__ import annotations

import torch

from pegasus_runtime.head.parts import PART_NAMES
from pegasus_runtime.model.latent import category_of
from pegasus_runtime.surfels.attributes import Wardrobe
from trainer.data.dataset import Capture

_CATEGORIES = ("hair", "hat")
"""whose part has their name"""
_MOST_MISPLACED = 0.5
"""of an attribute's own: where more show something else, it is the part pictures that do not know
the attribute; less leaves specks of what is put on badly"""


def without_misplaced(wardrobe: Wardrobe, capture: Capture) -> Wardrobe:
    """The same without them; as it is where no part pictures say what surfels show.

    Args:
        wardrobe: with the parts that its surfels show.
        capture: whose part pictures told them.
    """
    kept = {}
    for attribute in wardrobe.attributes:
        part = category_of(attribute.name)
        kept[attribute.name] = torch.arange(len(attribute.own))
        if part not in _CATEGORIES or part not in capture.part_names:
            continue
        right = (attribute.own.part == PART_NAMES.index(part)).nonzero()[:, 0]
        if len(right) >= (1 - _MOST_MISPLACED) * len(attribute.own):
            kept[attribute.name] = right
    return wardrobe.chosen(torch.arange(len(wardrobe.source)), kept)
