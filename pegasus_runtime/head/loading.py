"""Opening head files, whichever of the two formats they are in."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pegasus_runtime.assets import file_sha256
from pegasus_runtime.documents import require_file
from pegasus_runtime.errors import InvalidInput, one_line
from pegasus_runtime.head.checks import MAX_FACES, check_head
from pegasus_runtime.head.head_file import read_head_file
from pegasus_runtime.head.landmark_embedding import LandmarkEmbedding, check_landmarks
from pegasus_runtime.head.landmarks import NUM_CONTOUR
from pegasus_runtime.head.model import HEAD_SCALE, NUM_JOINTS, Head
from pegasus_runtime.head.pickled_arrays import MAX_FILE_BYTES, as_array, read_pickle
from pegasus_runtime.parameters import NUM_EXPRESSIONS, NUM_IDENTITIES

_FIRST_EXPRESSION = 300
"""FLAME stores 300 identity directions, then 100 expression directions."""
_LANDMARKS = "landmark_embedding.npy"


def load_head(path: str | os.PathLike[str]) -> Head:
    """Open a head: a FLAME pickle (generic_model.pkl) or our own *.head file.

    FLAME has its landmarks in a file of their own: `landmark_embedding.npy` is read where it lies
    beside the head. Nothing in a pickle is run.

    Raises:
        FileNotFoundError: there is no such file.
        InvalidInput: a file is damaged, is not what it should be, or holds anything but numbers.
    """
    source = require_file(path, MAX_FILE_BYTES)
    with source.open("rb") as stream:
        start = stream.read(9)
    # safetensors: the length of a JSON header, then the header.
    header_length = int.from_bytes(start[:8], "little")
    is_ours = start[8:] == b"{" and header_length < source.stat().st_size
    if is_ours or source.suffix == ".head":
        return read_head_file(source)
    head, marks = _read_flame(source), source.with_name(_LANDMARKS)
    if not marks.is_file():
        return head
    embedding = load_landmarks(marks)
    try:
        return head.with_landmarks(embedding)
    except InvalidInput as error:
        raise InvalidInput(f"{marks}: {error}") from None


def load_landmarks(path: str | os.PathLike[str]) -> LandmarkEmbedding:
    """Read landmark_embedding.npy of a FLAME head.

    Raises:
        FileNotFoundError: there is no such file.
        InvalidInput: the file is damaged or is not a landmark embedding.
    """
    content = read_pickle(Path(path))
    try:
        front = _indices(content["full_lmk_faces_idx"]).reshape(68)[:NUM_CONTOUR]
        front_weights = _numbers(content["full_lmk_bary_coords"]).reshape(68, 3)[:NUM_CONTOUR]
        inner = _indices(content["static_lmk_faces_idx"]).reshape(51)
        inner_weights = _numbers(content["static_lmk_bary_coords"]).reshape(51, 3)
        embedding = LandmarkEmbedding(
            faces=torch.cat([front, inner]),
            barycentric=torch.cat([front_weights, inner_weights]),
            contour_faces=_indices(content["dynamic_lmk_faces_idx"]).reshape(79, 17),
            contour_barycentric=_numbers(content["dynamic_lmk_bary_coords"]).reshape(79, 17, 3),
        )
        check_landmarks(embedding, MAX_FACES)
    except Exception as error:
        raise InvalidInput(f"{path}: not a landmark embedding ({_reason(error)}).") from None
    return embedding


def _read_flame(path: Path) -> Head:
    content = read_pickle(path)
    try:
        head = _assemble(content, path)
    except InvalidInput as error:
        raise InvalidInput(
            f"{path}: not opened, {error}; get the file from its publisher."
        ) from None
    except KeyError as error:
        raise InvalidInput(f"{path}: has no {error}; it is not a FLAME head.") from None
    except Exception as error:
        raise InvalidInput(f"{path}: damaged head ({_reason(error)}); get a fresh copy.") from None
    return check_head(head, path)


def _reason(error: Exception) -> str:
    missing = f"has no {error}" if isinstance(error, KeyError) else str(error)
    return one_line(missing) or type(error).__name__


def _assemble(content: dict[str, Any], path: Path) -> Head:
    directions = _numbers(content["shapedirs"])
    last = _FIRST_EXPRESSION + NUM_EXPRESSIONS
    if directions.dim() != 3 or directions.shape[2] < last:
        raise ValueError(
            f"shapedirs has shape {tuple(directions.shape)}, expected (V, 3, {last}) or more: "
            f"{_FIRST_EXPRESSION} of shapes, then {NUM_EXPRESSIONS} of expressions"
        )
    return Head(
        name=path.stem,
        sha256=file_sha256(path),
        template=_numbers(content["v_template"]) * HEAD_SCALE,
        faces=_indices(content["f"]),
        identity_directions=directions[:, :, :NUM_IDENTITIES] * HEAD_SCALE,
        expression_directions=directions[:, :, _FIRST_EXPRESSION:last] * HEAD_SCALE,
        pose_directions=_numbers(content["posedirs"]) * HEAD_SCALE,
        joint_regressor=_numbers(content["J_regressor"]),
        skinning_weights=_numbers(content["weights"]),
        parents=_parents(as_array(content["kintree_table"])),
        landmarks=None,
        expression_names=tuple(f"expression {i + 1}" for i in range(NUM_EXPRESSIONS)),
        identity_names=tuple(f"shape {i + 1}" for i in range(NUM_IDENTITIES)),
        license="licensed by its publisher; not for redistribution",
    )


def _parents(table: Any) -> tuple[int, ...]:
    """The first row of FLAME's kinematic table; the root's entry is a number without meaning."""
    if table.ndim != 2 or table.shape[1] != NUM_JOINTS:
        raise ValueError(f"kintree_table has shape {table.shape}, expected (2, {NUM_JOINTS})")
    return (-1, *(int(parent) for parent in table[0][1:]))


def _numbers(value: Any) -> Tensor:
    # What float32 cannot hold becomes an infinity, which is refused with its name.
    with np.errstate(all="ignore"):
        return torch.from_numpy(np.array(as_array(value), dtype=np.float32))


def _indices(value: Any) -> Tensor:
    found = as_array(value)
    with np.errstate(all="ignore"):
        indices = np.array(found, dtype=np.int64)
        if not np.array_equal(indices, found):
            raise ValueError("indices that are not whole numbers")
    return torch.from_numpy(indices)
