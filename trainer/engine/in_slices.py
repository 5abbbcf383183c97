"""Work on many points with gradients, in slices side by side on a CPU.

What a slice computes stays in its core's cache, and so does the way back. A main graph over all
points would walk through memory once for every operation, and wait for all cores after each.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import fields, is_dataclass
from threading import Lock
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from pegasus_runtime import devices
from pegasus_runtime.side_by_side import num_workers, work_through

Work = Callable[..., tuple[Tensor, ...]]
_ROWS = 1024
"""points of a slice"""


def in_slices(work: Work, rows: Sequence[Tensor], *shared: Any) -> tuple[Tensor, ...]:
    """``work(*rows, *shared)``, with gradients for both; on a CPU in slices of the rows.

    Args:
        work: gives a tuple of tensors with one row for each row it is given, each of which depends
            on that row alone. It reads no tensor that wants gradients but those it is given.
        rows: tensors (N, …).
        shared: what every row needs: tensors, or lists, tuples and dataclasses that hold some.
    """
    if not devices.has_loops(rows[0].device) or not len(rows[0]):
        return work(*rows, *shared)
    held = tensors_in(shared)

    def with_held(*inputs: Tensor) -> tuple[Tensor, ...]:
        own, others = inputs[: len(rows)], iter(inputs[len(rows) :])
        return work(*own, *with_tensors(shared, others))

    slices = _Slices(with_held, rows, held)
    if not torch.is_grad_enabled():
        return slices.run(())
    apply: Any = _InSlices.apply
    result: tuple[Tensor, ...] = apply(slices, *rows, *held)
    return result


def tensors_in(value: Any) -> list[Tensor]:
    """The tensors that lists, tuples and dataclasses hold, one after another."""
    if isinstance(value, Tensor):
        return [value]
    return [tensor for part in _parts(value) for tensor in tensors_in(part)]


def with_tensors(value: Any, tensors: Iterator[Tensor]) -> Any:
    """The same lists, tuples and dataclasses, holding other tensors in the same order."""
    if isinstance(value, Tensor):
        return next(tensors)
    kind: Any = type(value)
    parts = [with_tensors(part, tensors) for part in _parts(value)]
    if isinstance(value, list | tuple):
        return kind(parts)
    return kind(*parts) if is_dataclass(value) else value


def _parts(value: Any) -> list[Any]:
    if isinstance(value, list | tuple):
        return list(value)
    return [getattr(value, f.name) for f in fields(value)] if is_dataclass(value) else []


class _InSlices(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, slices: _Slices, *inputs: Tensor) -> tuple[Tensor, ...]:
        ctx.slices = slices
        return slices.run(ctx.needs_input_grad[1:])

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        return None, *ctx.slices.pull_back(gradients)


class _Slices:
    """The slices of one evaluation, with a graph of each until its gradients are known."""

    def __init__(
        self,
        work: Work,
        rows: Sequence[Tensor],
        held: Sequence[Tensor],
    ) -> None:
        self._work = work
        count = len(rows[0])
        size = min(_ROWS, -(-count // num_workers()))
        self._spans = [slice(i, min(i + size, count)) for i in range(0, count, size)]
        self._rows = [each.detach() for each in rows]
        self._held = [each.detach() for each in held]
        self._needed: Sequence[bool] = ()
        self._leaves: dict[int, list[Tensor]] = {}
        self._outputs: dict[int, tuple[Tensor, ...]] = {}

    def run(self, needed: Sequence[bool]) -> tuple[Tensor, ...]:
        """The outputs of all rows, and graphs if any of the inputs needs a gradient."""
        self._needed = needed
        work_through(self._all(), self._forward)
        parts = [self._outputs[index] for index in range(len(self._spans))]
        if not any(needed):
            self._outputs.clear()
        return tuple(torch.cat([p.detach() for p in each]) for each in zip(*parts, strict=True))

    def _all(self) -> list[int]:
        """`work_through` starts with the last."""
        return list(range(len(self._spans)))[::-1]

    def _forward(self, index: int) -> None:
        span, needed = self._spans[index], self._needed
        inputs = [each[span] for each in self._rows] + self._held
        if not any(needed):
            self._outputs[index] = self._work(*inputs)
            return
        leaves = [
            each.detach().requires_grad_(need) for each, need in zip(inputs, needed, strict=True)
        ]
        with torch.enable_grad():
            self._outputs[index] = self._work(*leaves)
        self._leaves[index] = leaves

    def pull_back(self, gradients: Sequence[Tensor]) -> list[Tensor | None]:
        """Gradients of rows and of what is held for all; None of what needs none."""
        num_rows = len(self._rows)
        wanted = [index for index, need in enumerate(self._needed) if need]
        result: list[Tensor | None] = [None] * len(self._needed)
        for index in wanted:
            of = [*self._rows, *self._held][index]
            result[index] = torch.zeros_like(of)
        sums = _InOrder(lambda found: _add(result, found, num_rows))

        def backward(index: int) -> None:
            leaves = self._leaves.pop(index)
            span = self._spans[index]
            outputs = self._outputs.pop(index)
            pairs = [
                (output, gradient[span])
                for output, gradient in zip(outputs, gradients, strict=True)
                if output.requires_grad
            ]
            found: Sequence[Tensor | None] = ()
            if pairs:
                found = torch.autograd.grad(
                    [output for output, _ in pairs], [leaves[i] for i in wanted],
                    [gradient for _, gradient in pairs], allow_unused=True,
                )  # fmt: skip
            shared = {}
            for at, gradient in zip(wanted, found, strict=bool(pairs)):
                target = result[at]
                if gradient is None or target is None:
                    continue
                if at < num_rows:
                    target[span] = gradient
                else:
                    shared[at] = gradient
            sums.put(index, shared)

        work_through(self._all(), backward)
        return result


def _add(result: list[Tensor | None], found: dict[int, Tensor], num_rows: int) -> None:
    for at, gradient in found.items():
        target = result[at]
        assert target is not None and at >= num_rows
        target += gradient


class _InOrder:
    """Takes results as they come and hands them on by their number, so that sums do not depend on
    which core was faster."""

    def __init__(self, take: Callable[[dict[int, Tensor]], None]) -> None:
        self._take, self._next = take, 0
        self._early: dict[int, dict[int, Tensor]] = {}
        self._lock = Lock()

    def put(self, number: int, found: dict[int, Tensor]) -> None:
        with self._lock:
            self._early[number] = found
            while self._next in self._early:
                self._take(self._early.pop(self._next))
                self._next += 1
