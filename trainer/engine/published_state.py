"""The published model in training, in torch's operations on any device.

Only points that a picture shows receive gradients from it. They are found first, without gradients
and with positions alone; the expensive part, derivatives and colours with gradients, is then done
for those alone. What is left out weighs less than 2 % of any pixel.
"""

from __future__ import annotations

import copy
import math
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from pegasus_runtime.avatar.avatar import PublishedAvatar
from pegasus_runtime.camera import Camera
from pegasus_runtime.deform.surface import JointPose, evaluate_surface, pose_surface, prepare_pose
from pegasus_runtime.drawing import point_colours
from pegasus_runtime.head.canonical import make_canonical_head
from pegasus_runtime.model.networks import ConditionedNetworks
from pegasus_runtime.raster import rasterize, render_points, visible_points
from trainer.data.dataset import TrainingFrame
from trainer.engine.distributed import ProcessGroup
from trainer.engine.train_state import TrainContext, TrainState
from trainer.init.published_start import start_avatar, untrained_avatar
from trainer.losses.geometry import eikonal, eikonal_samples, head_targets, supervise_deformer
from trainer.losses.image import CHANNELS, composite, image_losses, make_targets

_POINTS, _LATENTS = "points", "latents"
_MIN_WEIGHT = 0.02
"""A point that weighs less than this in every pixel gets no gradient from the picture: more of it
leaves faint points unlearned, less takes time for what shows nothing."""


class _Parameters(nn.Module):
    """All that is learned."""

    def __init__(self, avatar: PublishedAvatar, device: torch.device) -> None:
        super().__init__()
        self.networks = avatar.networks.to(device).train().requires_grad_(True)
        self.codes = avatar.codes.to(device).train().requires_grad_(True)
        self.points = nn.Parameter(avatar.points.to(device))


class PublishedState(TrainState):
    """An avatar in training with Adam's moments."""

    def __init__(self, context: TrainContext, avatar: PublishedAvatar) -> None:
        super().__init__(context)
        self._avatar = avatar
        device, capture = context.device, context.capture
        canonical = make_canonical_head(
            avatar.head, avatar.canonical_expression, avatar.canonical_jaw_rad
        )
        self._canonical, self._head = canonical.to(device), avatar.head.to(device)
        self._shape = capture.shape.to(device)
        self._variance = capture.variance_expression.to(device)
        self._radius = avatar.radius
        self._module = _Parameters(avatar, device)
        self._seen = self._nothing_seen()
        groups = {
            "networks": list(self._module.networks.parameters()),
            _POINTS: [self._module.points],
            _LATENTS: list(self._module.codes.parameters()),
        }
        self._optimiser = torch.optim.Adam(
            [{"params": params, "name": name} for name, params in groups.items()], eps=1e-15
        )
        self.set_rates(0, 0.0)

    @classmethod
    def begin(cls, context: TrainContext) -> PublishedState:
        """From points on a sphere, or from an earlier avatar."""
        return cls(context, start_avatar(context.config, context.capture, context.head))

    @classmethod
    def of(cls, context: TrainContext, saved: dict[str, Any]) -> PublishedState:
        """As a checkpoint has it."""
        points = saved["points"]
        avatar = untrained_avatar(context.config, context.capture, context.head, points)
        state = cls(context, replace(avatar, store=saved["store"]))
        state.restore(saved)
        return state

    @property
    def module(self) -> nn.Module:
        return self._module

    @property
    def optimiser(self) -> torch.optim.Optimizer:
        return self._optimiser

    @property
    def num_points(self) -> int:
        return len(self._module.points)

    @property
    def radius(self) -> float:
        return self._radius

    def losses(
        self, frame: TrainingFrame, generator: torch.Generator, step: int
    ) -> tuple[dict[str, Tensor], Tensor]:
        """Losses of a frame, and which points (N,) it showed."""
        config, capture = self._context.config.losses, self._context.capture
        code, head = self._code(frame), self._posed(frame)
        networks = self._module.networks.condition(code)
        shown, seen = self._find_shown(frame.record.camera, self._frozen(code), head)
        bends = step % config.normals_every == 0
        channels, sdf = self._draw(frame.record.camera, networks, head, shown, bends)
        targets = make_targets(frame.pictures, capture.part_names, config, self.device)
        losses = image_losses(channels, targets)
        if self._features:
            losses["vgg"] = self._features(composite(channels, targets.ground), targets.rgb)
        losses["sdf"] = sdf.square().mean()
        losses |= self._losses_of_some(networks, generator)
        losses["latent"] = code.square().mean()
        return losses, seen

    def weigh(self, losses: dict[str, Tensor], epoch: float) -> Tensor:
        """Their weighted sum."""
        config = self._context.config.losses
        halvings = sum(epoch >= limit for limit in config.flame_halvings)
        weights = {**vars(config), "flame": config.flame * 0.5**halvings}
        return torch.stack([loss * weights[name] for name, loss in losses.items()]).sum()

    def note(self, seen: Tensor, share: int) -> None:
        self._seen |= seen

    def _base_rate(self, name: str, epoch: float) -> float:
        waits = name == _LATENTS and epoch < self._context.config.optimiser.latents_from_epoch
        return 0.0 if waits else super()._base_rate(name, epoch)

    def share(self, group: ProcessGroup) -> None:
        """Add up what all processes have seen."""
        self._seen = group.all_reduce_any(self._seen)

    @torch.no_grad()
    def change_points(self, step: int) -> None:
        """Double the points, up to the maximum, without those that were never seen."""
        config = self._context.config.points
        if not step or step % config.grow_every:
            return
        generator = self._context.growth_generator(step)
        points = self._module.points.detach()
        kept = self._seen.nonzero()[:, 0]
        if not config.prune or not len(kept):
            kept = torch.arange(len(points), device=self.device)
        survivors = points[kept]
        room = max(min(len(kept), config.maximum - len(kept)), 0)
        parents = torch.randperm(len(kept), generator=generator)[:room].to(self.device)
        noise = torch.rand(room, 3, generator=generator).to(self.device) * 2 - 1
        near = survivors[parents] + noise * config.noise * self._radius
        self._replace_points(torch.cat([survivors, near]), kept)
        factor = config.radius_factor ** math.log2(1 + room / len(kept))
        self._radius = max(self._radius * factor, min(config.minimum_radius, self._radius))
        # Another object, for what shares gradients between processes holds the old parameters.
        self._module = copy.copy(self._module)

    def _replace_points(self, points: Tensor, kept: Tensor) -> None:
        """Take points (N, 3), first those of old indices ``kept``, which keep their moments."""
        old, new = self._module.points, nn.Parameter(points.contiguous())
        state = self._optimiser.state.pop(old, {})
        for name in ("exp_avg", "exp_avg_sq"):
            if name in state:
                moment = torch.zeros_like(new)
                moment[: len(kept)] = state[name][kept]
                state[name] = moment
        if state:
            self._optimiser.state[new] = state
        group = next(g for g in self._optimiser.param_groups if g["name"] == _POINTS)
        group["params"] = [new]
        self._module.points = new
        self._seen = self._nothing_seen()

    @torch.no_grad()
    def picture(self, frame: TrainingFrame) -> tuple[Tensor, Tensor]:
        """Colours over white and normals (H, W, 3)."""
        camera, head = frame.record.camera, self._posed(frame)
        networks = self._frozen(self._code(frame))
        shown, _ = self._find_shown(camera, networks, head)
        channels, _ = self._draw(camera, networks, head, shown, False)
        return composite(channels, torch.ones(3, device=self.device)), channels["normal"]

    def snapshot(self) -> dict[str, Any]:
        """Everything a later run needs."""
        return {
            "networks": self._module.networks.state_dict(),
            "codes": self._module.codes.state_dict(),
            "points": self._module.points.detach(),
            "store": self._avatar.store,
            "radius": self._radius,
            "seen": self._seen,
            "rate_scale": self.rate_scale,
            "optimiser": self._optimiser.state_dict(),
        }

    def restore(self, saved: dict[str, Any]) -> None:
        """Go on from a snapshot."""
        self._module.networks.load_state_dict(saved["networks"])
        self._module.codes.load_state_dict(saved["codes"])
        points = saved["points"].to(self.device)
        self._replace_points(points, torch.arange(0, device=self.device))
        self._optimiser.load_state_dict(saved["optimiser"])
        self._radius, self.rate_scale = float(saved["radius"]), float(saved["rate_scale"])
        self._seen = saved["seen"].to(self.device)
        self._module = copy.copy(self._module)

    def avatar(self, provenance: dict[str, Any], is_final: bool = True) -> PublishedAvatar:
        """The avatar as it is now."""
        module = copy.deepcopy(self._module).cpu().eval().requires_grad_(False)
        return replace(
            self._avatar,
            networks=module.networks,
            codes=module.codes,
            points=module.points.detach(),
            radius=self._radius,
            points_per_pixel=self._context.config.model.drawn_per_pixel,
            provenance=provenance,
        )

    def _nothing_seen(self) -> Tensor:
        return torch.zeros(self.num_points, dtype=torch.bool, device=self.device)

    def _code(self, frame: TrainingFrame) -> Tensor:
        """The latent code of a frame's subject, with gradients."""
        name = frame.record.subject
        worn = {} if name == self._context.capture.source else {name.partition("_")[0]: name}
        return self._module.codes.compose(worn)

    @torch.no_grad()
    def _frozen(self, code: Tensor) -> ConditionedNetworks:
        return self._module.networks.condition(code)

    @torch.no_grad()
    def _posed(self, frame: TrainingFrame) -> JointPose:
        expression = torch.from_numpy(frame.record.expression).to(self.device)
        pose = torch.from_numpy(frame.record.pose).to(self.device)
        return prepare_pose(self._head, self._canonical, expression, pose, self._shape)

    @torch.no_grad()
    def _find_shown(
        self, camera: Camera, networks: ConditionedNetworks, head: JointPose
    ) -> tuple[Tensor, Tensor]:
        """Indices (M,) of the points a picture depends on, and which (N,) it shows at all."""
        points = self._module.points.detach()
        posed, _, _ = self._pose(points, networks, head, appearance=False)
        fragments = rasterize(
            camera.project(posed), camera.image_size, self._radius_in(camera),
            self._avatar.points_per_pixel,
        )  # fmt: skip
        shown = visible_points(fragments, _MIN_WEIGHT).nonzero()[:, 0]
        return shown, visible_points(fragments)

    def _radius_in(self, camera: Camera) -> float:
        return self._radius / self._avatar.radius * self._avatar.radius_in(camera)

    def _pose(
        self,
        points: Tensor,
        networks: ConditionedNetworks,
        head: JointPose,
        appearance: bool = True,
    ) -> tuple[Tensor, Tensor | None, Any]:
        """Posed points, normals (N, 3) and what the geometry network says of stored points."""
        deformer = self._module.networks.deformer
        surface = evaluate_surface(
            networks, self._canonical, points, appearance=appearance, move=self._avatar.moves_points
        )
        blend = deformer.blend_map(head.expression_change, head.feature_change)
        posed = pose_surface(blend, self._canonical, surface, head)
        return posed.points, posed.normals, surface.geometry

    def _draw(
        self,
        camera: Camera,
        networks: ConditionedNetworks,
        head: JointPose,
        shown: Tensor,
        bends: bool,
    ) -> tuple[dict[str, Tensor], Tensor]:
        """Blended pictures by name, premultiplied, and signed distances of the points shown.

        Args:
            camera: the view.
            networks: for the frame's latent code.
            head: posed as in the frame.
            shown: (M,) indices of points.
            bends: let the picture's gradients reach the networks through normals too, which costs
                as much again; without it normals are taken as they are.
        """
        points, normals, geometry = self._pose(self._module.points[shown], networks, head)
        assert normals is not None
        if not bends:
            normals = normals.detach()
        colours = point_colours(geometry.albedo, networks.shading(normals))
        region = torch.sigmoid(geometry.segmentation)[:, None]
        columns = [colours, normals * 0.5 + 0.5, region, torch.ones_like(region)]
        picture = render_points(
            camera.project(points), torch.cat(columns, dim=1), image_size=camera.image_size,
            radius=self._radius_in(camera), points_per_pixel=self._avatar.points_per_pixel,
        )  # fmt: skip
        parts = picture.split(list(CHANNELS.values()), dim=2)
        return dict(zip(CHANNELS, parts, strict=True)), geometry.sdf

    def _losses_of_some(
        self, networks: ConditionedNetworks, generator: torch.Generator
    ) -> dict[str, Tensor]:
        """Losses on a random few of all points."""
        count = min(self._context.config.losses.num_samples, self.num_points)
        chosen = torch.randint(self.num_points, (count,), generator=generator).to(self.device)
        surface = evaluate_surface(
            networks, self._canonical, self._module.points[chosen],
            appearance=False, move=self._avatar.moves_points,
        )  # fmt: skip
        deformer = self._module.networks.deformer
        pose, expression = deformer.directions(surface.deformer.hidden)
        around = eikonal_samples(surface.offset_points.detach(), generator)
        around = around[torch.randperm(len(around), generator=generator)[:count].to(around.device)]
        slopes = networks.geometry(around, slope=True).sdf_gradient
        assert slopes is not None
        targets = head_targets(self._head, self._canonical, surface.points)
        skinning = surface.deformer.skinning
        supervised = supervise_deformer(skinning, pose, expression, targets, self._variance)
        return {"eikonal": eikonal(slopes), "flame": supervised}
