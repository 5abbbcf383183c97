"""A function of tensors as a CUDA graph: a hundred small kernels start with one launch."""

from __future__ import annotations

import logging
from collections.abc import Callable, Hashable, Sequence
from contextlib import suppress

import torch
from torch import Tensor

Function = Callable[..., tuple[Tensor, ...]]
_log = logging.getLogger(__name__)


class GraphedCalls:
    """Calls of a function, recorded as a CUDA graph when they come again, and replayed.

    The first call with a key runs as it is: kernels may be compiled by it, and what changes with
    every frame is never recorded. On other devices than CUDA every call does.
    """

    def __init__(self, device: torch.device) -> None:
        """Take the device on which functions work."""
        self._device = device
        self._records = device.type == "cuda"
        self._key: Hashable = None
        self._graph: _Graph | None = None

    def __call__(self, key: Hashable, function: Function, *inputs: Tensor) -> tuple[Tensor, ...]:
        """``function(*inputs)``, without waiting for the device.

        Args:
            key: of everything that the call depends on but the inputs' numbers: while it stays the
                same, an earlier function may take this one's place.
            function: of tensors on the device; on CUDA it must not wait for it.
            inputs: on the device or on the host.
        """
        if self._records and key == self._key:
            graph = self._graph or self._record(function, inputs)
            if graph is not None:
                return graph.replay(inputs)
        self._key, self._graph = key, None
        return function(*self._moved(inputs))

    def _record(self, function: Function, inputs: Sequence[Tensor]) -> _Graph | None:
        try:
            self._graph = _Graph(function, [value.clone() for value in self._moved(inputs)])
        except RuntimeError as error:
            _log.warning("Frames are drawn without CUDA graphs: %s", str(error).partition("\n")[0])
            self._records = False
        return self._graph

    def _moved(self, inputs: Sequence[Tensor]) -> list[Tensor]:
        return [value.to(self._device, non_blocking=True) for value in inputs]


class _Graph:
    """One recorded call. Its tensors stay where they are; replays read and write them."""

    def __init__(self, function: Function, inputs: list[Tensor]) -> None:
        """Record ``function(*inputs)``.

        Raises:
            RuntimeError: something in it cannot be recorded.
        """
        # What the function reads besides has to live as long.
        self._function, self._inputs = function, inputs
        self._graph = torch.cuda.CUDAGraph()
        caller = torch.cuda.current_stream(inputs[0].device)
        stream = torch.cuda.Stream(inputs[0].device)
        stream.wait_stream(caller)
        # Not torch.cuda.graph: it looks for garbage, which only the thread of the windows may do.
        with torch.cuda.stream(stream):
            # Libraries make what they need for a new stream, which cannot be recorded.
            function(*inputs)
            # Other threads, such as one that exports a film, go on with their own work meanwhile.
            self._graph.capture_begin(capture_error_mode="thread_local")
            try:
                self._outputs = function(*inputs)
            except BaseException:
                with suppress(RuntimeError):  # It says only that the recording failed.
                    self._graph.capture_end()
                raise
            self._graph.capture_end()
        caller.wait_stream(stream)

    def replay(self, inputs: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """The function of other inputs of the same shapes."""
        for kept, given in zip(self._inputs, inputs, strict=True):
            kept.copy_(given, non_blocking=True)
        self._graph.replay()
        return tuple(value.clone() for value in self._outputs)
