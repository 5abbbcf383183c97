"""Opening an avatar file by path or by name: safetensors with a JSON header, nothing that runs."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import fields
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

import torch

from pegasus_runtime.assets import find_head
from pegasus_runtime.avatar.avatar import Avatar, PublishedAvatar
from pegasus_runtime.avatar.checks import MAX_POINTS, common_facts, published_facts
from pegasus_runtime.avatar.contents import FORMAT_NAME, HEADER_KEY, Contents
from pegasus_runtime.documents import parse_json, require_file
from pegasus_runtime.errors import InvalidInput, one_line, quoted
from pegasus_runtime.head import Head, load_free_head, load_head
from pegasus_runtime.limits import check_whole
from pegasus_runtime.model.config import NetworkSizes
from pegasus_runtime.model.latent import LatentCodes
from pegasus_runtime.model.networks import AvatarNetworks
from pegasus_runtime.parameters import NUM_EXPRESSIONS, NUM_IDENTITIES
from pegasus_runtime.surfels.avatar import SurfelAvatar
from pegasus_runtime.surfels.file import read_surfels

DEMO = "demo"
MAX_FILE_BYTES, MAX_HEADER_ITEMS = 4 << 30, 1_000_000
"""Ours have a hundredth; more lets a damaged or hostile file take more memory."""


def load_avatar(
    source: str | os.PathLike[str], head: Head | str | os.PathLike[str] | None = None
) -> Avatar:
    """Open an avatar.

    Args:
        source: path of an .avatar file, or "demo" for the one that comes with the program.
        head: a head, or its file, to use instead of looking the avatar's own up by checksum.

    Raises:
        FileNotFoundError: there is no such file.
        InvalidInput: the file is damaged, newer than the program, not an avatar, or its head is
            missing.
    """
    loaded = head if head is None or isinstance(head, Head) else load_head(head)
    if str(source) == DEMO:
        with as_file(files("resources") / "demo.avatar") as path:
            return read_avatar(path, loaded)
    return read_avatar(source, loaded)


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
    written = (metadata or {}).get(HEADER_KEY)
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
    if version > SurfelAvatar.FILE_VERSION:
        raise InvalidInput(
            f"{path}: made by a newer program (avatar version {version}, this program reads up to "
            f"{SurfelAvatar.FILE_VERSION}); update the program."
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
        **common_facts(header),
    }
    is_surfels = header["version"] == SurfelAvatar.FILE_VERSION
    read = _read_surfel_avatar if is_surfels else _read_published
    avatar = read(contents, header, common)
    avatar.check()
    return avatar


def _read_surfel_avatar(
    contents: Contents, header: dict[str, Any], common: dict[str, Any]
) -> SurfelAvatar:
    _check_head(header["head"], common["head"])
    fields = read_surfels(contents, header, common["head"], common["shape"], common["codes"])
    return SurfelAvatar(**fields, **common)


def _read_published(
    contents: Contents, header: dict[str, Any], common: dict[str, Any]
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
        **published_facts(header),
        **common,
    )


def _sizes(declared: Any) -> NetworkSizes:
    known = {field.name for field in fields(NetworkSizes)}
    if not isinstance(declared, dict) or not set(declared) <= known:
        raise InvalidInput(f"sizes = {quoted(declared)}: expected the sizes of the networks.")
    return NetworkSizes(**declared)


def _check_head(facts: object, head: Head) -> None:
    """Raises InvalidInput for a head whose triangles are not those that surfels are bound to."""
    wanted = facts if isinstance(facts, dict) else {}
    if wanted.get("sha256") != head.sha256:
        raise InvalidInput(
            f"its surfels are bound to another head than {quoted(head.name)}; give "
            f"{quoted(wanted.get('name'))}, sha256 {quoted(wanted.get('sha256'))}."
        )


def _find_head(path: str | os.PathLike[str], facts: Mapping[str, Any]) -> Head:
    if not isinstance(facts, dict) or not all(isinstance(v, str) for v in facts.values()):
        raise InvalidInput(f"head = {quoted(facts)}: expected a name and a sha256.")
    free = load_free_head()
    if facts["sha256"] == free.sha256:
        return free
    return load_head(find_head(str(facts["sha256"]), str(facts["name"]), str(path)))
