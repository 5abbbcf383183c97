"""The parameters being learned, their optimiser, and how points come and go."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from pegasus_runtime.avatar.avatar import PublishedAvatar
from trainer.config.schema import TrainingConfig
from trainer.config.settings import values_of
from trainer.engine.tangent_precision import choose_tangent_precision
from trainer.stages.store import hold_store, store_box, stretch_of

_POINTS, _LATENTS = "points", "latents"


class Learner:
    """An avatar in training: its parameters with Adam's moments, and the points' history."""

    def __init__(
        self,
        avatar: PublishedAvatar,
        config: TrainingConfig,
        device: torch.device,
        num_slots: int = 0,
    ) -> None:
        """Learn an avatar whose deformer holds ``num_slots`` slots of a store (`hold_store`)."""
        self.num_slots = num_slots
        self.store = store_box() if num_slots else None
        self.config = config
        self.device = device
        self.avatar = avatar
        self.networks = avatar.networks.to(device).train().requires_grad_(True)
        hold_store(self.networks.deformer, num_slots)
        self._set_precision(config.model.tangent_precision)
        self.codes = avatar.codes.to(device).train().requires_grad_(True)
        self.points = nn.Parameter(avatar.points.to(device))
        self._pace_of: Tensor | None = None
        self._known_pace = torch.empty(0)
        self.rate_scale = 1.0
        self.seen = torch.zeros(len(self.points), dtype=torch.bool, device=device)
        rates = config.optimiser
        deformer, directions = self.networks.deformer, self.networks.deformer.blendshapes
        own = {id(each) for each in directions.parameters()}
        others = [each for each in deformer.parameters() if id(each) not in own]
        self._groups = {
            "shading": (list(self.networks.shading.parameters()), rates.shading),
            "deformer": (others, rates.deformer),
            "directions": (list(directions.parameters()), rates.directions),
            "geometry": (list(self.networks.geometry.parameters()), rates.geometry),
            _POINTS: ([self.points], rates.points),
            _LATENTS: (list(self.codes.parameters()), rates.latents),
        }
        self.optimiser = torch.optim.Adam(
            [
                {"params": params, "lr": rate, "name": name, "base_rate": rate}
                for name, (params, rate) in self._groups.items()
            ],
            eps=1e-15,
        )

    def _set_precision(self, name: str) -> None:
        self.precision = choose_tangent_precision(self.device) if name == "auto" else name
        self.networks.set_tangent_dtype(getattr(torch, self.precision))

    @property
    def radius(self) -> float:
        """Of the points, which shrinks as they grow in number."""
        return self.avatar.radius

    @radius.setter
    def radius(self, radius: float) -> None:
        self.avatar.radius = radius

    @property
    def rates(self) -> dict[str, float]:
        """The current learning rates by group."""
        return {group["name"]: float(group["lr"]) for group in self.optimiser.param_groups}

    def set_rates(self, step: int, epoch: float) -> None:
        """Learning rates of a step: a half cosine from the configured to the final share."""
        rates = self.config.optimiser
        progress = step / max(self.config.steps, 1)
        share = rates.final_share + (1 - rates.final_share) * 0.5 * (
            1 + math.cos(math.pi * progress)
        )
        for group in self.optimiser.param_groups:
            waits = group["name"] == _LATENTS and epoch < rates.latents_from_epoch
            group["lr"] = 0.0 if waits else group["base_rate"] * share * self.rate_scale

    def descend(self) -> bool:
        """One step of the optimiser by the gradients that are there.

        Returns:
            False, with nothing changed, where the gradients are not finite.
        """
        params = [p for params, _ in self._groups.values() for p in params if p.grad is not None]
        norm = nn.utils.get_total_norm([p.grad for p in params if p.grad is not None])
        if not bool(torch.isfinite(norm)):
            return False
        if self.config.optimiser.clip_norm > 0:
            nn.utils.clip_grads_with_norm_(params, self.config.optimiser.clip_norm, norm)
        before = self.points.detach().clone()
        self.optimiser.step()
        if self.num_slots:
            with torch.no_grad():
                self.points.copy_(torch.lerp(before, self.points, self._pace()))
        return True

    def _pace(self) -> Tensor:
        """(N, 3) by which a step of each point is shortened.

        Adam's steps are as long for every point, and those in the store are carried out enlarged.
        """
        if self._pace_of is not self.points:
            stretch = stretch_of(self.networks.deformer, self.codes, self.points.detach())
            self._pace_of, self._known_pace = self.points, 1 / stretch
        return self._known_pace

    def prune(self) -> int:
        """Drop the points that were not seen since the last call; how many went."""
        dropped = int((~self.seen).sum())
        if 0 < dropped < len(self.points):
            kept = self.seen.nonzero()[:, 0]
            self._replace_points(self.points.detach()[kept], kept)
        self.seen = torch.zeros(len(self.points), dtype=torch.bool, device=self.device)
        return dropped

    def grow(self, generator: torch.Generator) -> int:
        """Double the points, up to the maximum, each new one near an old one; the new number."""
        count = len(self.points)
        room = min(count, self.config.points.maximum - count)
        if room > 0:
            parents = torch.randperm(count, generator=generator)[:room].to(self.device)
            noise = torch.rand(room, 3, generator=generator).to(self.device) * 2 - 1
            near = self.points.detach()[parents]
            near = near + noise * self.config.points.noise * self.radius
            self._replace_points(
                torch.cat([self.points.detach(), near]), torch.arange(count, device=self.device)
            )
            self.radius = max(
                self.radius * self.config.points.radius_factor ** math.log2(1 + room / count),
                self.config.points.minimum_radius,
            )
        self.seen = torch.zeros(len(self.points), dtype=torch.bool, device=self.device)
        return len(self.points)

    def _replace_points(self, points: Tensor, survivors: Tensor) -> None:
        """Take other points; Adam's moments of survivors stay, those of new points are zero.

        Args:
            points: (N, 3), survivors first.
            survivors: (M,) index among the old points of each of the first M.
        """
        old = self.points
        new = nn.Parameter(points.contiguous())
        state = self.optimiser.state.pop(old, {})
        for name in ("exp_avg", "exp_avg_sq"):
            if name in state:
                moment = torch.zeros_like(new)
                moment[: len(survivors)] = state[name][survivors]
                state[name] = moment
        if state:
            self.optimiser.state[new] = state
        group = next(g for g in self.optimiser.param_groups if g["name"] == _POINTS)
        group["params"] = [new]
        self._groups[_POINTS] = ([new], self._groups[_POINTS][1])
        self.points = new

    def snapshot(self) -> dict[str, Any]:
        """Everything a later run needs to go on exactly here, as plain tensors and numbers."""
        return {
            "settings": values_of(self.config),
            "head_sha256": self.avatar.head.sha256,
            "networks": self.networks.state_dict(),
            "codes": self.codes.state_dict(),
            "points": self.points.detach(),
            "radius": self.radius,
            "seen": self.seen,
            "rate_scale": self.rate_scale,
            "num_slots": self.num_slots,
            "precision": self.precision,
            "pace": self._known_pace,
            "optimiser": self.optimiser.state_dict(),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a snapshot."""
        self.networks.load_state_dict(state["networks"])
        self.codes.load_state_dict(state["codes"])
        points = state["points"].to(self.device)
        self._replace_points(points, torch.arange(0, device=self.device))
        self.optimiser.load_state_dict(state["optimiser"])
        for group in self.optimiser.param_groups:
            # The state brings the rates of then, and those of now count.
            group["base_rate"] = self._groups[group["name"]][1]
        self.radius = float(state["radius"])
        self.rate_scale = float(state["rate_scale"])
        self.seen = state["seen"].to(self.device)
        pace = state.get("pace", torch.empty(0))
        if len(pace) == len(points):
            self._pace_of, self._known_pace = self.points, pace.to(self.device)
        if self.config.model.tangent_precision == "auto":
            # What was measured once holds for the whole run, or its losses could not come again.
            self._set_precision(state.get("precision", self.precision))

    def finished_avatar(self, provenance: dict[str, Any]) -> PublishedAvatar:
        """The avatar as it is now, on the CPU and independent of further training."""
        import copy
        from dataclasses import replace

        networks = copy.deepcopy(self.networks).cpu().eval().requires_grad_(False)
        networks.set_tangent_dtype(torch.float32)
        return replace(
            self.avatar,
            networks=networks,
            codes=copy.deepcopy(self.codes).cpu().eval().requires_grad_(False),
            points=self.points.detach().cpu().clone(),
            radius=self.radius,
            store=self.store,
            points_per_pixel=self.config.model.drawn_per_pixel,
            provenance=provenance,
        )
