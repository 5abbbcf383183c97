"""What is trained, as the loop sees it: one class for each model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from pegasus_runtime.avatar.avatar import Avatar
from pegasus_runtime.head import Head
from trainer.config.training import TrainingConfig
from trainer.data.dataset import Capture, TrainingFrame
from trainer.engine.distributed import ProcessGroup


@dataclass(frozen=True, eq=False)
class TrainContext:
    """What every step of a training has in common."""

    config: TrainingConfig
    capture: Capture
    head: Head
    """with which the capture was fitted"""
    device: torch.device


class TrainState(Protocol):
    """Parameters being learned, their optimiser, and how points come and go."""

    rate_scale: float
    """of all learning rates"""

    @property
    def module(self) -> nn.Module:
        """All parameters; another one once points have come or gone."""

    @property
    def optimiser(self) -> torch.optim.Optimizer:
        """Of all parameters."""

    @property
    def has_features(self) -> bool:
        """Whether the loss on features has its weights."""

    @property
    def device(self) -> torch.device:
        """Where the parameters are."""

    @property
    def num_points(self) -> int:
        """How many points there are."""

    @property
    def radius(self) -> float:
        """Their usual radius, as the model measures it."""

    @property
    def rates(self) -> dict[str, float]:
        """The current learning rates by group."""

    def losses(
        self, frame: TrainingFrame, generator: torch.Generator, step: int
    ) -> tuple[dict[str, Tensor], Any]:
        """Losses of a frame by name, not weighted, and what `note` is given after the way back."""

    def weigh(self, losses: dict[str, Tensor], epoch: float) -> Tensor:
        """Their weighted sum."""

    def note(self, seen: Any, share: int) -> None:
        """Remember what a frame said of the points, once its gradients are there.

        Args:
            seen: from `losses`.
            share: by how many frames of this process its loss was divided.
        """

    def set_rates(self, step: int, epoch: float) -> None:
        """Learning rates of a step."""

    def optimizer_step(self) -> bool:
        """One step of the optimiser; False, with nothing changed, where a gradient is no number."""

    def share(self, group: ProcessGroup) -> None:
        """Let all processes know what each has noted."""

    def change_points(self, step: int) -> None:
        """Drop and add points, the same in all processes that share what they noted."""

    def picture(self, frame: TrainingFrame) -> tuple[Tensor, Tensor]:
        """Colours over white and normals (H, W, 3) of a frame as they are learned so far."""

    def snapshot(self) -> dict[str, Any]:
        """Everything a later run needs to go on exactly here, as plain tensors and numbers."""

    def restore(self, saved: dict[str, Any]) -> None:
        """Go on from a snapshot."""

    def avatar(self, provenance: dict[str, Any]) -> Avatar:
        """The avatar as it is now, on the CPU and independent of further training."""


def cosine_share(step: int, steps: int, final: float) -> float:
    """Of the learning rates at a step: a half cosine from 1 to the final share."""
    progress = min(step / max(steps, 1), 1.0)
    return final + (1 - final) * 0.5 * (1 + float(torch.cos(torch.tensor(torch.pi * progress))))
