"""Import of a run of the authors' research program."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from pegasus_runtime.avatar.avatar import PublishedAvatar
from pegasus_runtime.avatar.checkpoints import plain_state, read_checkpoint
from pegasus_runtime.avatar.checks import (
    MAX_JAW_RAD,
    MAX_POINTS,
    MAX_RADIUS,
    MIN_RADIUS,
)
from pegasus_runtime.documents import read_json
from pegasus_runtime.errors import InvalidInput, one_line, quoted
from pegasus_runtime.head import Head, load_head, load_landmarks, require_same_head
from pegasus_runtime.head.canonical import CANONICAL_JAW_ANGLE_RAD
from pegasus_runtime.limits import check_number, check_whole
from pegasus_runtime.model.config import NetworkSizes
from pegasus_runtime.model.latent import CATEGORIES, SOURCE_CATEGORIES, LatentCodes
from pegasus_runtime.model.networks import AvatarNetworks
from pegasus_runtime.names import check_name

_PLACES = ("", "checkpoints", "train/checkpoints")
_DEFORMER_NAMES = {
    "cc_linear.": "offset_hidden.",
    "cc.": "offset.",
    "skinning_linear.": "skinning_hidden.",
    "blendshapes.": "blendshapes.",
    "skinning.": "skinning.",
}
_SINGLE_SOURCE = (*SOURCE_CATEGORIES, "eyeglasses")


def import_reference(
    run_dir: str | os.PathLike[str],
    *,
    head: Head | str | os.PathLike[str],
    landmarks: str | os.PathLike[str] | None = None,
    meta: str | os.PathLike[str] | dict[str, Any],
) -> PublishedAvatar:
    """Make an avatar of a run folder of the authors' program.

    Args:
        run_dir: holds ModelParameters/ and InputParameters/, itself or in checkpoints/ or
            train/checkpoints/ below it.
        head: the FLAME-format head the run was trained with, or its file.
        landmarks: landmark_embedding.npy of that head.
        meta: JSON file or dict with ``train_sub_dirs`` (names of the attribute rows, in the order
            of the run's configuration); may give categories, source_categories, points_per_pixel
            and canonical_jaw_pose.

    Raises:
        FileNotFoundError: a path does not exist.
        InvalidInput: a file is damaged or is not what it should be.
    """
    folder = _find_checkpoints(_as_path(run_dir))
    model_path = folder / "ModelParameters" / "latest.pth"
    input_path = folder / "InputParameters" / "latest.pth"
    facts = _read_meta(meta)
    model, inputs = read_checkpoint(model_path), read_checkpoint(input_path)
    state = plain_state(model, model_path, "model_state_dict")
    with _said_of(model_path, folder):
        codes = _import_codes(inputs, facts, input_path)
        networks = _import_networks(state, codes.latent_size)
        expression = state["deformer_network.FLAMEServer.canonical_exp"].reshape(50).float()
        points = _points(state["pc.points"])
        radius = check_number("radius", model["radius"], MIN_RADIUS, MAX_RADIUS)
    loaded = head if isinstance(head, Head) else load_head(head)
    require_same_head(loaded, state, model_path)
    if landmarks is not None:
        loaded = loaded.with_landmarks(load_landmarks(landmarks))
    avatar = PublishedAvatar(
        name=_name_of(Path(run_dir)),
        head=loaded,
        networks=networks.eval().requires_grad_(False),
        codes=codes.eval().requires_grad_(False),
        points=points,
        radius=radius,
        canonical_expression=expression,
        moves_points=not _is_single_person(inputs),
        provenance={"made_by": "import-reference", "epoch": _epoch(model.get("epoch"))},
        **_camera_facts(facts, meta),
    )
    with _said_of(model_path, folder):
        avatar.check()
    return avatar


@contextmanager
def _said_of(path: Path, folder: Path) -> Iterator[None]:
    """What is wrong is said of a file, unless another one in the folder is named already."""
    try:
        yield
    except InvalidInput as error:
        named = str(folder) in str(error)
        raise (error if named else InvalidInput(f"{path}: {error}")) from None
    except (KeyError, IndexError, RuntimeError, TypeError, ValueError) as error:
        reason = f"it has no {error}" if isinstance(error, KeyError) else str(error)
        raise InvalidInput(f"{path}: not a checkpoint of the model ({one_line(reason)}).") from None


def _as_path(folder: Any) -> Path:
    try:
        return Path(folder)
    except TypeError:
        raise InvalidInput(f"run folder {quoted(folder)}: not a path.") from None


def _camera_facts(facts: dict[str, Any], meta: Any) -> dict[str, Any]:
    jaw = facts.get("canonical_jaw_pose", CANONICAL_JAW_ANGLE_RAD)
    try:
        return {
            "canonical_jaw_rad": check_number("canonical_jaw_pose", jaw, -MAX_JAW_RAD, MAX_JAW_RAD),
            "points_per_pixel": check_whole(
                "points_per_pixel", facts.get("points_per_pixel", 10), 1, 150
            ),
        }
    except InvalidInput as error:
        raise InvalidInput(f"{_said(meta)}: {error}") from None


def _said(meta: Any) -> str:
    return "meta" if isinstance(meta, dict) else str(meta)


def _points(points: Tensor) -> Tensor:
    if points.ndim != 2 or points.shape[1] != 3 or not 0 < len(points) <= MAX_POINTS:
        raise InvalidInput(f"pc.points is of shape {tuple(points.shape)}, expected (N, 3).")
    return points.float().clone()


def _name_of(run_dir: Path) -> str:
    parts = [p for p in run_dir.resolve().parts if p not in ("train", "checkpoints")]
    try:
        return check_name("avatar", parts[-1] if parts else "imported")
    except InvalidInput:
        return "imported"


def _epoch(value: Any) -> int | None:
    try:
        return check_whole("epoch", value, 0, 2**53)
    except InvalidInput:
        return None


def _find_checkpoints(run_dir: Path) -> Path:
    if not run_dir.is_dir():
        raise FileNotFoundError(f"{run_dir}: no such folder.")
    for place in _PLACES:
        folder = run_dir / place
        if (folder / "ModelParameters").is_dir() and (folder / "InputParameters").is_dir():
            return folder
    raise InvalidInput(
        f"{run_dir}: has no ModelParameters/ and InputParameters/, neither itself nor in "
        "checkpoints/ or train/checkpoints/; name the folder of a run."
    )


def _read_meta(meta: str | os.PathLike[str] | dict[str, Any]) -> dict[str, Any]:
    facts = meta if isinstance(meta, dict) else read_json(meta, dict)
    names = facts.get("train_sub_dirs")
    if not isinstance(names, list):
        raise InvalidInput(
            f'{_said(meta)}: needs "train_sub_dirs", the list of the run\'s attribute folders.'
        )
    return dict(facts)


def _is_single_person(inputs: dict[str, Any]) -> bool:
    return "target_scene_latent_codes_state_dict" in inputs


def _import_codes(inputs: dict[str, Any], facts: dict[str, Any], path: Path) -> LatentCodes:
    single = _is_single_person(inputs)
    default = _SINGLE_SOURCE if single else SOURCE_CATEGORIES
    prefix = "target_scene" if single else "source_scene"
    names = [] if single else facts["train_sub_dirs"]
    categories = facts.get("categories", CATEGORIES)
    sources = default if single else facts.get("source_categories", default)
    with torch.device("meta"):
        codes = LatentCodes(names, categories, sources)
    zero = _weight(inputs, "zero_latent_codes_state_dict", codes.zero.shape, path)
    source = _weight(inputs, f"{prefix}_latent_codes_state_dict", codes.source.shape, path)
    state = {"zero": zero, "source": source, "attributes": torch.zeros(codes.attributes.shape)}
    if not single:
        key = "scene_latent_codes_state_dict"
        state["attributes"] = _weight(inputs, key, codes.attributes.shape, path)
    codes.load_state_dict({name: value.clone() for name, value in state.items()}, assign=True)
    return codes


def _weight(inputs: dict[str, Any], key: str, shape: torch.Size, path: Path) -> Tensor:
    weight = plain_state(inputs, path, key).get("weight")
    if weight is None or weight.shape != shape or not weight.is_floating_point():
        found = "nothing" if weight is None else list(weight.shape)
        raise InvalidInput(
            f"{path}: {key} should be {list(shape)}, found {found}; do the names in the meta file "
            "fit this run?"
        )
    return weight.float()


def _import_networks(state: dict[str, Tensor], latent_size: int) -> AvatarNetworks:
    # Without memory of their own: the run's tensors have to fit before they become theirs.
    with torch.device("meta"):
        networks = AvatarNetworks(_sizes(state, latent_size))
    geometry = _section(state, "geometry_network.")
    deformer = _section(state, "deformer_network.")
    shading = _section(state, "rendering_network.")
    depth = networks.sizes.geometry_depth
    _fill(
        networks.geometry,
        _hidden_layers(geometry, depth)
        | _renamed(geometry, f"lin{depth}.", "output.")
        | _renamed(geometry, "lin_seg0.", "segmentation."),
    )
    weights = _hidden_layers(deformer, networks.sizes.deformer_depth)
    for old, new in _DEFORMER_NAMES.items():
        weights |= _renamed(deformer, old, new)
    _fill(networks.deformer, weights)
    _fill(networks.shading, _hidden_layers(shading, networks.sizes.shading_depth + 1))
    return networks


def _fill(module: torch.nn.Module, state: dict[str, Tensor]) -> None:
    # Copies, since where numbers lie in memory decides on the last bit of products with them.
    copied = {name: value.float().clone() for name, value in state.items()}
    module.load_state_dict(copied, assign=True)


def _sizes(state: dict[str, Tensor], latent_size: int) -> NetworkSizes:
    geometry = _section(state, "geometry_network.")
    deformer = _section(state, "deformer_network.")
    shading = _section(state, "rendering_network.")
    depth = _num_layers(geometry) - 1
    inputs = [geometry[f"lin{i}.weight_v"].shape[1] for i in range(depth)]
    outputs = [geometry[f"lin{i}.weight_v"].shape[0] for i in range(depth)]
    skips = [i for i in range(1, depth) if inputs[i] != outputs[i - 1]]
    narrowed = [i for i in range(1, depth) if outputs[i - 1] != outputs[-1]]
    return NetworkSizes(
        num_frequencies=(inputs[0] - latent_size - 3) // 6,
        geometry_width=outputs[-1],
        geometry_depth=depth,
        geometry_skip=(skips or narrowed or [0])[0],
        deformer_width=deformer["lin0.weight_v"].shape[0],
        deformer_depth=_num_layers(deformer),
        shading_width=shading["lin0.weight_v"].shape[0],
        shading_depth=_num_layers(shading) - 1,
        latent_size=latent_size,
    )


def _section(state: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {n.removeprefix(prefix): t for n, t in state.items() if n.startswith(prefix)}


def _num_layers(section: dict[str, Tensor]) -> int:
    count = 0
    while f"lin{count}.weight_v" in section:
        count += 1
    return count


def _hidden_layers(section: dict[str, Tensor], count: int) -> dict[str, Tensor]:
    layers: dict[str, Tensor] = {}
    for index in range(count):
        layers |= _renamed(section, f"lin{index}.", f"layers.{index}.")
    return layers


def _renamed(section: dict[str, Tensor], old: str, new: str) -> dict[str, Tensor]:
    return {new + n.removeprefix(old): t for n, t in section.items() if n.startswith(old)}
