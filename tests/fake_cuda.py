"""A CUDA device that is none: frames go the way they would go there, on tensors of the CPU.

What is recorded for a graph is repeated operation by operation on the tensors that were recorded,
and Python is not asked again, as on a card. Kernels of the rasteriser run in Triton's interpreter.
"""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from pegasus_runtime import Avatar, Session, devices, raster
from pegasus_runtime.raster import rasterizer

_WAITS = (
    torch.ops.aten._local_scalar_dense.default,  # a number is read back
    torch.ops.aten.nonzero.default,  # a size is read back
    torch.ops.aten.lift_fresh.default,  # numbers of the host are copied
)


class FakeGraph:
    """`torch.cuda.CUDAGraph`, of operations on the CPU."""

    made: list[FakeGraph] = []

    def __init__(self) -> None:
        self.num_replays = 0
        self._recorder = _Recorder()
        FakeGraph.made.append(self)

    def capture_begin(self, capture_error_mode: str) -> None:
        """Record what follows."""
        assert capture_error_mode == "thread_local"
        self._recorder.__enter__()

    def capture_end(self) -> None:
        """Record no more."""
        self._recorder.__exit__(None, None, None)

    def replay(self) -> None:
        """Repeat what was recorded."""
        self.num_replays += 1
        for operation, arguments, options, results in self._recorder.calls:
            again = operation(*arguments, **options)
            for kept, found in zip(tree_leaves(results), tree_leaves(again), strict=True):
                if isinstance(kept, torch.Tensor) and kept.data_ptr() != found.data_ptr():
                    # A result may have lost a dimension of size one in place since.
                    kept.copy_(found.reshape(kept.shape))


class _Recorder(TorchDispatchMode):
    def __init__(self) -> None:
        super().__init__()
        self.calls: list[tuple[Any, ...]] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func in _WAITS:
            raise RuntimeError(f"{func}: operation not permitted when stream is capturing")
        results = func(*args, **(kwargs or {}))
        self.calls.append((func, args, kwargs or {}, results))
        return results


class _Stream:
    def __init__(self, device: torch.device) -> None:
        pass

    def wait_stream(self, stream: _Stream) -> None:
        """There is nothing to wait for."""


def session_as_on_cuda(avatar: Avatar, monkeypatch: pytest.MonkeyPatch) -> Session:
    """A session that does as on a CUDA device, from now on until the test ends."""
    monkeypatch.setattr(FakeGraph, "made", [])
    for name, fake in {
        "CUDAGraph": FakeGraph,
        "Stream": _Stream,
        "current_stream": _Stream,
        "stream": lambda stream: nullcontext(),
    }.items():
        monkeypatch.setattr(torch.cuda, name, fake)
    monkeypatch.setattr(devices, "has_loops", lambda device: False)
    engine = "torch" if "triton" in raster.missing_engines() else "triton"
    monkeypatch.setattr(rasterizer, "choose_engine", lambda *_: engine)
    session = Session(avatar, "cpu")
    for calls in (session.renderer._pose_calls, session.renderer._view_calls):
        calls._records = True
    return session
