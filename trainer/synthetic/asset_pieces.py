"""What is put on a head of human assets: neck, shirt, teeth, hair, brows, lashes, hats, glasses."""

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
from trainer.synthetic.lending import lent_morph
from trainer.synthetic.people import HAIR_COLOURS, SHIRTS, Look
from trainer.synthetic.person import (
    OUTER_PARTS,
    Batch,
    labels_of,
)
from trainer.synthetic.skull_radius_map import FloatArray, IndexArray, MeshPart, SkullRadiusMap
from trainer.synthetic.textures import garment_texture, read_texture, skin_texture

_OVER_HAIR = (1.13, 1.03, 1.10)
"""how much larger than on a bald head the fedora is worn; less lets hair through the felt, more
hovers"""
_BEHIND_LIPS = np.array([0.0, 0.0, -0.012], np.float32)
"""from where teeth would show between lips at rest; less shows them through closed lips, more
leaves a smile dark"""
_ROUNDNESS = 0.65
"""how much hair is lit as a ball instead of by its cards: less shows every card, more is a
helmet"""
_BROW_SHADE, _LEAST_GREY = 0.55, 0.004
"""Brows over hair of the same colour, and the darkest texture that is made brighter: more of the
first loses fair brows before the skin, less of the second makes noise of black strands."""
_FELT = (1.6, 1.35, 1.1)
"""linear light times the cloth's own, which is dark; less hides its folds"""
_UPPER_TEETH_DOWN = np.array([0.0, -0.020, 0.0], np.float32)
"""5 mm: as they are made, their edges end above the upper lip's, and no open jaw shows them; more
shows them below a smile's lip and through a closed mouth"""
_JAW = 2
_CLOTH, _SHIRT = 9, 6
"""styles of asset_solid.frag"""
_LASH_COLOUR = (0.012, 0.009, 0.008)
"""Linear light; lighter ones vanish before the skin."""
_COLOURS = {
    "hat_beanie": (0.42, 0.04, 0.045),
    "hat_cap": (0.04, 0.10, 0.30),
    "eyeglasses_round": (0.012, 0.011, 0.012),
    "eyeglasses_square": (0.10, 0.035, 0.015),
}
"""linear light; lighter ones shine, darker ones hide folds"""
_HAIR_CENTRE = (0.0, 0.08, -0.03)
"""in the skull: hair is lit as if it bulged from here, so that one farther forward darkens the
fringe"""
_BUST_ENDS, _CUT_FADE = (-0.65, -0.54), 0.04
"""heights between which long hair fades, in head units, where lower ends would be cut by the
picture's edge; and how far ends fade where hair is cut: less is a straight edge, more is mist"""
PLAIN = np.full((16, 16, 4), 255, np.uint8)


@dataclass(frozen=True, eq=False)
class Piece:
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


@lru_cache(maxsize=24)
def _garment(assets: HumanAssets, kind: str, name: str) -> Garment:
    return read_garment(assets.find(kind, name))


def hung_pieces(
    head: Head, look: Look, attribute: str, assets: HumanAssets, own: FloatArray, shape: FloatArray
) -> list[Piece]:
    """Neck and shirt, hair, brows and lashes."""
    colour = HAIR_COLOURS[look.hair_colour]
    brows = HAIR_COLOURS[look.brow_colour or look.hair_colour]
    cards = (
        ("hair", "hair", look.hair, colour, _ROUNDNESS, 1.0),
        ("eyebrows", "eyebrows", look.eyebrows, _darker(brows), 0.0, 0.9),
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
        batch.settings["ends"] = _ends_of(attribute) if kind == "hair" else _BUST_ENDS
        vertices = hung.vertices
        for hat in [name for name in worn_by(attribute) if name.startswith("hat_")]:
            if kind == "hair":
                vertices = wearables.pressed(vertices, hat, _skull(head, own))
        is_one = kind in changed or (kind == "eyelashes" and shapes_eyes(attribute))
        found.append(
            Piece(part, vertices, garment.corners, garment.uv, batch, hung, is_attribute=is_one)
        )
    return found


def _ends_of(attribute: str) -> tuple[float, float]:
    """Heights between which the hair of what is worn fades."""
    cuts = [each.hair_ends for each in attributes_of(attribute) if each.hair_ends is not None]
    return (max(cuts) - _CUT_FADE, max(cuts)) if cuts else _BUST_ENDS


def shapes_eyes(attribute: str) -> bool:
    """Whether lids and lashes are another's, and not the irises alone."""
    return any(each.held for each in attributes_of(attribute))


def _teeth(head: Head, assets: HumanAssets, every: FloatArray) -> Piece:
    """Single teeth and gums, which ride on the head's plain rows."""
    garment = _garment(assets, "teeth", "teeth_base")
    hung = hang(garment, head, every)
    settings = {"base_colour": (1.0, 1.0, 1.0), "teeth_part": head.part_names.index("teeth")}
    picture = {"cloth": read_texture(garment_texture(garment.path))}
    batch = Batch("solid", 0, 0, picture, settings)
    upper = hung.skinning_weights[:, _JAW, None] < 0.5
    vertices = hung.vertices + _BEHIND_LIPS + upper * _UPPER_TEETH_DOWN
    return Piece("teeth", vertices, garment.corners, garment.uv, batch, hung, _CLOTH)


def _beside(head: Head, attribute: str, own: FloatArray, shape: FloatArray) -> FloatArray:
    """(K, 3) lash and hair helpers and shoulders of this person, changed as the head is."""
    base = load_garment_base()
    moves = morph(
        torch.from_numpy(base.template),
        torch.from_numpy(base.expression_directions),
        head.expression_names,
        attribute,
    )
    directions = torch.from_numpy(base.identity_directions)
    moves = moves + lent_morph(head, shape, attribute, torch.from_numpy(base.template), directions)
    return np.asarray(base.template + base.identity_directions @ shape + moves.numpy(), np.float32)


def _skull(head: Head, own: FloatArray) -> SkullRadiusMap:
    wanted = [head.part_names.index(name) for name in OUTER_PARTS]
    return SkullRadiusMap(own, head.faces.numpy(), np.isin(labels_of(head).numpy(), wanted))


def worn_pieces(
    head: Head,
    attribute: str,
    assets: HumanAssets,
    own: FloatArray,
    bare: FloatArray,
    shape: FloatArray,
) -> list[Piece]:
    """Hats and glasses."""
    found: list[Piece] = []
    for name in worn_by(attribute):
        if name == "hat_fedora":
            garment = _garment(assets, "clothes", "fedora")
            hung = hang(garment, head, np.concatenate([bare, _beside(head, "", bare, shape)]))
            centre = np.array(_HAIR_CENTRE, np.float32)
            wide = centre + (hung.vertices - centre) * np.array(_OVER_HAIR, np.float32)
            cloth = {"cloth": read_texture(garment_texture(garment.path))}
            batch = Batch("solid", 0, 0, cloth, {"base_colour": _FELT}, shade_group=3)
            found.append(Piece("hat", wide, garment.corners, garment.uv, batch, None, _CLOTH, True))
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


def _plain_piece(mesh: MeshPart, colour: tuple[float, float, float]) -> Piece:
    uv = mesh.coordinates[mesh.faces][..., :2]
    settings = {"base_colour": colour}
    batch = Batch("solid", 0, 0, {"cloth": PLAIN}, settings, shade_group=3)
    return Piece(mesh.part, mesh.vertices, mesh.faces, uv, batch, None, mesh.style, True)


def _darker(colour: tuple[float, float, float]) -> tuple[float, float, float]:
    red, green, blue = (_BROW_SHADE * value + _LEAST_GREY for value in colour)
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
        "brightness": 1.0 / max(grey, _LEAST_GREY),
        "roundness": roundness,
        "hair_centre": _HAIR_CENTRE,
    }
    return Batch("card", 0, 0, {"strands": texture}, settings, True, group)


def _bust(
    head: Head, look: Look, assets: HumanAssets, own: FloatArray, beside: FloatArray
) -> tuple[Piece, Piece]:
    """The neck below the head, whose border is the head's own, and a T-shirt."""
    base = load_garment_base()
    weights = np.concatenate([head.skinning_weights.numpy(), base.skinning_weights])
    every = np.concatenate([own, beside])
    mesh = shirt.t_shirt(every, base.body_faces, weights)
    bare = shirt.bare_neck(every, base.body_faces)
    skin = Batch("skin", 0, 0, {"skin": skin_texture(assets, look.skin)}, skin_settings(head))
    uv = mesh.uv
    settings = {"base_colour": SHIRTS[look.shirt], "neckline": shirt.NECKLINE, "hem": shirt.HEM}
    cloth = Batch("solid", 0, 0, {"cloth": PLAIN}, settings)
    return (
        # The first piece: its vertices come right after the head's.
        Piece(
            "neck",
            beside,
            base.body_faces[bare] - len(own),
            base.body_uv[bare],
            skin,
            _still(base.skinning_weights, head),
        ),
        Piece("clothes", mesh.vertices, mesh.faces, uv, cloth, _still(mesh.weights, head), _SHIRT),
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


def skin_settings(head: Head) -> dict[str, Any]:
    names = head.part_names
    return {
        "tint": (1.0, 1.0, 1.0),
        "lip_part": names.index("lips"),
        "mouth_part": names.index("mouth"),
        "neck_end": shirt.NECK_END,
    }
