"""What expression and pose make of the deformer's hidden layer, without reading it every time.

Expression and pose are folded into one map of the hidden layer, and what a map makes of a point is
linear in the map. So a map in the span of some that were folded before needs no look at the hidden
layer and its tangents, five sixths of all that is known of a point: its fold is the same sum of
theirs. A slider that is dragged stays in the span of two maps, a jaw that opens in that of four.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from pegasus_runtime.deform.surface import CanonicalSurface

if TYPE_CHECKING:
    from pegasus_runtime.avatar.bfloat16_kernel import Numbers
    from pegasus_runtime.deform.folding_kernel import Floats

Doubles = NDArray[np.float64]
MAX_FOLDS = 6
"""kept of a surface; each is 48 bytes a point"""
_TOLERANCE = 3e-5
"""How far a map may lie off the span, of its largest entry. A point of the demo avatar then is off
by 3e-6 at most, as sums in another order are; with less, the rounding of the maps themselves would
be taken for something new."""


@dataclass
class PackedRows:
    """Numbers of points side by side, as `folding_kernel` and `posing_kernel` read them."""

    values: Floats
    """(blocks, D + NUM_SMALL_ROWS, LANES)"""
    slopes: Numbers
    """(blocks, 3 D, LANES) tangents of the hidden layer in their own precision"""

    @classmethod
    def empty(cls, num_points: int, width: int, dtype: torch.dtype) -> PackedRows:
        """Room for points of a hidden layer of that width, with tangents of that type."""
        from pegasus_runtime.deform.folding_kernel import LANES
        from pegasus_runtime.deform.posing_kernel import NUM_SMALL_ROWS

        blocks = -(-num_points // LANES)
        slope_type = np.uint16 if dtype == torch.bfloat16 else np.float32
        return cls(
            np.zeros((blocks, width + NUM_SMALL_ROWS, LANES), np.float32),
            np.zeros((blocks, 3 * width, LANES), slope_type),
        )


def pack_part(part: CanonicalSurface, start: int, rows: PackedRows) -> None:
    """Write evaluated points into rows; ``start`` is a multiple of `LANES`."""
    from pegasus_runtime.avatar.bfloat16_kernel import as_numbers
    from pegasus_runtime.deform.folding_kernel import pack_rows

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


class FoldedMaps:
    """Folds of orthogonal maps (3, D) whose sums give those of all maps in their span."""

    def __init__(self, rows: PackedRows) -> None:
        """Begin with no folds of these points."""
        self.rows = rows
        self.num_looks = 0
        """How often all rows were read."""
        blocks, _, lanes = rows.values.shape
        # Memory that is not touched is not taken.
        self._folds: Floats = np.empty((MAX_FOLDS, blocks, 12, lanes), np.float32)
        self._maps: Doubles = np.empty((0, rows.slopes.shape[1]))

    @property
    def num_bytes(self) -> int:
        """Memory it may come to hold, with the rows."""
        return self.rows.values.nbytes + self.rows.slopes.nbytes + self._folds.nbytes

    def find(self, weight: Floats) -> tuple[Floats, Floats]:
        """Folds (at least R, blocks, 12, LANES), and R shares by which they sum to a map's fold.

        Args:
            weight: (3, D) the map.
        """
        wanted = weight.astype(np.float64).ravel()
        if not np.isfinite(wanted).all():
            return self._folds, np.zeros(0, np.float32)  # its bias says as much of every point
        rest = wanted - self._shares(wanted) @ self._maps
        if np.abs(rest).max() > _TOLERANCE * np.abs(wanted).max():
            if len(self._maps) == MAX_FOLDS:
                self._maps, rest = self._maps[:0], wanted
            self._add(rest)
        return self._folds, self._shares(wanted).astype(np.float32)

    def _shares(self, wanted: Doubles) -> Doubles:
        shares: Doubles = self._maps @ wanted
        return shares

    def _add(self, rest: Doubles) -> None:
        """Fold what is not in the span, as a map of length one."""
        import numba

        from pegasus_runtime.deform.folding_kernel import fold_rows

        rest = rest / np.linalg.norm(rest)
        fold_rows(
            self.rows.values, self.rows.slopes, rest.reshape(3, -1).astype(np.float32),
            numba.get_num_threads(), self._folds[len(self._maps)],
        )  # fmt: skip
        self._maps = np.concatenate([self._maps, rest[None]])
        self.num_looks += 1
