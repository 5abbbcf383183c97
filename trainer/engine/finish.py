"""From what the last step has left to the avatar that people get."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from pegasus_runtime.avatar.avatar import Avatar
from pegasus_runtime.files import replace_file
from trainer.config.training import TrainingConfig
from trainer.data.dataset import Capture
from trainer.engine.evaluation import above_singles, evaluate, evaluate_pairs
from trainer.engine.summary import summarise


def finish(
    avatar: Avatar,
    config: TrainingConfig,
    capture: Capture,
    run_dir: Path,
    say: Callable[[str], None],
) -> Avatar:
    """Evaluate on held-out frames, write avatar and summary.

    Args:
        avatar: as it was trained.
        config: of the training.
        capture: with the frames to evaluate on.
        run_dir: for NAME.avatar and summary.txt.
        say: takes the summary.
    """
    scores = evaluate(avatar, capture, config.device)
    avatar.provenance["scores"] = {name: vars(score) for name, score in scores.items()}
    pairs = evaluate_pairs(avatar, capture, config.device)
    if pairs:
        avatar.provenance["pair_scores"] = {
            name: {**vars(score), "above_singles": above_singles(name, score, scores)}
            for name, score in pairs.items()
        }
    path = finished_path(config, run_dir)
    avatar.save(path)
    text = summarise(avatar, scores, pairs)
    with replace_file(run_dir / "summary.txt") as partial:
        partial.write_text(text, "utf-8")
    say(text)
    say(f"avatar in {path}")
    return avatar


def finished_path(config: TrainingConfig, run_dir: Path) -> Path:
    """Where the avatar of a run goes."""
    return run_dir / f"{config.name}.avatar"
