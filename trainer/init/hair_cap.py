"""Hair of a head that was filmed from the front: a cap over the scalp, as thick as outlines show.

A hull of views that differ by thirty degrees is a tube half a metre deep. But where the head's
surface turns away from a camera, the outline beyond it says how far hair stands off, and between
such places, and around the back, hair is as thick as its neighbours: the thickness solves Laplace's
equation on the mesh. Hair over ears lies on a membrane over their roots: the folds of an ear look
in all directions, and what grew along them were dots in the air.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from pegasus_runtime.head import Head, pose_head
from pegasus_runtime.head.mesh_normals import vertex_normals
from pegasus_runtime.head.parts import require_parts
from pegasus_runtime.surfels.binding import triangle_frames
from pegasus_runtime.surfels.surfels import Surfels, new_surfels
from trainer.data.dataset import Capture, TrainingFrame
from trainer.data.frame_sampler import spread_views
from trainer.init.carried_surfels import facing_camera
from trainer.init.surfel_sampling import (
    no_surfels,
    rotations_to,
    sample_triangles,
    triangle_areas,
)
from trainer.init.tracked_head import sample_image

_NUM_VIEWS = 32
"""More find no thinner outline of a head that turns by thirty degrees, fewer miss its sides."""
_THICKEST, _STEPS = 0.3, 31
"""How far along a normal hair is looked for, in units of the head (7.5 cm); farther takes longer,
nearer cuts tall hair off."""
_GRAZING = 0.35
"""Cosine to the camera below which an outline is the surface's own; more trusts the face's front,
where an outline says nothing of depth."""
_FACING = 0.3
"""Cosine from which a pixel tells what covers the surface; less listens to grazing views, more
leaves vertices that none tells of."""
_MIN_VIEWS = 3
"""That have to tell of a vertex: fewer trust a single bad matte, more leave more to the
neighbours."""
_HAIR_SHARE = 0.4
"""of the views that face a vertex, which show hair there; less grows hair on skin, more loses it
where labels waver"""
_BESIDE_SHARE = 0.7
"""the same beside the scalp, where hair hangs over cheeks and neck: labels there are less sure"""
_EAR_SHARE = 0.3
"""the same of a whole ear, whose front lies beside the cheek: on three clips 0.02 and 0.18 of bare
ears, 0.38 and 0.81 of covered ones"""
_BALD_SHARE, _CROWN = 0.5, 0.75
"""Of the highest quarter of the scalp that was seen; with less hair on it nobody gives the back of
the head any. The hairline says nothing: on a high forehead all that is seen below the crown is
skin, and so would be most of the scalp."""
_MASK_QUANTILE = 0.25
"""of the views' outlines: the thinnest of all is that of the worst matte"""
_DEFAULT = 0.06
"""Thickness where no outline tells, 15 mm; less lies flatter on the head, more stands off it."""
_THINNEST = 0.01
"""Of hair, where there is any: less sinks into the skin, more thickens what is cropped."""
_LEAN = 1e-3
"""of a neighbour's weight, by which a thickness leans towards the default; more of it forgets
sooner what the outlines beside it showed"""
_OUTER_SHARE, _OUTER, _INNER = 0.6, 0.85, 0.3
"""of the surfels, that lie in the outermost part of the thickness; where the others begin. The back
is seen through where too few lie outside, fringes have no depth where too many do."""
_SPACING = 0.8
"""Standard deviation of a new surfel by the distance of its neighbours in the layer; less lets skin
show between surfels, more blurs them."""
_HAIR = ("hair", "scalp")
"""classes of part pictures under which a head is covered"""


@dataclass(frozen=True, eq=False)
class HairCap:
    """Hair over the vertices of a head."""

    thickness: Tensor
    """(V,) in units of the head; 0 where there is none"""

    def covers(self, head: Head) -> Tensor:
        """(F,) bool, which triangles of the head lie under hair."""
        return (self.thickness[head.faces] > 0).all(dim=1)

    def surfels(
        self, corners: Tensor, head: Head, count: int, generator: torch.Generator
    ) -> Surfels:
        """Surfels in the cap, none for a bald head.

        Args:
            corners: (F, 3, 3) of the head at rest.
            head: the head.
            count: how many on a whole scalp; less hair has fewer, not denser ones.
            generator: of where they lie.
        """
        covered = self.covers(head)
        if not bool(covered.any()):
            return no_surfels()
        vertices = torch.zeros(head.num_vertices, 3).index_put((head.faces,), corners)
        ground = _without_ears(head, vertices)
        areas = triangle_areas(ground[head.faces])
        area = covered * areas
        scalp = require_parts(head).on("scalp")[head.faces].all(dim=1)
        whole = (scalp * areas).sum()
        count = max(round(count * min(float(area.sum() / whole), 1.0)), 1)
        triangle, weights = sample_triangles(area, count, generator)
        of_corner = head.faces[triangle]

        def between(values: Tensor) -> Tensor:
            """(N, C) of what vertices (V, C) have."""
            return (values[of_corner] * weights[:, :, None]).sum(dim=1)

        normal = torch.nn.functional.normalize(between(_normals(ground, head.faces)), dim=1)
        level, is_outer = torch.rand(2, count, generator=generator)
        outer, inner = _OUTER + (1 - _OUTER) * level, _INNER + (_OUTER - _INNER) * level
        level = torch.where(is_outer < _OUTER_SHARE, outer, inner)
        high = level[:, None] * between(self.thickness[:, None])
        away = between(ground - vertices) + high * normal
        back = triangle_frames(corners)[triangle].transpose(1, 2)
        local, offset = ((back @ each[:, :, None])[:, :, 0] for each in (normal, away))
        spacing = _SPACING * (area.sum() / (_OUTER_SHARE * count)).sqrt()
        return new_surfels(triangle, weights, offset, rotations_to(local), spacing.expand(count))


def find_hair(head: Head, capture: Capture, frames: list[TrainingFrame]) -> HairCap:
    """The hair of a person in frames that show the head from about one side."""
    views = _Views(head, capture, spread_views(frames, _NUM_VIEWS))
    hair = views.hair()
    thickness, known = views.thickness()
    guess = torch.where(known, thickness, _DEFAULT)[:, None]
    filled = _fill(head, guess, hair & known, hair)[:, 0]
    return HairCap(torch.where(hair, filled.clamp_min(_THINNEST), 0.0))


class _Views:
    """What frames show at the head's vertices."""

    def __init__(self, head: Head, capture: Capture, frames: list[TrainingFrame]) -> None:
        self._head, self._parts = head, require_parts(head)
        self._classes = torch.tensor(
            [i for i, name in enumerate(capture.part_names) if name in _HAIR], dtype=torch.long
        )
        count = head.num_vertices
        self._seen, self._covered = torch.zeros(2, count)
        self._reach = [torch.full((count,), torch.nan) for _ in frames]
        for number, frame in enumerate(frames):
            self._look(capture, frame, number)

    def _look(self, capture: Capture, frame: TrainingFrame, number: int) -> None:
        record = frame.record
        expression, pose = torch.from_numpy(record.expression), torch.from_numpy(record.pose)
        vertices = pose_head(self._head, capture.shape, expression, pose).vertices
        normals = _normals(vertices, self._head.faces)
        facing = facing_camera(frame.record.camera.tensors, vertices, normals)
        if frame.pictures.parts is not None:
            shown, inside = sample_image(
                torch.from_numpy(frame.pictures.parts).long(), record.camera.project(vertices)
            )
            looked = inside & (facing > _FACING)
            self._seen += looked
            self._covered += looked & torch.isin(shown, self._classes)
        ground = _without_ears(self._head, vertices)
        normals = _normals(ground, self._head.faces)
        facing = facing_camera(frame.record.camera.tensors, ground, normals)
        rim = (facing.abs() < _GRAZING).nonzero()[:, 0]
        steps = torch.linspace(0, _THICKEST, _STEPS)
        points = ground[rim] + steps[:, None, None] * normals[rim]
        mask = torch.from_numpy(frame.pictures.mask > 127)
        on_person, inside = sample_image(mask, record.camera.project(points.flatten(0, 1)))
        run = (on_person & inside).view(_STEPS, -1).long().cumprod(dim=0).sum(dim=0)
        self._reach[number][rim] = steps[(run - 1).clamp_min(0)]

    def hair(self) -> Tensor:
        """(V,) bool, where hair covers the head.

        What no frame faces is covered when most of the scalp is, for then its back is too. Without
        part pictures that is all there is to go by.
        """
        scalp = self._parts.on("scalp")
        seen = self._seen >= _MIN_VIEWS
        covered = seen & (self._covered > _HAIR_SHARE * self._seen)
        looked_at = seen & scalp
        height = self._head.template[:, 1]
        if bool(looked_at.any()):
            crown = looked_at & (height >= height[looked_at].quantile(_CROWN))
            if float(covered[crown].float().mean()) < _BALD_SHARE:
                return torch.logical_and(covered, scalp)
        beside = self._parts.on("skin", "neck") & seen
        beside &= self._covered > _BESIDE_SHARE * self._seen
        hair: Tensor = scalp & (covered | ~seen) | beside | self._hidden_ears(seen)
        return hair

    def _hidden_ears(self, seen: Tensor) -> Tensor:
        """(V,) bool of ears that hair covers, each of them whole or not at all.

        Where hair hangs over an ear, it hangs over the neck behind it, which no frame faces.
        """
        template, ears = self._head.template, self._parts.on("ears")
        hidden = torch.zeros_like(ears)
        if not bool(ears.any()):
            return hidden
        behind = self._parts.on("skin", "neck") & ~seen
        behind &= template[:, 2] < template[ears, 2].mean()
        for side in (template[:, 0] > 0, template[:, 0] <= 0):
            known = ears & seen & side
            if not bool(known.any()):
                continue
            share = self._covered[known].sum() / self._seen[known].sum()
            hidden |= (ears | behind) & side & (share > _EAR_SHARE)
        return hidden

    def thickness(self) -> tuple[Tensor, Tensor]:
        """(V,) how far the outline is, and where enough views say so."""
        reach = torch.stack(self._reach)
        known = reach.isfinite().sum(dim=0) >= _MIN_VIEWS
        return reach.nanquantile(_MASK_QUANTILE, dim=0).nan_to_num(_DEFAULT), known


def _normals(vertices: Tensor, faces: Tensor) -> Tensor:
    return torch.from_numpy(vertex_normals(vertices.numpy(), faces.numpy()))


def _without_ears(head: Head, vertices: Tensor) -> Tensor:
    """Vertices (V, 3) of which those of ears lie on a membrane over their roots."""
    ears = require_parts(head).on("ears")
    return _fill(head, vertices, ~ears, torch.ones_like(ears))


def _fill(head: Head, values: Tensor, known: Tensor, wanted: Tensor) -> Tensor:
    """Values (V, C) of which the unknown ones among the wanted are the mean of their neighbours."""
    from scipy.sparse import coo_array, csr_array, diags_array
    from scipy.sparse.linalg import spsolve

    unknown = (wanted & ~known).nonzero()[:, 0].numpy()
    if not len(unknown) or not bool(known.any()):
        return values
    faces = head.faces.numpy()
    edges = np.unique(
        np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]]), axis=0
    )
    edges = np.concatenate([edges, edges[:, ::-1]])
    inside = wanted.numpy()[edges].all(axis=1)
    start, end = edges[inside].T
    joined = csr_array(coo_array((np.ones(len(start)), (start, end)), shape=[len(values)] * 2))
    # A patch that nothing known touches keeps the default, to which all lean a little.
    degree = joined.sum(axis=1) + _LEAN
    laplacian = csr_array(diags_array(degree) - joined)
    fixed = known.numpy()
    right = _LEAN * values.numpy().astype(np.float64)
    right = right + joined[:, fixed] @ values.numpy()[fixed]
    solved = spsolve(laplacian[unknown][:, unknown].tocsc(), right[unknown])
    filled = values.clone()
    filled[unknown] = torch.from_numpy(solved.reshape(len(unknown), -1)).float()
    return filled
