"""Arrays out of what a pickle of a head describes, made by hand from their bytes.

No class of numpy, scipy, torch or chumpy is called with what a file says: its shape, type and
bytes have to fit together before anything is made.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pegasus_runtime.documents import read_bytes
from pegasus_runtime.errors import InvalidInput, one_line
from pegasus_runtime.head.pickle_machine import Call, External, Named, Pairs
from pegasus_runtime.head.pickled_sparse import SPARSE_NAMES, densify
from pegasus_runtime.head.restricted_unpickler import MAX_STEPS, take_apart

MAX_FILE_BYTES = 512 << 20
MAX_ELEMENTS = 1 << 26
_MAX_LISTED_ARRAYS = 100_000
_MAX_WRAPPINGS = 8
"""Of the file, the numbers of one array, the arrays of one list, and arrays around one another:
many times what heads have; more lets a hostile file take more time and memory."""
_NUMBERS: set[type] = {int, float, bool}
_NPY_MAGIC = b"\x93NUMPY"
_TORCH_MAGIC = 0x1950A86A20F9469CFC6C
_ITEM_KINDS = "biuf"
_STORAGES = {
    "DoubleStorage": "f8", "FloatStorage": "f4", "HalfStorage": "f2", "LongStorage": "i8",
    "IntStorage": "i4", "ShortStorage": "i2", "CharStorage": "i1", "ByteStorage": "u1",
    "BoolStorage": "?",
}  # fmt: skip
Array = npt.NDArray[Any]

_NUMPY = ("numpy.core", "numpy._core")
_RECONSTRUCT = {(f"{numpy}.multiarray", "_reconstruct") for numpy in _NUMPY}
_SCALAR = {(f"{numpy}.multiarray", "scalar") for numpy in _NUMPY}
_FROM_BUFFER = {(f"{numpy}.numeric", "_frombuffer") for numpy in _NUMPY}
_ENCODE = {("_codecs", "encode")}
_BYTES = {("builtins", "bytes"), ("__builtin__", "bytes"), ("builtins", "bytearray")}
_TENSOR = {("torch._utils", "_rebuild_tensor_v2"), ("torch._utils", "_rebuild_tensor")}
_PARAMETER = {("torch._utils", "_rebuild_parameter")}
_STORAGE = {("torch.storage", "_load_from_bytes")}
_MAPPING = {("collections", "OrderedDict"), ("builtins", "dict"), ("__builtin__", "dict")}
_ARRAY_TYPES = {
    ("numpy", "ndarray"), ("numpy", "matrix"), ("numpy", "memmap"), ("numpy", "dtype"),
    ("numpy.matrixlib.defmatrix", "matrix"), ("trimesh.caching", "TrackedArray"),
    *((f"{numpy}.memmap", "memmap") for numpy in _NUMPY),
}  # fmt: skip
_HARMLESS = {
    ("copy_reg", "_reconstructor"), ("copyreg", "_reconstructor"), ("copyreg", "__newobj__"),
    ("copy_reg", "__newobj__"), ("__builtin__", "object"), ("builtins", "object"),
    ("__builtin__", "set"), ("builtins", "set"), ("builtins", "frozenset"),
    ("__builtin__", "frozenset"), ("builtins", "list"), ("__builtin__", "list"),
}  # fmt: skip
_KNOWN = (
    _RECONSTRUCT | _SCALAR | _FROM_BUFFER | _ENCODE | _BYTES | _TENSOR | _PARAMETER | _STORAGE
    | _MAPPING | _ARRAY_TYPES | _HARMLESS | set(SPARSE_NAMES)
)  # fmt: skip


def _is_known(module: str, name: str) -> bool:
    return (module, name) in _KNOWN or _is_chumpy(module, name)


def _is_chumpy(module: str, name: str) -> bool:
    return module.partition(".")[0] == "chumpy" and name.isidentifier()


def _is_torch(module: str, name: str) -> bool:
    return module in ("torch", "torch.storage") and name.endswith("Storage")


def read_pickle(path: Path) -> dict[str, Any]:
    """The dictionary in a pickle, or in an .npy file that holds a pickled dictionary.

    Its values are what `as_array` takes.

    Raises:
        FileNotFoundError: there is no such file.
        InvalidInput: it is damaged, or holds anything but numbers in known wrappings.
    """
    raw = read_bytes(path, MAX_FILE_BYTES)
    try:
        start = _after_npy_header(raw) if raw.startswith(_NPY_MAGIC) else 0
        content, _ = take_apart(raw, start, _is_known)
        return as_mapping(_unwrapped(content))
    except InvalidInput as error:
        raise InvalidInput(
            f"{path}: not opened, {error}; get the file from its publisher."
        ) from None
    except (ValueError, LookupError, struct.error, TypeError, OverflowError, MemoryError) as error:
        raise InvalidInput(
            f"{path}: damaged, or not a head file ({type(error).__name__}); get a fresh copy."
        ) from None


def _after_npy_header(raw: bytes) -> int:
    start = len(_NPY_MAGIC) + 2
    form = "<H" if raw[len(_NPY_MAGIC)] == 1 else "<I"
    return start + struct.calcsize(form) + int(struct.unpack_from(form, raw, start)[0])


def as_mapping(value: Any) -> dict[str, Any]:
    """The values of a described dictionary that are named by texts.

    Raises:
        InvalidInput: it is not a dictionary.
    """
    pairs = value.pairs if isinstance(value, Pairs) or _is(value, _MAPPING) else None
    if pairs is None:
        raise InvalidInput(f"it holds {_said(value)} where a dictionary of arrays should be")
    if _is(value, _MAPPING) and value.arguments and isinstance(value.arguments[0], list):
        pairs = [*value.arguments[0], *pairs]
    return {pair[0]: pair[1] for pair in pairs if len(pair) == 2 and isinstance(pair[0], str)}


def as_array(value: Any) -> Array:
    """The numbers of an array, a tensor, a chumpy object, a sparse matrix or lists of numbers.

    Raises:
        ValueError: it holds no numbers, or what it says of them does not fit together.
    """
    value = _unwrapped(value)
    kind = SPARSE_NAMES.get(_maker(value))
    return densify(kind, value, _plain_array) if kind else _plain_array(value)


# Nothing from here on goes into what is wrapped again: nesting costs neither time nor stack.


def _plain_array(value: Any) -> Array:
    if isinstance(value, list | tuple):
        return _of_lists(value)
    if isinstance(value, int | float):
        return np.array(value, np.int64 if isinstance(value, int) else np.float64)
    return _of_call(value)


def _of_call(value: Any) -> Array:
    if _is(value, _RECONSTRUCT):
        return _of_state(value.state)
    if _is(value, _FROM_BUFFER):
        data, item, shape, order = value.arguments[:4]
        return _of_bytes(_as_bytes(data), item_type(item), shape, order)
    if _is(value, _SCALAR):
        item, data = value.arguments[:2]
        return _of_bytes(_as_bytes(data), item_type(item), (), "C")
    if _is(value, _TENSOR):
        return _of_tensor(*value.arguments[:4])
    raise ValueError(f"expected an array, found {_said(value)}")


def _unwrapped(value: Any) -> Any:
    """What is in a chumpy object, a parameter of torch, or an array of one object."""
    for _ in range(_MAX_WRAPPINGS):
        if not isinstance(value, Call):
            return value
        if _is_chumpy(value.maker.module, value.maker.name):
            value = as_mapping(value.state).get("x")
        elif _is(value, _PARAMETER):
            value = value.arguments[0]
        elif _is(value, _RECONSTRUCT) and _has_objects(value.state):
            held = value.state[4]
            if not isinstance(held, list) or len(held) != 1:
                return value
            value = held[0]
        else:
            return value
    raise ValueError("wrapped too often")


def _has_objects(state: Any) -> bool:
    item = state[2] if isinstance(state, tuple) and len(state) >= 5 else None
    code = item.arguments[0] if isinstance(item, Call) and item.arguments else ""
    return isinstance(code, str) and code.startswith("O")


def _of_state(state: Any) -> Array:
    if not isinstance(state, tuple) or len(state) < 5:
        raise ValueError("an array without a state")
    _, shape, item, is_fortran, data = state[:5]
    if isinstance(data, list):
        return _of_lists(data).reshape(as_sides(shape), order="F" if is_fortran else "C")
    return _of_bytes(_as_bytes(data), item_type(item), shape, "F" if is_fortran else "C")


def _of_bytes(data: bytes, item: np.dtype[Any], shape: Any, order: Any) -> Array:
    sides: tuple[int, ...] = as_sides(shape)
    if math.prod(sides) * item.itemsize != len(data):
        raise ValueError(f"an array of shape {sides} with {len(data)} bytes")
    return np.frombuffer(data, item).reshape(sides, order="F" if order == "F" else "C")


def as_sides(shape: Any) -> tuple[int, ...]:
    """A shape of at most four sides that says of how many numbers an array is.

    Raises:
        ValueError: it is none, or an array of that shape is larger than any head's.
    """
    if not isinstance(shape, tuple | list) or len(shape) > 4:
        raise ValueError("not a shape")
    sides = tuple(int(_of_call(side)) if _is(side, _SCALAR) else side for side in shape)
    if any(type(side) is not int or side < 0 for side in sides):
        raise ValueError("not a shape")
    if math.prod(max(side, 1) for side in sides) > MAX_ELEMENTS:
        raise ValueError(f"an array of shape {sides} is larger than any head's")
    return sides


def item_type(item: Any) -> np.dtype[Any]:
    """The numpy type of a described one, if it is one of plain numbers.

    Raises:
        ValueError: it is not.
    """
    if not _is(item, {("numpy", "dtype")}) or not isinstance(item.arguments[0], str):
        raise ValueError("not an item type")
    code = item.arguments[0]
    found = np.dtype(code) if len(code) <= 3 else None
    if found is None or found.kind not in _ITEM_KINDS or found.fields or found.shape:
        raise ValueError(f"item type {one_line(code, 20)}")
    order = item.state[1] if isinstance(item.state, tuple) and len(item.state) > 1 else "="
    return found if order not in ("<", ">") else found.newbyteorder("<" if order == "<" else ">")


def _as_bytes(data: Any) -> bytes:
    """Bytes, or the text in latin1 or the call of an encoder that stands for them."""
    if _is(data, _ENCODE):
        text, *encoding = data.arguments
        if encoding not in ([], ["latin1"], ["latin-1"]):
            raise ValueError("not a text in latin1")
        data = text
    elif _is(data, _BYTES) and len(data.arguments) <= 1:
        data = data.arguments[0] if data.arguments else b""
    if isinstance(data, str) and len(data) <= MAX_FILE_BYTES:
        return data.encode("latin1")
    if not isinstance(data, bytes):
        raise ValueError(f"expected bytes, found {_said(data)}")
    return data


def _of_lists(value: Sequence[Any]) -> Array:
    """Numbers or arrays of lists within lists, all of one length at each level."""
    shape = [len(value)]
    level: list[Any] = list(value)
    while level and isinstance(level[0], list | tuple):
        width = len(level[0])
        shape.append(width)
        if len(shape) > 4 or math.prod(shape) > MAX_STEPS:
            raise ValueError("lists of more numbers than any head has")
        if any(not isinstance(row, list | tuple) or len(row) != width for row in level):
            raise ValueError("lists of different lengths")
        level = [number for row in level for number in row]
    if level and isinstance(level[0], Call):
        return _of_arrays(level, shape)
    kinds = {type(number) for number in level}
    if not kinds <= _NUMBERS:
        raise ValueError("lists of something else than numbers")
    return np.array(level, np.float64 if float in kinds else np.int64).reshape(shape)


def _of_arrays(level: list[Any], shape: list[int]) -> Array:
    first = _of_call(level[0])
    if first.size * len(level) > MAX_ELEMENTS or len(level) > _MAX_LISTED_ARRAYS:
        raise ValueError("lists of more numbers than any head has")
    stacked = np.empty((len(level), *first.shape), first.dtype)
    for index, described in enumerate(level):
        found = _of_call(described)
        if found.shape != first.shape or found.dtype != first.dtype:
            raise ValueError("lists of different arrays")
        stacked[index] = found
    return stacked.reshape(*shape, *first.shape)


def _of_tensor(storage: Any, offset: Any, size: Any, stride: Any) -> Array:
    flat = _of_storage(storage)
    sides = as_sides(size)
    steps = as_sides(stride)
    if type(offset) is not int or offset < 0 or len(sides) != len(steps):
        raise ValueError("a tensor without a place in its storage")
    count: int = math.prod(list(sides))
    last = offset + sum((side - 1) * step for side, step in zip(sides, steps, strict=True))
    if count > len(flat) or (count and last >= len(flat)):
        raise ValueError("a tensor larger than its storage")
    bytes_each = tuple(step * flat.itemsize for step in steps)
    return np.lib.stride_tricks.as_strided(flat[offset:], sides, bytes_each).copy()


def _of_storage(storage: Any) -> Array:
    """The numbers that torch's format for one storage holds: four pickles, then the bytes."""
    if not _is(storage, _STORAGE):
        raise ValueError("a tensor without a storage")
    raw = _as_bytes(storage.arguments[0])
    magic, at = take_apart(raw, 0, _is_torch)
    _, at = take_apart(raw, at, _is_torch)
    _, at = take_apart(raw, at, _is_torch)
    described, at = take_apart(raw, at, _is_torch, allow_external=True)
    _, at = take_apart(raw, at, _is_torch)
    key = described.key if isinstance(described, External) else ()
    kind = key[1] if isinstance(key, tuple) and len(key) > 1 else None
    if magic != _TORCH_MAGIC or not isinstance(kind, Named) or kind.name not in _STORAGES:
        raise ValueError("not a storage of plain numbers")
    item = np.dtype(_STORAGES[kind.name])
    count = int(struct.unpack_from("<q", raw, at)[0])
    if count < 0 or count * item.itemsize != len(raw) - at - 8:
        raise ValueError("a storage of another size")
    return np.frombuffer(raw, item, count, at + 8)


def _maker(value: Any) -> tuple[str, str]:
    return (value.maker.module, value.maker.name) if isinstance(value, Call) else ("", "")


def _is(value: Any, names: set[tuple[str, str]]) -> bool:
    return _maker(value) in names


def _said(value: Any) -> str:
    """What a described value is, in a word or two."""
    if isinstance(value, Call):
        return one_line(f"{value.maker.module}.{value.maker.name}", 80)
    names = {Pairs: "a dictionary", Named: "a function", type(None): "nothing"}
    return names.get(type(value), f"a {type(value).__name__}")
