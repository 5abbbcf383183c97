"""Where pictures show the bare head: its own surface is there, and nothing stands before it.

Outlines cannot carve a hollow, so the hull fills the room between chin and chest. Part pictures
can: a pixel of skin means that all before the tracked head is empty there.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from pegasus_runtime.camera import Camera
from pegasus_runtime.deform.nearest_vertex import nearest_vertices
from pegasus_runtime.head import Head
from pegasus_runtime.head.canonical import CanonicalHead
from trainer.data.dataset import Capture, TrainingFrame
from trainer.init.mesh_sampling import sample_head
from trainer.init.thin_structures import depth_of
from trainer.init.tracked_head import VertexMotion, sample_image

_NUM_OCCLUDERS, _OCCLUDER_RADIUS = 25_000, 0.04
"""dense enough that no view looks through the head; fewer or smaller ones leave gaps, larger ones
hide what lies beside them"""
_TOLERANCE = 0.02
"""in depth: the tracked head is not exact, and an attribute may change its shape; more sees skin
through the head's folds, less hides skin behind itself"""
_MIN_FACING = 0.3
"""Cosine to the camera: less listens to grazing views, which err; more leaves skin that none
sees."""
_MIN_SHARE = 0.5
"""More calls less of the head bare, and hair begins to grow there; less lets skin lie over hair."""


@dataclass
class HeadVisibility:
    """A head's surface, to be compared with part pictures."""

    classes: Tensor
    """(C,) of the part pictures, that are parts of the head itself"""
    surface: Tensor
    """(S, 3) canonical points"""
    normals: Tensor
    """(S, 3)"""
    riders: Tensor
    """(S,) vertex on which each rides"""

    @classmethod
    def of(cls, head: Head, canonical: CanonicalHead, capture: Capture) -> HeadVisibility:
        """The head of a capture; without part pictures nothing is known to be bare."""
        known = [index for index, name in enumerate(capture.part_names) if name in head.part_names]
        generator = torch.Generator().manual_seed(0)
        surface, normals = sample_head(head, canonical, _NUM_OCCLUDERS, generator)
        riders = nearest_vertices(surface, canonical.vertices)
        return cls(torch.tensor(known, dtype=torch.long), surface, normals, riders)

    def is_inside(self, points: Tensor) -> Tensor:
        """(M,) whether canonical points (M, 3) are behind the head's surface."""
        foot = nearest_vertices(points, self.surface)
        behind: Tensor = ((points - self.surface[foot]) * self.normals[foot]).sum(dim=1) < 0
        return behind

    def in_view(self, frame: TrainingFrame, ride: VertexMotion) -> ViewVisibility | None:
        """How a frame shows it; None without a part picture.

        Args:
            frame: the frame.
            ride: motion of the head's vertices in this frame.
        """
        parts = frame.pictures.parts
        if parts is None or not len(self.classes):
            return None
        skin = torch.isin(torch.from_numpy(parts).long(), self.classes)
        own = ride.of(self.riders)
        posed = own.transform(self.surface)
        return ViewVisibility(frame.record.camera, skin, posed, own.rotate(self.normals))


class ViewVisibility:
    """A head's surface in one frame."""

    def __init__(self, camera: Camera, skin: Tensor, posed: Tensor, normals: Tensor) -> None:
        """A view.

        Args:
            camera: of the frame.
            skin: (H, W) which pixels show the bare head.
            posed: (S, 3) the head's surface.
            normals: (S, 3)
        """
        self.skin = skin
        self._camera, self._posed, self._normals = camera, posed, normals
        self._depth = depth_of(camera, posed, radius=_OCCLUDER_RADIUS)

    def lies_behind(self, projected: Tensor) -> Tensor:
        """(M,) whether the head's surface is behind projected points (M, 3)."""
        front, inside = sample_image(self._depth, projected)
        before: Tensor = projected[:, 2] < front - _TOLERANCE
        return inside & before & front.isfinite()

    def sees(self, posed: Tensor, normals: Tensor) -> Tensor:
        """(M,) whether posed points (M, 3) with normals face the camera and nothing hides them."""
        projected = self._camera.project(posed)
        away = torch.nn.functional.normalize(torch.from_numpy(self._camera.centre) - posed, dim=1)
        front, inside = sample_image(self._depth, projected)
        facing: Tensor = (normals * away).sum(dim=1) > _MIN_FACING
        return inside & facing & (projected[:, 2] < front + _TOLERANCE)

    def count(self, votes: VisibilityVotes, riders: Tensor) -> None:
        """Add what this view says of the vertices (S,) on which the surface rides."""
        seen = self.sees(self._posed, self._normals)
        shown, _ = sample_image(self.skin, self._camera.project(self._posed))
        votes.add(riders, seen, shown)


class VisibilityVotes:
    """How often the views that see a thing say yes."""

    def __init__(self, count: int) -> None:
        self._yes, self._views = torch.zeros(2, count)

    def add(self, index: Tensor, seen: Tensor, yes: Tensor) -> None:
        """Count one view: what (M,) things it sees, and where it says yes."""
        self._views.index_add_(0, index, seen.float())
        self._yes.index_add_(0, index, (seen & yes).float())

    def result(self, min_share: float = _MIN_SHARE) -> Tensor:
        """Where more than a share of the views that see it said yes."""
        often: Tensor = (self._views > 0) & (self._yes > min_share * self._views)
        return often
