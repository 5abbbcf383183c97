"""What a training starts from: points on the head, and networks that already know the head."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import Parameter

from pegasus_runtime.avatar.avatar import PublishedAvatar
from pegasus_runtime.avatar.layers import WeightNormLinear
from pegasus_runtime.deform.canonical_head import CanonicalHead, make_canonical_head
from pegasus_runtime.head import Head
from trainer.config.schema import TrainingConfig
from trainer.data.dataset import Capture
from trainer.stages.blank import blank_avatar
from trainer.stages.cloud import StartCloud, make_cloud
from trainer.stages.colouring import colour_cloud
from trainer.stages.handover import hand_over
from trainer.stages.head_motion import HeadMotion
from trainer.stages.head_samples import by_part
from trainer.stages.store import hold_store, teach_store

_WARM_DEFORMER_RATE, _WARM_GEOMETRY_RATE = 3e-3, 4e-3
_STEEPNESS = 10.0
"""of the deformer's first layer: lips and lids are 0.01 apart and move opposite ways"""
_DETAILS = (
    "eyes", "eyelids", "eyebrows", "lips", "mouth", "nose", "teeth", "tongue",
)  # fmt: skip
"""parts whose motion changes from point to point, each sampled as often as the largest"""
_DETAIL_SHARE = 0.5
_MOVE_WEIGHT, _SHIFT_WEIGHT = 1000.0, 10.0
_STORED_SHARE = 0.25
"""of the sampled points may be in the store, where only their offset matters"""
_COLOUR_WEIGHT, _DISTANCE_WEIGHT, _NORMAL_WEIGHT = 10.0, 0.1, 0.05
_NORMALS_EVERY = 4
_WARM_SAMPLES = 1280
_MOTION_DEPTH, _DISTANCE_DEPTH = 0.003, 0.02
"""how far from the surface motion and distance are learned"""
_SOLVED_BATCHES = 100
"""of points, that the head's motion is solved for after the deformer's last step"""


def start_avatar(
    config: TrainingConfig, capture: Capture, head: Head
) -> tuple[PublishedAvatar, int]:
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
def spread_units(avatar: PublishedAvatar, points: Tensor, generator: torch.Generator) -> None:
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
    avatar: PublishedAvatar,
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
        steps: half of what motion and geometry each take.
        seed: of what is sampled.
    """
    generator = torch.Generator().manual_seed(seed)
    colours = colour_cloud(avatar.head, canonical, capture, cloud) if steps else {}
    shown = {name: cloud.worn(name).nonzero()[:, 0] for name in cloud.subjects}
    details = {
        name: by_part(avatar.head, cloud.nearest, found, _DETAILS) for name, found in shown.items()
    }
    networks = avatar.networks
    motion = HeadMotion(avatar.head, canonical, capture, networks.sizes.deformer_width)
    warmup = Warmup(avatar, cloud, motion, shown, details, colours, generator)
    held = hold_store(networks.deformer, len(cloud.slots))
    learned = [*networks.deformer.parameters(), *motion.parameters()]
    _fit(warmup.deformer_loss, learned, _WARM_DEFORMER_RATE, 2 * steps)
    if steps:
        warmup.solve_motion()
    _fit(warmup.geometry_loss, networks.geometry.parameters(), _WARM_GEOMETRY_RATE, 2 * steps)
    for handle in held:
        handle.remove()


def _fit(
    loss_of_step: Callable[[int], Tensor], learned: Iterable[Parameter], rate: float, steps: int
) -> None:
    optimiser = torch.optim.Adam(learned, lr=rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, max(steps, 1))
    for step in range(steps):
        optimiser.zero_grad(set_to_none=True)
        loss_of_step(step).backward()
        optimiser.step()
        schedule.step()


@dataclass
class Warmup:
    """The losses of the warm start."""

    avatar: PublishedAvatar
    cloud: StartCloud
    motion: HeadMotion
    shown: dict[str, Tensor]
    """by subject, indices of the points on its surface"""
    details: dict[str, list[Tensor]]
    """those of them that lie on fine parts of the face, part by part"""
    colours: dict[str, Tensor]
    generator: torch.Generator

    def deformer_loss(self, step: int) -> Tensor:
        """Skinning, directions and offsets against the head's and the cloud's."""
        deformer = self.avatar.networks.deformer
        subject, code = self._subject(step)
        chosen, depth = self._sample(subject, _MOTION_DEPTH)
        surface = self.cloud.places[subject][chosen] + depth * self.cloud.normals[chosen]
        output = deformer(surface, code)
        motion = self.motion.loss(output.hidden, output.skinning, self.cloud.nearest[chosen])
        weight, bias = deformer.offset_map()
        shift = torch.addmm(bias, output.hidden, weight.T).square().mean()
        stored = torch.randint(len(self.cloud.points), (len(chosen),), generator=self.generator)
        moved = torch.cat([chosen, stored[: int(_STORED_SHARE * len(chosen))]])
        points = self.cloud.points[moved]
        offsets = self.cloud.places[subject][moved] - points
        move = (deformer.canonical_offset(points, code) - offsets).square().mean()
        return motion + _MOVE_WEIGHT * move + _SHIFT_WEIGHT * shift

    @torch.no_grad()
    def solve_motion(self) -> None:
        """Write the head's motion into the deformer, for all subjects alike."""
        hidden, vertices = [], []
        for step in range(_SOLVED_BATCHES):
            subject, code = self._subject(step)
            chosen, depth = self._sample(subject, _MOTION_DEPTH)
            surface = self.cloud.places[subject][chosen] + depth * self.cloud.normals[chosen]
            hidden.append(self.avatar.networks.deformer.at(code).hidden(surface))
            vertices.append(self.cloud.nearest[chosen])
        self.motion.write(self.avatar.networks.deformer, torch.cat(hidden), torch.cat(vertices))

    def geometry_loss(self, step: int) -> Tensor:
        """Colour and signed distance against the cloud's, and in some steps its normals."""
        subject, code = self._subject(step)
        chosen, depth = self._sample(subject, _DISTANCE_DEPTH)
        normals = self.cloud.normals[chosen]
        surface = self.cloud.places[subject][chosen] + depth * normals
        with_normals = step % _NORMALS_EVERY == 0
        field = self.avatar.networks.geometry(surface, code, slope=with_normals)
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

    def _sample(self, subject: str, spread: float) -> tuple[Tensor, Tensor]:
        """Indices (M,) of points on a subject's surface, and depths (M, 1) off it."""
        shown, parts = self.shown[subject], self.details[subject]
        per_part = int(_DETAIL_SHARE * _WARM_SAMPLES) // max(len(parts), 1)
        counts = [per_part] * len(parts) + [_WARM_SAMPLES - per_part * len(parts)]
        chosen = [
            some[torch.randint(len(some), (count,), generator=self.generator)]
            for some, count in zip([*parts, shown], counts, strict=True)
        ]
        depth = spread * torch.randn(_WARM_SAMPLES, 1, generator=self.generator)
        return torch.cat(chosen), depth
