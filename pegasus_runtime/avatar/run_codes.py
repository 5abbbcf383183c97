"""Latent codes of a research program's run, whichever kind of training it was."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from pegasus_runtime.avatar.checkpoints import plain_state
from pegasus_runtime.errors import InvalidInput
from pegasus_runtime.model.latent import (
    CATEGORIES,
    CODE_SIZE,
    SOURCE_CATEGORIES,
    LatentCodes,
    category_of,
)
from pegasus_runtime.names import check_names

_ZERO, _SOURCE, _ROWS = (
    f"{name}_latent_codes_state_dict" for name in ("zero", "source_scene", "scene")
)
_TARGETS = ("target_scene_latent_codes_state_dict", "target_scene_latent_category_codes_state_dict")
"""as the program called them at different times"""
_SINGLE_SOURCE = (*SOURCE_CATEGORIES, "eyeglasses")
_OTHER_SOURCE = re.compile(
    r"multi_source_(?P<hat>with|without)_hat_scene_latent_codes_(?P<name>.+)_state_dict", re.DOTALL
)
_WITH_HAT = ("identity", "ears", "eyebrows", "eyes", "hair", "hat", "mouth", "nose")


def is_published(inputs: dict[str, Any]) -> bool:
    """Whether a run has codes at all."""
    return _ZERO in inputs


def is_single_person(inputs: dict[str, Any]) -> bool:
    """Whether a run is of one person, whose points no code moves."""
    return any(key in inputs for key in _TARGETS)


def needs_names(inputs: dict[str, Any]) -> bool:
    """Whether the names of its rows stand elsewhere."""
    return not is_single_person(inputs) and not _others(inputs)


def import_codes(
    inputs: dict[str, Any], names: list[Any], facts: dict[str, Any], path: Path
) -> tuple[LatentCodes, list[str]]:
    """The codes of a run, and the folders whose rows are no attribute's.

    Args:
        inputs: content of InputParameters.
        names: of the rows, of a run that has some.
        facts: may hold categories and source_categories.
        path: of the file, for messages.

    Raises:
        InvalidInput: a tensor is missing or of another size, or a name makes no sense.
    """
    categories = facts.get("categories", CATEGORIES)
    if is_single_person(inputs):
        key = next(key for key in _TARGETS if key in inputs)
        return _assemble(inputs, path, (), categories, _SINGLE_SOURCE, key, []), []
    sources = facts.get("source_categories", SOURCE_CATEGORIES)
    others = _others(inputs)
    if others:
        rows = [
            (f"{category}_{name}", code)
            for name, key, worn in others
            for category, code in zip(
                worn, _weight(inputs, key, (len(worn), CODE_SIZE), path), strict=True
            )
        ]
        attributes = [name for name, _ in rows]
        codes = [code for _, code in rows]
        return _assemble(inputs, path, attributes, categories, sources, _SOURCE, codes), []
    check_names("attribute", names)
    table = _weight(inputs, _ROWS, (len(names), CODE_SIZE), path)
    known = check_names("category", categories)
    # The source person's own folder may stand among those of attributes.
    people = [n for n in names if "_" not in n or category_of(n) not in known]
    kept = [index for index, name in enumerate(names) if name not in people]
    attributes = [names[index] for index in kept]
    codes = [table[index] for index in kept]
    return _assemble(inputs, path, attributes, known, sources, _SOURCE, codes), people


def _others(inputs: dict[str, Any]) -> list[tuple[str, str, tuple[str, ...]]]:
    """Name, key and categories of each person beside the source in a run of several."""
    found: list[tuple[str, str, tuple[str, ...]]] = []
    for key in inputs:
        match = _OTHER_SOURCE.fullmatch(key) if isinstance(key, str) else None
        if match:
            worn = _WITH_HAT if match["hat"] == "with" else SOURCE_CATEGORIES
            found.append((match["name"], key, worn))
    return found


def _assemble(
    inputs: dict[str, Any],
    path: Path,
    attributes: Any,
    categories: Any,
    sources: Any,
    source_key: str,
    rows: list[Tensor],
) -> LatentCodes:
    with torch.device("meta"):
        codes = LatentCodes(attributes, categories, sources)
    state = {
        "zero": _weight(inputs, _ZERO, tuple(codes.zero.shape), path),
        "source": _weight(inputs, source_key, tuple(codes.source.shape), path),
        "attributes": torch.stack(rows) if rows else torch.zeros(codes.attributes.shape),
    }
    codes.load_state_dict({name: value.clone() for name, value in state.items()}, assign=True)
    return codes


def _weight(inputs: dict[str, Any], key: str, shape: tuple[int, ...], path: Path) -> Tensor:
    weight = plain_state(inputs, path, key).get("weight")
    if weight is None or tuple(weight.shape) != shape or not weight.is_floating_point():
        found = "nothing" if weight is None else list(weight.shape)
        raise InvalidInput(
            f"{path}: {key} should be {list(shape)}, found {found}; do the names in the meta file "
            "or the configuration fit this run?"
        )
    return weight.float()
