"""What a training of the published model starts from: points on a sphere, or an earlier stage."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from pegasus_runtime.avatar.avatar import PublishedAvatar, initial_avatar
from pegasus_runtime.avatar_file import load_avatar
from pegasus_runtime.errors import InvalidInput
from pegasus_runtime.head import Head
from pegasus_runtime.model.config import NetworkSizes
from pegasus_runtime.model.latent import LatentCodes
from trainer.config.training import TrainingConfig
from trainer.data.dataset import Capture

_SPHERE = 0.5
"""radius of the sphere on which points begin, in units of the head; farther from where the head is,
more of the first steps only bring them there"""


def start_avatar(config: TrainingConfig, capture: Capture, head: Head) -> PublishedAvatar:
    """An avatar that knows nothing, or what ``config.start_from`` has learned.

    Of an earlier avatar points, radius and networks are taken as they are, codes by their
    attributes' names; attributes that it does not have begin with codes of their own.

    Raises:
        FileNotFoundError: there is no such avatar.
        InvalidInput: it cannot be read, is of surfels, or its networks have other sizes than
            configured.
    """
    if not config.start_from:
        generator = torch.Generator().manual_seed(config.seed)
        directions = torch.randn(config.points.initial, 3, generator=generator)
        points = _SPHERE * torch.nn.functional.normalize(directions, dim=1)
        return untrained_avatar(config, capture, head, points)
    path = Path(config.start_from)
    earlier = load_avatar(path, head)
    if not isinstance(earlier, PublishedAvatar):
        raise InvalidInput(
            f"{path}: is an avatar of surfels; start from one of the published model."
        )
    avatar = untrained_avatar(config, capture, head, earlier.points)
    ours, theirs = vars(avatar.networks.sizes), vars(earlier.networks.sizes)
    different = [f"{name} {theirs[name]}" for name in ours if ours[name] != theirs[name]]
    if different:
        raise InvalidInput(f"{path}: was trained with {', '.join(different)}; configure the same.")
    avatar.networks.load_state_dict(earlier.networks.state_dict())
    _copy_codes(avatar.codes, earlier.codes)
    return replace(avatar, radius=earlier.radius, store=earlier.store)


def untrained_avatar(
    config: TrainingConfig, capture: Capture, head: Head, points: Tensor
) -> PublishedAvatar:
    """An avatar of the configured size with the published initialisation and points (N, 3)."""
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
        moves_points=model.moves_points,
        name=config.name,
        seed=config.seed,
    )
    scale = _mean_view_scale(capture)
    return replace(avatar, points_per_pixel=model.points_per_pixel, view_scale=scale)


def _mean_view_scale(capture: Capture) -> float:
    """NDC per unit of length at the head, averaged over the training frames."""
    cameras = [f.record.camera for frames in capture.training.values() for f in frames]
    scales = [abs(float(c.intrinsics[1, 1])) / float(c.translation[2]) for c in cameras]
    return sum(scales) / len(scales)


@torch.no_grad()
def _copy_codes(codes: LatentCodes, earlier: LatentCodes) -> None:
    """Take over every code that an earlier training has for the same name."""
    codes.zero.copy_(earlier.zero)
    for rows, names, others, known in (
        (codes.source, codes.source_categories, earlier.source, earlier.source_categories),
        (codes.attributes, codes.attribute_names, earlier.attributes, earlier.attribute_names),
    ):
        for index, name in enumerate(names):
            if name in known:
                rows[index] = others[known.index(name)]
