"""Reading pickled head files without running anything in them.

FLAME is published as Python pickles. A pickle is a program: unpickling one that somebody else
made can run anything. This reader knows the few classes such files are made of, stands in an
inert replacement of its own for each, and refuses every other name. No class of numpy, scipy or
chumpy is ever called with what the file says; arrays are rebuilt from their bytes by hand.
"""

from __future__ import annotations

import io
import math
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from pegasus_runtime.errors import Refused

MAX_FILE_BYTES = 1 << 30
_NPY_MAGIC = b"\x93NUMPY"
_ITEM_KINDS = "biuf"
Array = npt.NDArray[Any]


class Record:
    """An object of a known harmless class, kept as what the file says of it."""

    def __init__(self, *arguments: Any, **_: Any) -> None:
        self.arguments = arguments
        self.state: Any = {}

    def __setstate__(self, state: Any) -> None:
        self.state = state


class SparseRecord(Record):
    """A scipy.sparse matrix in compressed columns or rows."""


class ChumpyRecord(Record):
    """A chumpy array; its numbers are in the state's ``x``."""


class ItemType:
    """A numpy dtype: its code, its byte order."""

    def __init__(self, code: Any, *_: Any) -> None:
        self.code = code if isinstance(code, str) else ""
        self.order = "="

    def __setstate__(self, state: Any) -> None:
        if isinstance(state, tuple) and len(state) > 1 and state[1] in ("<", ">", "=", "|"):
            self.order = "=" if state[1] == "|" else state[1]

    @property
    def is_object(self) -> bool:
        return self.code.startswith("O")

    def resolve(self) -> np.dtype[Any]:
        """The numpy dtype, if it is one of plain numbers."""
        found = np.dtype(self.code)
        if found.kind not in _ITEM_KINDS or found.fields is not None or found.shape:
            raise ValueError(f"item type {self.code!r}")
        swapped: np.dtype[Any] = found.newbyteorder(self.order)  # type: ignore[arg-type]
        return swapped


class ArrayRecord:
    """A numpy array on its way; `value` once its state has been read."""

    def __init__(self, *_: Any) -> None:
        self.value: Any = None

    def __setstate__(self, state: Any) -> None:
        _, shape, item_type, is_fortran, data = state[:5]
        if item_type.is_object:
            self.value = data[0] if isinstance(data, list) and len(data) == 1 else data
            return
        raw = data.encode("latin1") if isinstance(data, str) else data
        found = item_type.resolve()
        sides = tuple(int(side) for side in shape)
        if any(side < 0 for side in sides) or math.prod(sides) * found.itemsize != len(raw):
            raise ValueError(f"array of shape {sides} with {len(raw)} bytes")
        order: Any = "F" if is_fortran else "C"
        self.value = np.frombuffer(raw, found).reshape(sides, order=order)


def _reconstruct_array(*_: Any) -> ArrayRecord:
    return ArrayRecord()


def _rebuild_scalar(item_type: Any, raw: Any) -> Any:
    data = raw.encode("latin1") if isinstance(raw, str) else raw
    return np.frombuffer(data, item_type.resolve())[0]


def _encode(text: Any, encoding: Any = "latin1", *_: Any) -> bytes:
    if encoding != "latin1" or not isinstance(text, str):
        raise ValueError("not a text in latin1")
    return text.encode("latin1")


def _make_object(*arguments: Any) -> Any:
    """copy_reg._reconstructor(class, base, state): an empty object of a known class."""
    if not arguments or not isinstance(arguments[0], type):
        raise ValueError("not a class")
    return arguments[0]()


def _load_storage(raw: Any) -> Any:
    import torch

    return torch.load(io.BytesIO(raw), map_location="cpu", weights_only=True)


def _rebuild_tensor(storage: Any, offset: Any, size: Any, stride: Any, *_: Any) -> Array:
    import torch

    untyped = storage._untyped_storage  # the public accessor warns
    flat = torch.tensor([], dtype=storage.dtype).set_(untyped)
    last = int(offset) + sum((int(n) - 1) * int(s) for n, s in zip(size, stride, strict=True))
    if min(int(offset), *map(int, size), *map(int, stride), 0) < 0 or last >= flat.numel():
        raise ValueError("tensor outside of its storage")
    if math.prod(map(int, size)) > flat.numel():
        raise ValueError("tensor larger than its storage")
    tensor: Array = flat.as_strided(tuple(size), tuple(stride), int(offset)).clone().numpy()
    return tensor


class _Function:
    """A function that a pickle may call but not change."""

    __slots__ = ("_function",)

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function

    def __call__(self, *arguments: Any) -> Any:
        return self._function(*arguments)

    def __setstate__(self, state: Any) -> None:
        raise ValueError("a function has no state")


_ARRAY_MODULES = ("numpy.core.multiarray", "numpy._core.multiarray")
_KNOWN: dict[tuple[str, str], Any] = {
    ("numpy", "ndarray"): ArrayRecord,
    ("numpy", "dtype"): ItemType,
    ("trimesh.caching", "TrackedArray"): ArrayRecord,
    ("_codecs", "encode"): _Function(_encode),
    ("collections", "OrderedDict"): Record,
    ("torch._utils", "_rebuild_tensor_v2"): _Function(_rebuild_tensor),
    ("torch.storage", "_load_from_bytes"): _Function(_load_storage),
    ("copy_reg", "_reconstructor"): _Function(_make_object),
    ("__builtin__", "object"): Record,
    ("builtins", "object"): Record,
    ("__builtin__", "set"): Record,
    ("builtins", "set"): Record,
}
_KNOWN |= {(m, "_reconstruct"): _Function(_reconstruct_array) for m in _ARRAY_MODULES}
_KNOWN |= {(m, "scalar"): _Function(_rebuild_scalar) for m in _ARRAY_MODULES}
_KNOWN |= {
    (f"scipy.sparse.{module}", f"{kind}_matrix"): SparseRecord
    for kind in ("csc", "csr")
    for module in (kind, f"_{kind}")
}


class _InertUnpickler(pickle._Unpickler):
    """Python's own unpickler, with stand-ins for what it knows and a refusal for the rest.

    The Python version is used because the C version reserves memory for whatever memo index a
    damaged file names.
    """

    dispatch: ClassVar[dict[int, Any]] = dict(pickle._Unpickler.dispatch)
    stack: list[Any]

    def load_bytearray8(self) -> None:
        raise Refused("it reserves memory, which no head file does")

    def load_setitem(self) -> None:
        _check_key(self.stack[-2])
        super().load_setitem()  # type: ignore[misc]

    def load_setitems(self) -> None:
        for key in self.stack[::2]:
            _check_key(key)
        super().load_setitems()  # type: ignore[misc]

    def load_dict(self) -> None:
        for key in self.stack[::2]:
            _check_key(key)
        super().load_dict()  # type: ignore[misc]

    dispatch[pickle.BYTEARRAY8[0]] = load_bytearray8
    dispatch[pickle.SETITEM[0]] = load_setitem
    dispatch[pickle.SETITEMS[0]] = load_setitems
    dispatch[pickle.DICT[0]] = load_dict

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) in _KNOWN:
            return _KNOWN[module, name]
        if module.split(".")[0] == "chumpy" and name.isidentifier():
            return ChumpyRecord
        raise Refused(f"it wants to use {module}.{name}, which a head has no use for")

    def persistent_load(self, pid: Any) -> Any:
        raise Refused("it refers to objects outside of the file")

    def get_extension(self, code: int) -> None:
        raise Refused("it uses registered extensions")


def _check_key(key: Any) -> None:
    """Keys are hashed, and hashing a tuple nested in itself takes for ever or ends the process."""
    if not isinstance(key, str | bytes | int):
        raise Refused(f"it uses a {type(key).__name__} as a name")


def read_pickle(path: Path) -> dict[Any, Any]:
    """The dictionary in a pickle, or in an .npy file that holds a pickled dictionary.

    Raises:
        FileNotFoundError: there is no such file.
        Refused: it is damaged, or holds anything but numbers in known wrappings.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file.")
    if path.stat().st_size > MAX_FILE_BYTES:
        raise Refused(f"{path}: larger than any head file; is it the right one?")
    raw = path.read_bytes()
    stream = io.BytesIO(raw)
    try:
        if raw.startswith(_NPY_MAGIC):
            _skip_npy_header(stream)
        content = _InertUnpickler(stream, encoding="latin1").load()
    except Refused as error:
        raise Refused(f"{path}: not opened, {error}; get the file from its publisher.") from None
    except (Exception, RecursionError, MemoryError) as error:
        raise Refused(
            f"{path}: damaged, or not a head file ({type(error).__name__}); get a fresh copy."
        ) from None
    content = content.value if isinstance(content, ArrayRecord) else content
    if not isinstance(content, dict):
        raise Refused(f"{path}: expected a dictionary of arrays, found {type(content).__name__}.")
    return content


def _skip_npy_header(stream: io.BytesIO) -> None:
    stream.seek(len(_NPY_MAGIC))
    major = stream.read(2)[0]
    stream.seek(int.from_bytes(stream.read(2 if major == 1 else 4), "little"), io.SEEK_CUR)


def as_array(value: Any) -> Array:
    """The numbers of an array, a chumpy object or a sparse matrix of a pickle, as float or int.

    Raises:
        ValueError: it holds no numbers.
    """
    for _ in range(8):
        if isinstance(value, ChumpyRecord) and isinstance(value.state, dict):
            value = value.state.get("x")
        elif isinstance(value, ArrayRecord):
            value = value.value
        else:
            break
    if isinstance(value, SparseRecord):
        return _dense(value)
    if not isinstance(value, np.ndarray):
        raise ValueError(f"expected an array, found {type(value).__name__}")
    return value


def _dense(matrix: SparseRecord) -> Array:
    state = matrix.state
    starts, minor, data = (as_array(state[name]) for name in ("indptr", "indices", "data"))
    rows, columns = (int(side) for side in state.get("_shape", state.get("shape")))
    if not (0 < rows <= 10_000_000 and 0 < columns <= 10_000_000 and rows * columns <= 1 << 24):
        raise ValueError(f"sparse matrix of {rows} × {columns}")
    by_columns = len(starts) == columns + 1 and (len(starts) != rows + 1 or minor.max() < rows)
    counts = np.diff(starts)
    if (counts < 0).any() or counts.sum() != len(data) or len(minor) != len(data):
        raise ValueError("sparse matrix with wrong counts")
    major = np.repeat(np.arange(len(counts)), counts)
    dense = np.zeros((rows, columns), data.dtype)
    np.add.at(dense, (minor, major) if by_columns else (major, minor), data)
    return dense
