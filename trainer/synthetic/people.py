"""Made-up people: who they are by name, or by a number."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from importlib.resources import as_file, files
from typing import Any

import numpy as np

from pegasus_runtime.documents import read_yaml
from pegasus_runtime.errors import InvalidInput
from pegasus_runtime.human_assets import HumanAssets
from trainer.synthetic.garments import load_garment_base
from trainer.synthetic.skull_radius_map import FloatArray

PRESETS_FILE = "people.yaml"
PHENOTYPES = ("gender", "age", "muscle", "weight", "african", "asian")
"""in the order of the shipped table; 0 is the average of all people, in anny's units"""
_NUM_OWN = 24
"""identity directions in which people differ beyond their phenotype: more make them differ in
smaller things as well"""
_OWN_SPREAD = 0.42
"""In standard deviations of the head's identities: more makes odd faces, less siblings."""
HAIR_COLOURS: dict[str, tuple[float, float, float]] = {
    "black": (0.020, 0.016, 0.015),
    "dark brown": (0.060, 0.034, 0.022),
    "brown": (0.135, 0.072, 0.040),
    "auburn": (0.210, 0.070, 0.030),
    "red": (0.360, 0.110, 0.040),
    "dark blond": (0.300, 0.190, 0.095),
    "blond": (0.520, 0.370, 0.190),
    "grey": (0.330, 0.320, 0.310),
    "white": (0.440, 0.435, 0.425),
}
"""linear light"""
SHIRTS: dict[str, tuple[float, float, float]] = {
    "white": (0.70, 0.70, 0.69),
    "grey": (0.22, 0.23, 0.25),
    "navy": (0.045, 0.065, 0.13),
    "green": (0.07, 0.14, 0.09),
    "red": (0.32, 0.05, 0.05),
    "sand": (0.50, 0.40, 0.28),
    "blue": (0.12, 0.22, 0.38),
}


@dataclass(frozen=True)
class Look:
    """One made-up person."""

    name: str
    skin: str
    hair: str
    hair_colour: str
    eyebrows: str
    eyes: str
    eyelashes: str = "eyelashes02"
    shirt: str = "grey"
    brow_colour: str = ""
    """of the same table; empty: as the hair"""
    seed: int = 0
    """of the identity beyond the phenotype"""
    phenotype: Mapping[str, float] = field(default_factory=dict)

    def changed(self, changes: Mapping[str, str]) -> Look:
        """The same person with other assets and colours; empty texts change nothing."""
        given: dict[str, Any] = {key: value for key, value in changes.items() if value}
        return replace(self, **given)

    def identity(self) -> FloatArray:
        """(100,) coefficients of the head's identity directions."""
        table = load_garment_base().phenotypes
        known = np.array([self.phenotype.get(name, 0.0) for name in PHENOTYPES])
        shape = known @ table
        own = np.random.default_rng([self.seed, 1]).normal(size=_NUM_OWN) * _OWN_SPREAD
        shape[:_NUM_OWN] += own
        return np.asarray(np.clip(shape, -2.5, 2.5), np.float32)


@lru_cache(maxsize=1)
def people_presets() -> dict[str, Look]:
    """The people that are shipped, by name."""
    with as_file(files("resources") / PRESETS_FILE) as path:
        document = read_yaml(path)
    return {name: _look(name, dict(facts)) for name, facts in document["people"].items()}


def _look(name: str, facts: dict[str, Any]) -> Look:
    phenotype = {key: float(facts.pop(key)) for key in PHENOTYPES if key in facts}
    return Look(name=name, phenotype=phenotype, **facts)


def choose_look(
    assets: HumanAssets, name: str, seed: int, changes: Mapping[str, str] | None = None
) -> Look:
    """The person of a name, or without one the one that a number stands for.

    Args:
        assets: whose names are known.
        name: of `people_presets`, or empty.
        seed: chooses among the people, and a face of their kind, where there is no name.
        changes: skin, hair, … to be other than that person's; empty texts change nothing.

    Raises:
        InvalidInput: an unknown name; the nearest one is given.
    """
    people = people_presets()
    if name and name not in people:
        raise InvalidInput(f"person.name = {name[:40]!r} is unknown; use {', '.join(people)}.")
    if name:
        look = people[name]
    else:
        random = np.random.default_rng([seed, 26])
        look = replace(list(people.values())[random.integers(len(people))], seed=seed)
    look = look.changed(changes or {})
    for kind in ("hair", "eyebrows", "eyelashes", "eyes"):
        assets.find(kind, getattr(look, kind))
    assets.find("skins", look.skin)
    brows = look.brow_colour or look.hair_colour
    for colours, value in (
        (HAIR_COLOURS, look.hair_colour), (HAIR_COLOURS, brows), (SHIRTS, look.shirt)
    ):  # fmt: skip
        if value not in colours:
            raise InvalidInput(f"person: has no colour {value[:40]!r}; use {', '.join(colours)}.")
    return look
