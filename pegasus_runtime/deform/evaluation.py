"""Evaluating an avatar's points for a latent code in slices that can be interrupted."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from pegasus_runtime import devices
from pegasus_runtime.avatar.geometry import GeometryOutput
from pegasus_runtime.avatar.networks import AvatarNetworks, CodedNetworks
from pegasus_runtime.deform.canonical_head import CanonicalHead
from pegasus_runtime.deform.folding import PackedRows, pack_part
from pegasus_runtime.deform.patches import Findings, SurfacePatches, is_for_patches
from pegasus_runtime.deform.posing import PackedSurface, PlainSurface, PosableSurface
from pegasus_runtime.deform.surface import CanonicalSurface, evaluate_surface, join_surfaces
from pegasus_runtime.errors import Interrupted
from pegasus_runtime.side_by_side import num_workers, work_through

_SLICE_BYTES = 2 * 2**20
_SLICES = (256, 8192)
"""fewest and most points of a slice, multiples of `units_kernel.WIDE`, which is of `LANES`"""


class SurfaceEvaluation:
    """The points p' of one latent code, evaluated as far as time allowed."""

    def __init__(
        self,
        networks: AvatarNetworks,
        coded: CodedNetworks,
        canonical: CanonicalHead,
        points: Tensor,
    ) -> None:
        """
        Args:
            networks: the avatar's networks.
            coded: the same for the latent code.
            canonical: its canonical head.
            points: (N, 3) after the canonical offset.
        """
        on_cpu = devices.has_loops(points.device)
        self._slices = points.split(slice_size(networks, len(points), on_cpu))
        self._waiting = list(range(len(self._slices)))[::-1]
        self._on_cpu = on_cpu
        kind: type[_Way] = _Plain
        if on_cpu:
            kind = _Compiled if is_for_patches(coded, points) else _Packed
        self._way = kind(networks, coded, canonical, points)

    def finish(self, interrupted: Callable[[], bool] | None = None) -> PosableSurface:
        """Evaluate what is left.

        Raises:
            Interrupted: ``interrupted`` said so between two slices; call again to go on.
        """
        if self._on_cpu:
            work_through(self._waiting, self._work, interrupted)
        while self._waiting:
            if interrupted is not None and interrupted():
                raise Interrupted
            self._work(self._waiting[-1])
            self._waiting.pop()
        return self._way.join()

    def _work(self, index: int) -> None:
        self._way.evaluate(self._slices[index], index * len(self._slices[0]))


class _Way(ABC):
    """How slices are evaluated; on a CPU several at once."""

    def __init__(
        self,
        networks: AvatarNetworks,
        coded: CodedNetworks,
        canonical: CanonicalHead,
        points: Tensor,
    ) -> None:
        self._networks, self._coded, self._canonical = networks, coded, canonical
        self._prepare(len(points))

    @abstractmethod
    def _prepare(self, num_points: int) -> None: ...

    @abstractmethod
    def evaluate(self, points: Tensor, first: int) -> None:
        """The points (n, 3) from ``first`` on among all."""

    @abstractmethod
    def join(self) -> PosableSurface:
        """All slices."""

    def _rows(self, num_points: int) -> PackedRows:
        networks = self._networks
        dtype = networks.deformer.tangent_dtype
        return PackedRows.empty(num_points, networks.sizes.deformer_width, dtype)


class _Plain(_Way):
    """Torch, on any device."""

    def _prepare(self, num_points: int) -> None:
        self._parts: dict[int, CanonicalSurface] = {}

    def evaluate(self, points: Tensor, first: int) -> None:
        self._parts[first] = evaluate_surface(self._coded, self._canonical, points, move=False)

    def join(self) -> PosableSurface:
        parts = [self._parts[first] for first in sorted(self._parts)]
        return PlainSurface(self._networks, self._canonical, join_surfaces(parts))


class _Packed(_Way):
    """Torch on a CPU, packed for compiled posing: where derivatives are not in float32."""

    def _prepare(self, num_points: int) -> None:
        self._packed = self._rows(num_points)
        self._parts: dict[int, tuple[Tensor, GeometryOutput]] = {}

    def evaluate(self, points: Tensor, first: int) -> None:
        part = evaluate_surface(self._coded, self._canonical, points, move=False)
        pack_part(part, first, self._packed)
        assert part.geometry is not None
        self._parts[first] = part.points, replace(part.geometry, sdf_gradient=None)

    def join(self) -> PosableSurface:
        parts = [self._parts[first] for first in sorted(self._parts)]
        points = torch.cat([places for places, _ in parts])
        geometry = join_surfaces([found for _, found in parts])
        return PackedSurface(self._networks, points, geometry, self._packed)


class _Compiled(_Way):
    """Compiled loops over patches, packed likewise."""

    def _prepare(self, num_points: int) -> None:
        self._packed, self._findings = self._rows(num_points), Findings.empty(num_points)
        self._patches = SurfacePatches(self._coded, self._canonical)

    def evaluate(self, points: Tensor, first: int) -> None:
        self._patches.evaluate(points, first, self._packed, self._findings)

    def join(self) -> PosableSurface:
        found = self._findings
        return PackedSurface(self._networks, found.places, found.geometry(), self._packed)


WAYS = (_Plain, _Packed, _Compiled)


def slice_size(networks: AvatarNetworks, num_points: int, on_cpu: bool) -> int:
    """Points evaluated at once.

    On a CPU their widest layer with its slopes stays in a core's cache, and every core has some.
    """
    wanted = _SLICE_BYTES // (16 * networks.sizes.geometry_width)
    low, high = _SLICES
    if on_cpu:
        wanted = min(wanted, -(-num_points // num_workers()) + low - 1)
    return min(max(wanted // low * low, low), high)
