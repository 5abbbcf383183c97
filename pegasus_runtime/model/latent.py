"""The latent code: nine blocks, one for each category of attribute.

A block is a one-hot mark of its category followed by 32 learned numbers. Which learned numbers
depends on what the person wears: the shared zero code, the source person's own code, or the code
of a named attribute such as ``hair_curly``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from pegasus_runtime.errors import InvalidInput, quoted
from pegasus_runtime.limits import check_number
from pegasus_runtime.names import check_names
from pegasus_runtime.parameters import MAX_STRENGTH, AttributeBlend, Choice

CATEGORIES = (
    "identity",
    "ears",
    "eyebrows",
    "eyes",
    "hair",
    "hat",
    "mouth",
    "nose",
    "eyeglasses",
)
SOURCE_CATEGORIES = ("identity", "ears", "eyebrows", "eyes", "hair", "mouth", "nose")
CODE_SIZE = 32
"""As in the published model: larger codes hold more of a person and of each attribute, for larger
files."""
INITIAL_DEVIATION = 0.25
"""Of codes before training: less makes attributes begin alike and part late, more makes them begin
far apart."""
MAX_CATEGORIES = 48
"""The latent code grows with their square."""


def category_of(attribute: str) -> str:
    """The category of an attribute's name: what stands before the first underscore."""
    return attribute.partition("_")[0]


class LatentCodes(nn.Module):
    """The learned codes of an avatar and their composition into one latent code."""

    def __init__(
        self,
        attribute_names: Sequence[str],
        categories: Sequence[str] = CATEGORIES,
        source_categories: Sequence[str] = SOURCE_CATEGORIES,
    ) -> None:
        super().__init__()
        self.categories = check_names("category", categories)
        self.source_categories = check_names("source category", source_categories)
        self.attribute_names = check_names("attribute", attribute_names)
        self._check_belonging()
        self.zero = nn.Parameter(torch.randn(1, CODE_SIZE) * INITIAL_DEVIATION)
        self.source = nn.Parameter(
            torch.randn(len(self.source_categories), CODE_SIZE) * INITIAL_DEVIATION
        )
        self.attributes = nn.Parameter(
            torch.randn(len(self.attribute_names), CODE_SIZE) * INITIAL_DEVIATION
        )

    def _check_belonging(self) -> None:
        if not 1 <= len(self.categories) <= MAX_CATEGORIES:
            raise InvalidInput(f"{len(self.categories)} categories: use 1 to {MAX_CATEGORIES}.")
        for name in self.source_categories:
            if name not in self.categories:
                raise InvalidInput(
                    f"source category {name!r} is not one of {list(self.categories)}."
                )
        for name in self.attribute_names:
            if category_of(name) not in self.categories or "_" not in name:
                raise InvalidInput(
                    f"attribute {name!r}: the name must be CATEGORY_NAME with one of the "
                    f"categories {', '.join(self.categories)}."
                )

    @property
    def latent_size(self) -> int:
        """Length of a composed code, 369 for the nine published categories."""
        return len(self.categories) * (len(self.categories) + CODE_SIZE)

    def attributes_of(self, category: str) -> list[str]:
        """Names of the attributes of one category, in the order they were trained."""
        return [name for name in self.attribute_names if category_of(name) == category]

    def base_code(self, category: str) -> Tensor:
        """The source person's code (32,) of a category, or the zero code where there is none."""
        if category in self.source_categories:
            return self.source[self.source_categories.index(category)]
        return self.zero[0]

    def compose(self, attributes: Mapping[str, Choice] | None = None) -> Tensor:
        """The latent code (latent_size,) of the source person wearing the given attributes.

        Args:
            attributes: category → attribute. A name may leave the category out
                (``{"hair": "curly"}``).

        Raises:
            InvalidInput: an unknown category or attribute, or a strength that is not finite.
        """
        if not isinstance(attributes, Mapping | None):
            raise InvalidInput(
                f"attributes {quoted(attributes)}: give a dict of category → attribute."
            )
        chosen = {
            category: self.resolve(category, choice)
            for category, choice in (attributes or {}).items()
        }
        marks = torch.eye(len(self.categories), device=self.zero.device, dtype=self.zero.dtype)
        parts: list[Tensor] = []
        for mark, category in zip(marks, self.categories, strict=True):
            parts += mark, self._block_code(category, chosen.get(category))
        return torch.cat(parts)

    def _block_code(self, category: str, blend: AttributeBlend | None) -> Tensor:
        base = self.base_code(category)
        if blend is None:
            return base
        code = self.attributes[self.attribute_names.index(blend.name)]
        if blend.strength == 1.0:
            return code
        return base + blend.strength * (code - base)

    def resolve(self, category: str, choice: Choice) -> AttributeBlend:
        """The attribute a caller means, with its full name.

        Raises:
            InvalidInput: it does not exist; the message lists those that do.
        """
        if not isinstance(category, str) or category not in self.categories:
            raise InvalidInput(
                f"category {quoted(category)}: use one of {', '.join(self.categories)}."
            )
        blend = _as_blend(category, choice)
        for name in (blend.name, f"{category}_{blend.name}"):
            if name in self.attribute_names and category_of(name) == category:
                return AttributeBlend(name, self._strength(name, blend.strength))
        known = ", ".join(self.attributes_of(category)) or "none"
        raise InvalidInput(
            f"{category} {quoted(blend.name)}: this avatar does not have it; it has {known}."
        )

    @staticmethod
    def _strength(name: str, strength: Any) -> float:
        return check_number(f"strength of {name}", strength, -MAX_STRENGTH, MAX_STRENGTH)


def _as_blend(category: str, choice: Any) -> AttributeBlend:
    given = (choice,) if isinstance(choice, str) else choice
    if isinstance(given, tuple | list) and 1 <= len(given) <= 2 and isinstance(given[0], str):
        return AttributeBlend(*given)
    raise InvalidInput(f"{category} {quoted(choice)}: give a name, or a name and a strength.")
