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

from pegasus_runtime.avatar.deformer import split_directions
from pegasus_runtime.avatar.geometry import CodedGeometry
from pegasus_runtime.avatar.layers import Map
from pegasus_runtime.avatar.networks import CodedNetworks
from pegasus_runtime.camera import Camera
from pegasus_runtime.deform.canonical_head import CanonicalHead, make_canonical_head
from pegasus_runtime.deform.drawn import DrawnPoints, find_drawn
from pegasus_runtime.deform.nearest import NearestTracker
from pegasus_runtime.deform.placing import place_surface
from pegasus_runtime.deform.positions import find_positions
from pegasus_runtime.deform.surface import (
    PosedHead,
    apply_rows,
    blend_bones,
    evaluate_surface,
    prepare_pose,
)
from pegasus_runtime.drawing import point_colours
from pegasus_runtime.head import Head
from pegasus_runtime.raster import rasterize, render_points, visible_points
from trainer.config.schema import LossConfig
from trainer.data.dataset import Capture, TrainingFrame
from trainer.engine.in_slices import in_slices
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

    def drawn(self, networks: CodedNetworks) -> DrawnPoints:
        """The points in a latent code, and which of them are drawn."""
        learner = self.learner
        points = learner.points.detach()
        if not learner.avatar.moves_points:
            return DrawnPoints.all_of(points)
        return find_drawn(networks.deformer, points, learner.store)

    def radius(self, camera: Camera) -> float:
        """The points' radius in a frame's view."""
        return self.learner.avatar.radius_in(camera)


def losses_of_step(
    situation: Situation,
    frame: TrainingFrame,
    config: LossConfig,
    generator: torch.Generator,
    *,
    bend: bool = True,
) -> tuple[dict[str, Tensor], Tensor]:
    """All losses of one frame, not yet weighted, by name, and which points it sees (N,).

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
    networks = learner.networks.at(code)
    shown, nearest, seen = find_shown_points(situation, frame, code.detach(), posed)
    placed, features, sdf = place_points(
        situation, learner.points[shown], nearest[shown], networks, posed, bend=bend
    )
    channels = draw(situation, frame.record.camera, placed, features)
    targets = make_targets(frame.pictures, situation.capture.part_names, config, learner.device)
    losses = picture_losses(channels, targets)
    if situation.features:
        losses["vgg"] = situation.features(over_white(channels), targets.rgb)
    losses["sdf"] = sdf.square().mean()
    losses |= _losses_of_some(situation, networks, config, generator)
    losses["latent"] = code.square().mean()
    return losses, seen


def place_points(
    situation: Situation,
    points: Tensor,
    nearest: Tensor,
    networks: CodedNetworks,
    posed: PosedHead,
    *,
    bend: bool = True,
) -> tuple[Tensor, Tensor, Tensor]:
    """Stored points (N, 3), of nearest vertices (N,), as a frame shows them.

    Returns:
        posed points (N, 3), their `CHANNELS` side by side (N, C), and signed distances (N,).
    """
    deformer = situation.learner.networks.deformer
    blend = deformer.blend_map(posed.expression_change, posed.feature_change)

    def work(
        points: Tensor, nearest: Tensor, networks: CodedNetworks, blend: Map
    ) -> tuple[Tensor, ...]:
        placed, geometry = place_surface(
            networks, situation.canonical, points, blend, posed, nearest,
            still=not bend, move=situation.learner.avatar.moves_points,
        )  # fmt: skip
        normals = placed.normals
        assert normals is not None
        colours = point_colours(geometry.albedo, networks.shading(normals))
        region = torch.sigmoid(geometry.segmentation)[:, None]
        channels = [colours, normals * 0.5 + 0.5, region, torch.ones_like(region)]
        return placed.points, torch.cat(channels, dim=1), geometry.sdf

    placed, features, sdf = in_slices(work, (points, nearest), networks, blend)
    return placed, features, sdf


@torch.no_grad()
def find_shown_points(
    situation: Situation, frame: TrainingFrame, code: Tensor, posed: PosedHead
) -> tuple[Tensor, Tensor, Tensor]:
    """The points that a frame's picture depends on.

    Returns:
        their indices (M,), every point's nearest head vertex (N,), and whether every point is seen
        at all (N,).
    """
    learner = situation.learner
    networks = learner.networks.at(code)
    deformer = learner.networks.deformer
    blend = deformer.blend_map(posed.expression_change, posed.feature_change)
    drawn = situation.drawn(networks)
    on_head, bent, skinning = find_positions(networks, situation.canonical, drawn.points, blend)
    nearest = situation.trackers[frame.record.subject].find(drawn.spread(on_head))
    if posed.shape_displacements is not None:
        bent = bent + posed.shape_displacements[nearest[drawn.index]]
    linear, shift = blend_bones(posed.transforms, skinning)
    points = apply_rows(linear, bent) + shift
    camera = frame.record.camera
    fragments = rasterize(
        camera.project(points),
        camera.image_size,
        situation.radius(camera),
        learner.avatar.points_per_pixel,
    )
    seen = torch.zeros_like(learner.seen)
    seen[drawn.index] = visible_points(fragments)
    return drawn.index[visible_points(fragments, _MIN_WEIGHT)], nearest, seen


def draw(
    situation: Situation, camera: Camera, placed: Tensor, features: Tensor
) -> dict[str, Tensor]:
    """Blend posed points (N, 3) with `CHANNELS` (N, C) into pictures by name, premultiplied."""
    picture = render_points(
        camera.project(placed),
        features,
        image_size=camera.image_size,
        radius=situation.radius(camera),
        points_per_pixel=situation.learner.avatar.points_per_pixel,
    )
    return dict(zip(CHANNELS, picture.split(list(CHANNELS.values()), dim=2), strict=True))


def _losses_of_some(
    situation: Situation,
    networks: CodedNetworks,
    config: LossConfig,
    generator: torch.Generator,
) -> dict[str, Tensor]:
    """Losses on a random few of all points."""
    learner, canonical = situation.learner, situation.canonical
    count = min(config.num_samples, len(learner.points))
    chosen = torch.randint(len(learner.points), (count,), generator=generator).to(learner.device)

    def look(points: Tensor, networks: CodedNetworks, directions: Map) -> tuple[Tensor, ...]:
        surface = evaluate_surface(
            networks, canonical, points, appearance=False, move=learner.avatar.moves_points
        )  # fmt: skip
        weight, bias = directions
        pose, expression = split_directions(torch.addmm(bias, surface.deformer.hidden, weight.T))
        return (
            surface.offset_points, surface.points, surface.deformer.skinning, pose, expression
        )  # fmt: skip

    moved, on_head, skinning, pose, expression = in_slices(
        look, (learner.points[chosen],), networks, learner.networks.deformer.directions_map()
    )
    around = eikonal_samples(moved.detach(), generator)
    around = around[torch.randperm(len(around), generator=generator)[:count].to(around.device)]

    def slope(places: Tensor, geometry: CodedGeometry) -> tuple[Tensor, ...]:
        gradient = geometry(places, slope=True).sdf_gradient
        assert gradient is not None
        return (gradient,)

    (slopes,) = in_slices(slope, (around,), networks.geometry)
    targets = head_targets(situation.head, canonical, on_head)
    return {
        "eikonal": eikonal(slopes),
        "flame": supervise_deformer(skinning, pose, expression, targets, situation.variance),
    }


def weigh(losses: dict[str, Tensor], config: LossConfig, epoch: float) -> Tensor:
    """The weighted sum of a step's losses."""
    halvings = sum(epoch >= limit for limit in config.flame_halvings)
    weights = {**vars(config), "flame": config.flame * 0.5**halvings}
    return torch.stack([loss * weights[name] for name, loss in losses.items()]).sum()
