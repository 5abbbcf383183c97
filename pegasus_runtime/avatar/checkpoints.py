"""Reading torch's checkpoints of strangers: plain tensors, and no more memory than the file has.

`torch.load(weights_only=True)` runs nothing, but it hashes what a file says, takes the memory that
a file declares, and unpacks what a file has packed. So the pickle in it is taken apart first, as
those of heads are.
"""

from __future__ import annotations

import pickle
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pegasus_runtime.documents import read_bytes, require_file
from pegasus_runtime.errors import InvalidInput, quoted
from pegasus_runtime.head.restricted_unpickler import take_apart_for_torch

MAX_FILE_BYTES = 2 << 30
_MAX_PICKLE_BYTES = 64 << 20
"""Of the file, and of the names in it: far above what trainings write; more lets a hostile file
take more memory before it is refused."""
_MAGIC = 0x1950A86A20F9469CFC6C
_WRAPPERS = ("module.", "_orig_mod.")
"""What DataParallel and torch.compile put before the names of parameters."""


def read_checkpoint(path: Path) -> dict[str, Any]:
    """The dictionary in a checkpoint.

    Raises:
        FileNotFoundError: there is no such file.
        InvalidInput: it is damaged, holds more than plain tensors and numbers, or declares more
            than it holds.
    """
    require_file(path, MAX_FILE_BYTES)
    try:
        with path.open("rb") as stream:
            is_zip = stream.read(4) == b"PK\x03\x04"
        _check_zip(path) if is_zip else _check_legacy(path)
        with torch.serialization.safe_globals(_numpy_scalars()):
            content = torch.load(path, map_location="cpu", weights_only=True)
    except InvalidInput as error:
        raise InvalidInput(f"{path}: not opened, {error}; get a fresh copy.") from None
    except (pickle.UnpicklingError, Exception) as error:
        raise InvalidInput(
            f"{path}: damaged, or holds more than plain tensors ({type(error).__name__}); "
            "it was not opened."
        ) from None
    if not isinstance(content, dict):
        raise InvalidInput(f"{path}: expected a dictionary of tensors, found {quoted(content)}.")
    return content


def _numpy_scalars() -> list[Any]:
    """Names that numpy's numbers are saved with, by its versions 1 and 2."""
    scalar = np.float64(0).__reduce__()[0]
    kinds = ("Float64", "Float32", "Float16", "Int64", "Int32", "UInt8", "Bool")
    dtypes = [getattr(np.dtypes, f"{kind}DType") for kind in kinds]
    spellings = ("numpy.core.multiarray.scalar", "numpy._core.multiarray.scalar")
    return [np.dtype, *dtypes, *((scalar, name) for name in spellings)]


def _check_zip(path: Path) -> None:
    with zipfile.ZipFile(path) as archive:
        entries = archive.infolist()
        if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries):
            raise InvalidInput("it is packed, which torch's files never are")
        total = sum(entry.file_size for entry in entries)
        if total > path.stat().st_size:
            raise InvalidInput("its parts are larger than the whole")
        pickles = [entry for entry in entries if entry.filename.endswith("/data.pkl")]
        if len(pickles) != 1 or pickles[0].file_size > _MAX_PICKLE_BYTES:
            raise InvalidInput("it has not one description of its tensors")
        take_apart_for_torch(archive.read(pickles[0]), 0)


def _check_legacy(path: Path) -> None:
    """The format before torch 1.6: three pickles of constants, the content, the storages."""
    raw = read_bytes(path, MAX_FILE_BYTES)
    magic, at, _ = take_apart_for_torch(raw, 0)
    if magic != _MAGIC:
        raise InvalidInput("it is not a file of torch")
    for _ in range(2):
        _, at, _ = take_apart_for_torch(raw, at)
    _, _, storages = take_apart_for_torch(raw, at)
    # Torch takes the memory of each storage before it looks whether the file holds it.
    declared = {}
    for key in storages:
        if not isinstance(key, tuple) or len(key) < 5 or type(key[4]) is not int:
            raise InvalidInput("it describes a storage in an unknown way")
        declared[str(key[2])] = abs(key[4])
    if sum(declared.values()) > len(raw):
        raise InvalidInput("it declares more numbers than it holds")


def plain_state(content: Any, path: Path, name: str) -> dict[str, Tensor]:
    """The tensors of a module by their names, without the names of wrappers.

    Raises:
        InvalidInput: there is no such dictionary of plain tensors.
    """
    state = content.get(name) if isinstance(content, dict) else None
    if not isinstance(state, dict) or not all(isinstance(key, str) for key in state):
        raise InvalidInput(f"{path}: has no {name}; not a checkpoint of a run.")
    for wrapper in _WRAPPERS:
        if state and all(key.startswith(wrapper) for key in state):
            state = {key.removeprefix(wrapper): value for key, value in state.items()}
    tensors = {key: value for key, value in state.items() if isinstance(value, Tensor)}
    for key, value in tensors.items():
        reason = _oddity(value)
        if reason:
            raise InvalidInput(
                f"{path}: {quoted(key)} {reason}; save the run again with plain tensors."
            )
    return tensors


def _oddity(tensor: Tensor) -> str:
    """What is wrong with a tensor, or nothing."""
    if tensor.layout != torch.strided or tensor.is_nested:
        return f"is sparse ({tensor.layout})"
    if tensor.device.type != "cpu":
        return f"holds no numbers (device {tensor.device})"
    if tensor.is_quantized or tensor.is_complex():
        return f"holds {tensor.dtype}, expected floating point numbers"
    if tensor.numel() * tensor.element_size() > tensor.untyped_storage().nbytes():
        return f"says it is of shape {tuple(tensor.shape)}, more than it holds"
    if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
        return "holds NaN or infinity"
    return ""
