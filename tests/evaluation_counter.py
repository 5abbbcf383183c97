"""How many points were evaluated for a latent code."""

from __future__ import annotations

from typing import Any

import pytest
from torch import Tensor

from pegasus_runtime.deform import evaluation


def count_evaluated(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """A list to which every chunk that is evaluated from now on adds its number of points."""
    counted: list[int] = []
    real = evaluation.evaluate_surface

    def evaluate(networks: Any, canonical: Any, points: Tensor, **options: Any) -> Any:
        counted.append(len(points))
        return real(networks, canonical, points, **options)

    monkeypatch.setattr(evaluation, "evaluate_surface", evaluate)
    return counted
