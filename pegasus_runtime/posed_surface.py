"""Points and normals of a surface in a pose, with what the networks said of them."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass
class PosedSurface:
    """N points of an avatar with an expression, a pose and a shape."""

    points: Tensor
    """(N, 3)"""
    normals: Tensor | None
    """(N, 3) unit, None when only positions were asked for"""
