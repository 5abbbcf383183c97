"""What is trained, as the loop sees it: one class for each model."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from pegasus_runtime.avatar.avatar import Avatar
from pegasus_runtime.head import Head
from trainer.config.training import TrainingConfig
from trainer.data.dataset import Capture, TrainingFrame
from trainer.engine.distributed import ProcessGroup
from trainer.losses.perceptual import FeatureLoss, find_feature_loss


@dataclass(frozen=True, eq=False)
class TrainContext:
    """What every step of a training has in common."""

    config: TrainingConfig
    capture: Capture
    head: Head
    """with which the capture was fitted"""
    device: torch.device

    def growth_generator(self, step: int) -> torch.Generator:
        """Random numbers for the points that come at a step, the same in every process."""
        # Any prime: apart from the seeds of the frames, so that growth does not follow their order.
        return torch.Generator().manual_seed(self.config.seed * 7_368_787 + step)


class TrainState(ABC):
    """Parameters being learned, their optimiser, and how points come and go."""

    def __init__(self, context: TrainContext) -> None:
        self._context = context
        self._features: FeatureLoss | None = None
        if context.config.losses.vgg:
            self._features = find_feature_loss(context.device)
        self.rate_scale = 1.0
        """of all learning rates"""

    @property
    @abstractmethod
    def module(self) -> nn.Module:
        """All parameters; another one once points have come or gone."""

    @property
    @abstractmethod
    def optimiser(self) -> torch.optim.Optimizer:
        """Of all parameters; a group of them is called as its learning rate."""

    @property
    @abstractmethod
    def num_points(self) -> int:
        """How many points there are."""

    @property
    @abstractmethod
    def radius(self) -> float:
        """Their usual radius, as the model measures it."""

    @property
    def has_features(self) -> bool:
        """Whether the loss on features has its weights."""
        return self._features is not None

    @property
    def device(self) -> torch.device:
        """Where the parameters are."""
        return self._context.device

    @property
    def rates(self) -> dict[str, float]:
        """The current learning rates by group."""
        return {group["name"]: float(group["lr"]) for group in self.optimiser.param_groups}

    @abstractmethod
    def losses(
        self, frame: TrainingFrame, generator: torch.Generator, step: int
    ) -> tuple[dict[str, Tensor], Any]:
        """Losses of a frame by name, not weighted, and what `note` is given after the way back."""

    @abstractmethod
    def weigh(self, losses: dict[str, Tensor], epoch: float) -> Tensor:
        """Their weighted sum."""

    @abstractmethod
    def note(self, seen: Any, share: int) -> None:
        """Remember what a frame said of the points, once its gradients are there.

        Args:
            seen: from `losses`.
            share: by how many frames of this process its loss was divided.
        """

    def set_rates(self, step: int, epoch: float) -> None:
        """Learning rates of a step: a half cosine from the configured to the final share."""
        config = self._context.config
        share = cosine_share(step, config.steps, config.optimiser.final_share)
        for group in self.optimiser.param_groups:
            # Settings of a run that goes on may be other ones than at its beginning.
            group["lr"] = self._base_rate(group["name"], epoch) * share * self.rate_scale

    def _base_rate(self, name: str, epoch: float) -> float:
        return float(getattr(self._context.config.optimiser, name))

    def optimizer_step(self) -> bool:
        """One step of Adam; False, with nothing changed, where a gradient is no number.

        What a frame did not show has no gradient and stays.
        """
        params = [p for p in self.module.parameters() if p.grad is not None]
        norm = nn.utils.get_total_norm([p.grad for p in params if p.grad is not None])
        if not bool(torch.isfinite(norm)):
            return False
        if self._context.config.optimiser.clip_norm > 0:
            nn.utils.clip_grads_with_norm_(params, self._context.config.optimiser.clip_norm, norm)
        self.optimiser.step()
        return True

    @abstractmethod
    def share(self, group: ProcessGroup) -> None:
        """Let all processes know what each has noted."""

    @abstractmethod
    def change_points(self, step: int) -> None:
        """Drop and add points, the same in all processes that share what they noted."""

    @abstractmethod
    def picture(self, frame: TrainingFrame) -> tuple[Tensor, Tensor]:
        """Colours over white and normals (H, W, 3) of a frame as they are learned so far."""

    @abstractmethod
    def snapshot(self) -> dict[str, Any]:
        """Everything a later run needs to go on exactly here, as plain tensors and numbers."""

    @abstractmethod
    def restore(self, saved: dict[str, Any]) -> None:
        """Go on from a snapshot."""

    @abstractmethod
    def avatar(self, provenance: dict[str, Any], is_final: bool = True) -> Avatar:
        """The avatar as it is now, on the CPU and independent of further training.

        Args:
            provenance: of its file.
            is_final: whether what pictures of it do not need is worked out as well.
        """


def cosine_share(step: int, steps: int, final: float) -> float:
    """Of the learning rates at a step: a half cosine from 1 to the final share."""
    progress = min(step / max(steps, 1), 1.0)
    return final + (1 - final) * 0.5 * (1 + float(torch.cos(torch.tensor(torch.pi * progress))))
