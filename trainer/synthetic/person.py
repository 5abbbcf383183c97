"""The made-up person: a head of fixed identity, what is on it, and each attribute's changes."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from pegasus_runtime.errors import InvalidInput
from pegasus_runtime.head import Head
from pegasus_runtime.head.parts import WORN_PARTS
from trainer.data.pairs import worn_by
from trainer.head_regions import neck_rim
from trainer.synthetic import hair, wearables
from trainer.synthetic.attributes import morph
from trainer.synthetic.skull_radius_map import FloatArray, IndexArray, MeshPart, SkullRadiusMap

_HEAD_JOINT = 1
OUTER_PARTS = ("skin", "scalp", "neck", "eyebrows")
"""of the head, that hair and hats lie upon"""


@dataclass(frozen=True, eq=False)
class Batch:
    """Triangles of one material of a person made of assets."""

    material: str
    """which shader draws them: asset_MATERIAL.frag"""
    start: int
    count: int
    """of faces"""
    textures: dict[str, npt.NDArray[np.uint8]]
    """(S, S, 4) by the shader's name"""
    settings: dict[str, Any]
    """uniforms by name"""
    has_edges: bool = False
    """cards of hair, whose transparent edges are drawn last"""
    shade_group: int = 0
    """0 darkens everything, others only themselves"""


@dataclass(frozen=True, eq=False)
class Person:
    """A head with everything on it, posed as one mesh."""

    head: Head
    """the free head with the pieces' vertices appended"""
    shape: FloatArray
    """(100,) the person's identity"""
    rest: FloatArray
    """(V, 3) where the colour of each vertex is looked up"""
    coordinates: FloatArray
    """(V, 3) coordinates of the pieces, 0 on the head"""
    face_part: IndexArray
    """(F,) index into part_names"""
    face_style: IndexArray
    """(F,)"""
    face_object: IndexArray
    """(F,) 1 where a whole piece is the replaced attribute"""
    attribute: str
    """the folder's name"""
    uv: FloatArray | None = None
    """(F, 3, 2) texture coordinates of a person made of assets"""
    batches: tuple[Batch, ...] = ()
    """of a person made of assets, all faces in order; none: painted"""
    lid_vertices: IndexArray = field(default_factory=lambda: np.zeros(0, np.int64))
    """(24,) along both upper lids, whose shadow falls on the eyes"""

    @property
    def part_names(self) -> tuple[str, ...]:
        """Names of the parts on the pictures."""
        return self.head.part_names


@lru_cache(maxsize=2)
def make_person(head: Head, seed: int, attribute: str) -> Person:
    """The same person for every attribute or pair of them, with that replaced."""
    shape = _draw_identity(seed)
    change = morph(head.template, head.expression_directions, head.expression_names, attribute)
    morphed = replace(head, template=head.template + change)
    own = morphed.template + morphed.identity_directions @ torch.from_numpy(shape)
    pieces = _pieces(head, seed, attribute)
    extended, parts, styles, objects = _extend(morphed, own, pieces)
    if any(name.startswith("ears_") for name in worn_by(attribute)):
        objects[parts == head.part_names.index("ears")] = 1
    rest = np.concatenate([head.template.numpy(), *[piece.vertices for piece in pieces]])
    flat = np.zeros((head.num_vertices, 3), np.float32)
    coordinates = np.concatenate([flat, *[_padded_coordinates(piece) for piece in pieces]])
    return Person(
        extended,
        shape,
        rest.astype(np.float32),
        coordinates.astype(np.float32),
        parts,
        styles,
        objects,
        attribute,
    )


def _padded_coordinates(piece: MeshPart) -> FloatArray:
    """(N, 3): pieces without a hairline are far from it."""
    missing = 3 - piece.coordinates.shape[1]
    return np.pad(piece.coordinates, ((0, 0), (0, missing)), constant_values=1.0)


def _draw_identity(seed: int) -> FloatArray:
    shape = np.zeros(100, np.float32)
    # More of them or more spread are odder people; at 1 some are at the ends of what heads can be.
    shape[:12] = np.random.default_rng([seed, 1]).normal(size=12) * 0.55
    return shape


@lru_cache(maxsize=2)
def _bare(head: Head, seed: int) -> tuple[FloatArray, SkullRadiusMap]:
    """The person's own vertices (V, 3) before any attribute, and the skull below the hair."""
    shape = torch.from_numpy(_draw_identity(seed))
    vertices = (head.template + head.identity_directions @ shape).numpy()
    labels = labels_of(head).numpy()
    wanted = [head.part_names.index(name) for name in OUTER_PARTS]
    return vertices, SkullRadiusMap(vertices, head.faces.numpy(), np.isin(labels, wanted))


def _pieces(head: Head, seed: int, attribute: str) -> list[MeshPart]:
    vertices, skull = _bare(head, seed)
    pieces = [wearables.collar(vertices[neck_rim(head).numpy()])]
    worn = worn_by(attribute)
    hats = [name for name in worn if name in wearables.HATS]
    locks = _hair(worn, skull)
    for name in hats:
        locks = [wearables.tucked_under(lock, name, skull) for lock in locks]
    pieces += locks
    for name in hats:
        pieces += wearables.hat(name, skull)
    for name in worn:
        if name in wearables.GLASSES:
            pieces += wearables.glasses(name)
    return pieces


def _hair(worn: tuple[str, ...], skull: SkullRadiusMap) -> list[MeshPart]:
    if "hair_bob" in worn:
        return hair.bob_hair(skull)
    return [hair.curly_hair(skull) if "hair_curly" in worn else hair.short_hair(skull)]


def labels_of(head: Head) -> Tensor:
    """The head's parts (V,).

    Raises:
        InvalidInput: it has none.
    """
    if head.part_labels is None:
        raise InvalidInput(
            f"head {head.name!r}: has no part labels; people are made on the free head."
        )
    return head.part_labels


def _extend(
    head: Head, own: Tensor, pieces: list[MeshPart]
) -> tuple[Head, IndexArray, IndexArray, IndexArray]:
    names = (*head.part_names, *WORN_PARTS)
    extra = sum(len(piece.vertices) for piece in pieces)
    starts = np.cumsum([head.num_vertices, *[len(piece.vertices) for piece in pieces]])
    weights = [bone_weights(head, own, piece.part, piece.vertices) for piece in pieces]
    faces = [head.faces.numpy(), *[p.faces + s for p, s in zip(pieces, starts, strict=False)]]
    corner_labels = np.sort(labels_of(head).numpy()[head.faces.numpy()], axis=1)
    parts = [corner_labels[:, 1], *[np.full(len(p.faces), names.index(p.part)) for p in pieces]]
    styles = [0 * corner_labels[:, 0], *[np.full(len(p.faces), p.style) for p in pieces]]
    objects = [0 * corner_labels[:, 0], *[np.full(len(p.faces), p.is_attribute) for p in pieces]]
    vertices = torch.from_numpy(np.concatenate([piece.vertices for piece in pieces]))
    extended = replace(
        head,
        template=torch.cat([head.template, vertices]),
        faces=torch.from_numpy(np.concatenate(faces)),
        identity_directions=_padded(head.identity_directions, extra),
        expression_directions=_padded(head.expression_directions, extra),
        pose_directions=_padded(head.pose_directions, extra),
        joint_regressor=_padded(head.joint_regressor.T, extra).T.contiguous(),
        skinning_weights=torch.cat([head.skinning_weights, *weights]),
        part_labels=None,
        part_names=names,
        uv=None,
        uv_faces=None,
    )
    part, style, replaced = (np.concatenate(p).astype(np.int64) for p in (parts, styles, objects))
    return extended, part, style, replaced


def _padded(values: Tensor, extra: int) -> Tensor:
    return torch.cat([values, values.new_zeros(extra, *values.shape[1:])])


def bone_weights(head: Head, own: Tensor, part: str, vertices: FloatArray) -> Tensor:
    """Hair and cloth follow the nearest scalp or neck smoothly; all else the head's joint."""
    rigid = torch.zeros(len(vertices), head.skinning_weights.shape[1])
    under = {"hair": "scalp", "clothes": "neck"}.get(part)
    if under is None:
        rigid[:, _HEAD_JOINT] = 1.0
        return rigid
    chosen = labels_of(head) == head.part_names.index(under)
    distance = torch.cdist(torch.from_numpy(vertices), own[chosen])
    # In head units: less tears long hair where two bones meet, more lets the neck pull at the top.
    near = torch.softmax(-((distance / 0.06) ** 2), dim=1)
    return near @ head.skinning_weights[chosen]
