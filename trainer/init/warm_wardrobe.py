"""The surfels of an earlier training as the start of another one."""

from __future__ import annotations

import copy
from pathlib import Path

import torch

from pegasus_runtime.avatar_file import load_avatar
from pegasus_runtime.errors import InvalidInput
from pegasus_runtime.surfels.attributes import Attribute, Wardrobe
from pegasus_runtime.surfels.avatar import SurfelAvatar
from pegasus_runtime.surfels.pose import LightNetwork, StateNetwork
from trainer.engine.train_state import TrainContext
from trainer.init.initial_surfels import initial_attribute


def wardrobe_from(context: TrainContext) -> tuple[Wardrobe, StateNetwork, LightNetwork]:
    """What ``config.start_from`` has learned; attributes that it does not have begin anew.

    Raises:
        FileNotFoundError: there is no such avatar.
        InvalidInput: it cannot be read, or is not of surfels.
    """
    path = Path(context.config.start_from)
    earlier = load_avatar(path, context.head)
    if not isinstance(earlier, SurfelAvatar):
        raise InvalidInput(
            f"{path}: is an avatar of the published model; start from one of surfels."
        )
    known = {attribute.name: attribute for attribute in earlier.wardrobe.attributes}
    generator = torch.Generator().manual_seed(context.config.seed)

    def find(name: str) -> Attribute:
        if name in known:
            return known[name]
        source = earlier.wardrobe.source
        return initial_attribute(context.head, context.capture, source, name, generator)

    attributes = tuple(find(name) for name in context.capture.attribute_names)
    wardrobe = Wardrobe(earlier.wardrobe.source, attributes, earlier.wardrobe.rest_corners)
    states, light = copy.deepcopy(earlier.states), copy.deepcopy(earlier.light)
    return wardrobe, states.requires_grad_(True).train(), light.requires_grad_(True).train()
