"""What a run that goes on may have that is other than at its beginning."""

from __future__ import annotations

from typing import Any

from pegasus_runtime.errors import InvalidInput
from pegasus_runtime.head import Head, load_free_head, load_head
from trainer.config.settings import refuse_changes, values_of
from trainer.config.training import TrainingConfig
from trainer.engine.data_identity import data_facts
from trainer.engine.train_state import TrainContext


def load_configured_head(config: TrainingConfig) -> Head:
    """The head that a training is set to: a file, or the free head."""
    return load_head(config.head) if config.head else load_free_head()


def identity(context: TrainContext) -> dict[str, Any]:
    """What a checkpoint says of the run that it belongs to."""
    return {
        "settings": values_of(context.config),
        "head_sha256": context.head.sha256,
        "data": data_facts(context.capture),
    }


def refuse_other_run(saved: dict[str, Any], config: TrainingConfig, head: Head) -> None:
    """Let a checkpoint be used only with the settings and the head that it depends on.

    Args:
        saved: of the checkpoint; one of an earlier version says less, and is compared as far.
        config: to go on with; what may change is taken from it.
        head: to go on with.

    Raises:
        InvalidInput: settings that cannot change in a run, by name, or another head.
    """
    if saved.get("head_sha256", head.sha256) != head.sha256:
        given = config.head or "(nothing, which means the free head)"
        raise InvalidInput(
            f"head = {given}: is not the head that this run was begun with; give that one with "
            "--head, or train in another folder."
        )
    refuse_changes(saved.get("settings", {}), config)
