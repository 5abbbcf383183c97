"""A person put together of human assets: the free head in its skin, and what hangs on it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch

from pegasus_runtime.head import Head
from pegasus_runtime.head.parts import WORN_PARTS
from pegasus_runtime.human_assets import HumanAssets
from trainer.data.pairs import worn_by
from trainer.synthetic.asset_pieces import (
    PLAIN,
    Piece,
    hung_pieces,
    shapes_eyes,
    skin_settings,
    worn_pieces,
)
from trainer.synthetic.attributes import attributes_of, morph
from trainer.synthetic.lending import lent_morph, with_lent
from trainer.synthetic.people import Look
from trainer.synthetic.person import (
    Batch,
    Person,
    bone_weights,
    labels_of,
)
from trainer.synthetic.skull_radius_map import FloatArray, IndexArray
from trainer.synthetic.textures import read_texture, skin_texture

IRIS_PLACE = (0.7045, 0.696, 0.113, 0.41)
"""centre and radius of the iris in MakeHuman's eye pictures, and its half angle on the eyeball"""
_LEFT_OUT = 3
"""of the head: teeth, where better ones are found"""
_LID_BINS = np.radians(np.linspace(8, 172, 13))
"""Directions about an eye, in each of which its lid's edge is one place: more are finer than the
mesh, fewer cut corners."""
_LID_REACH, _LID_FRONT, _BIN_SLACK = 0.11, 0.04, 0.05
"""Beside and before an eye, in head units, and radians about a bin, where its lid's edge is looked
for: less finds none on large eyes, more finds temples and brows."""


def make_asset_person(head: Head, look: Look, attribute: str, assets: HumanAssets) -> Person:
    """The same person for every attribute or pair of them, with that replaced."""
    shape = look.identity()
    bare = (head.template + head.identity_directions @ torch.from_numpy(shape)).numpy()
    for each in attributes_of(attribute):
        look = look.changed(each.look)
    look = with_lent(look, attribute)
    change = morph(head.template, head.expression_directions, head.expression_names, attribute)
    change = change + lent_morph(head, shape, attribute, head.template, head.identity_directions)
    morphed = replace(head, template=head.template + change)
    own = bare + change.numpy()
    pieces = hung_pieces(morphed, look, attribute, assets, own, shape)
    pieces += worn_pieces(morphed, attribute, assets, own, bare, shape)
    return _assembled(morphed, look, attribute, assets, shape, own, pieces)


def _head_batches(
    head: Head, look: Look, assets: HumanAssets
) -> tuple[IndexArray, IndexArray, list[Batch]]:
    """The order (F,) of the head's faces, their parts in that order, and their batches."""
    names = head.part_names
    part = np.sort(labels_of(head).numpy()[head.faces.numpy()], axis=1)[:, 1]
    part = np.where(part == names.index("eyebrows"), names.index("skin"), part)
    inner = np.isin(part, [names.index("teeth"), names.index("tongue")])
    eyes = part == names.index("eyes")
    kind = np.where(eyes, 1, np.where(inner, 2, 0))
    if "teeth_base" in assets.names("teeth"):
        kind = np.where(part == names.index("teeth"), _LEFT_OUT, kind)
    order = np.argsort(kind, kind="stable")[: (kind != _LEFT_OUT).sum()]
    counts = np.bincount(kind, minlength=3)
    starts = np.concatenate([[0], np.cumsum(counts)])
    centre = head.joint_regressor @ head.template
    skin = {"skin": skin_texture(assets, look.skin)}
    iris = {"iris": read_texture(assets.find("eyes", look.eyes))}
    settings: list[dict[str, Any]] = [
        skin_settings(head),
        {"iris_place": IRIS_PLACE, "eye_centre": tuple(abs(float(c)) for c in centre[3])},
        {
            "base_colour": (1.0, 1.0, 1.0),
            "teeth_part": names.index("teeth"),
            "tongue_part": names.index("tongue"),
        },
    ]
    textures = [skin, iris, {"cloth": PLAIN}]
    materials = ("skin", "eye", "solid")
    batches = [
        Batch(materials[i], int(starts[i]), int(counts[i]), textures[i], settings[i])
        for i in range(3)
    ]
    return order, part[order], batches


def _lid_vertices(head: Head, own: FloatArray) -> IndexArray:
    """(24,) along the edges of both upper lids, seen from the front."""
    lids = np.flatnonzero(labels_of(head).numpy() == head.part_names.index("eyelids"))
    joints = (head.joint_regressor @ torch.from_numpy(own)).numpy()
    found = []
    for joint in (3, 4):
        offset = own[lids] - joints[joint]
        near = (np.abs(offset[:, 0]) < _LID_REACH) & (offset[:, 2] > _LID_FRONT)
        angle = np.arctan2(offset[:, 1], offset[:, 0])
        reach = np.hypot(offset[:, 0], offset[:, 1])
        for low, high in zip(_LID_BINS[:-1], _LID_BINS[1:], strict=True):
            inside = near & (angle > low - _BIN_SLACK) & (angle < high + _BIN_SLACK)
            found.append(lids[np.where(inside, reach, np.inf).argmin()])
    return np.array(found, np.int64)


def _assembled(
    head: Head,
    look: Look,
    attribute: str,
    assets: HumanAssets,
    shape: FloatArray,
    own: FloatArray,
    pieces: list[Piece],
) -> Person:
    order, part, batches = _head_batches(head, look, assets)
    names = (*head.part_names, *WORN_PARTS)
    uv = head.uv.numpy()[head.uv_faces.numpy()[order]]  # type: ignore[union-attr]
    faces, uvs, parts = [head.faces.numpy()[order]], [uv], [part]
    styles, objects = [0 * part], [_replaced(head, part, attribute)]
    start, first = len(own), len(part)
    for piece in pieces:
        count = len(piece.faces)
        faces.append(piece.faces + start)
        uvs.append(piece.uv)
        parts.append(np.full(count, names.index(piece.part)))
        styles.append(np.full(count, piece.style))
        objects.append(np.full(count, int(piece.is_attribute)))
        batches.append(replace(piece.batch, start=first, count=count))
        start, first = start + len(piece.vertices), first + count
    extended = _extended(head, own, pieces, np.concatenate(faces), names)
    rest = np.concatenate([head.template.numpy(), *[piece.vertices for piece in pieces]])
    return Person(
        head=extended,
        shape=shape,
        rest=rest.astype(np.float32),
        coordinates=np.zeros((len(rest), 3), np.float32),
        face_part=np.concatenate(parts).astype(np.int64),
        face_style=np.concatenate(styles).astype(np.int64),
        face_object=np.concatenate(objects).astype(np.int64),
        attribute=attribute,
        uv=np.concatenate(uvs).astype(np.float32),
        batches=tuple(batches),
        lid_vertices=_lid_vertices(head, own),
    )


def _replaced(head: Head, part: IndexArray, attribute: str) -> IndexArray:
    """(F,) 1 on faces of the head itself that an attribute replaces."""
    of = {"nose": ("nose",), "mouth": ("lips",), "ears": ("ears",), "eyes": ("eyes",)}
    wanted = [p for name in worn_by(attribute) for p in of.get(name.partition("_")[0], ())]
    if shapes_eyes(attribute):
        wanted.append("eyelids")
    return np.isin(part, [head.part_names.index(name) for name in wanted]).astype(np.int64)


def _extended(
    head: Head, own: FloatArray, pieces: list[Piece], faces: IndexArray, names: tuple[str, ...]
) -> Head:
    """The head with all pieces as further vertices."""

    def grown(values: torch.Tensor, of_piece: Any) -> torch.Tensor:
        return torch.cat([values, *[torch.from_numpy(of_piece(piece)) for piece in pieces]])

    def moved(name: str, values: torch.Tensor) -> torch.Tensor:
        def of_piece(piece: Piece) -> FloatArray:
            if piece.hung is None or piece.part == "hair":
                return np.zeros((len(piece.vertices), *values.shape[1:]), np.float32)
            return np.asarray(getattr(piece.hung, name))

        return grown(values, of_piece)

    def weights(piece: Piece) -> FloatArray:
        if piece.hung is not None and piece.part != "hair":
            return piece.hung.skinning_weights
        return bone_weights(head, torch.from_numpy(own), piece.part, piece.vertices).numpy()

    extra = sum(len(piece.vertices) for piece in pieces)
    pad = torch.nn.functional.pad
    return replace(
        head,
        template=grown(head.template, lambda piece: piece.vertices.astype(np.float32)),
        faces=torch.from_numpy(faces),
        identity_directions=pad(head.identity_directions, (0, 0, 0, 0, 0, extra)),
        expression_directions=moved("expression_directions", head.expression_directions),
        pose_directions=moved("pose_directions", head.pose_directions),
        joint_regressor=pad(head.joint_regressor, (0, extra)),
        skinning_weights=grown(head.skinning_weights, weights),
        part_labels=None,
        part_names=names,
        uv=None,
        uv_faces=None,
    )
