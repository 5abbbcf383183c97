"""Surfaces ready to be posed many times: packed for a CPU, as they are elsewhere.

Both give what `pose_surface` gives. A posable surface keeps only what later frames need.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pegasus_runtime.avatar.geometry import GeometryOutput
from pegasus_runtime.avatar.networks import AvatarNetworks
from pegasus_runtime.deform.canonical_head import CanonicalHead
from pegasus_runtime.deform.folding import FoldedMaps, PackedRows
from pegasus_runtime.deform.surface import (
    CanonicalSurface,
    PosedHead,
    PosedSurface,
    pose_surface,
)


class PosableSurface(Protocol):
    """N points of one latent code."""

    @property
    def points(self) -> Tensor:
        """(N, 3) on the canonical head"""

    @property
    def geometry(self) -> GeometryOutput:
        """Colours and parts of the points."""

    @property
    def num_bytes(self) -> int:
        """Memory it holds."""

    def pose(self, head: PosedHead, nearest: Tensor | None) -> PosedSurface:
        """The points with an expression, a pose and a shape.

        Args:
            head: from `prepare_pose`.
            nearest: (N,) nearest canonical vertex, needed where the head has a shape.
        """


@dataclass
class PlainSurface:
    """Posed by torch, on any device."""

    networks: AvatarNetworks
    canonical: CanonicalHead
    surface: CanonicalSurface

    @property
    def points(self) -> Tensor:
        return self.surface.points

    @property
    def geometry(self) -> GeometryOutput:
        assert self.surface.geometry is not None
        return self.surface.geometry

    @property
    def num_bytes(self) -> int:
        surface = self.surface
        return _tensor_bytes(surface) + _tensor_bytes(surface.deformer) + _tensor_bytes(
            self.geometry
        )  # fmt: skip

    def pose(self, head: PosedHead, nearest: Tensor | None) -> PosedSurface:
        """As `pose_surface`."""
        blend = self.networks.deformer.blend_map(head.expression_change, head.feature_change)
        return pose_surface(blend, self.canonical, self.surface, head, nearest)


class PackedSurface:
    """Posed by one compiled loop on all cores."""

    def __init__(
        self, networks: AvatarNetworks, points: Tensor, geometry: GeometryOutput, rows: PackedRows
    ) -> None:
        """Take points (N, 3) on the canonical head, and what is known of them."""
        self.points, self.geometry = points, geometry
        self._networks = networks
        self._folds = FoldedMaps(rows)

    @property
    def num_bytes(self) -> int:
        tensors = _tensor_bytes(self.geometry) + self.points.numel() * self.points.itemsize
        return tensors + self._folds.num_bytes

    @property
    def num_looks(self) -> int:
        """How often all that is known of the points was read to pose them."""
        return self._folds.num_looks

    def pose(self, head: PosedHead, nearest: Tensor | None) -> PosedSurface:
        """As `pose_surface`; sums are taken in another order."""
        import numba

        from pegasus_runtime.deform.posing_kernel import pose_folded

        deformer = self._networks.deformer
        weight, bias = deformer.blend_map(head.expression_change, head.feature_change)
        displacements, index = head.shape_displacements, nearest
        if displacements is None:
            displacements, index = torch.empty(0, 3), torch.empty(0, dtype=torch.long)
        assert index is not None
        posed = torch.empty(2, len(self.points), 3)
        pose_folded(
            self._folds.rows.values, *self._folds.find(weight.numpy()), bias.numpy(),
            bone_rows(head.transforms), displacements.contiguous().numpy(),
            # Numba would compile anew for numbers that do not lie side by side.
            index.contiguous().numpy(),
            numba.get_num_threads(), posed[0].numpy(), posed[1].numpy(),
        )  # fmt: skip
        return PosedSurface(posed[0], posed[1])


def bone_rows(transforms: Tensor) -> NDArray[np.float32]:
    """Transforms (B, 4, 4) as the compiled loops read them: (B, 12), three rows after another."""
    return np.ascontiguousarray(transforms[:, :3].reshape(-1, 12).numpy())


def _tensor_bytes(holder: object) -> int:
    values = [getattr(holder, f.name) for f in fields(holder)]  # type: ignore[arg-type]
    return sum(v.numel() * v.itemsize for v in values if isinstance(v, Tensor))
