"""Latent codes of attributes that are differences.

The published latent code stays: nine blocks, each the mark of a category and 32 numbers. Here the
numbers are not learned but laid out: two attributes of a category are as far apart as what they
change is different (classical multidimensional scaling, Torgerson 1952), so that principal
directions, Gaussian samples and distances of codes mean something. Because an avatar has fewer
attributes of a category than 32, a code gives back exactly one strength for each.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from pegasus_runtime.model.latent import CODE_SIZE, LatentCodes
from pegasus_runtime.surfels.attributes import CHANGED, Attribute, Wardrobe

_SCALES = {"offset": 20.0, "rotation": 0.5, "log_radius": 0.5, "opacity": 0.25, "colour": 1.0}
"""What makes numbers of different kinds comparable: a change of each by 1 / scale is as visible; a
larger one lets that kind decide which attribute a difference is."""
_OWN_DISTANCE = 1.0
"""between a surfel that an attribute brings and none: more tells attributes apart by what they
bring, less by what they change"""
_RANK_TOLERANCE = 1e-4
"""Of the largest singular value: with less, attributes that are almost alike get strengths that are
mostly rounding; with more they count as one."""


def lay_out_codes(codes: LatentCodes, wardrobe: Wardrobe) -> None:
    """Write the codes of attributes so that their distances are those of what they change."""
    with torch.no_grad():
        for category in codes.categories:
            names = codes.attributes_of(category)
            found = [a for a in wardrobe.attributes if a.name in names]
            if not found:
                continue
            layout = _embed(_gram(found, len(wardrobe.source)))
            for attribute, place in zip(found, layout, strict=True):
                row = codes.attribute_names.index(attribute.name)
                codes.attributes[row] = codes.base_code(category) + place


class CodeReader:
    """How much of each attribute latent codes wear.

    The least squares solution of: base + Σ strength · (code of the attribute − base) = code.
    """

    def __init__(self, codes: LatentCodes) -> None:
        """Of codes as they are now: their pseudo-inverse is kept."""
        self._names: list[str] = []
        parts, rows = [], []
        size = len(codes.categories) + CODE_SIZE
        for index, category in enumerate(codes.categories):
            names = codes.attributes_of(category)
            if names:
                base = codes.base_code(category).detach()
                chosen = [codes.attribute_names.index(name) for name in names]
                directions = (codes.attributes.detach()[chosen] - base).double()
                inverse = torch.linalg.pinv(directions.T, rtol=_RANK_TOLERANCE).cpu()
                row = torch.zeros(len(names), codes.latent_size, dtype=torch.float64)
                row[:, index * size + len(codes.categories) : (index + 1) * size] = inverse
                rows.append(row)
                parts.append(inverse @ base.double().cpu())
                self._names += names
        none = torch.zeros(0, codes.latent_size, dtype=torch.float64)
        self._inverse, self._base = torch.cat([none, *rows]), torch.cat([none[:, 0], *parts])

    def __call__(self, latent: Tensor) -> dict[str, float]:
        """Attribute's name → strength, of a latent code (L,)."""
        strengths = (self._inverse @ latent.double().cpu() - self._base).tolist()
        found = zip(self._names, strengths, strict=True)
        return {name: value for name, value in found if abs(value) > 1e-6}


def strengths_worn(codes: LatentCodes, attributes: Mapping[str, object]) -> dict[str, float]:
    """How much of each attribute a caller's choice wears."""
    blends = [codes.resolve(c, choice) for c, choice in attributes.items()]  # type: ignore[arg-type]
    return {blend.name: blend.strength for blend in blends if blend.strength != 0.0}


def _gram(attributes: list[Attribute], num_source: int) -> Tensor:
    """(A, A) inner products of what attributes change."""
    dense = []
    for attribute in attributes:
        scaled = (_SCALES[name] * getattr(attribute.difference, name) for name in CHANGED)
        columns = [each if each.ndim == 2 else each[:, None] for each in scaled]
        change = torch.zeros(num_source, 12)
        change[attribute.region] = torch.cat(columns, dim=1)
        dense.append(change.flatten().double())
    stacked = torch.stack(dense)
    own = torch.tensor([float(len(attribute.own)) for attribute in attributes]).double()
    return stacked @ stacked.T + torch.diag(_OWN_DISTANCE * own)


def _embed(gram: Tensor) -> Tensor:
    """(A, 32) places with these inner products, scaled to a mean length of 1."""
    values, vectors = torch.linalg.eigh(gram)
    # Every attribute keeps a direction of its own, or its code would not tell its strength.
    values = values.clamp_min(float(values.max()) * 1e-3 + 1e-12)
    places = vectors * values.sqrt()
    places = places / places.norm(dim=1).mean()
    kept = places[:, -CODE_SIZE:].float()
    return torch.nn.functional.pad(kept, (0, CODE_SIZE - kept.shape[1]))
