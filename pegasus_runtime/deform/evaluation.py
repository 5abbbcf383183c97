"""Evaluating an avatar's points for a latent code in slices that can be interrupted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from pegasus_runtime.avatar.networks import AvatarNetworks
from pegasus_runtime.deform.canonical_head import CanonicalHead
from pegasus_runtime.deform.folding import PackedRows, pack_part
from pegasus_runtime.deform.posing import PackedSurface, PlainSurface, PosableSurface
from pegasus_runtime.deform.surface import CanonicalSurface, join_surfaces
from pegasus_runtime.errors import Interrupted
from pegasus_runtime.side_by_side import num_workers, work_through

Evaluate = Callable[[Tensor], CanonicalSurface]
_SLICE_BYTES = 2 * 2**20
_SLICES = (256, 8192)
"""fewest and most points of a slice, multiples of `folding_kernel.LANES`"""


class SurfaceEvaluation:
    """The points of one latent code, evaluated as far as time allowed."""

    def __init__(
        self,
        networks: AvatarNetworks,
        canonical: CanonicalHead,
        points: Tensor,
        evaluate: Evaluate,
    ) -> None:
        """
        Args:
            networks: the avatar's networks.
            canonical: its canonical head.
            points: (N, 3) stored points.
            evaluate: a slice of them to a surface with tangents and geometry.
        """
        self._networks, self._canonical = networks, canonical
        self._evaluate = evaluate
        self._on_cpu = points.device.type == "cpu"
        self._slices = points.split(slice_size(networks, len(points), self._on_cpu))
        self._waiting = list(range(len(self._slices)))[::-1]
        self._parts: dict[int, CanonicalSurface] = {}
        self._rows: PackedRows | None = None
        if self._on_cpu:
            dtype = networks.deformer.tangent_dtype
            self._rows = PackedRows.empty(len(points), networks.sizes.deformer_width, dtype)

    def finish(self, interrupted: Callable[[], bool] | None = None) -> PosableSurface:
        """Evaluate what is left.

        Raises:
            Interrupted: ``interrupted`` said so between two slices; call again to go on.
        """
        if self._rows is not None:
            work_through(self._waiting, self._work, interrupted)
        while self._waiting:
            if interrupted is not None and interrupted():
                raise Interrupted
            self._work(self._waiting[-1])
            self._waiting.pop()
        parts = [self._parts[index] for index in range(len(self._slices))]
        if self._rows is None:
            return PlainSurface(self._networks, self._canonical, join_surfaces(parts))
        geometry = join_surfaces([part.geometry for part in parts])
        assert geometry is not None
        points = torch.cat([part.points for part in parts])
        return PackedSurface(self._networks, points, geometry, self._rows)

    def _work(self, index: int) -> None:
        part = self._evaluate(self._slices[index])
        if self._rows is not None:
            pack_part(part, index * len(self._slices[0]), self._rows)
            part = _without_rows(part)
        self._parts[index] = part


def slice_size(networks: AvatarNetworks, num_points: int, on_cpu: bool) -> int:
    """Points evaluated at once.

    On a CPU their widest layer with its slopes stays in a core's cache, and every core has some.
    """
    wanted = _SLICE_BYTES // (16 * networks.sizes.geometry_width)
    low, high = _SLICES
    if on_cpu:
        wanted = min(wanted, -(-num_points // num_workers()) + low - 1)
    return min(max(wanted // low * low, low), high)


def _without_rows(part: CanonicalSurface) -> CanonicalSurface:
    """What is left of a part once it is packed: its points and their geometry."""
    assert part.geometry is not None
    geometry = replace(part.geometry, sdf_gradient=None)
    empty = part.points[:0]
    deformer = replace(part.deformer, hidden=empty, hidden_tangents=None, skinning_tangents=None)
    return replace(
        part, deformer=deformer, geometry=geometry, offset_points=empty, rest_points=empty,
        rest_tangents=None,
    )  # fmt: skip
