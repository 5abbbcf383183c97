"""Import of runs of research programs: the authors', and PointAvatar's."""

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
from pegasus_runtime.avatar.point_avatar_import import (
    canonical_expression,
    import_point_avatar,
    is_point_avatar,
    require_tensors,
    shape_of_run,
)
from pegasus_runtime.avatar.run_codes import (
    import_codes,
    is_published,
    is_single_person,
    needs_names,
)
from pegasus_runtime.avatar.run_folder import RunFolder, find_run, names_of_rows, read_facts
from pegasus_runtime.errors import InvalidInput, one_line, quoted
from pegasus_runtime.head import Head, load_head, load_landmarks, require_same_head
from pegasus_runtime.head.canonical import CANONICAL_JAW_ANGLE_RAD
from pegasus_runtime.limits import check_number, check_whole
from pegasus_runtime.model.config import NetworkSizes
from pegasus_runtime.model.networks import AvatarNetworks
from pegasus_runtime.names import check_name

_DEFORMER_NAMES = {
    "cc_linear.": "offset_hidden.",
    "cc.": "offset.",
    "skinning_linear.": "skinning_hidden.",
    "blendshapes.": "blendshapes.",
    "skinning.": "skinning.",
}


def import_reference(
    run_dir: str | os.PathLike[str],
    *,
    head: Head | str | os.PathLike[str],
    landmarks: str | os.PathLike[str] | None = None,
    meta: str | os.PathLike[str] | dict[str, Any] | None = None,
) -> PublishedAvatar:
    """Make an avatar of a run folder of the authors' program, or of PointAvatar's.

    Args:
        run_dir: holds ModelParameters/ and InputParameters/, itself or in checkpoints/ or
            train/checkpoints/ below it.
        head: the FLAME-format head the run was trained with, or its file.
        landmarks: landmark_embedding.npy of that head.
        meta: JSON file or dict, over what the run's configuration (*.conf beside checkpoints/)
            says: ``train_sub_dirs`` (names of the attribute rows, in the order of that
            configuration), categories, source_categories, points_per_pixel, canonical_jaw_pose,
            canonical_expression.

    Raises:
        FileNotFoundError: a path does not exist.
        InvalidInput: a file is damaged or is not what it should be.
    """
    run = find_run(_as_path(run_dir))
    facts = read_facts(meta, run.configuration)
    model = read_checkpoint(run.model)
    inputs = {} if run.inputs is None else read_checkpoint(run.inputs)
    state = plain_state(model, run.model, "model_state_dict")
    loaded = head if isinstance(head, Head) else load_head(head)
    is_other = not is_published(inputs) and is_point_avatar(state)
    make = _import_point_avatar if is_other else _import_published
    with _said_of(run.model, run.checkpoints):
        parts = make(run, facts, state, inputs, loaded, meta)
        radius = check_number("radius", model["radius"], MIN_RADIUS, MAX_RADIUS)
        points = _points(state["pc.points"])
    if landmarks is not None:
        loaded = loaded.with_landmarks(load_landmarks(landmarks))
    networks, codes, about = parts.pop("networks"), parts.pop("codes"), parts.pop("about")
    avatar = PublishedAvatar(
        name=_name_of(Path(run_dir)),
        head=loaded,
        networks=networks.eval().requires_grad_(False),
        codes=codes.eval().requires_grad_(False),
        points=points,
        radius=radius,
        provenance={
            "made_by": "import-reference",
            "epoch": _epoch(model.get("epoch")),
            **about,
        },
        **parts,
        **_camera_facts(facts, meta, run),
    )
    with _said_of(run.model, run.checkpoints):
        avatar.check()
    return avatar


def _import_published(
    run: RunFolder,
    facts: dict[str, Any],
    state: dict[str, Tensor],
    inputs: dict[str, Any],
    head: Head,
    meta: Any,
) -> dict[str, Any]:
    """What makes an avatar of a run of the authors' program."""
    path = run.inputs or run.checkpoints / "InputParameters"
    if run.inputs is None:
        raise InvalidInput(f"{path}: is missing, and the latent codes with it.")
    names = names_of_rows(facts, meta, run.checkpoints) if needs_names(inputs) else []
    codes, left_out = import_codes(inputs, names, facts, path)
    networks = _import_networks(state, codes.latent_size)
    expression = state["deformer_network.FLAMEServer.canonical_exp"].reshape(50).float()
    require_same_head(head, state, run.model)
    return {
        "networks": networks,
        "codes": codes,
        "canonical_expression": expression,
        "moves_points": not is_single_person(inputs),
        "about": {"left_out": left_out} if left_out else {},
    }


def _import_point_avatar(
    run: RunFolder,
    facts: dict[str, Any],
    state: dict[str, Tensor],
    inputs: dict[str, Any],
    head: Head,
    meta: Any,
) -> dict[str, Any]:
    """What makes an avatar of a run of PointAvatar."""
    fitted = None
    if "expression_state_dict" in inputs and run.inputs is not None:
        fitted = plain_state(inputs, run.inputs, "expression_state_dict").get("weight")
    expression, origin = canonical_expression(state, facts, fitted)
    require_tensors(state, expression, run.model)
    assert expression is not None
    networks, codes = import_point_avatar(state)
    shape = shape_of_run(head, state, run.model)
    require_same_head(head, {n: t for n, t in state.items() if "v_template" not in n}, run.model)
    return {
        "networks": networks,
        "codes": codes,
        "canonical_expression": expression,
        "moves_points": False,
        "shape": shape,
        "canonical_shape": shape if bool(shape.any()) else None,
        "about": {"program": "PointAvatar", "canonical_expression": origin},
    }


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


def _camera_facts(facts: dict[str, Any], meta: Any, run: RunFolder) -> dict[str, Any]:
    jaw = facts.get("canonical_jaw_pose", CANONICAL_JAW_ANGLE_RAD)
    try:
        return {
            "canonical_jaw_rad": check_number("canonical_jaw_pose", jaw, -MAX_JAW_RAD, MAX_JAW_RAD),
            "points_per_pixel": check_whole(
                "points_per_pixel", facts.get("points_per_pixel", 10), 1, 150
            ),
        }
    except InvalidInput as error:
        said = "meta" if isinstance(meta, dict) else str(meta or run.configuration)
        raise InvalidInput(f"{said}: {error}") from None


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
