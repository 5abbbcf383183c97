"""Which model a training is of: the one place that knows all of them."""

from __future__ import annotations

from typing import Any

from trainer.engine.published_state import PublishedState
from trainer.engine.surfel_state import SurfelState
from trainer.engine.train_state import TrainContext, TrainState


def new_state(context: TrainContext) -> TrainState:
    """The start of a training."""
    if context.config.model.kind == "published":
        return PublishedState.begin(context)
    return SurfelState.begin(context)


def saved_state(context: TrainContext, saved: dict[str, Any]) -> TrainState:
    """A training as a checkpoint has it.

    Raises:
        InvalidInput: the checkpoint is of another model.
    """
    if context.config.model.kind == "published":
        return PublishedState.of(context, saved)
    return SurfelState.of(context, saved)
