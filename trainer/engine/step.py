"""One step of training: a frame in, losses out.

Only points that a picture shows receive gradients from it. They are found first, without
gradients and with positions alone; the expensive part, derivatives and colours with gradients, is
then done for those points only. What is left out weighs less than 2 % of any pixel.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field

import torch
from torch import Tensor

from pegasus_runtime.camera import Camera
from pegasus_runtime.deform.canonical_head import CanonicalHead, make_canonical_head
from pegasus_runtime.deform.drawn import DrawnPoints, find_drawn
from pegasus_runtime.deform.nearest import NearestTracker
from pegasus_runtime.deform.surface import (
    CanonicalSurface,
    PosedHead,
    evaluate_surface,
    pose_surface,
    prepare_pose,
    with_derivatives_of,
)
from pegasus_runtime.head import Head
from pegasus_runtime.passes import point_colours
from pegasus_runtime.raster import rasterize, render_points, visible_points
from trainer.config.training import LossConfig
from trainer.data.dataset import Capture, TrainingFrame
from trainer.engine.learner import Learner
from trainer.losses.features import FeatureLoss
from trainer.losses.pictures import CHANNELS, make_targets, over_white, picture_losses
from trainer.losses.points import eikonal, eikonal_samples, head_targets, supervise_deformer

LOSS_NAMES = (
    "rgb", "mask", "vgg", "normal", "segmentation", "sdf", "eikonal", "flame", "latent",
)  # fmt: skip
"""what `losses_of_step` may return"""
_MIN_WEIGHT = 0.02
"""A point that weighs less than this in every pixel gets no gradient from the picture."""


@dataclass
class Situation:
    """What every step of a training has in common."""

    learner: Learner
    capture: Capture
    head: Head
    canonical: CanonicalHead
    shape: Tensor
    variance: Tensor
    features: FeatureLoss | None = None
    trackers: dict[str, NearestTracker] = field(init=False)
    """by subject, whose points hardly move from one of its frames to the next"""

    def __post_init__(self) -> None:
        self.trackers = defaultdict(lambda: NearestTracker(self.canonical.vertices))

    @classmethod
    def prepare(
        cls, learner: Learner, capture: Capture, features: FeatureLoss | None = None
    ) -> Situation:
        avatar, device = learner.avatar, learner.device
        canonical = make_canonical_head(
            avatar.head, avatar.canonical_expression, avatar.canonical_jaw_rad
        )
        return cls(
            learner,
            capture,
            avatar.head.to(device),
            canonical.to(device),
            capture.shape.to(device),
            capture.variance_expression.to(device),
            features,
        )

    def code(self, frame: TrainingFrame) -> Tensor:
        """The latent code of a frame's subject, with gradients."""
        name = frame.record.subject
        worn = {} if name == self.capture.source else {name.partition("_")[0]: name}
        return self.learner.codes.compose(worn)

    def posed(self, frame: TrainingFrame) -> PosedHead:
        """Joint transforms of a frame."""
        device = self.learner.device
        expression = torch.from_numpy(frame.record.expression).to(device)
        pose = torch.from_numpy(frame.record.pose).to(device)
        with torch.no_grad():
            return prepare_pose(self.head, self.canonical, expression, pose, self.shape)

    def evaluate(
        self, points: Tensor, code: Tensor, *, appearance: bool = True, derivatives: bool = True
    ) -> CanonicalSurface:
        """As `evaluate_surface`, of this training's avatar."""
        learner = self.learner
        return evaluate_surface(
            learner.networks, self.canonical, points, code,
            appearance=appearance, derivatives=derivatives, move=learner.avatar.moves_points,
        )  # fmt: skip

    def drawn(self, code: Tensor) -> DrawnPoints:
        """The points of a code (L,), and which of them are drawn."""
        learner = self.learner
        points = learner.points.detach()
        if not learner.avatar.moves_points:
            return DrawnPoints.all_of(points)
        return find_drawn(learner.networks.deformer, points, code, learner.store)

    def radius(self, camera: Camera) -> float:
        """The points' radius in a frame's view."""
        avatar = self.learner.avatar
        avatar.radius = self.learner.radius
        return avatar.radius_in(camera)


def losses_of_step(
    situation: Situation,
    frame: TrainingFrame,
    config: LossConfig,
    generator: torch.Generator,
    *,
    bend: bool = True,
) -> dict[str, Tensor]:
    """All losses of one frame, not yet weighted, by name.

    Args:
        situation: what is trained.
        frame: what it should look like.
        config: the losses' settings.
        generator: of the points that are looked at by chance.
        bend: let the pictures' gradients reach the networks through normals too, which costs as
            much again; without it normals are taken as they are.
    """
    learner = situation.learner
    code = situation.code(frame)
    posed = situation.posed(frame)
    shown, nearest = find_shown_points(situation, frame, code.detach(), posed)
    surface = _evaluate(situation, learner.points[shown], code, bend)
    channels = draw(situation, frame.record.camera, surface, posed, code, nearest[shown])
    targets = make_targets(frame.pictures, situation.capture.part_names, config, learner.device)
    losses = picture_losses(channels, targets)
    if situation.features:
        losses["vgg"] = situation.features(over_white(channels), targets.rgb)
    losses |= _point_losses(situation, surface, code, config, generator)
    losses["latent"] = code.square().mean()
    return losses


def _evaluate(situation: Situation, points: Tensor, code: Tensor, bend: bool) -> CanonicalSurface:
    """The surface at points (N, 3), with gradients through its derivatives or none."""
    if bend:
        return situation.evaluate(points, code)
    with torch.no_grad():
        still = situation.evaluate(points, code)
    return with_derivatives_of(situation.evaluate(points, code, derivatives=False), still)


@torch.no_grad()
def find_shown_points(
    situation: Situation, frame: TrainingFrame, code: Tensor, posed: PosedHead
) -> tuple[Tensor, Tensor]:
    """Indices of the points that appear in a frame, and every point's nearest head vertex."""
    learner = situation.learner
    networks, canonical = learner.networks, situation.canonical
    drawn = situation.drawn(code)
    surface = evaluate_surface(
        networks, canonical, drawn.points, code, appearance=False, move=False
    )
    nearest = situation.trackers[frame.record.subject].find(drawn.spread(surface.points))
    points = pose_surface(networks, canonical, surface, posed, nearest[drawn.index]).points
    camera = frame.record.camera
    fragments = rasterize(
        camera.project(points),
        camera.image_size,
        situation.radius(camera),
        learner.avatar.points_per_pixel,
    )
    learner.seen[drawn.index] |= visible_points(fragments)
    return drawn.index[visible_points(fragments, _MIN_WEIGHT)], nearest


def draw(
    situation: Situation,
    camera: Camera,
    surface: CanonicalSurface,
    posed: PosedHead,
    code: Tensor,
    nearest: Tensor | None = None,
) -> dict[str, Tensor]:
    """Blend a surface's points into pictures (H, W, C) by name, premultiplied."""
    learner = situation.learner
    placed = pose_surface(learner.networks, situation.canonical, surface, posed, nearest)
    geometry, normals = surface.geometry, placed.normals
    assert geometry is not None and normals is not None
    colours = point_colours(geometry.albedo, learner.networks.shading(normals, code))
    features = [
        colours,
        normals * 0.5 + 0.5,
        torch.sigmoid(geometry.segmentation)[:, None],
        torch.ones_like(colours[:, :1]),
    ]
    picture = render_points(
        camera.project(placed.points),
        torch.cat(features, dim=1),
        image_size=camera.image_size,
        radius=situation.radius(camera),
        points_per_pixel=learner.avatar.points_per_pixel,
    )
    return dict(zip(CHANNELS, picture.split(list(CHANNELS.values()), dim=2), strict=True))


def _point_losses(
    situation: Situation,
    surface: CanonicalSurface,
    code: Tensor,
    config: LossConfig,
    generator: torch.Generator,
) -> dict[str, Tensor]:
    """Losses on the shown points, and on a random few of all points for what costs more."""
    learner, canonical = situation.learner, situation.canonical
    assert surface.geometry is not None
    count = min(config.num_samples, len(learner.points))
    chosen = torch.randint(len(learner.points), (count,), generator=generator).to(learner.device)
    networks = learner.networks
    sampled = situation.evaluate(learner.points[chosen], code, appearance=False)
    around = eikonal_samples(sampled.offset_points.detach(), generator)
    around = around[torch.randperm(len(around), generator=generator)[:count].to(around.device)]
    field = networks.geometry(around, code, tangents=True)
    assert field.sdf_gradient is not None
    targets = head_targets(situation.head, canonical, sampled.points)
    directions = networks.deformer.directions(sampled.deformer.hidden)
    return {
        "sdf": surface.geometry.sdf.square().mean(),
        "eikonal": eikonal(field.sdf_gradient),
        "flame": supervise_deformer(
            sampled.deformer.skinning, *directions, targets, situation.variance
        ),
    }


def weigh(losses: dict[str, Tensor], config: LossConfig, epoch: float) -> Tensor:
    """The weighted sum of a step's losses."""
    halvings = sum(epoch >= limit for limit in config.flame_halvings)
    weights = {**vars(config), "flame": config.flame * 0.5**halvings}
    return torch.stack([loss * weights[name] for name, loss in losses.items()]).sum()
