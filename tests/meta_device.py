"""A device that is not the host: tensors there have shapes and no numbers (torch's "meta").

What mixes it with the host fails as it would on CUDA. Numbers that are read back are made up, and
pictures come from an engine that draws none.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from pegasus_runtime.raster import engine

ELSEWHERE = torch.device("meta")
aten = torch.ops.aten
_MAY_MIX = (
    aten.copy_.default,
    aten._to_copy.default,
    aten.index.Tensor,
    aten.index_put_.default,
)


class _MadeUp(TorchDispatchMode):
    """Gives an answer where one would have to know numbers."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        options = kwargs or {}
        source = args[0] if args and isinstance(args[0], Tensor) else None
        if source is not None and source.device == ELSEWHERE:
            if func is aten._local_scalar_dense.default:
                return True if source.dtype == torch.bool else 0.0
            if func is aten.nonzero.default:
                return self._nonzero(source)
            if func in (aten.index.Tensor, aten.index_put_.default):
                places = [part for each in args[1] for part in self._as_numbers(each)]
                return func(source, places, *args[2:], **options)
            if func is aten._to_copy.default and options.get("device") == torch.device("cpu"):
                dtype = options.get("dtype") or source.dtype
                # A third: weights of three corners sum to one, and layers have lengths.
                return torch.full(
                    source.shape, 1 / 3 if dtype.is_floating_point else 0, dtype=dtype
                )
        _check_places(func, args, options)
        return func(*args, **options)

    def _nonzero(self, mask: Tensor) -> Tensor:
        """Half of it is."""
        return mask.new_empty((mask.numel() // 2, mask.ndim), dtype=torch.int64)

    def _as_numbers(self, index: Tensor | None) -> list[Tensor | None]:
        if index is None or index.dtype != torch.bool:
            return [index]
        return list(self._nonzero(index).unbind(dim=1))


def _check_places(func: Any, args: Any, options: Any) -> None:
    """As CUDA does: only numbers, and what is looked up by or copied, may lie on the host."""
    if func in _MAY_MIX:
        return
    values = [each for each in tree_leaves((args, options)) if isinstance(each, Tensor)]
    if len({value.device.type for value in values if value.ndim}) > 1:
        raise RuntimeError(f"{func}: tensors on {[str(value.device) for value in values]}")


def _on_it(points: Tensor, *shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    assert points.device == ELSEWHERE
    return torch.zeros(shape, dtype=dtype, device=points.device)


def _engine_without_pictures() -> ModuleType:
    """See `engine.Engine`."""
    module = ModuleType("tests.engine_without_pictures")

    def rasterize(points: Tensor, size: Any, radius: float, num_kept: int) -> tuple[Tensor, ...]:
        index = _on_it(points, *size, num_kept, dtype=torch.int32)
        return index, _on_it(points, *size, num_kept), _on_it(points, *size, num_kept)

    def render(points: Tensor, features: Tensor, size: Any, radius: float, _: int) -> Tensor:
        picture = _on_it(points, *size, features.shape[1])
        return picture + points[:, :2].sum() + features.sum(dim=0)

    def mark_visible(index: Tensor, _d: Tensor, _r: float, count: int, _w: float) -> Tensor:
        return _on_it(index, count, dtype=torch.bool)

    def blend(
        points: Tensor, features: Tensor, conics: Tensor, opacities: Tensor, size: Any
    ) -> tuple[Tensor, Tensor]:
        alpha = _on_it(points, *size) + points[:, :2].sum() + conics.sum() + opacities.sum()
        return alpha[:, :, None] + features.sum(dim=0), alpha

    drawing = {"rasterize": rasterize, "render": render, "mark_visible": mark_visible}
    vars(module).update(drawing, blend=blend)
    return module


@contextmanager
def elsewhere(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Work on `ELSEWHERE` within this."""
    name = "tests.engine_without_pictures"
    monkeypatch.setitem(sys.modules, name, _engine_without_pictures())
    engines = ((name, name, frozenset({ELSEWHERE.type})), *engine.ENGINES)
    monkeypatch.setattr(engine, "ENGINES", engines)
    with _MadeUp():
        yield
