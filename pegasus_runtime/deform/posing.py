"""Surfaces ready to be posed many times: packed for a CPU, as they are elsewhere.

Both give what `pose_surface` gives. A posable surface keeps only what later frames need.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Protocol

import torch
from torch import Tensor

from pegasus_runtime.avatar.networks import AvatarNetworks, GeometryOutput
from pegasus_runtime.deform.canonical_head import CanonicalHead
from pegasus_runtime.deform.surface import (
    CanonicalSurface,
    PosedHead,
    PosedSurface,
    pose_surface,
)

if TYPE_CHECKING:
    from pegasus_runtime.avatar.bfloat16_kernel import Numbers
    from pegasus_runtime.deform.posing_kernel import Floats


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
        return pose_surface(self.networks, self.canonical, self.surface, head, nearest)


@dataclass
class PackedRows:
    """Numbers of points side by side, as `posing_kernel.pose_packed` reads them."""

    values: Floats
    """(blocks, D + NUM_SMALL_ROWS, LANES)"""
    slopes: Numbers
    """(blocks, 3 D, LANES) tangents of the hidden layer in their own precision"""

    @classmethod
    def empty(cls, num_points: int, width: int, dtype: torch.dtype) -> PackedRows:
        """Room for points of a hidden layer of that width, with tangents of that type."""
        import numpy as np

        from pegasus_runtime.deform.posing_kernel import LANES, NUM_SMALL_ROWS

        blocks = -(-num_points // LANES)
        slope_type = np.uint16 if dtype == torch.bfloat16 else np.float32
        return cls(
            np.zeros((blocks, width + NUM_SMALL_ROWS, LANES), np.float32),
            np.zeros((blocks, 3 * width, LANES), slope_type),
        )


@dataclass
class PackedSurface:
    """Posed by one compiled loop on all cores."""

    networks: AvatarNetworks
    points: Tensor
    geometry: GeometryOutput
    rows: PackedRows

    @property
    def num_bytes(self) -> int:
        tensors = _tensor_bytes(self.geometry)
        packed = int(self.rows.values.nbytes + self.rows.slopes.nbytes)
        return packed + tensors + self.points.numel() * self.points.itemsize

    def pose(self, head: PosedHead, nearest: Tensor | None) -> PosedSurface:
        """As `pose_surface`; sums are taken in another order."""
        import numba
        import numpy as np

        from pegasus_runtime.deform.posing_kernel import pose_packed

        weight, bias = self.networks.deformer.blend_map(head.expression_change, head.feature_change)
        displacements, index = head.shape_displacements, nearest
        if displacements is None:
            displacements, index = torch.empty(0, 3), torch.empty(0, dtype=torch.long)
        assert index is not None
        posed = torch.empty(2, len(self.points), 3)
        pose_packed(
            self.rows.values, self.rows.slopes, weight.contiguous().numpy(), bias.numpy(),
            np.ascontiguousarray(head.transforms[:, :3].reshape(-1, 12).numpy()),
            displacements.contiguous().numpy(), index.numpy(), numba.get_num_threads(),
            posed[0].numpy(), posed[1].numpy(),
        )  # fmt: skip
        return PosedSurface(posed[0], posed[1])


def pack_part(part: CanonicalSurface, start: int, rows: PackedRows) -> None:
    """Write evaluated points into rows; ``start`` is a multiple of `LANES`."""
    from pegasus_runtime.avatar.bfloat16_kernel import as_numbers
    from pegasus_runtime.deform.posing_kernel import pack_rows

    deformer, geometry = part.deformer, part.geometry
    assert deformer.hidden_tangents is not None and deformer.skinning_tangents is not None
    assert part.rest_tangents is not None and geometry is not None
    assert geometry.sdf_gradient is not None
    columns = [
        deformer.hidden, deformer.skinning, *deformer.skinning_tangents, part.rest_points,
        *part.rest_tangents, geometry.sdf_gradient,
    ]  # fmt: skip
    row = 0
    for values in columns:
        pack_rows(values.contiguous().numpy(), start, row, rows.values)
        row += values.shape[1]
    for axis, slopes in enumerate(deformer.hidden_tangents):
        pack_rows(as_numbers(slopes.contiguous()), start, axis * slopes.shape[1], rows.slopes)


def _tensor_bytes(holder: object) -> int:
    values = [getattr(holder, f.name) for f in fields(holder)]  # type: ignore[arg-type]
    return sum(v.numel() * v.itemsize for v in values if isinstance(v, Tensor))
