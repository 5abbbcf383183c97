"""What lids, lips and chin cover: few frames of a video show it, and sliders do at any time."""

from __future__ import annotations

from torch import Tensor

from pegasus_runtime.head import Head
from pegasus_runtime.head.parts import require_parts


def inside_mouth(head: Head, *parts: str) -> Tensor:
    """(F,) bool, which triangles lie in the mouth, or belong to the named parts of it."""
    return require_parts(head).on(*(parts or ("teeth", "tongue", "mouth")))[head.faces[:, 0]]


def may_be_bared(head: Head) -> Tensor:
    """(F,) bool, which triangles come into sight when eyes turn, mouths open and chins rise.

    All but the scalp, which hair covers whatever the face does.
    """
    return ~require_parts(head).on("scalp")[head.faces[:, 0]]


def mouth_depth(head: Head) -> Tensor:
    """(F,) how far triangles lie behind the lips, in units of the head."""
    lips = head.template[require_parts(head).on("lips"), 2].mean()
    return lips - head.template[head.faces[:, 0], 2]
