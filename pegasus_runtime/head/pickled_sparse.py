"""Sparse matrices out of what a pickle describes of them, as full arrays."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from pegasus_runtime.head.pickle_machine import Call, Pairs

Array = npt.NDArray[Any]
ToArray = Callable[[Any], Array]
_KINDS = ("csc", "csr", "coo", "bsr", "dia", "dok", "lil")
SPARSE_NAMES = {
    (f"scipy.sparse{module}", f"{kind}_{container}"): kind
    for kind in _KINDS
    for container in ("matrix", "array")
    for module in ("", f".{kind}", f"._{kind}")
}
"""Module and name of scipy's classes, old and new, and what they are."""
_MAX_ELEMENTS = 1 << 24
"""Of a matrix when it is unfolded; more lets a small file take much memory."""


def densify(kind: str, matrix: Call, to_array: ToArray) -> Array:
    """The full array (rows, columns) of a sparse matrix.

    Args:
        kind: "csc", "csr", "coo", "bsr", "dia", "dok" or "lil".
        matrix: what the pickle says of it.
        to_array: makes arrays of its parts.

    Raises:
        ValueError: its parts do not fit together, or it is larger than any head's.
    """
    state = dict(_state_pairs(matrix.state))
    shape = _shape(state, to_array)
    rows, columns, data = _FINDERS[kind](_Parts(state, matrix, to_array), shape)
    if not len(rows) == len(columns) == len(data):
        raise ValueError("a sparse matrix with wrong counts")
    for indices, limit in zip((rows, columns), shape, strict=True):
        if len(indices) and not (indices.min() >= 0 and indices.max() < limit):
            raise ValueError("a sparse matrix with numbers outside of it")
    dense = np.zeros(shape, data.dtype)
    np.add.at(dense, (rows.astype(np.int64), columns.astype(np.int64)), data)
    return dense


def _state_pairs(state: Any) -> list[tuple[str, Any]]:
    if isinstance(state, tuple) and len(state) == 2:
        return [*_state_pairs(state[0]), *_state_pairs(state[1])]
    pairs = state.pairs if isinstance(state, Pairs) else []
    return [(key, value) for key, value in pairs if isinstance(key, str)]


def _shape(state: dict[str, Any], to_array: ToArray) -> tuple[int, int]:
    sides = to_array(state["_shape"] if "_shape" in state else state["shape"])
    if sides.shape != (2,) or sides.dtype.kind not in "iu":
        raise ValueError("a sparse matrix without two sides")
    rows, columns = (int(side) for side in sides)
    if not (rows > 0 and columns > 0 and rows * columns <= _MAX_ELEMENTS):
        raise ValueError(f"a sparse matrix of {rows} × {columns}")
    return rows, columns


class _Parts:
    """The parts of a sparse matrix by their names."""

    def __init__(self, state: dict[str, Any], matrix: Call, to_array: ToArray) -> None:
        self.state, self.matrix, self.to_array = state, matrix, to_array

    def vector(self, name: str) -> Array:
        found = self.array(name)
        if found.ndim != 1:
            raise ValueError(f"{name} of a sparse matrix is not a list")
        return found

    def array(self, name: str) -> Array:
        found = self.to_array(self.state[name])
        if found.size > _MAX_ELEMENTS:
            raise ValueError(f"{name} of a sparse matrix holds too much")
        return found

    def indices(self, name: str) -> Array:
        found = self.vector(name)
        if found.dtype.kind not in "iu":
            raise ValueError(f"{name} of a sparse matrix are not indices")
        return found

    def repeated(self) -> Array:
        """The major index of each entry, of the starts of rows or columns."""
        starts, total = self.indices("indptr").astype(np.int64), len(self.indices("indices"))
        counts: npt.NDArray[np.int64] = starts[1:] - starts[:-1]
        if not len(starts) or starts[0] != 0 or starts[-1] != total or (counts < 0).any():
            raise ValueError("a sparse matrix with wrong counts")
        # They only grow, from none to all of them.
        return np.repeat(np.arange(len(counts)), counts)


Entries = tuple[Array, Array, Array]
"""rows, columns and values"""


def _find_csr(parts: _Parts, shape: tuple[int, int]) -> Entries:
    return parts.repeated(), parts.indices("indices"), parts.vector("data")


def _find_csc(parts: _Parts, shape: tuple[int, int]) -> Entries:
    return parts.indices("indices"), parts.repeated(), parts.vector("data")


def _find_coo(parts: _Parts, shape: tuple[int, int]) -> Entries:
    coords = parts.state.get("coords")
    if isinstance(coords, tuple) and len(coords) == 2:
        rows, columns = (parts.to_array(axis) for axis in coords)
    else:
        rows, columns = parts.indices("row"), parts.indices("col")
    if rows.ndim != 1 or columns.ndim != 1 or {rows.dtype.kind, columns.dtype.kind} - set("iu"):
        raise ValueError("a sparse matrix without indices")
    return rows, columns, parts.vector("data")


def _find_bsr(parts: _Parts, shape: tuple[int, int]) -> Entries:
    blocks = parts.array("data")
    if blocks.ndim != 3:
        raise ValueError("blocks of a sparse matrix without sides")
    _, height, width = blocks.shape
    down, right = np.indices((height, width))
    if not len(blocks) == len(parts.indices("indices")):
        raise ValueError("a sparse matrix with wrong counts")
    rows = parts.repeated()[:, None, None] * height + down
    columns = parts.indices("indices").astype(np.int64)[:, None, None] * width + right
    return rows.ravel(), columns.ravel(), blocks.ravel()


def _find_dia(parts: _Parts, shape: tuple[int, int]) -> Entries:
    data, offsets = parts.array("data"), parts.indices("offsets")
    if data.ndim != 2 or len(data) != len(offsets):
        raise ValueError("diagonals of a sparse matrix without offsets")
    columns = np.broadcast_to(np.arange(data.shape[1]), data.shape)
    rows = columns - offsets.astype(np.int64)[:, None]
    inside = (rows >= 0) & (rows < shape[0]) & (columns < shape[1])
    return rows[inside], columns[inside], data[inside]


def _find_dok(parts: _Parts, shape: tuple[int, int]) -> Entries:
    held = parts.state.get("_dict", parts.matrix)
    if isinstance(held, Call) and not held.pairs and len(held.arguments) > 1:
        held = held.arguments[1]
    pairs = held.pairs if isinstance(held, Call | Pairs) else []
    places = parts.to_array([key for key, _ in pairs]).reshape(-1, 2)
    if places.size and places.dtype.kind not in "iu":
        raise ValueError("a sparse matrix without indices")
    values = parts.to_array([value for _, value in pairs])
    return places[:, 0], places[:, 1], values


def _find_lil(parts: _Parts, shape: tuple[int, int]) -> Entries:
    columns, values = _lists(parts.state["rows"]), _lists(parts.state["data"])
    counts = [len(row) for row in columns]
    if counts != [len(row) for row in values]:
        raise ValueError("a sparse matrix with wrong counts")
    rows = np.repeat(np.arange(len(counts)), counts)
    flat = parts.to_array([column for row in columns for column in row])
    numbers = parts.to_array([value for row in values for value in row])
    if flat.size and flat.dtype.kind not in "iu":
        raise ValueError("a sparse matrix without indices")
    return rows, flat, numbers


def _lists(value: Any) -> list[list[Any]]:
    """The lists that an array of objects holds."""
    held = value.state[4] if isinstance(value, Call) and isinstance(value.state, tuple) else value
    if not isinstance(held, list) or not all(isinstance(row, list) for row in held):
        raise ValueError("a sparse matrix without rows")
    return held


_FINDERS: dict[str, Callable[[_Parts, tuple[int, int]], Entries]] = {
    "csr": _find_csr, "csc": _find_csc, "coo": _find_coo, "bsr": _find_bsr, "dia": _find_dia,
    "dok": _find_dok, "lil": _find_lil,
}  # fmt: skip
