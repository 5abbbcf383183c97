"""The avatar file: safetensors with a JSON header, and nothing in it that runs."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from pegasus_runtime.avatar.avatar import Avatar, PublishedAvatar
from pegasus_runtime.avatar.checks import (
    MAX_DISTANCE,
    MAX_JAW_RAD,
    MAX_POINTS,
    MAX_RADIUS,
    MIN_RADIUS,
    check_avatar,
)
from pegasus_runtime.avatar.contents import Contents
from pegasus_runtime.documents import parse_json, require_file
from pegasus_runtime.errors import InvalidInput, one_line, quoted
from pegasus_runtime.files import replace_file
from pegasus_runtime.limits import check_number, check_whole
from pegasus_runtime.model.config import NetworkSizes
from pegasus_runtime.model.latent import LatentCodes
from pegasus_runtime.model.networks import AvatarNetworks
from pegasus_runtime.names import check_name
from pegasus_runtime.parameters import NUM_EXPRESSIONS, NUM_IDENTITIES
from pegasus_runtime.surfels import file as surfel_file
from pegasus_runtime.surfels.avatar import SurfelAvatar

if TYPE_CHECKING:
    from pegasus_runtime.head import Head

FORMAT_NAME = "pegasus-avatar"
FORMAT_VERSION = 2
"""1 is the published model, 2 are surfels; each is written as the first program that reads it."""
_HEADER_KEY = "pegasus_avatar"
MAX_FILE_BYTES = 4 << 30
MAX_HEADER_ITEMS = 1_000_000


def write_avatar(avatar: Avatar, path: str | os.PathLike[str]) -> None:
    """Write an avatar as one file; an older file stays as it was until the new one is complete.

    Raises:
        InvalidInput: the folder cannot be written, or the avatar holds numbers that are not finite.
    """
    from safetensors.torch import save

    try:
        tensors, header = _tensors(avatar), json.dumps(_header(avatar))
        for name, tensor in tensors.items():
            if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
                raise InvalidInput(f"{name} of the avatar holds NaN or infinity.")
        _facts(json.loads(header))
        check_avatar(avatar)
    except (ValueError, TypeError) as error:
        raise InvalidInput(f"{path}: not written, {error}") from error
    with replace_file(path) as partial:
        partial.write_bytes(save(tensors, {_HEADER_KEY: header}))


def _tensors(avatar: Avatar) -> dict[str, Tensor]:
    tensors = {f"codes.{name}": t for name, t in avatar.codes.state_dict().items()}
    tensors |= {"canonical_expression": avatar.canonical_expression, "shape": avatar.shape}
    if isinstance(avatar, SurfelAvatar):
        tensors |= surfel_file.tensors_of(avatar)
    elif isinstance(avatar, PublishedAvatar):
        tensors |= {f"networks.{name}": t for name, t in avatar.networks.state_dict().items()}
        tensors["points"] = avatar.points
    return {name: t.detach().cpu().contiguous() for name, t in tensors.items()}


def _header(avatar: Avatar) -> dict[str, Any]:
    header = {
        "format": FORMAT_NAME,
        "version": surfel_file.VERSION if isinstance(avatar, SurfelAvatar) else 1,
        "name": avatar.name,
        "categories": list(avatar.categories),
        "source_categories": list(avatar.codes.source_categories),
        "attribute_names": list(avatar.attribute_names),
        "num_points": avatar.num_points,
        "canonical_expression": avatar.canonical_expression.tolist(),
        "head": {"name": avatar.head.name, "sha256": avatar.head.sha256},
        "provenance": avatar.provenance,
    }
    if isinstance(avatar, SurfelAvatar):
        return header | surfel_file.header_of(avatar)
    assert isinstance(avatar, PublishedAvatar)
    return header | {
        "radius": avatar.radius,
        "view_scale": avatar.view_scale,
        "points_per_pixel": avatar.points_per_pixel,
        "moves_points": avatar.moves_points,
        "store": None if avatar.store is None else avatar.store.tolist(),
        "canonical_jaw_rad": avatar.canonical_jaw_rad,
        "sizes": vars(avatar.networks.sizes),
    }


def read_header(path: str | os.PathLike[str]) -> dict[str, Any]:
    """The JSON header of an avatar file, without its tensors.

    Raises:
        FileNotFoundError: there is no such file.
        InvalidInput: it is not an avatar file, or of a newer version.
    """
    with _open(path) as stream:
        return _parse_header(path, stream.metadata())


def read_avatar(path: str | os.PathLike[str], head: Head | None = None) -> Avatar:
    """Read an avatar file.

    What its header declares is compared with the tensors that the file lists before memory is
    taken for either.

    Args:
        path: the file.
        head: the head to use; without it the file's head is looked up by its checksum.

    Raises:
        FileNotFoundError: there is no such file.
        InvalidInput: the file is damaged, of a newer version, or its head cannot be found.
    """
    with _open(path) as stream:
        header = _parse_header(path, stream.metadata())
        try:
            avatar = _assemble(Contents(stream), header, head, path)
        except InvalidInput as error:
            raise error if str(path) in str(error) else InvalidInput(f"{path}: {error}") from error
        except Exception as error:
            reason = one_line(str(error)) or type(error).__name__
            missing = f"it has no {reason}" if isinstance(error, KeyError) else reason
            raise InvalidInput(
                f"{path}: damaged avatar file ({missing}); get a fresh copy."
            ) from error
    avatar.path = Path(path)
    return avatar


def _open(path: str | os.PathLike[str]) -> Any:
    from safetensors import safe_open

    require_file(path, MAX_FILE_BYTES)
    try:
        return safe_open(str(path), framework="pt")
    except Exception as error:
        raise InvalidInput(f"{path}: not an avatar file, or a damaged one ({error}).") from error


def _parse_header(
    path: str | os.PathLike[str], metadata: Mapping[str, str] | None
) -> dict[str, Any]:
    written = (metadata or {}).get(_HEADER_KEY)
    if written is None:
        raise InvalidInput(f"{path}: a safetensors file, but not an avatar.")
    header: dict[str, Any] = parse_json(
        written, str(path), dict, max_items=MAX_HEADER_ITEMS, allow_nan=True
    )
    name, version = header.get("format"), header.get("version")
    if name != FORMAT_NAME or type(version) is not int or version < 1:
        raise InvalidInput(
            f"{path}: not an avatar (format {quoted(name)}, version {quoted(version)})."
        )
    if version > FORMAT_VERSION:
        raise InvalidInput(
            f"{path}: made by a newer program (avatar version {version}, this program reads up to "
            f"{FORMAT_VERSION}); update the program."
        )
    return header


def _assemble(
    contents: Contents, header: dict[str, Any], head: Head | None, path: str | os.PathLike[str]
) -> Avatar:
    with torch.device("meta"):
        codes = LatentCodes(
            header["attribute_names"], header["categories"], header["source_categories"]
        )
    contents.fill(codes, "codes.")
    common: dict[str, Any] = {
        "head": head or _find_head(path, header["head"]),
        "codes": codes.eval().requires_grad_(False),
        "canonical_expression": contents.tensor("canonical_expression", (NUM_EXPRESSIONS,)),
        "shape": contents.tensor("shape", (NUM_IDENTITIES,)),
        **_facts(header),
    }
    is_surfels = header["version"] == surfel_file.VERSION
    read = surfel_file.assemble if is_surfels else _assemble_published
    return check_avatar(read(contents, header, **common))


def _assemble_published(
    contents: Contents, header: dict[str, Any], **common: Any
) -> PublishedAvatar:
    with torch.device("meta"):
        networks = AvatarNetworks(_sizes(header["sizes"]))
    if networks.sizes.latent_size != common["codes"].latent_size:
        raise InvalidInput("the sizes of networks and latent code do not fit together.")
    contents.fill(networks, "networks.")
    num_points = check_whole("num_points", header["num_points"], 0, MAX_POINTS)
    return PublishedAvatar(
        networks=networks.eval().requires_grad_(False),
        points=contents.tensor("points", (num_points, 3)),
        **common,
    )


def _sizes(declared: Any) -> NetworkSizes:
    known = {field.name for field in fields(NetworkSizes)}
    if not isinstance(declared, dict) or not set(declared) <= known:
        raise InvalidInput(f"sizes = {quoted(declared)}: expected the sizes of the networks.")
    return NetworkSizes(**declared)


def _facts(header: dict[str, Any]) -> dict[str, Any]:
    """What the header alone says of an avatar, of the right kinds."""
    provenance = header["provenance"]
    if not isinstance(provenance, dict):
        raise InvalidInput(f"provenance = {quoted(provenance)}: expected an object.")
    facts = {"name": check_name("avatar", header["name"]), "provenance": provenance}
    if header["version"] == surfel_file.VERSION:
        return facts
    view_scale, moves = header["view_scale"], header["moves_points"]
    if not isinstance(moves, bool):
        raise InvalidInput(f"moves_points = {quoted(moves)}: expected true or false.")
    return facts | {
        "radius": check_number("radius", header["radius"], MIN_RADIUS, MAX_RADIUS),
        "canonical_jaw_rad": check_number(
            "canonical_jaw_rad", header["canonical_jaw_rad"], -MAX_JAW_RAD, MAX_JAW_RAD
        ),
        "moves_points": moves,
        "points_per_pixel": check_whole("points_per_pixel", header["points_per_pixel"], 1, 150),
        "view_scale": None
        if view_scale is None
        else check_number("view_scale", view_scale, 1e-6, 1e6),
        "store": _store(header.get("store")),
    }


def _store(corners: Any) -> Tensor | None:
    """The box of points that wait; files from before there was one have none."""
    if corners is None:
        return None
    try:
        low, high = corners
        numbers = [
            [check_number("store", number, -MAX_DISTANCE, MAX_DISTANCE) for number in corner]
            for corner in (low, high)
        ]
        box = torch.tensor(numbers, dtype=torch.float32)
    except (TypeError, ValueError):
        box = torch.zeros(0)
    if box.shape != (2, 3) or not bool((box[0] < box[1]).all()):
        raise InvalidInput(
            f"store = {quoted(corners)} is not the low and the high corner of a box."
        )
    return box


def _find_head(path: str | os.PathLike[str], facts: Mapping[str, Any]) -> Head:
    from pegasus_runtime.assets import find_head
    from pegasus_runtime.head import load_free_head, load_head

    if not isinstance(facts, dict) or not all(isinstance(v, str) for v in facts.values()):
        raise InvalidInput(f"head = {quoted(facts)}: expected a name and a sha256.")
    free = load_free_head()
    if facts["sha256"] == free.sha256:
        return free
    return load_head(find_head(str(facts["sha256"]), str(facts["name"]), str(path)))
