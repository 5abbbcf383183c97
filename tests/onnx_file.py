"""Tiny ONNX networks without the onnx package, written by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

_FLOAT, _INT, _INTS = 1, 2, 7
_VARINT, _BYTES = 0, 2


def write_pixel_network(
    path: Path,
    weights: np.ndarray,
    sides: Sequence[int] = (512, 512),
    sigmoid: bool = False,
    pooled: bool = False,
) -> Path:
    """Write y = W x, weights (C, 3), of pictures (1, 3, H, W), with a sigmoid behind it or not, or
    its mean over the picture (1, C)."""
    nodes = [convolution("x", "w", "a"), *([node("Sigmoid", ["a"], "y")] if sigmoid else [])]
    if pooled:
        nodes += [node("GlobalAveragePool", ["a"], "b"), node("Flatten", ["b"], "y")]
    output = "y" if sigmoid or pooled else "a"
    found = (1, len(weights)) if pooled else (1, len(weights), *sides)
    shapes = {"x": (1, 3, *sides)}, {output: found}
    return write_network(path, nodes, *shapes, {"w": weights.reshape(len(weights), 3, 1, 1)})


def write_network(
    path: Path,
    nodes: Sequence[bytes],
    inputs: Mapping[str, Sequence[int]],
    outputs: Mapping[str, Sequence[int]],
    weights: Mapping[str, np.ndarray],
) -> Path:
    """Write nodes in their order, with the shapes of what goes in and comes out."""
    graph = b"".join(_field(1, one) for one in nodes) + _text(2, "graph")
    for name, values in weights.items():
        dims = b"".join(_number(1, side) for side in values.shape)
        raw = np.ascontiguousarray(values, np.float32).tobytes()
        graph += _field(5, dims + _number(2, _FLOAT) + _text(8, name) + _field(9, raw))
    graph += b"".join(_field(11, _value(name, shape)) for name, shape in inputs.items())
    graph += b"".join(_field(12, _value(name, shape)) for name, shape in outputs.items())
    path.write_bytes(_number(1, 8) + _field(7, graph) + _field(8, _text(1, "") + _number(2, 13)))
    return path


def node(kind: str, inputs: Sequence[str], output: str, **attributes: int | list[int]) -> bytes:
    """One operation, with whole numbers and lists of them as attributes."""
    whole = b"".join(_text(1, name) for name in inputs) + _text(2, output) + _text(4, kind)
    for name, value in attributes.items():
        if isinstance(value, int):
            content = _number(3, value) + _number(20, _INT)
        else:
            content = b"".join(_number(8, one) for one in value) + _number(20, _INTS)
        whole += _field(5, _text(1, name) + content)
    return whole


def convolution(values: str, weights: str, output: str, side: int = 1) -> bytes:
    """Each ``side``-th pixel anew, of the square behind it."""
    shape = [side, side]
    return node("Conv", [values, weights], output, kernel_shape=shape, strides=shape)


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
