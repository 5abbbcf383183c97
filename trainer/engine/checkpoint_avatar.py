"""An avatar of a run's newest checkpoint, while the training goes on."""

from __future__ import annotations

from pathlib import Path

import torch

from pegasus_runtime.errors import InvalidInput
from trainer.config.loading import load_config
from trainer.config.training import TrainingConfig
from trainer.data.dataset import load_capture
from trainer.engine.checkpoints import read_newest
from trainer.engine.models import saved_state
from trainer.engine.resume import load_configured_head, refuse_other_run
from trainer.engine.train_state import TrainContext
from trainer.engine.video_capture import with_capture


def export_checkpoint(
    run_dir: Path, out: Path, head: str | None = None, is_quick: bool = False
) -> int:
    """Write the avatar; the step it is of.

    Args:
        run_dir: the folder of a run.
        out: the avatar file.
        head: instead of the file that the run names, where it has moved.
        is_quick: for a look: what surfels show is guessed, not told by all frames.

    Raises:
        FileNotFoundError: there is no such run, or its head or data have gone.
        InvalidInput: the run has no checkpoint yet, or its settings are no longer those of it.
    """
    config = load_config(
        TrainingConfig, run_dir / "config.yaml", [f"head={head}"] if head is not None else []
    )
    config = with_capture(config, run_dir)
    saved = read_newest(run_dir)
    if saved is None:
        raise InvalidInput(f"{run_dir}: has saved nothing yet; wait for the first checkpoint.")
    avatar_head = load_configured_head(config)
    refuse_other_run(saved, config, avatar_head)
    capture = load_capture(config.data)
    context = TrainContext(config, capture, avatar_head, torch.device("cpu"))
    step = int(saved["step"])
    made = {"made_by": "checkpoint", "step": step}
    saved_state(context, saved).avatar(made, is_final=not is_quick).save(out)
    return step
