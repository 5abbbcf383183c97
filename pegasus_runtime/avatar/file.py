"""The avatar file: safetensors with a JSON header, and nothing in it that runs."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from pegasus_runtime.avatar.avatar import Avatar
from pegasus_runtime.avatar.latent import LatentCodes
from pegasus_runtime.avatar.networks import AvatarNetworks
from pegasus_runtime.avatar.sizes import NetworkSizes
from pegasus_runtime.documents import require_file
from pegasus_runtime.errors import Refused
from pegasus_runtime.files import replace_file

if TYPE_CHECKING:
    from pegasus_runtime.head import Head

FORMAT_NAME = "pegasus-avatar"
FORMAT_VERSION = 1
_HEADER_KEY = "pegasus_avatar"
MAX_FILE_BYTES = 4 << 30
_MAX_POINTS = 10_000_000


def write_avatar(avatar: Avatar, path: str | os.PathLike[str]) -> None:
    """Write an avatar as one file; an older file stays as it was until the new one is complete.

    Raises:
        Refused: the folder cannot be written, or the avatar holds numbers that are not finite.
    """
    from safetensors.torch import save

    tensors = _tensors(avatar)
    for name, tensor in tensors.items():
        if not bool(torch.isfinite(tensor).all()):
            raise Refused(f"{path}: not written, {name} of the avatar holds NaN or infinity.")
    metadata = {_HEADER_KEY: json.dumps(_header(avatar))}
    with replace_file(path) as partial:
        partial.write_bytes(save(tensors, metadata))


def _tensors(avatar: Avatar) -> dict[str, Tensor]:
    tensors = {f"networks.{name}": t for name, t in avatar.networks.state_dict().items()}
    tensors |= {f"codes.{name}": t for name, t in avatar.codes.state_dict().items()}
    tensors |= {
        "points": avatar.points,
        "canonical_expression": avatar.canonical_expression,
        "shape": avatar.shape,
    }
    return {name: t.detach().cpu().contiguous() for name, t in tensors.items()}


def _header(avatar: Avatar) -> dict[str, Any]:
    return {
        "format": FORMAT_NAME,
        "version": FORMAT_VERSION,
        "name": avatar.name,
        "categories": list(avatar.categories),
        "source_categories": list(avatar.codes.source_categories),
        "attribute_names": list(avatar.attribute_names),
        "num_points": avatar.num_points,
        "radius": avatar.radius,
        "view_scale": avatar.view_scale,
        "points_per_pixel": avatar.points_per_pixel,
        "moves_points": avatar.moves_points,
        "store": None if avatar.store is None else avatar.store.tolist(),
        "canonical_expression": avatar.canonical_expression.tolist(),
        "canonical_jaw_rad": avatar.canonical_jaw_rad,
        "head": {"name": avatar.head.name, "sha256": avatar.head.sha256},
        "sizes": vars(avatar.networks.sizes),
        "provenance": avatar.provenance,
    }


def read_header(path: str | os.PathLike[str]) -> dict[str, Any]:
    """The JSON header of an avatar file, without its tensors.

    Raises:
        FileNotFoundError: there is no such file.
        Refused: it is not an avatar file, or of a newer version.
    """
    with _open(path) as stream:
        return _parse_header(path, stream.metadata())


def read_avatar(path: str | os.PathLike[str], head: Head | None = None) -> Avatar:
    """Read an avatar file.

    Args:
        path: the file.
        head: the head to use; without it the file's head is looked up by its checksum.

    Raises:
        FileNotFoundError: there is no such file.
        Refused: the file is damaged, of a newer version, or its head cannot be found.
    """
    with _open(path) as stream:
        header = _parse_header(path, stream.metadata())
        try:
            tensors = {name: stream.get_tensor(name) for name in stream.keys()}  # noqa: SIM118
        except Exception as error:
            raise Refused(f"{path}: damaged avatar file ({error}); get a fresh copy.") from error
    try:
        avatar = _assemble(header, tensors, head or _find_head(path, header["head"]))
    except Refused as error:
        raise error if str(path) in str(error) else Refused(f"{path}: {error}") from error
    except (KeyError, TypeError, ValueError, AttributeError, RuntimeError, OverflowError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise Refused(f"{path}: damaged avatar file ({reason}); get a fresh copy.") from error
    avatar.path = Path(path)
    return avatar


def _open(path: str | os.PathLike[str]) -> Any:
    from safetensors import safe_open

    require_file(path, MAX_FILE_BYTES)
    try:
        return safe_open(str(path), framework="pt")
    except Exception as error:
        raise Refused(f"{path}: not an avatar file, or a damaged one ({error}).") from error


def _parse_header(
    path: str | os.PathLike[str], metadata: Mapping[str, str] | None
) -> dict[str, Any]:
    try:
        header = json.loads((metadata or {})[_HEADER_KEY])
        name, version = header["format"], header["version"]
    except (KeyError, TypeError, ValueError, RecursionError):
        raise Refused(f"{path}: a safetensors file, but not an avatar.") from None
    if name != FORMAT_NAME or not isinstance(version, int) or version < 1:
        raise Refused(f"{path}: not an avatar (format {name!r}, version {version!r}).")
    if version > FORMAT_VERSION:
        raise Refused(
            f"{path}: made by a newer program (avatar version {version}, this program reads up to "
            f"{FORMAT_VERSION}); update the program."
        )
    assert isinstance(header, dict)
    return header


def _assemble(header: dict[str, Any], tensors: dict[str, Tensor], head: Head) -> Avatar:
    for name, tensor in tensors.items():
        if not tensor.is_floating_point():
            raise Refused(f"tensor {name} holds {tensor.dtype}, expected floating point numbers.")
        if not bool(torch.isfinite(tensor).all()):
            raise Refused(f"tensor {name} holds NaN or infinity; train it again.")
    codes = LatentCodes(
        header["attribute_names"], header["categories"], header["source_categories"]
    )
    networks = AvatarNetworks(NetworkSizes(**header["sizes"]))
    if networks.sizes.latent_size != codes.latent_size:
        raise Refused("the sizes of networks and latent code do not fit together.")
    _load(networks, tensors, "networks.")
    _load(codes, tensors, "codes.")
    return Avatar(
        name=str(header["name"]),
        head=head,
        networks=networks.eval().requires_grad_(False),
        codes=codes.eval().requires_grad_(False),
        points=_shaped(tensors, "points", (header["num_points"], 3)),
        radius=_positive(header, "radius"),
        canonical_expression=_shaped(tensors, "canonical_expression", (50,)),
        canonical_jaw_rad=float(header["canonical_jaw_rad"]),
        moves_points=bool(header["moves_points"]),
        points_per_pixel=_points_per_pixel(header),
        view_scale=None if header["view_scale"] is None else _positive(header, "view_scale"),
        store=_store(header.get("store")),
        shape=_shaped(tensors, "shape", (100,)),
        provenance=dict(header["provenance"]),
    )


def _load(module: torch.nn.Module, tensors: dict[str, Tensor], prefix: str) -> None:
    state = {n.removeprefix(prefix): t for n, t in tensors.items() if n.startswith(prefix)}
    try:
        module.load_state_dict(state)
    except RuntimeError as error:
        reason = " ".join(str(error).split())[:200]
        raise Refused(f"its tensors do not fit its header ({reason}).") from None


def _shaped(tensors: dict[str, Tensor], name: str, shape: tuple[int, ...]) -> Tensor:
    if name not in tensors or tuple(tensors[name].shape) != shape or shape[0] > _MAX_POINTS:
        raise Refused(f"tensor {name} is missing or not of shape {shape}.")
    # A copy, since where numbers lie in memory decides on the last bit of products with them.
    return tensors[name].float().clone()


def _positive(header: dict[str, Any], name: str) -> float:
    value = float(header[name])
    if not (math.isfinite(value) and value > 0):
        raise Refused(f"{name} = {value} is not a positive number.")
    return value


def _store(corners: Any) -> Tensor | None:
    """The box of points that wait; files from before there was one have none."""
    if corners is None:
        return None
    box = torch.tensor(corners, dtype=torch.float32)
    if box.shape != (2, 3) or not bool((box[0] < box[1]).all()):
        raise Refused(f"store = {corners} is not the low and the high corner of a box.")
    return box


def _points_per_pixel(header: dict[str, Any]) -> int:
    count = header["points_per_pixel"]
    if not isinstance(count, int) or not 1 <= count <= 150:
        raise Refused(f"points_per_pixel = {count} is not a number from 1 to 150.")
    return count


def _find_head(path: str | os.PathLike[str], facts: Mapping[str, Any]) -> Head:
    from pegasus_runtime.assets import find_head
    from pegasus_runtime.head import load_free_head, load_head

    free = load_free_head()
    if facts["sha256"] == free.sha256:
        return free
    return load_head(find_head(str(facts["sha256"]), str(facts["name"]), str(path)))
