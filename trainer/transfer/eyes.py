"""Another person's eyeballs in somebody's sockets.

An iris is a few surfels wide. Colours mixed over those of the target's own eyes, which lie
elsewhere, leave neither a pupil nor the iris's edge; so the eyeball's surfels are carried over.
"""

from __future__ import annotations

from dataclasses import replace

import torch

from pegasus_runtime.head.parts import PART_NAMES
from pegasus_runtime.surfels.attributes import Attribute, rest_surfels
from pegasus_runtime.surfels.avatar import SurfelAvatar
from pegasus_runtime.surfels.parts import is_part, triangle_parts
from pegasus_runtime.surfels.surfels import Surfels
from trainer.transfer.correspondence import Correspondence
from trainer.transfer.looks import Look, logit_of, look_of
from trainer.transfer.replaced import Change, no_skin
from trainer.transfer.states import with_states_of
from trainer.transfer.worn import LEAST_OPACITY, dressed_source

_FEWEST = 100
"""surfels that make two eyes: with fewer there are holes in them, and the own eyes stay"""


def swap_eyes(
    personal: SurfelAvatar,
    target: SurfelAvatar,
    attribute: Attribute,
    across: Correspondence,
    look: Look,
    change: Change,
) -> Surfels:
    """Hide a person's eyeballs; those of the other with an attribute, in the same sockets.

    None where the heads are built otherwise, or the other has no eyes to give.

    Args:
        personal: the avatar that has the attribute.
        target: the avatar that gets it.
        attribute: of the eyes.
        across: from the first to the second.
        look: of the target's surfels.
        change: of the target's surfels.
    """
    worn = dressed_source(personal, attribute)
    chosen = _eyeballs(personal, worn) & (worn.opacity > LEAST_OPACITY)
    if not across.same_head or int(chosen.sum()) < _FEWEST:
        return no_skin(worn)
    change.hide(_eyeballs(target, look.surfels))
    # The same triangles are the same eyeballs: what rides on them needs no other place.
    given = look_of(personal, worn.chosen(chosen.nonzero()[:, 0]))
    light = target.light(rest_surfels(given.surfels, target.wardrobe.rest_corners)[1])
    surfels = replace(given.surfels, colour=logit_of(given.colour, light))
    return with_states_of(surfels, across.states)


def _eyeballs(avatar: SurfelAvatar, surfels: Surfels) -> torch.Tensor:
    """(N,) bool, which surfels ride on eyeballs and show them."""
    rides = triangle_parts(avatar.head)[surfels.triangle] == PART_NAMES.index("eyes")
    return rides & is_part(surfels.part, ["eyes"])
