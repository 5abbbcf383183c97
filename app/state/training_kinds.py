"""What can be trained, as the trainer describes it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from app.state.training_form import Setting


@dataclass(frozen=True)
class Kind:
    """One kind of training and the values it begins with."""

    name: str
    title: str
    help: str
    preset: str
    """the file that its values come from"""
    has_attributes: bool
    is_small: bool
    """whether the preset's sizes, meant for a GPU, were left out"""
    values: dict[str, Any]
    """by key, where they differ from the usual ones"""

    @property
    def note(self) -> str:
        """What to know about the values; may be nothing."""
        if not self.is_small:
            return ""
        return (
            "No NVIDIA card here: small sizes are set. "
            f"The published ones are in resources/presets/{self.preset}."
        )


@dataclass(frozen=True)
class Description:
    """Everything that the form is made of."""

    settings: list[Setting]
    kinds: list[Kind]


def read_description(described: dict[str, Any]) -> Description:
    """The settings and kinds as the trainer described them."""
    settings = [Setting(**entry) for entry in described["settings"]]
    return Description(settings, [Kind(**entry) for entry in described["kinds"]])
