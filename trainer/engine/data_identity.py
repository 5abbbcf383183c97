"""Whether a run that goes on sees the frames that it was begun with."""

from __future__ import annotations

from typing import Any

import torch

from pegasus_runtime.errors import InvalidInput, quoted
from trainer.data.dataset import Capture

_SAME_EXPRESSION = 1e-4
"""Less refuses a capture that was only written anew; more takes another one for the same."""


def data_facts(capture: Capture) -> dict[str, Any]:
    """What a checkpoint says of its data, as plain values and tensors."""
    return {
        "source": capture.source,
        "num_frames": {name: len(frames) for name, frames in capture.training.items()},
        "mean_expression": torch.as_tensor(capture.mean_expression).clone(),
    }


def refuse_other_data(saved: dict[str, Any], capture: Capture, folder: str) -> None:
    """Let a run go on only with its own frames: codes and the canonical head come from them.

    Args:
        saved: `data_facts` of the checkpoint.
        capture: what is in the folder now.
        folder: of the data.

    Raises:
        InvalidInput: what is other than it was.
    """
    now = data_facts(capture)
    changes = []
    if saved["source"] != now["source"]:
        changes.append(
            f"the source was {quoted(saved['source'])}, now it is {quoted(now['source'])}"
        )
    before, after = saved["num_frames"], now["num_frames"]
    changes += [f"{quoted(name)} is gone" for name in before if name not in after]
    changes += [f"{quoted(name)} is new" for name in after if name not in before]
    changes += [
        f"{quoted(name)} had {before[name]} frames to learn from, now {after[name]}"
        for name in before
        if name in after and before[name] != after[name]
    ]
    if not changes and not _is_close(saved["mean_expression"], now["mean_expression"]):
        changes.append("the mean of its expressions was another one")
    if changes:
        more = f" and {len(changes) - 3} changes more" if len(changes) > 3 else ""
        raise InvalidInput(
            f"{folder}: the data are not those that this run was begun with: "
            f"{', '.join(changes[:3])}{more}; put them back, or train in another folder."
        )


def _is_close(first: torch.Tensor, second: torch.Tensor) -> bool:
    return first.shape == second.shape and torch.allclose(
        first.float(), second.float(), atol=_SAME_EXPRESSION
    )
