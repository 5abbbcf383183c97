"""Surfels that show teeth ride on the teeth, whatever they began on.

A surfel learns its colour from where it lies in the pictures, and a tongue at rest lies against the
lower teeth. Bound to the tongue, teeth would come out with it.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from pegasus_runtime.head import Head, pose_head
from pegasus_runtime.head.parts import require_parts
from pegasus_runtime.head.skinning import rotation_matrices
from pegasus_runtime.surfels.attributes import Attribute, Wardrobe
from pegasus_runtime.surfels.binding import (
    Binding,
    axis_angles,
    bind_points,
    place_on_triangles,
    triangle_frames,
)
from pegasus_runtime.surfels.surfels import Surfels
from trainer.data.dataset import Capture
from trainer.data.frame_sampler import spread_views
from trainer.init.carried_surfels import CarriedSurfels
from trainer.init.tracked_head import sample_image

_NUM_VIEWS = 80
"""Of them some have an open mouth; with fewer the back teeth are seen by none."""
_MIN_VIEWS, _MIN_SHARE = 2, 0.5
"""that show the inside of the mouth where a surfel lies, and of these, that show teeth; less paints
lips as teeth, more leaves teeth dark that are seldom seen"""
_SAME_JOINT = 0.3
"""How much less of the jaw's motion a tooth may have: upper teeth are no place for lower ones."""
_INNER, _JAW = ("teeth", "tongue", "mouth"), 2


@torch.no_grad()
def on_teeth(wardrobe: Wardrobe, head: Head, capture: Capture) -> Wardrobe:
    """The same with the person's surfels that show teeth bound to the nearest ones."""
    parts = require_parts(head)
    known = [name for name in _INNER if name in capture.part_names]
    if "teeth" not in parts.names or "teeth" not in known:
        return wardrobe
    source = wardrobe.source
    loose = parts.on("tongue", "mouth")[head.faces].all(dim=1)[source.triangle]
    index = loose.nonzero()[:, 0]
    shows = _show_teeth(head, capture, source.chosen(index), known)
    index = index[shows]
    if not len(index):
        return wardrobe
    moved, turn = _bound_to(source.chosen(index), head, wardrobe.rest_corners, capture.shape)
    turns = torch.eye(3).repeat(len(source), 1, 1).index_copy(0, index, turn)

    def put(all_of: Tensor, some: Tensor) -> Tensor:
        return all_of.index_copy(0, index, some)

    pairs = {name: put(getattr(source, name), getattr(moved, name)) for name in vars(source)}
    attributes = tuple(_turned(each, turns[each.region]) for each in wardrobe.attributes)
    return replace(wardrobe, source=Surfels(**pairs), attributes=attributes)


def _turned(attribute: Attribute, turns: Tensor) -> Attribute:
    """The same whose changes of place are told in frames that were turned by (M, 3, 3)."""
    offset = (turns @ attribute.difference.offset[:, :, None])[:, :, 0]
    return replace(attribute, difference=replace(attribute.difference, offset=offset))


def _show_teeth(head: Head, capture: Capture, surfels: Surfels, known: list[str]) -> Tensor:
    """(N,) bool, which surfels lie on teeth in most of the pictures that look into the mouth."""
    inner = torch.tensor([capture.part_names.index(name) for name in known])
    teeth = capture.part_names.index("teeth")
    carried = CarriedSurfels(head, capture, surfels)
    seen, shown = torch.zeros(2, len(surfels))
    for frame in spread_views(capture.training[capture.source], _NUM_VIEWS):
        if frame.pictures.parts is None:
            continue
        _, _, projected = carried.to(frame)
        part, inside = sample_image(torch.from_numpy(frame.pictures.parts).long(), projected)
        looked = inside & torch.isin(part, inner)
        seen += looked
        shown += looked & (part == teeth)
    found: Tensor = (seen >= _MIN_VIEWS) & (shown > _MIN_SHARE * seen)
    return found


def _bound_to(
    surfels: Surfels, head: Head, corners: Tensor, shape: Tensor
) -> tuple[Surfels, Tensor]:
    """Surfels where they are, on the nearest teeth that move with the jaw as they do, and the turns
    (N, 3, 3) from their old frames to the new ones."""
    points, old = place_on_triangles(corners, surfels.triangle, surfels.barycentric, surfels.offset)
    jaw = head.skinning_weights[:, _JAW][head.faces].mean(dim=1)
    teeth = require_parts(head).on("teeth")[head.faces].all(dim=1)
    lower = teeth & (jaw > jaw[surfels.triangle].median() - _SAME_JOINT)
    none = torch.zeros(head.expression_directions.shape[2]), torch.zeros(15)
    vertices = pose_head(head, shape, *none).vertices
    bound = bind_points(vertices, head.faces, points, lower if bool(lower.any()) else teeth)
    turn = triangle_frames(corners[bound.triangle]).transpose(1, 2) @ old
    return _rebound(surfels, bound, turn), turn


def _rebound(surfels: Surfels, bound: Binding, turn: Tensor) -> Surfels:
    return replace(
        surfels,
        triangle=bound.triangle,
        barycentric=bound.barycentric,
        offset=bound.offset,
        rotation=axis_angles(turn @ rotation_matrices(surfels.rotation)),
        offset_states=(turn[:, None] @ surfels.offset_states[..., None])[..., 0],
    )
