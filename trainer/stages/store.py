"""The store: where points wait that only one attribute needs, a brim or longer hair.

A slot of the store is a box inside the skull. What an attribute adds lies in it shrunken, and the
canonical offset carries it out when the attribute's code is there. That map is linear in the slot
and nothing elsewhere, so a few hidden units of the deformer can make it exactly; from random
weights a small deformer finds it only after many thousand steps.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.utils.hooks import RemovableHandle

from pegasus_runtime.avatar.avatar import PublishedAvatar
from pegasus_runtime.avatar.deformer import NUM_OFFSET_INPUTS, Deformer
from pegasus_runtime.avatar.latent import CODE_SIZE, LatentCodes, category_of
from pegasus_runtime.avatar.layers import WeightNormLinear
from trainer.config.schema import ModelConfig

_LOW, _HIGH = (-0.17, 0.07, -0.23), (0.17, 0.33, 0.11)
"""a box in the middle of the skull, which is much the same in every head"""
_WALL, _FACE = 0.03, 0.01
"""room between the contents of two slots, and how far outside its contents a slot still acts"""
_MAX_SHIFT, _SHUT = 1.2, 3.0
"""no offset is longer along an axis; a unit shut by this much does nothing"""
_STEEPNESS = 200.0
"""of the shutting outside a slot's faces: the next slot's contents are 0.02 from them"""
_LIFT = 1.5
"""makes coordinates and codes positive, so that they pass through the hidden layers"""
_BESIDE = 1e-3
"""a step by which slopes in the store are measured"""
_UNITS_PER_SLOT = 4
_MAX_SHARE = 0.5
"""of the deformer's units may serve the store"""


@dataclass
class Slot:
    """A box of the store and the linear map from it to the surface of its attribute."""

    attribute: str
    column: tuple[int, int]
    """which slot it is along x and z"""
    low: Tensor
    """(3,) of the box that holds the contents"""
    high: Tensor
    place_low: Tensor
    """(3,) of the box around the attribute's own points on its surface"""
    place_high: Tensor

    @property
    def scale(self) -> Tensor:
        """(3,) size of the contents over that of the surface."""
        return (self.high - self.low) / (self.place_high - self.place_low).clamp_min(1e-3)

    def put_away(self, places: Tensor) -> Tensor:
        """Where surface points (M, 3) of the attribute wait."""
        return self.low + self.scale * (places - self.place_low)

    def offset_map(self) -> tuple[Tensor, Tensor]:
        """Slope and constant (3,) of the offset, which takes each axis on its own."""
        slope = 1 / self.scale - 1
        return slope, self.place_low - self.low / self.scale


def max_slots(model: ModelConfig) -> int:
    """How many attributes can have points of their own in a deformer of this size."""
    if model.deformer_depth < 2:
        return 0
    return int(_MAX_SHARE * model.deformer_width) // (_UNITS_PER_SLOT + 1)


def lay_out(places: dict[str, Tensor]) -> list[Slot]:
    """A slot for each attribute, given its own points (M, 3) on its surface."""
    if not places:
        return []
    along_x, along_z = _columns(len(places))
    counts = torch.tensor([along_x, 1, along_z])
    low, high = torch.tensor(_LOW), torch.tensor(_HIGH)
    size = (high - low + _WALL) / counts - _WALL
    slots = []
    for index, (name, points) in enumerate(places.items()):
        column = index % along_x, index // along_x
        start = low + torch.tensor([column[0], 0, column[1]]) * (size + _WALL)
        ends = points.min(dim=0).values, points.max(dim=0).values
        slots.append(Slot(name, column, start, start + size, *ends))
    return slots


@torch.no_grad()
def teach_store(avatar: PublishedAvatar, slots: list[Slot]) -> None:
    """Give an untrained avatar's deformer the hidden units that carry the slots' contents out.

    With softplus of β = 100 taken for a ramp, the units are, from the first layer on:

    * coordinates and, per slot, its attribute's share in the code, each lifted above zero;
    * per face of the slots along an axis, how far a point lies outside it;
    * per slot and axis ``ramp(offset + room - shut)`` and once ``ramp(room - shut)``, where
      ``shut`` grows with the distance from the slot and with what lacks of the code. Their
      difference is the offset in the slot and nothing elsewhere; further layers pass them on.
    """
    if not slots:
        return
    deformer = avatar.networks.deformer
    faces = _Faces(slots)
    first = 3 + len(slots) + len(faces.signs)
    _teach_first(avatar, slots, faces)
    _teach_second(deformer, slots, faces, first)
    count = _UNITS_PER_SLOT * len(slots)
    deformer.offset_hidden.bias[:3] = 0
    for layer in deformer.layers[2:]:
        assert isinstance(layer, WeightNormLinear)
        weight, bias = _cleared(layer, count, count)
        weight[:count, :count] = torch.eye(count)
        bias[:count] = 0
        layer.set_weight(weight, bias)
    _teach_read_out(deformer, slots, count)


def store_box() -> Tensor:
    """(2, 3) low and high corner of what holds all slots, for `PublishedAvatar.store`."""
    return torch.tensor([_LOW, _HIGH]) + torch.tensor([[-_FACE], [_FACE]])


@torch.no_grad()
def stretch_of(deformer: Deformer, codes: LatentCodes, points: Tensor) -> Tensor:
    """How many times farther points (N, 3) move where they are worn than where they wait: (N, 3).

    Along each axis, for the attribute that stretches it most; 1 outside the store.
    """
    stretch = torch.ones_like(points)
    low, high = store_box().to(points)
    stored = ((points > low) & (points < high)).all(dim=1).nonzero()[:, 0]
    waiting = points[stored]
    largest = stretch[stored]
    for name in codes.attribute_names:
        code = codes.compose({category_of(name): name})
        offset = deformer.canonical_offset(waiting, code)
        for axis in range(3):
            beside = waiting.clone()
            beside[:, axis] += _BESIDE
            slope = (deformer.canonical_offset(beside, code) - offset)[:, axis] / _BESIDE
            largest[:, axis] = torch.maximum(largest[:, axis], (1 + slope).abs())
    return stretch.index_copy(0, stored, largest)


def hold_store(deformer: Deformer, num_slots: int) -> list[RemovableHandle]:
    """Keep the store's units as they are, and what the others learn apart from them.

    They are exact already, and steep: an optimiser's first steps would tear them up. The handles
    let go of them again.
    """
    if not num_slots:
        return []
    handles: list[RemovableHandle] = []

    def hold(parameter: Tensor, rows: slice, columns: slice | None = None) -> None:
        free = torch.ones_like(parameter)
        free[rows] = 0
        if columns is not None:
            free[:, columns] = 0
        handles.append(parameter.register_hook(lambda gradient: gradient * free))

    first = 3 + num_slots + _num_faces(num_slots)
    count = _UNITS_PER_SLOT * num_slots
    read = 0
    for index, layer in enumerate(deformer.layers):
        assert isinstance(layer, WeightNormLinear)
        held = count if index else first
        hold(layer.weight_v, slice(held), slice(read))
        hold(layer.weight_g, slice(held))
        hold(layer.bias, slice(held))
        read = held
    hold(deformer.skinning_hidden.weight_v, slice(0), slice(count))
    start = len(deformer.blendshapes.weight) - NUM_OFFSET_INPUTS - 3
    hold(deformer.blendshapes.weight, slice(start, start + 3), slice(count))
    hold(deformer.blendshapes.bias, slice(start, start + 3))
    hold(deformer.offset_hidden.weight, slice(3), slice(3))
    hold(deformer.offset_hidden.bias, slice(3))
    hold(deformer.offset.weight, slice(0), slice(3))
    return handles


def _columns(num_slots: int) -> tuple[int, int]:
    """How many slots lie beside each other along x, and along z."""
    along_x = math.ceil(math.sqrt(num_slots))
    return along_x, math.ceil(num_slots / along_x)


def _num_faces(num_slots: int) -> int:
    return 2 * (sum(_columns(num_slots)) + 1)


class _Faces:
    """The faces of all slots; slots in a row share those along the row."""

    def __init__(self, slots: list[Slot]) -> None:
        self.axes: list[int] = []
        self.signs: list[float] = []
        self.limits: list[float] = []
        self.of_slot: list[list[int]] = [[] for _ in slots]
        known: dict[tuple[int, int], int] = {}
        for index, slot in enumerate(slots):
            for axis, row in ((0, slot.column[0]), (1, 0), (2, slot.column[1])):
                at = known.setdefault((axis, row), len(self.signs))
                if at == len(self.signs):
                    self.axes += [axis, axis]
                    self.signs += [-1.0, 1.0]
                    self.limits += [float(slot.low[axis]) - _FACE, float(slot.high[axis]) + _FACE]
                self.of_slot[index] += [at, at + 1]


def _teach_first(avatar: PublishedAvatar, slots: list[Slot], faces: _Faces) -> None:
    layer = avatar.networks.deformer.layers[0]
    assert isinstance(layer, WeightNormLinear)
    weight, bias = layer.weight.clone(), layer.bias.clone()
    first = 3 + len(slots) + len(faces.signs)
    weight[:first] = 0
    weight[:3, :3] = torch.eye(3)
    bias[: 3 + len(slots)] = _LIFT
    for index, slot in enumerate(slots):
        at, gate, base = _gate(avatar, slot.attribute)
        weight[3 + index, 3 + at : 3 + at + CODE_SIZE] = gate
        bias[3 + index] -= gate @ base
    for index, (axis, sign, limit) in enumerate(
        zip(faces.axes, faces.signs, faces.limits, strict=True), start=3 + len(slots)
    ):
        weight[index, axis] = sign * _STEEPNESS / _SHUT
        bias[index] = -sign * limit * _STEEPNESS / _SHUT
    layer.set_weight(weight, bias)


def _gate(avatar: PublishedAvatar, attribute: str) -> tuple[int, Tensor, Tensor]:
    """Where a category's numbers are in the code, and the row that tells an attribute from others.

    Returns:
        position, row (32,) and base (32,) so that ``row @ (numbers - base)`` is one for the
        attribute, and nothing for the source person and all others of the category.
    """
    codes = avatar.codes
    category = category_of(attribute)
    base = codes.base_code(category)
    rivals = codes.attributes_of(category)
    differences = torch.stack([codes.attributes[codes.attribute_names.index(n)] for n in rivals])
    wanted = torch.tensor([float(name == attribute) for name in rivals])
    row = torch.linalg.pinv(differences - base) @ wanted
    num_marks = len(codes.categories)
    at = codes.categories.index(category) * (num_marks + CODE_SIZE) + num_marks
    return at, row, base


def _teach_second(deformer: Deformer, slots: list[Slot], faces: _Faces, first: int) -> None:
    layer = deformer.layers[1]
    assert isinstance(layer, WeightNormLinear)
    count = _UNITS_PER_SLOT * len(slots)
    weight, bias = _cleared(layer, count, first)
    for index, slot in enumerate(slots):
        slope, constant = slot.offset_map()
        rows = slice(_UNITS_PER_SLOT * index, _UNITS_PER_SLOT * (index + 1))
        weight[rows, 3 + index] = _SHUT
        bias[rows] = _MAX_SHIFT - _SHUT * (1 + _LIFT)
        weight[rows, [3 + len(slots) + at for at in faces.of_slot[index]]] = -_SHUT
        moving = weight[rows][:3], bias[rows][:3]
        moving[0][:, :3] = torch.diag(slope)
        moving[1].add_(constant - slope * _LIFT)
    layer.set_weight(weight, bias)


def _teach_read_out(deformer: Deformer, slots: list[Slot], count: int) -> None:
    inner = deformer.skinning_hidden
    weight = inner.weight.clone()
    weight[:, :count] = 0
    inner.set_weight(weight, inner.bias.clone())
    blend = deformer.blendshapes.weight
    blend[:, :count] = 0
    start = len(blend) - NUM_OFFSET_INPUTS - 3
    blend[start : start + 3] = 0
    for axis in range(3):
        for index in range(len(slots)):
            blend[start + axis, _UNITS_PER_SLOT * index + axis] = 1
            blend[start + axis, _UNITS_PER_SLOT * index + 3] = -1
    hidden = deformer.offset_hidden.weight
    hidden[:, :3] = 0
    hidden[:3] = 0
    hidden[:3, :3] = torch.eye(3)
    deformer.offset.weight[:, :3] = torch.eye(3)


def _cleared(layer: WeightNormLinear, rows: int, columns: int) -> tuple[Tensor, Tensor]:
    """Weight and bias with the first rows at nothing, and nothing read from the first columns."""
    weight, bias = layer.weight.clone(), layer.bias.clone()
    weight[:, :columns] = 0
    weight[:rows] = 0
    bias[:rows] = 0
    return weight, bias
