"""A tiny ONNX network without the onnx package: a convolution of one pixel, written by hand."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

_FLOAT, _INTS = 1, 7
_VARINT, _BYTES = 0, 2


def write_pixel_network(
    path: Path, weights: np.ndarray, sides: Sequence[int] = (512, 512), sigmoid: bool = False
) -> Path:
    """Write y = W x, weights (C, 3), of pictures (1, 3, H, W), with a sigmoid behind it or not."""
    filters = np.ascontiguousarray(weights, np.float32).reshape(len(weights), 3, 1, 1)
    attribute = _text(1, "kernel_shape") + _number(8, 1) * 2 + _number(20, _INTS)
    convolution = _text(1, "x") + _text(1, "w") + _text(2, "a") + _text(4, "Conv")
    nodes = _field(1, convolution + _field(5, attribute))
    if sigmoid:
        nodes += _field(1, _text(1, "a") + _text(2, "y") + _text(4, "Sigmoid"))
    dims = b"".join(_number(1, side) for side in filters.shape)
    stored = dims + _number(2, _FLOAT) + _text(8, "w") + _field(9, filters.tobytes())
    graph = nodes + _text(2, "graph") + _field(5, stored)
    graph += _field(11, _value("x", (1, 3, *sides)))
    graph += _field(12, _value("y" if sigmoid else "a", (1, len(weights), *sides)))
    path.write_bytes(_number(1, 8) + _field(7, graph) + _field(8, _text(1, "") + _number(2, 13)))
    return path


def _value(name: str, shape: Sequence[int]) -> bytes:
    dims = b"".join(_field(1, _number(1, side)) for side in shape)
    return _text(1, name) + _field(2, _field(1, _number(1, _FLOAT) + _field(2, dims)))


def _field(number: int, content: bytes) -> bytes:
    return _varint(number << 3 | _BYTES) + _varint(len(content)) + content


def _text(number: int, text: str) -> bytes:
    return _field(number, text.encode())


def _number(number: int, value: int) -> bytes:
    return _varint(number << 3 | _VARINT) + _varint(value)


def _varint(value: int) -> bytes:
    parts = []
    while value > 127:
        parts.append(value & 127 | 128)
        value >>= 7
    return bytes([*parts, value])
