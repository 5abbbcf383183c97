"""What a training starts from: points on the head, and networks that already know the head."""

from __future__ import annotations

import torch
from torch import Tensor

from pegasus_runtime.avatar.avatar import Avatar, initial_avatar
from pegasus_runtime.avatar.networks import NetworkSizes
from pegasus_runtime.deform.canonical_head import CanonicalHead, make_canonical_head
from pegasus_runtime.head import Head
from trainer.config.training import TrainingConfig
from trainer.data.dataset import Capture

_SCALP = "scalp"


def start_avatar(config: TrainingConfig, capture: Capture, head: Head) -> Avatar:
    """An untrained avatar for a capture: points on the canonical head's surface."""
    canonical = make_canonical_head(head, capture.mean_expression)
    generator = torch.Generator().manual_seed(config.seed)
    points = sample_head(
        head, canonical, config.points.initial, config.points.scalp_share, generator
    )[0]
    model = config.model
    avatar = initial_avatar(
        head,
        points,
        config.points.initial_radius,
        sizes=NetworkSizes(
            num_frequencies=model.num_frequencies,
            geometry_width=model.geometry_width,
            geometry_depth=model.geometry_depth,
            geometry_skip=model.geometry_skip,
            deformer_width=model.deformer_width,
            deformer_depth=model.deformer_depth,
            shading_width=model.shading_width,
        ),
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

    The share ``scalp_share`` of them lies on the scalp, when the head knows where that is.
    """
    corners = canonical.vertices[head.faces]
    normals = torch.linalg.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    weights = normals.norm(dim=1).double()
    scalp = _on_scalp(head)
    if scalp is not None and scalp_share > 0:
        share = weights[scalp].sum() / weights.sum()
        weights = torch.where(
            scalp, weights * scalp_share / share, weights * (1 - scalp_share) / (1 - share)
        )
    chosen = torch.multinomial(weights, count, replacement=True, generator=generator)
    first, second = torch.rand(2, count, 1, generator=generator)
    root = first.sqrt()
    a, b, c = corners[chosen].unbind(dim=1)
    points = a * (1 - root) + b * root * (1 - second) + c * root * second
    return points, torch.nn.functional.normalize(normals[chosen], dim=1)


def _on_scalp(head: Head) -> Tensor | None:
    """(F,) whether a triangle lies on the scalp."""
    if head.part_labels is None or _SCALP not in head.part_names:
        return None
    label = head.part_names.index(_SCALP)
    return (head.part_labels[head.faces] == label).all(dim=1)


def warm_start(
    avatar: Avatar, canonical: CanonicalHead, steps: int, seed: int, num_samples: int = 2048
) -> None:
    """Fit the networks to the bare head: skinning, blend directions, distance and normals.

    It takes seconds, and pictures then only have to teach what the head does not know. The codes
    are drawn at random, so that nothing about the head is tied to one of them.
    """
    from trainer.losses.points import head_targets, supervise_deformer

    head, networks = avatar.head, avatar.networks
    generator = torch.Generator().manual_seed(seed)
    parameters = [*networks.deformer.parameters(), *networks.geometry.parameters()]
    optimiser = torch.optim.Adam(parameters, lr=2e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, max(steps, 1))
    names = [None, *avatar.attribute_names]
    for step in range(steps):
        name = names[step % len(names)]
        worn = {} if name is None else {name.partition("_")[0]: name}
        code = avatar.codes.compose(worn).detach()
        points, normals = sample_head(head, canonical, num_samples, 0.2, generator)
        depth = 0.03 * torch.randn(num_samples, 1, generator=generator)
        moved = points + depth * normals
        deformer = networks.deformer(moved, code)
        targets = head_targets(head, canonical, moved)
        pose_directions, expression_directions = networks.deformer.directions(deformer.hidden)
        loss = supervise_deformer(
            deformer.skinning, pose_directions, expression_directions, targets, torch.ones(50)
        )
        shift_weight, shift_bias = networks.deformer.offset_map()
        shift = torch.addmm(shift_bias, deformer.hidden, shift_weight.T)
        geometry = networks.geometry(moved, code, tangents=True)
        assert geometry.sdf_gradient is not None
        distance = (geometry.sdf - depth[:, 0]).abs().mean()
        direction = (geometry.sdf_gradient - normals).square().sum(dim=1).mean()
        total = loss + 10 * distance + 0.1 * direction + 10 * shift.square().mean()
        optimiser.zero_grad(set_to_none=True)
        total.backward()
        optimiser.step()
        schedule.step()
