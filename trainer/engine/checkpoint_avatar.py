"""An avatar of a run's newest checkpoint, while the training goes on.

``python -m trainer.engine.checkpoint_avatar RUN OUT.avatar``; prints the step as JSON.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from pegasus_runtime.errors import Refused


def export_checkpoint(run_dir: Path, out: Path) -> int:
    """Write the avatar; the step it is of.

    Raises:
        Refused: the run has no checkpoint yet.
    """
    import torch

    from pegasus_runtime.head import load_free_head
    from trainer.config.loading import load_config
    from trainer.config.training import TrainingConfig
    from trainer.data.dataset import load_capture
    from trainer.engine.checkpoints import read_newest
    from trainer.engine.learner import Learner
    from trainer.stages.blank import blank_avatar

    saved = read_newest(run_dir)
    if saved is None:
        raise Refused(f"{run_dir}: has saved nothing yet; wait for the first checkpoint.")
    config = load_config(TrainingConfig, run_dir / "config.yaml")
    capture = load_capture(config.data)
    blank = blank_avatar(config, capture, load_free_head(), saved["points"])
    learner = Learner(blank, config, torch.device("cpu"), saved["num_slots"])
    learner.restore(saved)
    step = int(saved["step"])
    learner.finished_avatar({"made_by": "checkpoint", "step": step}).save(out)
    return step


if __name__ == "__main__":
    try:
        json.dump({"step": export_checkpoint(Path(sys.argv[1]), Path(sys.argv[2]))}, sys.stdout)
    except (Refused, FileNotFoundError) as error:
        sys.exit(str(error))
