"""Import of a run of the authors' research program."""

from __future__ import annotations

import json
import os
import pickle
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from pegasus_runtime.avatar.avatar import Avatar
from pegasus_runtime.avatar.latent import CATEGORIES, SOURCE_CATEGORIES, LatentCodes
from pegasus_runtime.avatar.networks import AvatarNetworks
from pegasus_runtime.avatar.sizes import NetworkSizes
from pegasus_runtime.deform.canonical_head import CANONICAL_JAW_ANGLE_RAD
from pegasus_runtime.errors import Refused
from pegasus_runtime.head import Head, load_head, load_landmarks

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
) -> Avatar:
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
        Refused: a file is damaged or is not what it should be.
    """
    folder = _find_checkpoints(Path(run_dir))
    model_path = folder / "ModelParameters" / "latest.pth"
    input_path = folder / "InputParameters" / "latest.pth"
    model, inputs = _read(model_path), _read(input_path)
    facts = _read_meta(meta)
    state = _state(model, model_path)
    codes = _import_codes(inputs, facts, input_path)
    try:
        networks = _import_networks(state, codes.latent_size)
        points = state["pc.points"].float()
        expression = state["deformer_network.FLAMEServer.canonical_exp"].reshape(50).float()
        radius = float(model["radius"])
    except (KeyError, RuntimeError, TypeError, ValueError) as error:
        reason = " ".join(str(error).split())[:200]
        raise Refused(f"{model_path}: not a checkpoint of the model ({reason}).") from None
    _check_numbers(model_path, {**state, "radius": torch.tensor(radius)})
    loaded = head if isinstance(head, Head) else load_head(head)
    if landmarks is not None:
        loaded = loaded.with_landmarks(load_landmarks(landmarks))
    return Avatar(
        name=_name_of(Path(run_dir)),
        head=loaded,
        networks=networks.eval().requires_grad_(False),
        codes=codes.eval().requires_grad_(False),
        points=points,
        radius=radius,
        canonical_expression=expression,
        canonical_jaw_rad=float(facts.get("canonical_jaw_pose", CANONICAL_JAW_ANGLE_RAD)),
        moves_points=not _is_single_person(inputs),
        points_per_pixel=int(facts.get("points_per_pixel", 10)),
        provenance={"made_by": "import-reference", "epoch": _plain(model.get("epoch"))},
    )


def _name_of(run_dir: Path) -> str:
    parts = [p for p in run_dir.resolve().parts if p not in ("train", "checkpoints")]
    return parts[-1] if parts else "imported"


def _plain(value: Any) -> int | None:
    return value if isinstance(value, int) else None


def _find_checkpoints(run_dir: Path) -> Path:
    if not run_dir.is_dir():
        raise FileNotFoundError(f"{run_dir}: no such folder.")
    for place in _PLACES:
        folder = run_dir / place
        if (folder / "ModelParameters").is_dir() and (folder / "InputParameters").is_dir():
            return folder
    raise Refused(
        f"{run_dir}: has no ModelParameters/ and InputParameters/, neither itself nor in "
        "checkpoints/ or train/checkpoints/; name the folder of a run."
    )


def _read(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file; the run folder is not complete.")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, OSError, ValueError, KeyError) as error:
        raise Refused(
            f"{path}: damaged, or holds more than plain tensors ({type(error).__name__}); "
            "it was not opened."
        ) from None
    if not isinstance(content, dict):
        raise Refused(f"{path}: expected a dictionary of tensors.")
    return content


def _read_meta(meta: str | os.PathLike[str] | dict[str, Any]) -> dict[str, Any]:
    if isinstance(meta, dict):
        facts: Any = meta
    else:
        if not Path(meta).is_file():
            raise FileNotFoundError(f"{meta}: no such file.")
        try:
            facts = json.loads(Path(meta).read_text(encoding="utf-8"))
        except (ValueError, RecursionError) as error:
            raise Refused(f"{meta}: not valid JSON ({error}).") from None
    names = facts.get("train_sub_dirs") if isinstance(facts, dict) else None
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise Refused(f'{meta}: needs "train_sub_dirs", the list of the run\'s attribute folders.')
    return dict(facts)


def _state(model: dict[str, Any], path: Path) -> dict[str, Tensor]:
    state = model.get("model_state_dict")
    if not isinstance(state, dict) or "pc.points" not in state:
        raise Refused(f"{path}: has no model_state_dict with points; not a checkpoint of a run.")
    return {name: value for name, value in state.items() if isinstance(value, Tensor)}


def _check_numbers(path: Path, tensors: dict[str, Tensor]) -> None:
    for name, tensor in tensors.items():
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            raise Refused(f"{path}: {name} holds NaN or infinity; use an earlier checkpoint.")


def _is_single_person(inputs: dict[str, Any]) -> bool:
    return "target_scene_latent_codes_state_dict" in inputs


def _import_codes(inputs: dict[str, Any], facts: dict[str, Any], path: Path) -> LatentCodes:
    single = _is_single_person(inputs)
    default = _SINGLE_SOURCE if single else SOURCE_CATEGORIES
    prefix = "target_scene" if single else "source_scene"
    names = [] if single else facts["train_sub_dirs"]
    categories = facts.get("categories", CATEGORIES)
    sources = default if single else facts.get("source_categories", default)
    codes = LatentCodes(names, categories, sources)
    zero = _weight(inputs, "zero_latent_codes_state_dict", codes.zero.shape, path)
    source = _weight(inputs, f"{prefix}_latent_codes_state_dict", codes.source.shape, path)
    state = {"zero": zero, "source": source, "attributes": codes.attributes}
    if not single:
        key = "scene_latent_codes_state_dict"
        state["attributes"] = _weight(inputs, key, codes.attributes.shape, path)
    _check_numbers(path, state)
    codes.load_state_dict(state)
    return codes


def _weight(inputs: dict[str, Any], key: str, shape: torch.Size, path: Path) -> Tensor:
    entry = inputs.get(key)
    weight = entry.get("weight") if isinstance(entry, dict) else None
    if not isinstance(weight, Tensor) or weight.shape != shape:
        found = list(weight.shape) if isinstance(weight, Tensor) else "nothing"
        raise Refused(
            f"{path}: {key} should be {list(shape)}, found {found}; do the names in the meta file "
            "fit this run?"
        )
    return weight.float()


def _import_networks(state: dict[str, Tensor], latent_size: int) -> AvatarNetworks:
    networks = AvatarNetworks(_sizes(state, latent_size))
    geometry = _section(state, "geometry_network.")
    deformer = _section(state, "deformer_network.")
    shading = _section(state, "rendering_network.")
    depth = networks.sizes.geometry_depth
    networks.geometry.load_state_dict(
        _hidden_layers(geometry, depth)
        | _renamed(geometry, f"lin{depth}.", "output.")
        | _renamed(geometry, "lin_seg0.", "segmentation.")
    )
    weights = _hidden_layers(deformer, networks.sizes.deformer_depth)
    for old, new in _DEFORMER_NAMES.items():
        weights |= _renamed(deformer, old, new)
    networks.deformer.load_state_dict(weights)
    networks.shading.load_state_dict(_hidden_layers(shading, networks.sizes.shading_depth + 1))
    return networks


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
