"""Work in slices gives what the work gives whole, gradients included."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import torch
from torch import Tensor, nn

from trainer.engine import in_slices as module
from trainer.engine.in_slices import in_slices

COUNT = 100


@pytest.fixture(autouse=True)
def small_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_ROWS", 16)


@pytest.fixture
def layer() -> nn.Linear:
    torch.manual_seed(1)
    return nn.Linear(3, 5).double()


def _inputs() -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(2)
    points = torch.randn(COUNT, 3, generator=generator, dtype=torch.float64, requires_grad=True)
    chosen = torch.randint(3, (COUNT,), generator=generator)
    code = torch.randn(5, generator=generator, dtype=torch.float64, requires_grad=True)
    return points, chosen, code


@dataclass(frozen=True)
class Bent:
    """What a network is for all points: maps in a list, and something that is no tensor."""

    maps: list[tuple[Tensor, Tensor]]
    name: str

    def __call__(self, points: Tensor) -> Tensor:
        weight, bias = self.maps[0]
        return torch.sin(torch.addmm(bias, points, weight.T))


def _bent(layer: nn.Linear) -> Bent:
    return Bent([(2 * layer.weight, layer.bias)], "sine")


def test_gradients_are_those_of_the_whole(layer: nn.Linear) -> None:
    def work(points: Tensor, chosen: Tensor, bent: Bent, code: Tensor) -> tuple[Tensor, ...]:
        values = bent(points) + code
        constant = torch.ones_like(values)
        return values.square(), points.gather(1, chosen[:, None])[:, 0] * code[0], constant

    points, chosen, code = _inputs()

    def pull(outputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        weights = torch.linspace(0, 1, COUNT, dtype=torch.float64)
        loss = (outputs[0].sum(dim=1) * weights).sum() + outputs[1].square().sum()
        return torch.autograd.grad(loss, [points, code, *layer.parameters()])

    wanted_outputs = work(points, chosen, _bent(layer), code)
    outputs = in_slices(work, (points, chosen), _bent(layer), code)
    for found, wanted in zip(outputs, wanted_outputs, strict=True):
        assert torch.allclose(found, wanted, atol=1e-12)
    assert not outputs[2].requires_grad or outputs[2].sum() == outputs[2].numel()
    for found, wanted in zip(pull(outputs), pull(wanted_outputs), strict=True):
        assert torch.allclose(found, wanted, atol=1e-12)


def test_sums_do_not_depend_on_which_core_is_faster(layer: nn.Linear) -> None:
    def work(points: Tensor, bent: Bent, code: Tensor) -> tuple[Tensor, ...]:
        return (torch.sin(bent(points.float().double()) * code).float(),)

    points, _, code = _inputs()
    first, *others = (
        torch.autograd.grad(in_slices(work, (points,), _bent(layer), code)[0].sum(), layer.weight)[
            0
        ]
        for _ in range(5)
    )
    assert all(torch.equal(first, other) for other in others)


def test_without_gradients_nothing_is_kept(layer: nn.Linear) -> None:
    points, _, code = _inputs()
    with torch.no_grad():
        (found,) = in_slices(lambda p, b, c: (b(p) + c,), (points,), _bent(layer), code)
    assert torch.allclose(found, _bent(layer)(points) + code) and not found.requires_grad


def test_what_fails_in_a_slice_is_told() -> None:
    def work(_points: Tensor, _code: Tensor) -> tuple[Tensor, ...]:
        raise ValueError("no such thing")

    points, _, code = _inputs()
    with pytest.raises(ValueError, match="no such thing"):
        in_slices(work, (points,), code)
