"""Colours of the made-up person, and what each attribute changes about them."""

from __future__ import annotations

from typing import Any

from trainer.data.pairs import worn_by

_BROWS, _EYES, _NOSE, _LIPS = 1, 2, 4, 8
"""bits of what is replaced on the head itself"""

_BASE: dict[str, Any] = {
    "brow_colour": (0.20, 0.115, 0.075),
    "brow_width": 0.0125,
    "lip_colour": (0.76, 0.34, 0.35),
    "lid_shade": 0.35,
    "iris_colour": (0.42, 0.25, 0.12),
    "iris_size": 0.52,
    "hair_colour": (0.34, 0.205, 0.125),
    "hat_colour": (0.5, 0.5, 0.5),
    "replaced": 0,
}
_CHANGES: dict[str, dict[str, Any]] = {
    "hair_bob": {"hair_colour": (0.62, 0.34, 0.17)},
    "hair_curly": {"hair_colour": (0.21, 0.125, 0.09)},
    "hat_beanie": {"hat_colour": (0.72, 0.18, 0.17)},
    "hat_cap": {"hat_colour": (0.16, 0.30, 0.58)},
    "eyebrows_thick": {"brow_colour": (0.07, 0.045, 0.04), "brow_width": 0.021, "replaced": _BROWS},
    "eyes_green": {
        "iris_colour": (0.20, 0.56, 0.27),
        "iris_size": 0.60,
        "lid_shade": 0.9,
        "replaced": _EYES,
    },
    "nose_button": {"replaced": _NOSE},
    "nose_aquiline": {"replaced": _NOSE},
    "mouth_full": {"lip_colour": (0.78, 0.20, 0.28), "replaced": _LIPS},
}


def appearance_of(subject: str) -> dict[str, Any]:
    """The shader's settings for a subject: the source's, with its attributes' changed."""
    look = dict(_BASE)
    for name in worn_by(subject):
        change = _CHANGES.get(name, {})
        look |= {**change, "replaced": look["replaced"] | change.get("replaced", 0)}
    return look
