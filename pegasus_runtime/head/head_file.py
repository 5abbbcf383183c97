"""Our own head file: safetensors in metres, y up, the face looking along +z."""

from __future__ import annotations

import json
import os
from functools import lru_cache
from importlib.resources import as_file, files
from typing import Any

import torch
from torch import Tensor

from pegasus_runtime.assets import file_sha256
from pegasus_runtime.documents import parse_json, require_file
from pegasus_runtime.errors import InvalidInput, one_line, quoted
from pegasus_runtime.files import replace_file
from pegasus_runtime.head.checks import check_head
from pegasus_runtime.head.landmark_embedding import LandmarkEmbedding
from pegasus_runtime.head.model import HEAD_SCALE, Head
from pegasus_runtime.names import check_name, check_names

HEADER_KEY = "pegasus_head"
FORMAT_NAME = "pegasus-head"
FORMAT_VERSION = 1
_METRIC = ("template", "identity_directions", "expression_directions", "pose_directions")
_PLAIN = ("faces", "joint_regressor", "skinning_weights")
_OPTIONAL = ("part_labels", "uv", "uv_faces")
_LANDMARKS = ("landmark_faces", "landmark_barycentric", "contour_faces", "contour_barycentric")
_KINDS = ("F16", "BF16", "F32", "F64", "I8", "U8", "I16", "U16", "I32", "U32", "I64")
MAX_FILE_BYTES, MAX_HEADER_ITEMS, MAX_LICENSE = 2 << 30, 100_000, 2_000
"""Of the file, the values of its header, and the characters of its licence: far above what heads
have; more lets a damaged file fill memory or a window."""


def read_head_file(path: str | os.PathLike[str]) -> Head:
    """Read a *.head file.

    Raises:
        FileNotFoundError: there is no such file.
        InvalidInput: it is damaged, of a newer version or not a head.
    """
    from safetensors import safe_open

    require_file(path, MAX_FILE_BYTES)
    try:
        with safe_open(str(path), framework="pt") as stream:
            metadata = stream.metadata() or {}
            names = {*_METRIC, *_PLAIN, *_OPTIONAL, *_LANDMARKS, "parents"} & set(stream.keys())
            kinds = {name: stream.get_slice(name).get_dtype() for name in names}
            odd = next((name for name, kind in kinds.items() if str(kind) not in _KINDS), None)
            if odd:
                raise ValueError(f"{odd} holds {kinds[odd]}")
            tensors = {name: stream.get_tensor(name) for name in names}
    except Exception as error:
        raise InvalidInput(f"{path}: not a head file, or a damaged one ({error}).") from error
    header = _parse_header(path, metadata)
    try:
        head = _assemble(header, tensors, file_sha256(path))
    except (KeyError, TypeError, ValueError, RuntimeError, OverflowError) as error:
        reason = f"it has no {error}" if isinstance(error, KeyError) else error
        raise InvalidInput(f"{path}: damaged head file ({reason}); get a fresh copy.") from None
    return check_head(head, path)


def _parse_header(path: str | os.PathLike[str], metadata: dict[str, str]) -> dict[str, Any]:
    if HEADER_KEY not in metadata:
        raise InvalidInput(f"{path}: a safetensors file, but not a head.")
    header: dict[str, Any] = parse_json(
        metadata[HEADER_KEY], str(path), dict, max_items=MAX_HEADER_ITEMS
    )
    name, version = header.get("format"), header.get("version")
    if name != FORMAT_NAME or type(version) is not int or version < 1:
        raise InvalidInput(
            f"{path}: not a head (format {quoted(name)}, version {quoted(version)})."
        )
    if version > FORMAT_VERSION:
        raise InvalidInput(
            f"{path}: made by a newer program (head version {version}, this program reads up to "
            f"{FORMAT_VERSION}); update the program."
        )
    return header


def _assemble(header: dict[str, Any], tensors: dict[str, Tensor], sha256: str) -> Head:
    metric = {name: tensors[name].float() * HEAD_SCALE for name in _METRIC}
    plain: dict[str, Any] = {name: _plain(tensors[name]) for name in _PLAIN}
    optional = {name: _plain(tensors[name]) for name in _OPTIONAL if name in tensors}
    return Head(
        name=check_name("head", header["name"]),
        sha256=sha256,
        parents=tuple(int(parent) for parent in tensors["parents"]),
        landmarks=_landmarks(tensors),
        expression_names=check_names("expression", header["expression_names"]),
        identity_names=check_names("identity", header["identity_names"]),
        part_names=check_names("part", header.get("part_names", [])),
        license=one_line(str(header.get("license", "")), MAX_LICENSE),
        **metric,
        **plain,
        **optional,
    )


def _plain(tensor: Tensor) -> Tensor:
    return tensor.float() if tensor.is_floating_point() else tensor.long()


def _landmarks(tensors: dict[str, Tensor]) -> LandmarkEmbedding | None:
    if "landmark_faces" not in tensors:
        return None
    return LandmarkEmbedding(
        faces=_plain(tensors["landmark_faces"]),
        barycentric=_plain(tensors["landmark_barycentric"]),
        contour_faces=_plain(tensors["contour_faces"]),
        contour_barycentric=_plain(tensors["contour_barycentric"]),
    )


def write_head(head: Head, path: str | os.PathLike[str], source: str = "") -> None:
    """Write a *.head file; directions are stored in half precision.

    Raises:
        InvalidInput: the folder cannot be written.
    """
    from safetensors.torch import save

    tensors = {name: getattr(head, name) / HEAD_SCALE for name in _METRIC}
    tensors |= {name: value.half() for name, value in tensors.items() if name != "template"}
    tensors |= {name: getattr(head, name) for name in _PLAIN}
    tensors |= {n: v for n in _OPTIONAL if (v := getattr(head, n)) is not None}
    tensors["parents"] = torch.tensor(head.parents)
    if head.landmarks is not None:
        marks = head.landmarks
        tensors |= {"landmark_faces": marks.faces, "landmark_barycentric": marks.barycentric}
        tensors |= {
            "contour_faces": marks.contour_faces,
            "contour_barycentric": marks.contour_barycentric,
        }
    header = {
        "format": FORMAT_NAME,
        "version": FORMAT_VERSION,
        "name": head.name,
        "expression_names": head.expression_names,
        "identity_names": head.identity_names,
        "part_names": head.part_names,
        "license": head.license,
        "source": source,
    }
    dense = torch.contiguous_format
    contiguous = {name: value.cpu().clone(memory_format=dense) for name, value in tensors.items()}
    with replace_file(path) as partial:
        partial.write_bytes(save(contiguous, {HEADER_KEY: json.dumps(header)}))


@lru_cache(maxsize=1)
def load_free_head() -> Head:
    """The head that comes with the program, free for every use (CC0)."""
    with as_file(files("resources") / "free_head.head") as path:
        return read_head_file(path)
