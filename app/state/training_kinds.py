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
    values: dict[str, Any]
    """by key, where they differ from the usual ones"""
    sizes: list[str]
    """keys of those that ask for a GPU"""

    @property
    def small_values(self) -> dict[str, Any]:
        """Those that a processor can do."""
        return {key: value for key, value in self.values.items() if key not in self.sizes}


@dataclass(frozen=True)
class Description:
    """Everything that the form is made of."""

    settings: list[Setting]
    kinds: list[Kind]
    has_gpu: bool
    """whether the sizes of the kinds can be trained on this machine"""


def read_description(described: dict[str, Any], has_gpu: bool) -> Description:
    """The settings and kinds as the trainer described them."""
    settings = [Setting(**entry) for entry in described["settings"]]
    return Description(settings, [Kind(**entry) for entry in described["kinds"]], has_gpu)
