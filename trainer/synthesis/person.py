"""The made-up person: a head of fixed identity, what is on it, and each attribute's changes."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from pegasus_runtime.head import Head
from trainer.synthesis import hair, wearables
from trainer.synthesis.dome import Dome, FloatArray, IndexArray, Piece

EXTRA_PARTS = ("hair", "hat", "glasses", "clothes")
_HEAD_JOINT = 1
_OUTER = ("skin", "scalp", "neck", "eyebrows")


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

    @property
    def part_names(self) -> tuple[str, ...]:
        """Names of the parts on the pictures."""
        return self.head.part_names


def make_person(head: Head, seed: int, attribute: str) -> Person:
    """The same person for every attribute, with that one replaced."""
    shape = _draw_identity(seed)
    morphed = replace(head, template=head.template + _morph(head.template, attribute))
    own = morphed.template + morphed.identity_directions @ torch.from_numpy(shape)
    base = head.template + head.identity_directions @ torch.from_numpy(shape)
    pieces = _pieces(head, base.numpy(), attribute)
    extended, parts, styles, objects = _extend(morphed, own, pieces)
    rest = np.concatenate([head.template.numpy(), *[piece.vertices for piece in pieces]])
    flat = np.zeros((head.num_vertices, 3), np.float32)
    coordinates = np.concatenate([flat, *[_padded_coordinates(piece) for piece in pieces]])
    return Person(
        extended, shape, rest.astype(np.float32), coordinates.astype(np.float32),
        parts, styles, objects, attribute,
    )


def _padded_coordinates(piece: Piece) -> FloatArray:
    """(N, 3): pieces without a hairline are far from it."""
    missing = 3 - piece.coordinates.shape[1]
    return np.pad(piece.coordinates, ((0, 0), (0, missing)), constant_values=1.0)


def _draw_identity(seed: int) -> FloatArray:
    shape = np.zeros(100, np.float32)
    shape[:12] = np.random.default_rng([seed, 1]).normal(size=12) * 0.55
    return shape


def _dome(head: Head, vertices: FloatArray) -> Dome:
    labels = _labels(head).numpy()
    wanted = [head.part_names.index(name) for name in _OUTER]
    return Dome(vertices, head.faces.numpy(), np.isin(labels, wanted))


def _pieces(head: Head, vertices: FloatArray, attribute: str) -> list[Piece]:
    dome = _dome(head, vertices)
    pieces = [wearables.collar(vertices[_neck_rim(head)])]
    if attribute == "hair_bob":
        return pieces + hair.bob_hair(dome)
    if attribute == "hair_curly":
        return [*pieces, hair.curly_hair(dome)]
    pieces.append(hair.short_hair(dome))
    worn = {"hat_beanie": wearables.beanie, "hat_cap": wearables.cap}
    if attribute in worn:
        pieces += worn[attribute](dome)
    if attribute == "eyeglasses_round":
        pieces += wearables.glasses()
    return pieces


def _neck_rim(head: Head) -> IndexArray:
    """The vertices at which the neck is cut."""
    faces = head.faces.numpy()
    edges = np.sort(np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]]), axis=1)
    every, count = np.unique(edges, axis=0, return_counts=True)
    border = np.unique(every[count == 1])
    return border[_labels(head).numpy()[border] == head.part_names.index("neck")]


def _morph(template: Tensor, attribute: str) -> Tensor:
    """Local displacement (V, 3) of the head at rest."""
    if attribute == "nose_button":
        tip, bridge = _bump(template, (0, -0.12, 0.47), 0.055), _bump(template, (0, -0.03, 0.44), 0.05)
        return _along(tip, 0.2, 0.030, -0.018, template) + _along(bridge, 0.0, 0.0, -0.024, template)
    if attribute == "nose_aquiline":
        tip, bridge = _bump(template, (0, -0.13, 0.48), 0.05), _bump(template, (0, -0.035, 0.44), 0.042)
        return _along(tip, -0.12, -0.028, 0.016, template) + _along(bridge, 0, 0, 0.032, template)
    if attribute == "mouth_full":
        upper = _bump(template, (0, -0.222, 0.45), 0.055, near=0.022)
        lower = _bump(template, (0, -0.290, 0.43), 0.055, near=0.026)
        return _along(upper, 0.1, 0.010, 0.022, template) + _along(lower, 0.1, -0.012, 0.026, template)
    return torch.zeros_like(template)


def _bump(template: Tensor, centre: tuple[float, float, float], wide: float, near: float = 0) -> Tensor:
    scale = torch.tensor([wide, near or wide, wide])
    distance2 = (((template - torch.tensor(centre)) / scale) ** 2).sum(dim=1)
    return torch.exp(-0.5 * distance2) * (template[:, 2] > 0.34)


def _along(weight: Tensor, spread: float, up: float, out: float, template: Tensor) -> Tensor:
    return torch.stack([weight * spread * template[:, 0], weight * up, weight * out], dim=1)


def _labels(head: Head) -> Tensor:
    if head.part_labels is None:
        raise ValueError("the head has no part labels")
    return head.part_labels


def _extend(
    head: Head, own: Tensor, pieces: list[Piece]
) -> tuple[Head, IndexArray, IndexArray, IndexArray]:
    names = (*head.part_names, *EXTRA_PARTS)
    extra = sum(len(piece.vertices) for piece in pieces)
    starts = np.cumsum([head.num_vertices, *[len(piece.vertices) for piece in pieces]])
    weights = [_weights(head, own, piece) for piece in pieces]
    faces = [head.faces.numpy(), *[p.faces + s for p, s in zip(pieces, starts, strict=False)]]
    corner_labels = np.sort(_labels(head).numpy()[head.faces.numpy()], axis=1)
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
    return extended, *(np.concatenate(p).astype(np.int64) for p in (parts, styles, objects))


def _padded(values: Tensor, extra: int) -> Tensor:
    return torch.cat([values, values.new_zeros(extra, *values.shape[1:])])


def _weights(head: Head, own: Tensor, piece: Piece) -> Tensor:
    """Hair and cloth follow the nearest scalp or neck smoothly; all else the head's joint."""
    rigid = torch.zeros(len(piece.vertices), head.skinning_weights.shape[1])
    under = {"hair": "scalp", "clothes": "neck"}.get(piece.part)
    if under is None:
        rigid[:, _HEAD_JOINT] = 1.0
        return rigid
    chosen = _labels(head) == head.part_names.index(under)
    distance = torch.cdist(torch.from_numpy(piece.vertices), own[chosen])
    near = torch.softmax(-((distance / 0.06) ** 2), dim=1)
    return near @ head.skinning_weights[chosen]
