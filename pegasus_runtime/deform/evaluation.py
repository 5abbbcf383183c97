"""Evaluating an avatar's points for a latent code, a few at a time."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from pegasus_runtime.deform.surface import CanonicalSurface, evaluate_surface, join_surfaces
from pegasus_runtime.errors import Interrupted
from pegasus_runtime.head.canonical import CanonicalHead
from pegasus_runtime.model.networks import ConditionedNetworks

POINTS_PER_CHUNK = 4096
"""points; their widest layer with its derivatives stays in a processor's cache; fewer make more
calls"""


class Evaluation:
    """The points of one latent code, evaluated as far as time allowed."""

    def __init__(
        self, networks: ConditionedNetworks, canonical: CanonicalHead, points: Tensor, move: bool
    ) -> None:
        """
        Args:
            networks: the avatar's networks for the latent code.
            canonical: its canonical head.
            points: (N, 3) stored points p.
            move: apply the canonical offset.
        """
        self._networks, self._canonical, self._move = networks, canonical, move
        self._left = list(points.split(POINTS_PER_CHUNK))[::-1]
        self._parts: list[CanonicalSurface] = []

    @torch.no_grad()
    def finish(self, interrupted: Callable[[], bool] | None = None) -> CanonicalSurface:
        """Evaluate what is left.

        Raises:
            Interrupted: ``interrupted`` said so between two chunks; call again to go on.
        """
        while self._left:
            if interrupted is not None and interrupted():
                raise Interrupted
            points = self._left[-1]
            part = evaluate_surface(self._networks, self._canonical, points, move=self._move)
            self._left.pop()
            self._parts.append(part)
        return join_surfaces(self._parts)
