"""Work on many points with gradients, in slices side by side on a CPU.

What a slice computes stays in its core's cache, and so does the way back. A main graph over all
points would walk through memory once for every operation, and wait for all cores after each.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from threading import Lock
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from pegasus_runtime.side_by_side import num_workers, work_through

Work = Callable[..., tuple[Tensor, ...]]
_ROWS = 1024
"""points of a slice"""


def in_slices(
    work: Work, rows: Sequence[Tensor], shared: Sequence[Tensor], parameters: Sequence[Tensor]
) -> tuple[Tensor, ...]:
    """``work(*rows, *shared)``, with gradients for all three; on a CPU in slices of the rows.

    Args:
        work: gives a tuple of tensors with one row for each row it is given, each of which depends
            on that row alone.
        rows: tensors (N, …).
        shared: tensors that every row needs.
        parameters: leaves with gradients that ``work`` reads besides.
    """
    if rows[0].device.type != "cpu" or not len(rows[0]):
        return work(*rows, *shared)
    if not torch.is_grad_enabled():
        return _Slices(work, rows, shared, parameters).run(())
    apply: Any = _InSlices.apply
    result: tuple[Tensor, ...] = apply(
        _Slices(work, rows, shared, parameters), *rows, *shared, *parameters
    )
    return result


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
        shared: Sequence[Tensor],
        parameters: Sequence[Tensor],
    ) -> None:
        self._work = work
        count = len(rows[0])
        size = min(_ROWS, -(-count // num_workers()))
        self._spans = [slice(i, min(i + size, count)) for i in range(0, count, size)]
        self._rows = [each.detach() for each in rows]
        self._shared = [each.detach() for each in shared]
        self._parameters = list(parameters)
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
        inputs = [each[span] for each in self._rows] + self._shared
        if not any(needed):
            self._outputs[index] = self._work(*inputs)
            return
        leaves = [
            each.detach().requires_grad_(need) for each, need in zip(inputs, needed, strict=False)
        ]
        with torch.enable_grad():
            self._outputs[index] = self._work(*leaves)
        self._leaves[index] = leaves

    def pull_back(self, gradients: Sequence[Tensor]) -> list[Tensor | None]:
        """Gradients of rows, shared tensors and parameters; None of what needs none."""
        num_rows = len(self._rows)
        wanted = [index for index, need in enumerate(self._needed) if need]
        result: list[Tensor | None] = [None] * len(self._needed)
        for index in wanted:
            of = [*self._rows, *self._shared, *self._parameters][index]
            result[index] = torch.zeros_like(of)
        sums = _InOrder(lambda found: _add(result, found, num_rows))

        def backward(index: int) -> None:
            leaves = [*self._leaves.pop(index), *self._parameters]
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
