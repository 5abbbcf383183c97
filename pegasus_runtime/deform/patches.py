"""An avatar's networks for one latent code, laid out for the compiled loops over patches of points.

On a CPU in float32 this is how points are evaluated; elsewhere `deform.surface` has the same
formulas as torch's operations.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from pegasus_runtime import devices
from pegasus_runtime.avatar.deformer import CodedDeformer
from pegasus_runtime.avatar.encoding import encode_position
from pegasus_runtime.avatar.geometry import CodedGeometry, GeometryOutput, colour_of
from pegasus_runtime.avatar.layers import Map
from pegasus_runtime.avatar.networks import CodedNetworks
from pegasus_runtime.deform.canonical_head import CanonicalHead
from pegasus_runtime.deform.folding import PackedRows
from pegasus_runtime.deform.posing import bone_rows
from pegasus_runtime.side_by_side import work_through

if TYPE_CHECKING:
    from pegasus_runtime.avatar.units_kernel import Floats, Indices

_CORE_SLICE = 1024
"""points that one core moves or places at once, a multiple of `units_kernel.WIDE`"""
_NEVER_ON = -1e3
"""Bias of rows that fill a matrix up: a softplus of it is nothing."""
_kept = threading.local()


def is_for_patches(networks: CodedNetworks, points: Tensor) -> bool:
    """Whether points (N, 3) are evaluated here: on a CPU, with all derivatives in float32."""
    in_float32 = networks.deformer.tangent_dtype == points.dtype == torch.float32
    return in_float32 and devices.has_loops(points.device)


@dataclass
class Findings:
    """What is known of N points besides the rows from which they are posed."""

    places: Tensor
    """(N, 3) on the canonical head"""
    numbers: Tensor
    """(N, 5) distance, logits of the colours and of the part"""

    @classmethod
    def empty(cls, num_points: int) -> Findings:
        """Room for so many points."""
        return cls(torch.empty(num_points, 3), torch.empty(num_points, 5))

    def geometry(self) -> GeometryOutput:
        """As the network gives it, but for the gradient, which is in the rows."""
        distance, colours, part = self.numbers.split([1, 3, 1], dim=1)
        return GeometryOutput(distance[:, 0], None, colour_of(colours), part[:, 0])


def spread_over_cores(
    work: Callable[[Tensor, Tensor], None], points: Tensor, results: Tensor
) -> Tensor:
    """Work from points (N, …) to results (N, …), a slice on each core; returns the results."""
    parts = zip(points.split(_CORE_SLICE), results.split(_CORE_SLICE), strict=True)
    work_through(list(parts), lambda part: work(*part))
    return results


class MovePatches:
    """The canonical offset of one latent code."""

    def __init__(self, deformer: CodedDeformer) -> None:
        """Lay the deformer out."""
        self._maps, self._biases = _stack(deformer.maps)
        self._offset = _padded(deformer.offset, 4, self._maps.shape[2])

    def move(self, points: Tensor, moved: Tensor) -> None:
        """Write p' (n, 3) of stored points (n, 3)."""
        from pegasus_runtime.avatar.units_kernel import WIDE
        from pegasus_runtime.deform.patch_kernel import move_points

        size = self._biases.shape[1]
        move_points(
            points.contiguous().numpy(), self._maps, self._biases, *self._offset,
            _scratch("values", 3, size, WIDE), _scratch("slopes", size, WIDE),
            _scratch_units("units", 2, size), _scratch("part", size, size),
            _scratch("rows", 2, 4, WIDE), moved.numpy(),
        )  # fmt: skip


class PlacePatches:
    """Where points of one latent code go, with no derivatives."""

    def __init__(self, networks: CodedNetworks, blend: Map) -> None:
        """Lay the deformer out, with ``blend`` from `Deformer.blend_map`."""
        deformer = networks.deformer
        self._maps, self._biases = _stack(deformer.maps)
        size = self._maps.shape[2]
        both = zip(networks.surface_offset, blend, strict=True)
        weight, bias = (torch.cat(parts) for parts in both)
        self._reading = _padded((weight, bias), 8, size)
        self._skinning = _padded(deformer.skinning, 8, size)

    def find(self, points: Tensor, results: Tensor) -> None:
        """Write (n, 12) of points p' (n, 3): offset onto the head, the blend, six weights."""
        from pegasus_runtime.avatar.units_kernel import WIDE
        from pegasus_runtime.deform.patch_kernel import place_points

        size = self._biases.shape[1]
        place_points(
            points.contiguous().numpy(), self._maps, self._biases, *self._reading, *self._skinning,
            _scratch("values", 3, size, WIDE), _scratch("slopes", size, WIDE),
            _scratch_units("units", 2, size), _scratch("part", size, size),
            _scratch("rows", 20, WIDE), results.numpy(),
        )  # fmt: skip


class SurfacePatches:
    """Everything of one latent code that posing needs."""

    def __init__(self, networks: CodedNetworks, canonical: CanonicalHead) -> None:
        """Lay the networks out."""
        deformer = networks.deformer
        self._maps, self._biases = _stack(deformer.maps)
        size = self._maps.shape[2]
        self._surface = _padded(networks.surface_offset, 4, size)
        self._skinning = _padded(deformer.skinning, 8, size)
        self._matrices = bone_rows(canonical.transforms)
        self._geometry = _GeometryLayout(networks.geometry)

    def evaluate(self, points: Tensor, first: int, rows: PackedRows, findings: Findings) -> None:
        """Everything about points p' (n, 3), which are those from ``first`` on among all.

        Args:
            points: (n, 3)
            first: a multiple of `LANES`.
            rows: out
            findings: out
        """
        from pegasus_runtime.avatar.units_kernel import WIDE
        from pegasus_runtime.deform.folding_kernel import LANES
        from pegasus_runtime.deform.patch_kernel import deform_points

        points = points.contiguous()
        some = slice(first, first + len(points))
        blocks = slice(first // LANES, -(-some.stop // LANES))
        packed = rows.values[blocks]
        size = self._biases.shape[1]
        deform_points(
            points.numpy(), self._maps, self._biases, *self._surface, *self._skinning,
            self._matrices, _scratch("values", 3, size, WIDE), _scratch("slopes", size, WIDE),
            _scratch("tangents", 2, 3, size, WIDE), _scratch_units("units", 2, size),
            _scratch("part", size, size), _scratch("rows", 49, WIDE), packed,
            rows.slopes[blocks], findings.places[some].numpy(),
        )  # fmt: skip
        self._geometry.find(points, packed, findings.numbers[some].numpy())


class _GeometryLayout:
    """The geometry network for the compiled loops."""

    def __init__(self, geometry: CodedGeometry) -> None:
        self._num_frequencies, self._skip = geometry.num_frequencies, geometry.skip
        self._widths: Indices = np.array([len(bias) for _, bias in geometry.maps])
        self._maps, self._biases = _stack(geometry.maps)
        self._turned = np.ascontiguousarray(self._maps.transpose(0, 2, 1))
        columns = self._maps.shape[2]
        self._output = _padded(geometry.output, 4, self._maps.shape[1])
        self._reading = _padded(geometry.part, 4, columns)

    def find(self, points: Tensor, packed: Floats, numbers: Floats) -> None:
        from pegasus_runtime.avatar.units_kernel import WIDE
        from pegasus_runtime.deform.patch_kernel import find_geometry

        encoded = encode_position(points, self._num_frequencies).numpy()
        (layers, num_rows), columns = self._biases.shape, self._maps.shape[2]
        large, local = max(num_rows, columns), _in_fours(encoded.shape[1])
        find_geometry(
            encoded, self._num_frequencies, self._skip, self._widths, self._maps, self._turned,
            self._biases, *self._output, *self._reading, _scratch("values", 3, large, WIDE),
            _scratch("slopes", layers, num_rows, WIDE), _scratch_units("units", layers + 1, large),
            _scratch_units("counts", layers + 1), _scratch("part", large, large),
            _scratch("rows", 2 * local + 12, WIDE), packed, numbers,
        )  # fmt: skip


def _in_fours(count: int) -> int:
    return -(-count // 4) * 4


def _stack(maps: list[Map]) -> tuple[Floats, Floats]:
    """Maps of all sizes in one array (layers, M, K), both in fours, and biases (layers, M)."""
    rows = _in_fours(max(len(bias) for _, bias in maps))
    columns = max(rows, _in_fours(max(weight.shape[1] for weight, _ in maps)))
    weights = np.zeros((len(maps), rows, columns), np.float32)
    biases = np.full((len(maps), rows), _NEVER_ON, np.float32)
    for index, (weight, bias) in enumerate(maps):
        weights[index, : weight.shape[0], : weight.shape[1]] = weight.numpy()
        biases[index, : len(bias)] = bias.numpy()
    return weights, biases


def _padded(linear: Map, num_rows: int, num_columns: int) -> tuple[Floats, Floats]:
    """A map filled up with zeros."""
    weight, bias = linear
    weights, biases = np.zeros((num_rows, num_columns), np.float32), np.zeros(num_rows, np.float32)
    weights[: weight.shape[0], : weight.shape[1]] = weight.numpy()
    biases[: len(bias)] = bias.numpy()
    return weights, biases


def _scratch(name: str, *shape: int) -> Floats:
    """An array of this thread's own that is used again and again, with anything in it."""
    kept: dict[object, Floats] = _kept.__dict__.setdefault("floats", {})
    if (name, shape) not in kept:
        kept[name, shape] = np.zeros(shape, np.float32)
    return kept[name, shape]


def _scratch_units(name: str, *shape: int) -> Indices:
    kept: dict[object, Indices] = _kept.__dict__.setdefault("units", {})
    if (name, shape) not in kept:
        kept[name, shape] = np.zeros(shape, np.int64)
    return kept[name, shape]
