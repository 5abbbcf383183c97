"""What a training starts from: points on the head, and networks that already know the head."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from pegasus_runtime.avatar.avatar import Avatar
from pegasus_runtime.avatar.layers import WeightNormLinear
from pegasus_runtime.deform.canonical_head import CanonicalHead, make_canonical_head
from pegasus_runtime.head import Head
from pegasus_runtime.head.model import NUM_EXPRESSIONS
from trainer.config.training import TrainingConfig
from trainer.data.dataset import Capture
from trainer.losses.points import head_targets, supervise_deformer
from trainer.stages.blank import blank_avatar
from trainer.stages.cloud import StartCloud, make_cloud
from trainer.stages.colouring import colour_cloud
from trainer.stages.handover import hand_over
from trainer.stages.head_samples import on_parts
from trainer.stages.store import hold_store, teach_store

_WARM_DEFORMER_RATE, _WARM_GEOMETRY_RATE = 3e-3, 4e-3
_SKINNING_WEIGHT, _VARIANCE = 10.0, 0.1
"""Skinning and expressions count for more than in the training's own supervision: there is no
picture yet to correct them, and by the published weights eyes would end up three pixels off."""
_STEEPNESS = 3.0
"""of the deformer's first layer"""
_DETAILS = (
    "eyes", "eyelids", "eyebrows", "lips", "mouth", "nose", "teeth", "tongue",
)  # fmt: skip
"""parts whose motion changes from point to point"""
_DETAIL_SHARE = 0.5
_MOVE_WEIGHT = 1000.0
_STORED_SHARE = 0.25
"""of the sampled points may be in the store, where only their offset matters"""
_COLOUR_WEIGHT, _DISTANCE_WEIGHT, _NORMAL_WEIGHT = 10.0, 0.1, 0.05
_NORMALS_EVERY = 4
_WARM_SAMPLES = 1280
_WARM_DEPTH = 0.02


def start_avatar(config: TrainingConfig, capture: Capture, head: Head) -> tuple[Avatar, int]:
    """An avatar that knows the head, and the capture's surface and colours roughly.

    Returns:
        the avatar, and how many slots of its store are in use (`hold_store`).
    """
    if config.start_from:
        return hand_over(config, capture, head)
    canonical = make_canonical_head(head, capture.mean_expression)
    generator = torch.Generator().manual_seed(config.seed)
    cloud = make_cloud(head, canonical, capture, config, generator)
    points = cloud.points[cloud.thin_out(config.points.initial, generator)]
    avatar = blank_avatar(config, capture, head, points)
    spread_units(avatar, points, generator)
    teach_store(avatar, cloud.slots)
    warm_start(avatar, canonical, capture, cloud, config.warm_start_steps, config.seed)
    return avatar, len(cloud.slots)


@torch.no_grad()
def spread_units(avatar: Avatar, points: Tensor, generator: torch.Generator) -> None:
    """Let the units of an untrained deformer's first layer bend somewhere on the points (N, 3).

    A softplus of β = 100 is nearly a ramp. With the usual random weights most ramps bend far from
    the head, and the layer is linear there.
    """
    layer, code = avatar.networks.deformer.layers[0], avatar.codes.compose({}).detach()
    assert isinstance(layer, WeightNormLinear)
    weight = layer.weight.detach().clone()
    along = torch.randn(len(weight), 3, generator=generator)
    weight[:, :3] = _STEEPNESS * torch.nn.functional.normalize(along, dim=1)
    through = points[torch.randint(len(points), (len(weight),), generator=generator)]
    layer.set_weight(weight, -(weight[:, :3] * through).sum(dim=1) - weight[:, 3:] @ code)


def warm_start(
    avatar: Avatar,
    canonical: CanonicalHead,
    capture: Capture,
    cloud: StartCloud,
    steps: int,
    seed: int,
) -> None:
    """Fit the networks to what is known before the first picture is drawn.

    The head gives skinning and blend directions, the cloud gives surface, normals, colours and
    where each attribute has its points. It takes minutes, and pictures teach only the rest.

    Args:
        avatar: its networks are changed.
        canonical: its canonical head.
        capture: the pictures, in which the cloud's colours are looked up.
        cloud: of the capture.
        steps: for the deformer, and twice as many for geometry and colour.
        seed: of what is sampled.
    """
    generator = torch.Generator().manual_seed(seed)
    colours = colour_cloud(avatar.head, canonical, capture, cloud) if steps else {}
    details = on_parts(avatar.head, cloud.nearest, _DETAILS)
    worn = {name: cloud.worn(name) for name in cloud.subjects}
    shown = {name: found.nonzero()[:, 0] for name, found in worn.items()}
    fine = {name: (found & details).nonzero()[:, 0] for name, found in worn.items()}
    warmup = Warmup(avatar, canonical, cloud, shown, fine, colours, generator)
    networks = avatar.networks
    held = hold_store(networks.deformer, len(cloud.slots))
    _fit(warmup.deformer_loss, networks.deformer, _WARM_DEFORMER_RATE, steps)
    _fit(warmup.geometry_loss, networks.geometry, _WARM_GEOMETRY_RATE, 2 * steps)
    for handle in held:
        handle.remove()


def _fit(
    loss_of_step: Callable[[int], Tensor], module: torch.nn.Module, rate: float, steps: int
) -> None:
    optimiser = torch.optim.Adam(module.parameters(), lr=rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, max(steps, 1))
    for step in range(steps):
        optimiser.zero_grad(set_to_none=True)
        loss_of_step(step).backward()
        optimiser.step()
        schedule.step()


@dataclass
class Warmup:
    """The losses of the warm start."""

    avatar: Avatar
    canonical: CanonicalHead
    cloud: StartCloud
    shown: dict[str, Tensor]
    """by subject, indices of the points on its surface"""
    details: dict[str, Tensor]
    """those of them that lie on fine parts of the face"""
    colours: dict[str, Tensor]
    generator: torch.Generator

    def deformer_loss(self, step: int) -> Tensor:
        """Skinning, directions and offsets against the head's and the cloud's."""
        deformer = self.avatar.networks.deformer
        subject, code = self._subject(step)
        chosen, depth = self._sample(subject)
        surface = self.cloud.places[subject][chosen] + depth * self.cloud.normals[chosen]
        output = deformer(surface, code)
        targets = head_targets(self.avatar.head, self.canonical, surface)
        supervision: Tensor = supervise_deformer(
            output.skinning,
            *deformer.directions(output.hidden),
            targets,
            torch.full((NUM_EXPRESSIONS,), _VARIANCE),
        )
        skinning: Tensor = (output.skinning - targets.skinning).square().mean()
        weight, bias = deformer.offset_map()
        shift = torch.addmm(bias, output.hidden, weight.T).square().mean()
        stored = torch.randint(len(self.cloud.points), (len(chosen),), generator=self.generator)
        moved = torch.cat([chosen, stored[: int(_STORED_SHARE * len(chosen))]])
        points = self.cloud.points[moved]
        offsets = self.cloud.places[subject][moved] - points
        move = (deformer.canonical_offset(points, code) - offsets).square().mean()
        return supervision + _SKINNING_WEIGHT * skinning + _MOVE_WEIGHT * move + 10 * shift

    def geometry_loss(self, step: int) -> Tensor:
        """Colour and signed distance against the cloud's, and in some steps its normals."""
        subject, code = self._subject(step)
        chosen, depth = self._sample(subject)
        normals = self.cloud.normals[chosen]
        surface = self.cloud.places[subject][chosen] + depth * normals
        with_normals = step % _NORMALS_EVERY == 0
        field = self.avatar.networks.geometry(surface, code, tangents=with_normals)
        difference = (field.albedo - self.colours[subject][chosen]).abs()
        distance: Tensor = (field.sdf - depth[:, 0]).abs().mean()
        total: Tensor = _DISTANCE_WEIGHT * distance + _COLOUR_WEIGHT * difference.mean()
        if field.sdf_gradient is not None:
            found = torch.nn.functional.normalize(field.sdf_gradient, dim=1)
            direction = (found - normals).square().sum(dim=1).mean()
            total = total + _NORMAL_WEIGHT * direction
        return total

    def _subject(self, step: int) -> tuple[str, Tensor]:
        """A subject and its code (L,)."""
        subject = self.cloud.subjects[step % len(self.cloud.subjects)]
        known = subject in self.avatar.attribute_names
        worn = {subject.partition("_")[0]: subject} if known else {}
        return subject, self.avatar.codes.compose(worn).detach()

    def _sample(self, subject: str) -> tuple[Tensor, Tensor]:
        """Indices (M,) of points on a subject's surface, and depths (M, 1) below it."""
        shown, details = self.shown[subject], self.details[subject]
        num_fine = int(_DETAIL_SHARE * _WARM_SAMPLES) if len(details) else 0
        chosen = torch.cat(
            [
                some[torch.randint(len(some), (count,), generator=self.generator)]
                for some, count in ((details, num_fine), (shown, _WARM_SAMPLES - num_fine))
                if count
            ]
        )
        depth = _WARM_DEPTH * torch.randn(_WARM_SAMPLES, 1, generator=self.generator)
        return chosen, depth
