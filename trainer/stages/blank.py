"""An avatar of the configured size that knows nothing yet."""

from __future__ import annotations

from torch import Tensor

from pegasus_runtime.avatar.avatar import PublishedAvatar, initial_avatar
from pegasus_runtime.avatar.sizes import NetworkSizes
from pegasus_runtime.head import Head
from trainer.config.schema import TrainingConfig
from trainer.data.dataset import Capture


def blank_avatar(
    config: TrainingConfig, capture: Capture, head: Head, points: Tensor
) -> PublishedAvatar:
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
        moves_points=model.moves_points,
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
