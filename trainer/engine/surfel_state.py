"""Surfels in training: losses of a frame, the optimiser, growth and pruning."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from pegasus_runtime.avatar.seen_sides import KEY
from pegasus_runtime.head import pose_head
from pegasus_runtime.model.latent import LatentCodes
from pegasus_runtime.raster import blend
from pegasus_runtime.surfels.attributes import rest_corners
from pegasus_runtime.surfels.avatar import SurfelAvatar
from pegasus_runtime.surfels.file import in_drawing_order
from pegasus_runtime.surfels.pose import PosedSurfels, project_surfels
from trainer.data.dataset import Capture, TrainingFrame
from trainer.data.frame_sampler import is_one_sided
from trainer.data.rest_face import rest_face
from trainer.engine.densification import SurfelStatistics, grown, kept
from trainer.engine.distributed import ProcessGroup
from trainer.engine.surfel_cloud import AttributeSet, SurfelCloud, SurfelSet, new_networks
from trainer.engine.tracking import Tracking
from trainer.engine.train_state import TrainContext, TrainState
from trainer.init.carried_surfels import facing_camera
from trainer.init.covered_parts import may_be_bared
from trainer.init.initial_states import spread_states
from trainer.init.initial_surfels import initial_wardrobe
from trainer.init.seen_sides import seen_sides
from trainer.init.warm_wardrobe import wardrobe_from
from trainer.losses.image import composite, image_losses, make_targets, random_ground
from trainer.losses.surfels import difference_loss, state_loss
from trainer.refine.refined import refined

_PROBES = 2
"""Channels without a colour, from whose gradients is read how much each surfel is seen and still
changes."""
_TAUGHT_FACING = 0.2
"""Cosine to the camera from which a surfel learns its colour: more leaves the outline unlearned,
less leaves specks in folds."""


@dataclass
class _Probe:
    """Two columns of zeros that are blended along with colours.

    Their gradients are sums over pixels of a surfel's weight times the error there, and of its
    weight alone: what growth and pruning ask for, at the cost of two more columns.
    """

    sets: list[SurfelSet]
    values: Tensor
    """(N, 2)"""
    faces: Tensor
    """(N,) bool, which surfels face the camera"""


class SurfelState(TrainState):
    """A person's surfels with Adam's moments."""

    def __init__(self, context: TrainContext, cloud: SurfelCloud) -> None:
        super().__init__(context)
        self._head = context.head.to(context.device)
        # Who is seen from all around was drawn, and opened the mouth in many frames.
        is_filmed = is_one_sided(context.capture.training[context.capture.source])
        self._may_be_bared = (may_be_bared(context.head) & is_filmed).to(context.device)
        self._shape = context.capture.shape.to(context.device)
        self._posed: dict[tuple[str, str], tuple[Tensor, Tensor]] = {}
        self._rows = {key: row for row, key in enumerate(_training_keys(context.capture))}
        self._cloud = cloud.to(context.device)
        self._optimiser = self._new_optimiser()
        self.statistics = self._no_statistics()

    @classmethod
    def begin(cls, context: TrainContext) -> SurfelState:
        """From the pictures, or from an earlier avatar."""
        config, tracking = context.config, None
        if config.optimiser.tracking:
            tracking = Tracking(context.capture.num_training)
        if config.start_from:
            wardrobe, states, light = wardrobe_from(context)
            return cls(context, SurfelCloud(wardrobe, states, light, tracking))
        generator = torch.Generator().manual_seed(config.seed)
        wardrobe = initial_wardrobe(context.head, context.capture, config.points.initial, generator)
        states, light = new_networks(config.seed)
        if is_one_sided(frames := context.capture.training[context.capture.source]):
            spread_states(states, frames)
        return cls(context, SurfelCloud(wardrobe, states, light, tracking))

    @classmethod
    def of(cls, context: TrainContext, saved: dict[str, Any]) -> SurfelState:
        """As a checkpoint has it."""
        names = context.capture.attribute_names
        state = cls(context, SurfelCloud.empty(saved["cloud"], names))
        state.restore(saved)
        return state

    @property
    def module(self) -> nn.Module:
        return self._cloud

    @property
    def optimiser(self) -> torch.optim.Optimizer:
        return self._optimiser

    @property
    def num_points(self) -> int:
        return sum(len(each) for each in self._cloud.all_sets())

    @property
    def radius(self) -> float:
        """Median standard deviation, in units of the head."""
        return float(self._cloud.source.learned["log_radius"].detach().median().exp())

    def losses(
        self, frame: TrainingFrame, generator: torch.Generator, step: int
    ) -> tuple[dict[str, Tensor], _Probe]:
        """Losses of a frame; nothing is changed before `note`."""
        config = self._context.config.losses
        worn = self._worn(frame)
        posed, camera = self._pose(frame, worn)
        with torch.no_grad():
            facing = facing_camera(camera, posed.points, posed.normals)
        probe = _Probe(
            self._cloud.sets(worn),
            torch.zeros(len(posed.points), _PROBES, device=self.device, requires_grad=True),
            facing > 0,
        )
        # A fold that is seen from its side shows what lies around it: it would be taught lashes,
        # and show them as specks when the lid closes.
        straight = (facing > _TAUGHT_FACING)[:, None]
        posed = replace(posed, albedo=torch.where(straight, posed.albedo, posed.albedo.detach()))
        targets = make_targets(
            frame.pictures, self._context.capture.part_names, config, self.device
        ).over(random_ground(generator))
        with_normals = config.normal > 0 and step % config.normals_every == 0
        columns = [self._colours(posed), probe.values]
        if with_normals and targets.normal is not None:
            columns.append(posed.normals * 0.5 + 0.5)
        else:
            targets.normal = None
        image, alpha = self._blend(posed, torch.cat(columns, dim=1), camera, targets.mask.shape)
        channels = {"rgb": image[:, :, :3], "alpha": alpha, "normal": image[:, :, 3 + _PROBES :]}
        targets.part_mask = None
        losses = image_losses(channels, targets)
        shown = composite(channels, targets.ground)
        error = shown - targets.rgb
        losses["square"] = error.square().mean()
        if self._features:
            losses["vgg"] = self._features(shown, targets.rgb)
        losses["states"] = state_loss([each.learned["offset_states"] for each in probe.sets])
        row = self._row_of(frame)
        if row is not None and self._cloud.tracking is not None:
            losses["tracking"] = self._cloud.tracking.loss(row)
        if worn is not None:
            losses["difference"] = difference_loss(
                dict(worn.difference.items()), len(self._cloud.source)
            )
        probed = image[:, :, 3 : 3 + _PROBES]
        wrong = error.detach().abs().mean(dim=2)
        losses["probe"] = (probed[:, :, 0] * wrong + probed[:, :, 1]).sum()
        return losses, probe

    def weigh(self, losses: dict[str, Tensor], epoch: float) -> Tensor:
        """Their weighted sum."""
        config = self._context.config.losses
        # The probe is zero, and only its own gradient is wanted.
        total = losses.pop("probe")
        for name, loss in losses.items():
            total = total + getattr(config, name) * loss
        return total

    def note(self, seen: _Probe, share: int) -> None:
        """Add a frame's errors and weights to what is known of the surfels."""
        gradient = seen.values.grad
        assert gradient is not None
        first = 0
        for each in seen.sets:
            part = slice(first, first + len(each))
            self.statistics[each].add(gradient[part] * share, seen.faces[part])
            first += len(each)

    def share(self, group: ProcessGroup) -> None:
        """Add up what all processes have noted."""
        for statistics in self.statistics.values():
            statistics.share(group)

    @torch.no_grad()
    def change_points(self, step: int) -> None:
        """Drop surfels that are nowhere seen, and split those that are most wrong."""
        points = self._context.config.points
        if not step or step % points.grow_every:
            return
        generator = self._context.growth_generator(step)
        # A surfel added late has no time to find its place.
        may_grow = step <= points.grow_until * self._context.config.steps
        sets = self._cloud.all_sets()
        statistics = [self.statistics[each] for each in sets]
        survivors = [
            kept(each, seen, points.prune, self._may_be_bared)
            for each, seen in zip(sets, statistics, strict=True)
        ]
        most = points.maximum if may_grow else 0
        parents = grown(statistics, survivors, most, points.growth)
        for each, stay, split in zip(sets, survivors, parents, strict=True):
            self._rearrange(each, stay, split, generator)
        # Another object, for what shares gradients between processes holds the old parameters.
        self._cloud = copy.copy(self._cloud)
        self.statistics = self._no_statistics()

    def _rearrange(
        self, each: SurfelSet, survivors: Tensor, parents: Tensor, generator: torch.Generator
    ) -> None:
        index = torch.cat([survivors, parents])
        moments = {name: self._optimiser.state.pop(p, {}) for name, p in each.learned.items()}
        corners = rest_corners(self._context.head, self._context.capture.shape)
        old = dict(each.learned.items())
        each.rearrange(index, len(survivors), corners.to(self.device), generator)
        for name, new in each.learned.items():
            self._replace(old[name], new, moments[name], index, len(survivors))
        if each is self._cloud.source:
            for attribute in self._cloud.each_attribute():
                before = dict(attribute.difference.items())
                states = {n: self._optimiser.state.pop(p, {}) for n, p in before.items()}
                rows, num_kept = attribute.rearrange(index, len(survivors))
                for name, new in attribute.difference.items():
                    self._replace(before[name], new, states[name], rows, num_kept)

    def _replace(
        self,
        old: nn.Parameter,
        new: nn.Parameter,
        state: dict[str, Any],
        index: Tensor,
        num_kept: int,
    ) -> None:
        """Put a parameter in the place of another; moments of survivors stay."""
        for name in ("exp_avg", "exp_avg_sq"):
            if name in state:
                moment = state[name][index]
                moment[num_kept:] = 0
                state[name] = moment
        if state:
            self._optimiser.state[new] = state
        for group in self._optimiser.param_groups:
            group["params"] = [new if p is old else p for p in group["params"]]

    @torch.no_grad()
    def picture(self, frame: TrainingFrame) -> tuple[Tensor, Tensor]:
        """Colours over white and normals (H, W, 3)."""
        posed, camera = self._pose(frame, self._worn(frame))
        columns = torch.cat([self._colours(posed), posed.normals * 0.5 + 0.5], dim=1)
        image, alpha = self._blend(posed, columns, camera, frame.pictures.mask.shape)
        return image[:, :, :3] + 1 - alpha, image[:, :, 3:]

    def snapshot(self) -> dict[str, Any]:
        """Everything a later run needs."""
        return {
            "cloud": self._cloud.state_dict(),
            "statistics": [s.values for s in self.statistics.values()],
            "rate_scale": self.rate_scale,
            "optimiser": self._optimiser.state_dict(),
        }

    def restore(self, saved: dict[str, Any]) -> None:
        """Go on from a snapshot."""
        cloud = SurfelCloud.empty(saved["cloud"], self._context.capture.attribute_names)
        cloud.load_state_dict(saved["cloud"])
        self._cloud = cloud.to(self.device)
        self._optimiser = self._new_optimiser()
        self._optimiser.load_state_dict(saved["optimiser"])
        self.rate_scale = float(saved["rate_scale"])
        self.statistics = self._no_statistics()
        for statistics, values in zip(self.statistics.values(), saved["statistics"], strict=True):
            # Not assigned: those of an earlier version, which counted less, are to fail here.
            statistics.values.copy_(values)

    def avatar(self, provenance: dict[str, Any], is_final: bool = True) -> SurfelAvatar:
        """The avatar as it is now; if it is not final, what its surfels show is guessed."""
        capture = self._context.capture
        codes = LatentCodes(capture.attribute_names).eval().requires_grad_(False)
        wardrobe = self._cloud.wardrobe(rest_corners(self._context.head, capture.shape))
        light = copy.deepcopy(self._cloud.light).cpu().eval().requires_grad_(False)
        wardrobe = refined(wardrobe, self._context.head, light, capture, is_final)
        seen = seen_sides(self._context.head, capture, wardrobe.source)
        return SurfelAvatar(
            name=self._context.config.name,
            head=self._context.head,
            wardrobe=in_drawing_order(wardrobe, codes),
            states=copy.deepcopy(self._cloud.states).cpu().eval().requires_grad_(False),
            light=light,
            codes=codes,
            canonical_expression=capture.mean_expression,
            shape=capture.shape,
            **rest_face(self._context.head, capture.training[capture.source])._asdict(),
            provenance={**provenance, KEY: seen.as_header()} if seen else provenance,
        )

    def _worn(self, frame: TrainingFrame) -> AttributeSet | None:
        name = frame.record.subject
        return None if name == self._context.capture.source else self._cloud.find(name)

    def _pose(
        self, frame: TrainingFrame, worn: AttributeSet | None
    ) -> tuple[PosedSurfels, tuple[Tensor, Tensor, Tensor]]:
        record, row = frame.record, self._row_of(frame)
        rotation, translation, intrinsics = (part.to(self.device) for part in record.camera.tensors)
        expression = torch.from_numpy(record.expression).to(self.device)
        if row is None or self._cloud.tracking is None:
            vertices, feature = self._as_tracked(frame)
        else:
            correction = self._cloud.tracking.of(row)
            expression = expression + correction.expression
            pose = torch.from_numpy(record.pose).to(self.device) + correction.pose
            found = pose_head(self._head, self._shape, expression, pose)
            vertices, feature = found.vertices, found.pose_feature
            translation = translation + correction.translation
        states = self._cloud.states(expression, feature)
        posed = self._cloud.pose(worn, vertices, self._head.faces, states)
        return posed, (rotation, translation, intrinsics)

    def _row_of(self, frame: TrainingFrame) -> int | None:
        """Where a frame's tracking is kept; None of those that are not learned from."""
        return self._rows.get((frame.record.subject, frame.record.name))

    def _as_tracked(self, frame: TrainingFrame) -> tuple[Tensor, Tensor]:
        """Vertices and pose feature of the head in a frame, kept for the next time."""
        record = frame.record
        key = record.subject, record.name
        if key not in self._posed:
            expression, pose = (
                torch.from_numpy(values).to(self.device)
                for values in (record.expression, record.pose)
            )
            with torch.no_grad():
                found = pose_head(self._head, self._shape, expression, pose)
            self._posed[key] = found.vertices, found.pose_feature
        return self._posed[key]

    def _colours(self, posed: PosedSurfels) -> Tensor:
        colours: Tensor = (posed.albedo * self._cloud.light(posed.normals)).clamp(0, 1)
        return colours

    def _blend(
        self,
        posed: PosedSurfels,
        columns: Tensor,
        camera: tuple[Tensor, Tensor, Tensor],
        shape: tuple[int, ...],
    ) -> tuple[Tensor, Tensor]:
        size = (shape[0], shape[1])
        points, conics = project_surfels(posed, camera, size)
        image, alpha = blend(
            points, columns, conics=conics, opacities=posed.opacity, image_size=size
        )
        return image, alpha[:, :, None]

    def _new_optimiser(self) -> torch.optim.Optimizer:
        groups: dict[str, list[nn.Parameter]] = {}
        for name, parameter in self._cloud.named_parameters():
            groups.setdefault(_group_of(name), []).append(parameter)
        rates = self._context.config.optimiser
        # Far below any gradient: a surfel that few pixels show is to learn as fast as another.
        made = [{"params": p, "lr": getattr(rates, n), "name": n} for n, p in groups.items()]
        for group in made:
            if group["name"] == "tracking":
                # A frame that is not looked at is not to move by its momentum.
                group["betas"] = (0.0, 0.999)
        return torch.optim.Adam(made, eps=1e-15)

    def _no_statistics(self) -> dict[SurfelSet, SurfelStatistics]:
        return {s: SurfelStatistics.none(len(s), self.device) for s in self._cloud.all_sets()}


def _training_keys(capture: Capture) -> Iterator[tuple[str, str]]:
    for subject, frames in capture.training.items():
        for frame in frames:
            yield subject, frame.record.name


def _group_of(name: str) -> str:
    """The learning rate of a parameter: that of the array, or of both small networks."""
    owner, _, last = name.rpartition(".")
    if owner == "tracking":
        return owner
    return last if owner.endswith(("learned", "difference")) else "networks"
