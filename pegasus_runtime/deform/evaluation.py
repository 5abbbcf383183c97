"""Evaluating an avatar's points for a latent code in slices that can be interrupted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from pegasus_runtime.avatar.networks import AvatarNetworks
from pegasus_runtime.deform.canonical_head import CanonicalHead
from pegasus_runtime.deform.posing import (
    PackedSurface,
    PlainSurface,
    PosableSurface,
    pack_part,
)
from pegasus_runtime.deform.surface import CanonicalSurface, join_surfaces
from pegasus_runtime.errors import Interrupted

Evaluate = Callable[[Tensor], CanonicalSurface]
_SLICE_BYTES = 8 * 2**20
_SLICES = (256, 8192)
"""fewest and most points of a slice, multiples of `posing_kernel.LANES`"""


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
        self._waiting = list(points.split(slice_size(networks)))[::-1]
        self._evaluate = evaluate
        self._num_points = len(points)
        self._packs = points.device.type == "cpu"
        self._rows: Any = None
        self._parts: list[CanonicalSurface] = []
        self._num_done = 0

    def finish(self, interrupted: Callable[[], bool] | None = None) -> PosableSurface:
        """Evaluate what is left.

        Raises:
            Interrupted: ``interrupted`` said so between two slices; call again to go on.
        """
        while self._waiting:
            if interrupted is not None and interrupted():
                raise Interrupted
            self._add(self._evaluate(self._waiting[-1]))
            self._waiting.pop()
        if not self._packs:
            return PlainSurface(self._networks, self._canonical, join_surfaces(self._parts))
        geometry = join_surfaces([part.geometry for part in self._parts])
        assert geometry is not None
        points = torch.cat([part.points for part in self._parts])
        return PackedSurface(self._networks, points, geometry, self._rows)

    def _add(self, part: CanonicalSurface) -> None:
        if self._packs:
            if self._rows is None:
                self._rows = _empty_rows(self._networks, self._num_points)
            pack_part(part, self._num_done, self._rows)
            self._num_done += len(part.points)
            part = _without_rows(part)
        self._parts.append(part)


def slice_size(networks: AvatarNetworks) -> int:
    """Points evaluated at once: their widest layer with its slopes stays in a CPU's cache."""
    wanted = _SLICE_BYTES // (16 * networks.sizes.geometry_width)
    low, high = _SLICES
    return min(max(wanted // low * low, low), high)


def _empty_rows(networks: AvatarNetworks, num_points: int) -> Any:
    import numpy as np

    from pegasus_runtime.deform.posing_kernel import LANES, NUM_SMALL_ROWS

    num_rows = 4 * networks.sizes.deformer_width + NUM_SMALL_ROWS
    return np.zeros((-(-num_points // LANES), num_rows, LANES), np.float32)


def _without_rows(part: CanonicalSurface) -> CanonicalSurface:
    """What is left of a part once it is packed: its points and their geometry."""
    from dataclasses import replace

    assert part.geometry is not None
    geometry = replace(part.geometry, sdf_gradient=None)
    empty = part.points[:0]
    deformer = replace(part.deformer, hidden=empty, hidden_tangents=None, skinning_tangents=None)
    return replace(
        part, deformer=deformer, geometry=geometry, offset_points=empty, rest_points=empty,
        rest_tangents=None,
    )  # fmt: skip
