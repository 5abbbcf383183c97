"""From one stage of a training to the next: what an earlier avatar has learned goes on."""

from __future__ import annotations

from pathlib import Path

import torch

from pegasus_runtime.avatar.avatar import PublishedAvatar
from pegasus_runtime.avatar.latent import LatentCodes
from pegasus_runtime.avatar.library import load_avatar
from pegasus_runtime.errors import Refused
from pegasus_runtime.head import Head
from trainer.config.schema import TrainingConfig
from trainer.data.dataset import Capture
from trainer.stages.blank import blank_avatar


def hand_over(config: TrainingConfig, capture: Capture, head: Head) -> tuple[PublishedAvatar, int]:
    """An avatar for a capture that begins with what ``config.start_from`` has learned.

    Points, radius and networks are taken as they are, codes by their attributes' names; attributes
    that the earlier avatar does not have begin with codes of their own.

    Returns:
        the avatar, and how many slots of its store are in use.

    Raises:
        FileNotFoundError: there is no such avatar.
        Refused: it cannot be read, or its networks have other sizes than the configured ones.
    """
    path = Path(config.start_from)
    earlier = load_avatar(path, head)
    if not isinstance(earlier, PublishedAvatar):
        raise Refused(f"{path}: is an avatar of surfels; start from one of the published model.")
    avatar = blank_avatar(config, capture, head, earlier.points)
    ours, theirs = vars(avatar.networks.sizes), vars(earlier.networks.sizes)
    different = [f"{name} {theirs[name]}" for name in ours if ours[name] != theirs[name]]
    if different:
        raise Refused(f"{path}: was trained with {', '.join(different)}; configure the same.")
    avatar.networks.load_state_dict(earlier.networks.state_dict())
    take_codes(avatar.codes, earlier.codes)
    avatar.radius = earlier.radius
    return avatar, int(earlier.provenance.get("num_slots", 0))


@torch.no_grad()
def take_codes(codes: LatentCodes, earlier: LatentCodes) -> None:
    """Take over every code that an earlier training has for the same name."""
    codes.zero.copy_(earlier.zero)
    for rows, names, others, known in (
        (codes.source, codes.source_categories, earlier.source, earlier.source_categories),
        (codes.attributes, codes.attribute_names, earlier.attributes, earlier.attribute_names),
    ):
        for index, name in enumerate(names):
            if name in known:
                rows[index] = others[known.index(name)]
