"""Folders that show two attributes at once: to evaluate on, never to learn from."""

from __future__ import annotations

from pegasus_runtime.model.latent import CATEGORIES, category_of

_BETWEEN = "+"


def worn_by(subject: str) -> tuple[str, ...]:
    """The attributes that a folder's name says: ``hat_cap+hair_bob`` has two."""
    return tuple(subject.split(_BETWEEN))


def pair_name(first: str, second: str) -> str:
    """The folder of two attributes."""
    return f"{first}{_BETWEEN}{second}"


def is_pair(subject: str) -> bool:
    """Whether a folder's name says two attributes of different categories."""
    names = worn_by(subject)
    categories = {category_of(name) for name in names if "_" in name}
    return len(names) == len(categories) == 2 and categories <= set(CATEGORIES)
