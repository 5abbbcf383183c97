"""What a training starts from: points on the head, and networks that already know the head."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from pegasus_runtime.avatar.avatar import Avatar, initial_avatar
from pegasus_runtime.avatar.networks import NetworkSizes
from pegasus_runtime.deform.canonical_head import CanonicalHead, make_canonical_head
from pegasus_runtime.head import Head
from trainer.config.training import TrainingConfig
from trainer.data.dataset import Capture
from trainer.losses.points import head_targets, supervise_deformer
from trainer.stages.carving import StartCloud, bare_cloud, carve
from trainer.stages.colouring import colour_cloud

_SCALP = "scalp"
_NECK = "neck"
_NECK_SHARE = 0.2
_NUM_CLOUD = 40_000
_NUM_BARE = 60_000
_WARM_DEFORMER_RATE, _WARM_GEOMETRY_RATE = 2e-3, 4e-3
_MOVE_WEIGHT = 1000.0
_COLOUR_WEIGHT, _DISTANCE_WEIGHT, _NORMAL_WEIGHT = 10.0, 0.1, 0.005
_NORMALS_EVERY = 8
_WARM_SAMPLES = 1024
_WARM_DEPTH = 0.02


def start_avatar(config: TrainingConfig, capture: Capture, head: Head) -> Avatar:
    """An avatar that knows the head, and the capture's surface and colours roughly."""
    canonical = make_canonical_head(head, capture.mean_expression)
    generator = torch.Generator().manual_seed(config.seed)
    cloud = start_cloud(head, canonical, capture, config.points.scalp_share, generator)
    points = cloud.thin_out(config.points.initial, generator)
    avatar = blank_avatar(config, capture, head, points)
    warm_start(avatar, canonical, capture, cloud, config.warm_start_steps, config.seed)
    return avatar


def start_cloud(
    head: Head,
    canonical: CanonicalHead,
    capture: Capture,
    scalp_share: float,
    generator: torch.Generator,
) -> StartCloud:
    """A dense cloud over the source person, carved where hair, hats and collars stand off."""
    base, normals = sample_head(head, canonical, _NUM_CLOUD, scalp_share, generator)
    cloud = carve(head, canonical, capture, base, normals)
    base, normals = sample_head(head, canonical, _NUM_BARE, 0.0, generator)
    return cloud.join(bare_cloud(head, canonical, capture, base, normals))


def blank_avatar(config: TrainingConfig, capture: Capture, head: Head, points: Tensor) -> Avatar:
    """An untrained avatar for a capture with the given points (N, 3)."""
    model = config.model
    sizes = NetworkSizes(
        num_frequencies=model.num_frequencies,
        geometry_width=model.geometry_width,
        geometry_depth=model.geometry_depth,
        geometry_skip=model.geometry_skip,
        deformer_width=model.deformer_width,
        deformer_depth=model.deformer_depth,
        shading_width=model.shading_width,
    )
    avatar = initial_avatar(
        head,
        points,
        config.points.initial_radius,
        sizes=sizes,
        attribute_names=capture.attribute_names,
        canonical_expression=capture.mean_expression,
        shape=capture.shape,
        name=config.name,
        seed=config.seed,
    )
    avatar.points_per_pixel = model.points_per_pixel
    avatar.view_scale = mean_view_scale(capture)
    return avatar


def mean_view_scale(capture: Capture) -> float:
    """NDC per unit of length at the head, averaged over the training frames."""
    scales = [
        abs(float(frame.record.camera.intrinsics[1, 1])) / float(frame.record.camera.translation[2])
        for frames in capture.training.values()
        for frame in frames
    ]
    return sum(scales) / len(scales)


def sample_head(
    head: Head,
    canonical: CanonicalHead,
    count: int,
    scalp_share: float,
    generator: torch.Generator,
) -> tuple[Tensor, Tensor]:
    """Points and unit normals (count, 3) spread evenly over the canonical head's triangles.

    More of them lie on the scalp and the neck, from which hair, hats and collars stand off, when
    the head knows where these are.
    """
    corners = canonical.vertices[head.faces]
    flat = torch.linalg.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    weights = flat.norm(dim=1).double()
    weights = _share_out(weights, _on_part(head, _SCALP), scalp_share)
    weights = _share_out(weights, _on_part(head, _NECK), _NECK_SHARE if scalp_share else 0.0)
    chosen = torch.multinomial(weights, count, replacement=True, generator=generator)
    first, second = torch.rand(2, count, 1, generator=generator)
    root = first.sqrt()
    a, b, c = corners[chosen].unbind(dim=1)
    weights_of_corners = torch.cat([1 - root, root * (1 - second), root * second], dim=1)
    points = (torch.stack([a, b, c], dim=1) * weights_of_corners[:, :, None]).sum(dim=1)
    smooth = torch.zeros_like(canonical.vertices)
    smooth = smooth.index_add(0, head.faces.reshape(-1), flat.repeat_interleave(3, dim=0))
    normals = (smooth[head.faces[chosen]] * weights_of_corners[:, :, None]).sum(dim=1)
    return points, torch.nn.functional.normalize(normals, dim=1)


def _share_out(weights: Tensor, part: Tensor | None, share: float) -> Tensor:
    """Weights (F,) with the given share of their sum on a part, if the head knows it."""
    if part is None or share <= 0:
        return weights
    inside, outside = weights[part].sum(), weights[~part].sum()
    return torch.where(part, weights * share / inside, weights * (1 - share) / outside)


def _on_part(head: Head, name: str) -> Tensor | None:
    """(F,) whether a triangle lies on a part; None when the head does not know it."""
    if head.part_labels is None or name not in head.part_names:
        return None
    label = head.part_names.index(name)
    return (head.part_labels[head.faces] == label).all(dim=1)


def warm_start(
    avatar: Avatar,
    canonical: CanonicalHead,
    capture: Capture,
    cloud: StartCloud,
    steps: int,
    seed: int,
) -> None:
    """Fit the networks to what is known before the first picture is drawn.

    The head gives skinning and blend directions, the carved cloud gives surface, normals, colours
    and how far each attribute moves points. It takes a minute, and pictures teach only the rest.

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
    warmup = Warmup(avatar, canonical, cloud, colours, generator)
    networks = avatar.networks
    _fit(warmup.deformer_loss, networks.deformer, _WARM_DEFORMER_RATE, steps)
    _fit(warmup.geometry_loss, networks.geometry, _WARM_GEOMETRY_RATE, 2 * steps)


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
    colours: dict[str, tuple[Tensor, Tensor]]
    generator: torch.Generator

    def deformer_loss(self, step: int) -> Tensor:
        """Skinning, directions and offsets against the head's and the cloud's."""
        deformer = self.avatar.networks.deformer
        subject, code, chosen, depth = self._sample(step)
        points, offsets = self.cloud.points[chosen], self.cloud.offsets[subject][chosen]
        places = points + offsets + depth * self.cloud.normals[chosen]
        output = deformer(places, code)
        targets = head_targets(self.avatar.head, self.canonical, places)
        supervision: Tensor = supervise_deformer(
            output.skinning, *deformer.directions(output.hidden), targets, torch.ones(50)
        )
        weight, bias = deformer.offset_map()
        shift = torch.addmm(bias, output.hidden, weight.T).square().mean()
        move = (deformer.canonical_offset(points, code) - offsets).square().mean()
        return supervision + _MOVE_WEIGHT * move + 10 * shift

    def geometry_loss(self, step: int) -> Tensor:
        """Colour and signed distance against the cloud's, and in some steps its normals."""
        subject, code, chosen, depth = self._sample(step)
        normals = self.cloud.normals[chosen]
        places = self.cloud.points[chosen] + self.cloud.offsets[subject][chosen] + depth * normals
        with_normals = step % _NORMALS_EVERY == 0
        field = self.avatar.networks.geometry(places, code, tangents=with_normals)
        colours, seen = self.colours[subject]
        difference = (field.albedo - colours[chosen]).abs() * seen[chosen, None]
        distance: Tensor = (field.sdf - depth[:, 0]).abs().mean()
        total: Tensor = _DISTANCE_WEIGHT * distance + _COLOUR_WEIGHT * difference.mean()
        if field.sdf_gradient is not None:
            found = torch.nn.functional.normalize(field.sdf_gradient, dim=1)
            direction = (found - normals).square().sum(dim=1).mean()
            total = total + _NORMAL_WEIGHT * direction
        return total

    def _sample(self, step: int) -> tuple[str, Tensor, Tensor, Tensor]:
        """A subject with its code (L,), and chosen points (M,) with depths (M, 1) below them."""
        subjects = list(self.cloud.offsets)
        subject = subjects[step % len(subjects)]
        known = subject in self.avatar.attribute_names
        worn = {subject.partition("_")[0]: subject} if known else {}
        code = self.avatar.codes.compose(worn).detach()
        chosen = torch.randint(len(self.cloud.points), (_WARM_SAMPLES,), generator=self.generator)
        depth = _WARM_DEPTH * torch.randn(_WARM_SAMPLES, 1, generator=self.generator)
        return subject, code, chosen, depth
