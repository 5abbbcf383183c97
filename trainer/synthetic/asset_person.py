"""A person put together of human assets: the free head in its skin, and what hangs on it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
import torch

from pegasus_runtime.head import Head
from pegasus_runtime.human_assets import HumanAssets
from trainer.data.pairs import worn_by
from trainer.synthetic import shirt, wearables
from trainer.synthetic.attributes import attributes_of, morph
from trainer.synthetic.garments import (
    Garment,
    HungGarment,
    hang,
    load_garment_base,
    read_garment,
)
from trainer.synthetic.people import HAIR_COLOURS, SHIRTS, Look
from trainer.synthetic.person import (
    EXTRA_PARTS,
    OUTER_PARTS,
    Batch,
    Person,
    bone_weights,
    labels_of,
)
from trainer.synthetic.skull_radius_map import FloatArray, IndexArray, MeshPart, SkullRadiusMap
from trainer.synthetic.textures import garment_texture, read_texture, skin_texture

IRIS_PLACE = (0.7045, 0.696, 0.113, 0.41)
"""centre and radius of the iris in MakeHuman's eye pictures, and its half angle on the eyeball"""
_OVER_HAIR = (1.13, 1.03, 1.10)
"""how much larger than on a bald head the fedora is worn"""
_LEFT_OUT = 3
"""of the head: teeth, where better ones are found"""
_CLOTH, _SHIRT = 9, 6
"""styles of asset_solid.frag"""
_LASH_COLOUR = (0.012, 0.009, 0.008)
_COLOURS = {
    "hat_beanie": (0.42, 0.04, 0.045),
    "hat_cap": (0.04, 0.10, 0.30),
    "eyeglasses_round": (0.012, 0.011, 0.012),
    "eyeglasses_square": (0.10, 0.035, 0.015),
}
"""linear light"""
_HAIR_CENTRE = (0.0, 0.08, -0.03)
_PLAIN = np.full((16, 16, 4), 255, np.uint8)
_LID_BINS = np.radians(np.linspace(8, 172, 13))


@dataclass(frozen=True, eq=False)
class _Piece:
    """What is put on the head: a mesh, how it moves and how it is drawn."""

    part: str
    vertices: FloatArray
    faces: IndexArray
    uv: FloatArray
    """(F, 3, 2)"""
    batch: Batch
    hung: HungGarment | None
    style: int = 0
    is_attribute: bool = False


def make_asset_person(head: Head, look: Look, attribute: str, assets: HumanAssets) -> Person:
    """The same person for every attribute or pair of them, with that replaced."""
    shape = look.identity()
    bare = (head.template + head.identity_directions @ torch.from_numpy(shape)).numpy()
    for each in attributes_of(attribute):
        look = look.changed(each.look)
    change = morph(head.template, head.expression_directions, head.expression_names, attribute)
    morphed = replace(head, template=head.template + change)
    own = bare + change.numpy()
    pieces = _pieces(morphed, look, attribute, assets, own, shape)
    pieces += _wearables(morphed, attribute, assets, own, bare, shape)
    return _assembled(morphed, look, attribute, assets, shape, own, pieces)


@lru_cache(maxsize=24)
def _garment(assets: HumanAssets, kind: str, name: str) -> Garment:
    return read_garment(assets.find(kind, name))


def _pieces(
    head: Head, look: Look, attribute: str, assets: HumanAssets, own: FloatArray, shape: FloatArray
) -> list[_Piece]:
    """Neck and shirt, hair, brows and lashes."""
    colour = HAIR_COLOURS[look.hair_colour]
    cards = (
        ("hair", "hair", look.hair, colour, 0.65, 1.0),
        ("eyebrows", "eyebrows", look.eyebrows, _darker(colour), 0.0, 0.9),
        ("eyelashes", "eyelids", look.eyelashes, _LASH_COLOUR, 0.0, 0.6),
    )
    changed = {name.partition("_")[0] for name in worn_by(attribute)}
    beside = _beside(head, attribute, own, shape)
    found = [*_bust(head, look, assets, own, beside)]
    if "teeth_base" in assets.names("teeth"):
        found.append(_teeth(head, assets, np.concatenate([own, beside])))
    for kind, part, name, tone, roundness, fullness in cards:
        garment = _garment(assets, kind, name)
        hung = hang(garment, head, np.concatenate([own, beside]))
        texture = read_texture(garment_texture(garment.path), with_alpha=True)
        texture[..., 3] = (texture[..., 3] * fullness).astype(np.uint8)
        batch = _card_batch(texture, tone, roundness, 1 if kind == "hair" else 2)
        vertices = hung.vertices
        for hat in [name for name in worn_by(attribute) if name.startswith("hat_")]:
            if kind == "hair":
                vertices = wearables.pressed(vertices, hat, _skull(head, own))
        is_one = kind in changed
        found.append(
            _Piece(part, vertices, garment.corners, garment.uv, batch, hung, is_attribute=is_one)
        )
    return found


def _teeth(head: Head, assets: HumanAssets, every: FloatArray) -> _Piece:
    """Single teeth and gums, which ride on the head's plain rows."""
    garment = _garment(assets, "teeth", "teeth_base")
    hung = hang(garment, head, every)
    settings = {"base_colour": (1.0, 1.0, 1.0), "teeth_part": head.part_names.index("teeth")}
    picture = {"cloth": read_texture(garment_texture(garment.path))}
    batch = Batch("solid", 0, 0, picture, settings)
    return _Piece("teeth", hung.vertices, garment.corners, garment.uv, batch, hung, _CLOTH)


def _beside(head: Head, attribute: str, own: FloatArray, shape: FloatArray) -> FloatArray:
    """(K, 3) lash and hair helpers and shoulders of this person, changed as the head is."""
    base = load_garment_base()
    moves = morph(
        torch.from_numpy(base.template),
        torch.from_numpy(base.expression_directions),
        head.expression_names,
        attribute,
    )
    return np.asarray(base.template + base.identity_directions @ shape + moves.numpy(), np.float32)


def _skull(head: Head, own: FloatArray) -> SkullRadiusMap:
    wanted = [head.part_names.index(name) for name in OUTER_PARTS]
    return SkullRadiusMap(own, head.faces.numpy(), np.isin(labels_of(head).numpy(), wanted))


def _wearables(
    head: Head,
    attribute: str,
    assets: HumanAssets,
    own: FloatArray,
    bare: FloatArray,
    shape: FloatArray,
) -> list[_Piece]:
    """Hats and glasses."""
    found: list[_Piece] = []
    for name in worn_by(attribute):
        if name == "hat_fedora":
            garment = _garment(assets, "clothes", "fedora")
            hung = hang(garment, head, np.concatenate([bare, _beside(head, "", bare, shape)]))
            centre = np.array(_HAIR_CENTRE, np.float32)
            wide = centre + (hung.vertices - centre) * np.array(_OVER_HAIR, np.float32)
            cloth = {"cloth": read_texture(garment_texture(garment.path))}
            batch = Batch("solid", 0, 0, cloth, {"base_colour": (1.6, 1.35, 1.1)}, shade_group=3)
            found.append(
                _Piece("hat", wide, garment.corners, garment.uv, batch, None, _CLOTH, True)
            )
        meshes = wearables.hat(name, _skull(head, bare)) if name in wearables.HATS else []
        if name in wearables.GLASSES:
            meshes = [_on_nose(mesh, head, bare) for mesh in wearables.glasses(name)]
        found += [_plain_piece(mesh, _COLOURS[name]) for mesh in meshes]
    return found


def _on_nose(mesh: MeshPart, head: Head, bare: FloatArray) -> MeshPart:
    """Glasses, made for the average head, where this person's eyes and brow are."""
    joints = (head.joint_regressor @ torch.from_numpy(bare)).numpy()[3:]
    usual = (head.joint_regressor @ head.template).numpy()[3:]
    wide = np.ptp(joints[:, 0]) / np.ptp(usual[:, 0])
    moved = mesh.vertices * np.array([wide, 1.0, 1.0]) + (joints - usual).mean(axis=0)
    return replace(mesh, vertices=moved.astype(np.float32))


def _plain_piece(mesh: MeshPart, colour: tuple[float, float, float]) -> _Piece:
    uv = mesh.coordinates[mesh.faces][..., :2]
    settings = {"base_colour": colour}
    batch = Batch("solid", 0, 0, {"cloth": _PLAIN}, settings, shade_group=3)
    return _Piece(mesh.part, mesh.vertices, mesh.faces, uv, batch, None, mesh.style, True)


def _darker(colour: tuple[float, float, float]) -> tuple[float, float, float]:
    red, green, blue = (0.55 * value + 0.004 for value in colour)
    return red, green, blue


def _card_batch(
    texture: Any, colour: tuple[float, float, float], roundness: float, group: int
) -> Batch:
    share = texture[..., 3:].astype(np.float32)
    linear = (texture[..., :3] / np.float32(255.0)) ** 2
    mean = (linear * share).sum(axis=(0, 1)) / max(float(share.sum()), 1.0)
    grey = float(mean @ np.array([0.35, 0.45, 0.2], np.float32))
    settings = {
        "strand_colour": colour,
        "natural": 0.0,
        "brightness": 1.0 / max(grey, 0.004),
        "roundness": roundness,
        "hair_centre": _HAIR_CENTRE,
    }
    return Batch("card", 0, 0, {"strands": texture}, settings, True, group)


def _bust(
    head: Head, look: Look, assets: HumanAssets, own: FloatArray, beside: FloatArray
) -> tuple[_Piece, _Piece]:
    """The neck below the head, whose border is the head's own, and a T-shirt."""
    base = load_garment_base()
    weights = np.concatenate([head.skinning_weights.numpy(), base.skinning_weights])
    every = np.concatenate([own, beside])
    mesh = shirt.t_shirt(every, base.body_faces, weights)
    bare = shirt.bare_neck(every, base.body_faces)
    skin = Batch("skin", 0, 0, {"skin": skin_texture(assets, look.skin)}, _skin_settings(head))
    uv = mesh.uv
    settings = {"base_colour": SHIRTS[look.shirt], "neckline": shirt.NECKLINE}
    cloth = Batch("solid", 0, 0, {"cloth": _PLAIN}, settings)
    return (
        # The first piece: its vertices come right after the head's.
        _Piece(
            "neck",
            beside,
            base.body_faces[bare] - len(own),
            base.body_uv[bare],
            skin,
            _still(base.skinning_weights, head),
        ),
        _Piece("clothes", mesh.vertices, mesh.faces, uv, cloth, _still(mesh.weights, head), _SHIRT),
    )


def _still(weights: FloatArray, head: Head) -> HungGarment:
    """What joints move and expressions do not."""
    count = len(weights)
    return HungGarment(
        np.zeros((count, 3), np.float32),
        np.zeros((count, *head.expression_directions.shape[1:]), np.float32),
        np.zeros((count, *head.pose_directions.shape[1:]), np.float32),
        weights.astype(np.float32),
    )


def _skin_settings(head: Head) -> dict[str, Any]:
    names = head.part_names
    return {
        "tint": (1.0, 1.0, 1.0),
        "lip_part": names.index("lips"),
        "mouth_part": names.index("mouth"),
    }


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
        _skin_settings(head),
        {"iris_place": IRIS_PLACE, "eye_centre": tuple(abs(float(c)) for c in centre[3])},
        {
            "base_colour": (1.0, 1.0, 1.0),
            "teeth_part": names.index("teeth"),
            "tongue_part": names.index("tongue"),
        },
    ]
    textures = [skin, iris, {"cloth": _PLAIN}]
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
        near = np.abs(offset[:, 0]) < 0.11
        angle = np.arctan2(offset[:, 1], offset[:, 0])
        reach = np.hypot(offset[:, 0], offset[:, 1])
        for low, high in zip(_LID_BINS[:-1], _LID_BINS[1:], strict=True):
            inside = near & (angle > low - 0.05) & (angle < high + 0.05) & (offset[:, 2] > 0.04)
            found.append(lids[np.where(inside, reach, np.inf).argmin()])
    return np.array(found, np.int64)


def _assembled(
    head: Head,
    look: Look,
    attribute: str,
    assets: HumanAssets,
    shape: FloatArray,
    own: FloatArray,
    pieces: list[_Piece],
) -> Person:
    order, part, batches = _head_batches(head, look, assets)
    names = (*head.part_names, *EXTRA_PARTS)
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
    of = {"nose": ("nose",), "mouth": ("lips",), "ears": ("ears",), "eyes": ("eyes", "eyelids")}
    wanted = [p for name in worn_by(attribute) for p in of.get(name.partition("_")[0], ())]
    return np.isin(part, [head.part_names.index(name) for name in wanted]).astype(np.int64)


def _extended(
    head: Head, own: FloatArray, pieces: list[_Piece], faces: IndexArray, names: tuple[str, ...]
) -> Head:
    """The head with all pieces as further vertices."""

    def grown(values: torch.Tensor, of_piece: Any) -> torch.Tensor:
        return torch.cat([values, *[torch.from_numpy(of_piece(piece)) for piece in pieces]])

    def moved(name: str, values: torch.Tensor) -> torch.Tensor:
        def of_piece(piece: _Piece) -> FloatArray:
            if piece.hung is None or piece.part == "hair":
                return np.zeros((len(piece.vertices), *values.shape[1:]), np.float32)
            return np.asarray(getattr(piece.hung, name))

        return grown(values, of_piece)

    def weights(piece: _Piece) -> FloatArray:
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
