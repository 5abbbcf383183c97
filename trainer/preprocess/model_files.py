"""The estimators' weights: where they lie, and that they are what they are taken for."""

from __future__ import annotations

import hashlib
import io
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import as_file, files
from pathlib import Path

from pegasus_runtime.assets import asset_folder
from pegasus_runtime.documents import read_bytes
from pegasus_runtime.errors import InvalidInput

_MAX_MEMBERS = 100
_MAX_MEMBER_BYTES = 64 << 20
_MAX_ONNX_BYTES = 2 << 30
"""Far above the networks that are used; more lets a wrong file take more memory."""


@dataclass(frozen=True)
class ModelFile:
    """A file of weights, known by its checksum."""

    name: str
    num_bytes: int
    sha256: str


FACE_LANDMARKER = ModelFile(
    "face_landmarker.task",
    3_758_596,
    "64184e229b263107bc2b804c6625db1341ff2bb731874b0bcc2fe6544e0bc9ff",
)
SELFIE_SEGMENTATION = ModelFile(
    "selfie_segmentation.tflite",
    249_024,
    "8d13b7fae74af625c641226813616a2117bd6bca19eb3b75574621fc08557f27",
)
HAIR_SEGMENTATION = ModelFile(
    "hair_segmentation.tflite",
    780_588,
    "d2c940c4fd80edeaf38f5d7387d1b4235ee320ed120080df67c663e749e77633",
)
"""not shipped: a user may put it into the asset folder"""
MATTE_NAMES = ("modnet.onnx", "modnet_photographic_portrait_matting.onnx")
PARSING_NAMES = ("bisenet.onnx", "face_parsing.onnx", "79999_iter.onnx")
SAM_ENCODER_NAMES, SAM_DECODER_NAMES = ("sam_encoder.onnx",), ("sam_decoder.onnx",)
INPAINTER_NAMES = ("inpainter.onnx", "lama.onnx", "lama_fp32.onnx", "inpainting_lama_2025jan.onnx")
"""networks of others in ONNX, which the asset folder may hold; the first that is there is used"""


def read_shipped(model: ModelFile) -> bytes:
    """The bytes of a model that comes with the program.

    Raises:
        InvalidInput: it is missing or not the file it was.
    """
    with as_file(files("resources") / "models" / model.name) as path:
        try:
            return _read_checked(path, model, "install the program again")
        except FileNotFoundError:
            raise InvalidInput(f"{path}: is missing; install the program again.") from None


def read_optional(model: ModelFile) -> bytes | None:
    """The bytes of a model of the asset folder; None where it is not.

    Raises:
        InvalidInput: a file of that name is there and is another one.
    """
    path = find_asset((model.name,))
    if path is None:
        return None
    return _read_checked(path, model, "fetch it again, or remove it to work without")


def find_asset(names: Sequence[str]) -> Path | None:
    """The first of these files that lies in the asset folder, or in a folder of it."""
    folder = asset_folder()
    for name in names:
        found = sorted(p for p in folder.rglob(name) if p.is_file()) if folder.is_dir() else []
        if found:
            return found[0]
    return None


def read_onnx(path: Path) -> bytes:
    """The bytes of a network that a user brings; InvalidInput where they cannot be read."""
    return read_bytes(path, _MAX_ONNX_BYTES)


def unpack(raw: bytes, names: Sequence[str], label: str) -> dict[str, bytes]:
    """Members of a MediaPipe task, which is a zip; nothing is written anywhere.

    Raises:
        InvalidInput: it is damaged, lacks one of them, or one is larger than any model.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(raw)) as archive:
            listed = archive.infolist()
            sizes = {entry.filename: entry.file_size for entry in listed}
            if len(listed) > _MAX_MEMBERS or any(sizes[n] > _MAX_MEMBER_BYTES for n in names):
                raise InvalidInput(f"{label}: holds more than a model does; is it the right file?")
            return {name: archive.read(name) for name in names}
    except (zipfile.BadZipFile, KeyError, zlib.error, NotImplementedError, RuntimeError) as error:
        raise InvalidInput(f"{label}: is damaged ({error}); fetch it again.") from None


def _read_checked(path: Path, model: ModelFile, advice: str) -> bytes:
    raw = read_bytes(path, model.num_bytes)
    if hashlib.sha256(raw).hexdigest() != model.sha256:
        raise InvalidInput(
            f"{path}: is damaged or another version (wanted: sha256 {model.sha256[:12]}…); "
            f"{advice}."
        )
    return raw
