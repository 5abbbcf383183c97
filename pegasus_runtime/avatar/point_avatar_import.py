"""Runs of PointAvatar (Zheng et al. 2023), of which the published model is a descendant.

One person, no code: networks are the published ones without the inputs of a code. They become
those of an avatar with one category by columns of zeros, and the geometry network, which repeats
its input, by units that nobody reads. Its head has the person's shape from the beginning.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from pegasus_runtime.errors import InvalidInput
from pegasus_runtime.head import Head
from pegasus_runtime.head.comparison import difference_from
from pegasus_runtime.limits import check_number
from pegasus_runtime.model.config import NetworkSizes
from pegasus_runtime.model.deformer import NUM_BONES, NUM_OFFSET_INPUTS, NUM_POSE_FEATURES
from pegasus_runtime.model.latent import LatentCodes
from pegasus_runtime.model.layers import WeightNormLinear
from pegasus_runtime.model.networks import AvatarNetworks
from pegasus_runtime.parameters import MAX_COEFFICIENT, NUM_EXPRESSIONS

_CATEGORY = "identity"
_TEMPLATES = ("FLAMEServer.v_template", "deformer_network.FLAMEServer.v_template")
_EXPRESSIONS = ("FLAMEServer.canonical_exp", "deformer_network.FLAMEServer.canonical_exp")
_DIRECTIONS = 3 * NUM_POSE_FEATURES + 3 * NUM_EXPRESSIONS
_NEVER = -100.0
"""Of a bone's logit that the run does not have, times 20 before the softmax."""
State = dict[str, Tensor]


def is_point_avatar(state: State) -> bool:
    """Whether a run's networks know no code: points and networks, but no attribute's region."""
    return "pc.points" in state and not any(
        name.startswith(("geometry_network.lin_seg", "deformer_network.cc")) for name in state
    )


def require_tensors(state: State, expression: Tensor | None, path: Path) -> None:
    """Refuse a run that lacks something, with a list of it.

    Raises:
        InvalidInput: as said.
    """
    wanted = [f"{part}_network.lin0" for part in ("geometry", "deformer", "rendering")]
    wanted += [f"deformer_network.{n}" for n in ("blendshapes", "skinning_linear", "skinning")]
    missing = [name for name in wanted if not _has_layer(state, name)]
    if not any(name in state for name in _TEMPLATES):
        missing.append(_TEMPLATES[0])
    if expression is None:
        missing.append("the mean expression (canonical_expression in --meta)")
    if missing:
        raise InvalidInput(
            f"{path}: a run of PointAvatar that lacks {', '.join(missing)}; without that it is no "
            "avatar."
        )


def canonical_expression(
    state: State, facts: dict[str, Any], fitted: Tensor | None
) -> tuple[Tensor | None, str]:
    """The expression (50,) in which the points lie, and where it is from.

    PointAvatar takes the mean of the tracked expressions and does not store it: what is nearest to
    it are those of the training, which it has corrected a little.
    """
    given = facts.get("canonical_expression")
    if given is not None:
        numbers = given if isinstance(given, list) and len(given) == NUM_EXPRESSIONS else []
        if not numbers:
            raise InvalidInput(f"canonical_expression: expected {NUM_EXPRESSIONS} numbers.")
        limit = MAX_COEFFICIENT
        checked = [check_number("canonical_expression", n, -limit, limit) for n in numbers]
        return torch.tensor(checked), "given"
    for name in _EXPRESSIONS:
        if name in state and state[name].numel() == NUM_EXPRESSIONS:
            return state[name].reshape(-1).float().clone(), "stored"
    if facts.get("use_mean_expression") is False:
        return torch.zeros(NUM_EXPRESSIONS), "none"
    if fitted is not None and fitted.ndim == 2 and fitted.shape[1] == NUM_EXPRESSIONS:
        return fitted.float().mean(dim=0), "mean of the fitted expressions"
    return None, ""


def shape_of_run(head: Head, state: State, path: Path) -> Tensor:
    """The shape (100,) that makes the head the run's.

    Raises:
        InvalidInput: none does: it is another head.
    """
    template = next(state[name] for name in _TEMPLATES if name in state).float()
    if template.shape != head.template.shape:
        raise InvalidInput(
            f"{path}: was trained with another head than {head.name!r}: v_template is of shape "
            f"{tuple(template.shape)} there and {tuple(head.template.shape)} here; give the head, "
            "and the release of it, that the run used."
        )
    directions = head.identity_directions.flatten(0, 1).double()
    change = (template - head.template).flatten().double()
    shape = torch.linalg.lstsq(directions, change[:, None], driver="gelsd").solution[:, 0].float()
    apart = difference_from(head.template + head.identity_directions @ shape, template)
    if apart or not float(shape.abs().max()) <= MAX_COEFFICIENT:
        raise InvalidInput(
            f"{path}: was trained with another head than {head.name!r}: no shape of it is the "
            f"run's v_template ({apart or 'it would be out of bounds'}); give the head, and the "
            "release of it, that the run used."
        )
    return shape if bool((shape.abs() > 1e-4).any()) else torch.zeros_like(shape)


def import_point_avatar(state: State) -> tuple[AvatarNetworks, LatentCodes]:
    """Networks and codes of a run.

    Raises:
        InvalidInput: its networks take or give something else than those of the paper.
        KeyError, RuntimeError: a layer is missing or does not fit the one before it.
    """
    codes = LatentCodes((), (_CATEGORY,), (_CATEGORY,))
    extra = codes.latent_size
    geometry = [_layer(state, f"geometry_network.lin{i}") for i in _numbers(state, "geometry")]
    deformer = [_layer(state, f"deformer_network.lin{i}") for i in _numbers(state, "deformer")]
    shading = [_layer(state, f"rendering_network.lin{i}") for i in _numbers(state, "rendering")]
    local, width = geometry[0][0].shape[1], geometry[-1][0].shape[1]
    if deformer[0][0].shape[1] != 3 or shading[0][0].shape[1] != 3 or (local - 3) % 6:
        raise InvalidInput("its networks take something else than a point and a normal.")
    if geometry[-1][0].shape[0] != 4:
        raise InvalidInput("its geometry network gives no distance with a colour.")
    narrowed = [i for i, (w, _) in enumerate(geometry[:-1]) if w.shape[0] == width - local]
    networks = AvatarNetworks(
        NetworkSizes(
            num_frequencies=(local - 3) // 6,
            geometry_width=width + extra,
            geometry_depth=len(geometry) - 1,
            geometry_skip=narrowed[0] + 1 if narrowed else 0,
            deformer_width=deformer[0][0].shape[0],
            deformer_depth=len(deformer),
            shading_width=shading[0][0].shape[0],
            shading_depth=len(shading) - 1,
            latent_size=extra,
        )
    )
    with torch.no_grad():
        for index, layer in enumerate(geometry[:-1]):
            _set(networks.geometry.layers[index], *layer)
        _set(networks.geometry.output, *geometry[-1])
        _set(networks.geometry.segmentation, torch.zeros(1, 1), torch.full((1,), -1.0))
        _fill_deformer(networks, state, deformer)
        for index, layer in enumerate(shading):
            _set(networks.shading.layers[index], *layer)
    return networks, codes


def _fill_deformer(networks: AvatarNetworks, state: State, layers: list[Any]) -> None:
    deformer = networks.deformer
    for index, layer in enumerate(layers):
        _set(deformer.layers[index], *layer)
    _set(deformer.skinning_hidden, *_layer(state, "deformer_network.skinning_linear"))
    weight, bias = _layer(state, "deformer_network.blendshapes")
    if len(weight) not in (_DIRECTIONS, _DIRECTIONS + 3):
        raise InvalidInput(
            f"its deformer gives {len(weight)} numbers, expected {_DIRECTIONS} or "
            f"{_DIRECTIONS + 3}: directions of 50 expressions, and an offset."
        )
    # Between directions and offset stands what moves points by a code, which is not used.
    offset_at = _DIRECTIONS + NUM_OFFSET_INPUTS
    for ours, theirs in ((deformer.blendshapes.weight, weight), (deformer.blendshapes.bias, bias)):
        ours.zero_()
        ours[:_DIRECTIONS] = theirs[:_DIRECTIONS]
        ours[offset_at : offset_at + len(theirs) - _DIRECTIONS] = theirs[_DIRECTIONS:]
    weight, bias = _layer(state, "deformer_network.skinning")
    if len(weight) not in (NUM_BONES - 1, NUM_BONES):
        raise InvalidInput(f"its deformer has {len(weight)} bones, expected 5 or {NUM_BONES}.")
    deformer.skinning.weight.zero_()
    deformer.skinning.bias.fill_(_NEVER)
    deformer.skinning.weight[-len(weight) :] = weight
    deformer.skinning.bias[-len(bias) :] = bias
    for linear in (deformer.offset_hidden, deformer.offset):
        linear.weight.zero_()
        linear.bias.zero_()


def _set(layer: Any, weight: Tensor, bias: Tensor) -> None:
    """Fill the upper left of a layer; the rest reads nothing and is read by nobody."""
    assert isinstance(layer, WeightNormLinear)
    rows, columns = weight.shape
    if rows > layer.weight_v.shape[0] or columns > layer.weight_v.shape[1]:
        raise InvalidInput("its layers do not fit one another.")
    layer.weight_v.zero_()
    layer.weight_v[:rows, :columns] = weight
    length = layer.weight_v.norm(dim=1, keepdim=True)
    layer.weight_g.copy_(length)
    # A row of zeros has no direction, and needs one of length 0.
    layer.weight_v[:, 0:1] += (length == 0).float()
    layer.bias.zero_()
    layer.bias[:rows] = bias


def _numbers(state: State, network: str) -> Iterable[int]:
    count = 0
    while _has_layer(state, f"{network}_network.lin{count}"):
        count += 1
    return range(count)


def _has_layer(state: State, name: str) -> bool:
    return f"{name}.bias" in state and (f"{name}.weight" in state or f"{name}.weight_v" in state)


def _layer(state: State, name: str) -> tuple[Tensor, Tensor]:
    """Weight and bias, whether they are stored with their length apart or not."""
    if f"{name}.weight" in state:
        weight = state[f"{name}.weight"].float()
    else:
        stored = state[f"{name}.weight_v"].float()
        length = stored.norm(dim=1, keepdim=True).clamp_min(1e-12)
        weight = stored * (state[f"{name}.weight_g"].float() / length)
    bias = state[f"{name}.bias"].float()
    if weight.ndim != 2 or bias.shape != weight.shape[:1]:
        raise InvalidInput(f"{name} is no layer: {tuple(weight.shape)}, {tuple(bias.shape)}.")
    return weight, bias
