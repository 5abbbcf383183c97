"""Whether a head is the one that a run of the research program was trained with."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from pegasus_runtime.errors import InvalidInput
from pegasus_runtime.head.model import HEAD_SCALE, Head

_TOLERANCE = 1e-3
"""Of the largest number: half precision passes, the next release of a head does not."""
_PLACES = ("deformer_network.FLAMEServer.", "FLAMEServer.")


def require_same_head(head: Head, state: Mapping[str, Tensor], path: Path) -> None:
    """Compare a head with what a run's checkpoint stores of its own.

    Args:
        head: the head that was given.
        state: tensors of the run by their names; those of a head need not be among them.
        path: of the checkpoint, for the message.

    Raises:
        InvalidInput: it is another head; the message says what differs.
    """
    for name, ours in _parts(head).items():
        stored = next((state[p + name] for p in _PLACES if p + name in state), None)
        if stored is None:
            continue
        difference = difference_from(ours, stored)
        if difference:
            raise InvalidInput(
                f"{path}: was trained with another head than {head.name!r}: {name} {difference}; "
                "give the head, and the release of it, that the run used."
            )


def _parts(head: Head) -> dict[str, Tensor]:
    """What a run stores of its head, under the run's own names and in its units."""
    directions = torch.cat([head.identity_directions, head.expression_directions], dim=2)
    return {
        "v_template": head.template,
        "faces_tensor": head.faces,
        "lbs_weights": head.skinning_weights,
        "J_regressor": head.joint_regressor,
        "posedirs": head.pose_directions.reshape(-1, head.pose_directions.shape[2]).T,
        "shapedirs": directions,
    }


def difference_from(ours: Tensor, stored: Tensor) -> str:
    """How one tensor of a head differs from a stored one; empty where it does not."""
    if ours.shape != stored.shape:
        return f"is of shape {tuple(stored.shape)} there and {tuple(ours.shape)} here"
    stored = stored.to(ours.dtype)
    if not ours.is_floating_point():
        return "" if torch.equal(ours, stored) else "names other triangles"
    apart, size = float((ours - stored).abs().max()), float(stored.abs().max())
    if apart <= _TOLERANCE * size:
        return ""
    metres = f" ({apart / HEAD_SCALE * 1000:.2g} mm)" if ours.shape[-1] == 3 else ""
    return f"differs by up to {apart / max(size, 1e-12):.1%} of its size{metres}"
