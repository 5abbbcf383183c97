"""Rendering an avatar of surfels: strengths → worn → posed → ellipses → passes.

1. A body of `body` holds all surfels with the differences of what is worn.
2. `_pose` puts them on the posed head: kept until expression, pose, shape or clothes change.
3. `_project` shows them to a camera.
4. `draw_passes` blends them.
On a CPU 1 to 3 are compiled loops, elsewhere torch's operations of `pose`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from pegasus_runtime import devices
from pegasus_runtime.camera import Camera
from pegasus_runtime.deform.shading_lut import ShadingLUT, bake_shading
from pegasus_runtime.deform.surface import apply_rows
from pegasus_runtime.drawing import draw_passes, point_colours, split_passes
from pegasus_runtime.frame import Frame
from pegasus_runtime.head.skinning import pose_joints
from pegasus_runtime.lru_cache import LRUCache
from pegasus_runtime.parameters import Parameters
from pegasus_runtime.passes import pass_widths
from pegasus_runtime.surfels.avatar import SurfelAvatar
from pegasus_runtime.surfels.body import LoopBody, TorchBody
from pegasus_runtime.surfels.pose import (
    LOW_PASS,
    NEAR,
    PosedSurfels,
    pose_surfels,
    project_surfels,
)

_MIN_TABLE_SURFELS = 4_300
"""With fewer the light network itself costs less than its smallest table."""


@dataclass(frozen=True)
class _Lit:
    """Posed surfels and the light on them."""

    active: Tensor
    """(M,) which of all surfels"""
    posed: PosedSurfels
    shading: Tensor
    """(M, 3), half the light, as the published model's shading"""

    @cached_property
    def colours(self) -> Tensor:
        """(M, 3), which no camera changes."""
        return point_colours(self.posed.albedo, self.shading)


class SurfelRenderer:
    """One avatar on one device. Belongs to one thread at a time."""

    def __init__(self, avatar: SurfelAvatar, device: torch.device, plain: bool = False) -> None:
        """
        Args:
            avatar: what is rendered.
            device: where.
            plain: with torch's operations even where there are compiled loops; what those are
                compared with.
        """
        self._avatar, self._device = avatar, device
        self._head = avatar.head.to("cpu")
        self._loops = devices.has_loops(device) and not plain
        body = LoopBody if self._loops else TorchBody
        self._body: LoopBody | TorchBody = body(avatar.wardrobe, self._head.faces, device)
        # Of every beginning an even subset, for quick pictures.
        generator = torch.Generator().manual_seed(0)
        self._rank = torch.randperm(avatar.num_points, generator=generator)
        self._light = self._bake(plain)
        self._active: LRUCache[Tensor] = LRUCache(0, lambda _: 1)
        self._lit: LRUCache[_Lit] = LRUCache(0, lambda _: 1)
        self._shaped: LRUCache[Tensor] = LRUCache(0, lambda _: 1)
        directions = self._head.expression_directions, self._head.pose_directions
        self._directions = torch.cat(directions, dim=2).flatten(0, 1).T.contiguous()

    def render(
        self,
        params: Parameters,
        camera: Camera,
        names: tuple[str, ...],
        background: tuple[float, float, float] | None,
        count: int,
        interrupted: Callable[[], bool] | None = None,
    ) -> Frame:
        """A picture; see `Session.render`, which has checked everything."""
        strengths = self._avatar.strengths(params)
        lit = self._pose(params, strengths, count)
        factor = (self._avatar.num_points / count) ** 0.5
        projected, conics = self._project(lit.posed, camera, factor)
        drawn = [name for name in pass_widths(names) if name != "alpha"]
        columns = self._columns(lit, projected, camera, drawn, strengths)

        def draw(points: Tensor, scale: float, size: tuple[int, int]) -> dict[str, Tensor]:
            from pegasus_runtime.raster import blend

            image, alpha = blend(
                points, columns, conics=conics, opacities=lit.posed.opacity, image_size=size
            )
            return split_passes(image, drawn) | {"alpha": alpha[:, :, None]}

        images = draw_passes(projected, names, camera.image_size, draw, background)
        posed = lit.posed
        return Frame(images, posed.points, posed.normals, self._completion(params, strengths))

    def ellipses(self, params: Parameters, camera: Camera) -> tuple[Tensor, Tensor, Tensor]:
        """Points (M, 3), conics (M, 3) and opacities (M,) as a camera sees them."""
        lit = self._pose(params, self._avatar.strengths(params), self._avatar.num_points)
        return *self._project(lit.posed, camera, 1.0), lit.posed.opacity

    def _pose(self, params: Parameters, strengths: dict[str, float], count: int) -> _Lit:
        worn = (count, *sorted(strengths.items()))
        state = (params.expression.tobytes(), params.pose.tobytes(), params.shape.tobytes())

        def find_active() -> Tensor:
            present = self._body.wear(strengths)
            return present[self._rank[present] < count] if count < len(self._rank) else present

        def pose() -> _Lit:
            active = self._active.get(worn, find_active)
            vertices, states = self._pose_head(params)
            posed = self._body.pose(active, vertices, states)
            return _Lit(active, posed, self._light(posed.normals))

        return self._lit.get((worn, *state), pose)

    def _pose_head(self, params: Parameters) -> tuple[Tensor, Tensor]:
        """Vertices (V, 3) and states (R,), on the host: too little to wait for a device.

        As `pose_head`, with what only the shape moves kept and the other directions in one product
        of those that move at all: most sliders are at rest.
        """
        head = self._head
        expression, pose, shape = (
            torch.tensor(v) for v in (params.expression, params.pose, params.shape)
        )
        shaped = self._shaped.get(
            params.shape.tobytes(), lambda: head.template + head.identity_directions @ shape
        )
        _, transforms, feature = pose_joints(head, shape, expression, pose)
        weights = torch.cat([expression, feature])
        used = weights.nonzero()[:, 0]
        moved = torch.addmv(shaped.view(-1), self._directions[used].T, weights[used])
        blended = (head.skinning_weights @ transforms[:, :3].flatten(1)).view(-1, 3, 4)
        vertices = apply_rows(blended[:, :, :3], moved.view(-1, 3)) + blended[:, :, 3]
        return vertices, self._avatar.states(expression, feature)

    def _bake(self, plain: bool) -> Callable[[Tensor], Tensor]:
        light = self._avatar.light.to(self._device)

        def shade(normals: Tensor) -> Tensor:
            half: Tensor = light(normals) / 2
            return half.expand(-1, 3).contiguous()

        table: ShadingLUT | None = None
        if not plain and self._avatar.num_points >= _MIN_TABLE_SURFELS:
            table = bake_shading(shade, self._device)
        return table or shade

    def _project(self, posed: PosedSurfels, camera: Camera, factor: float) -> tuple[Tensor, Tensor]:
        if not self._loops:
            rotation, translation, intrinsics = (
                part.to(self._device, non_blocking=True) for part in camera.tensors
            )
            return project_surfels(
                posed, (rotation, translation, intrinsics), camera.image_size, factor
            )
        import numba

        from pegasus_runtime.cpu import surfel_pose

        projected, conics = (torch.empty(len(posed.points), 3) for _ in range(2))
        rotation, translation, intrinsics = camera.tensors
        surfel_pose.project_surfels(
            posed.points.numpy(), posed.tangents.numpy(), rotation.numpy(), translation.numpy(),
            intrinsics.numpy(), np.float32(min(camera.image_size) / 2), np.float32(LOW_PASS),
            np.float32(NEAR), np.float32(factor), numba.get_num_threads(), projected.numpy(),
            conics.numpy(),
        )  # fmt: skip
        return projected, conics

    def _columns(
        self,
        lit: _Lit,
        projected: Tensor,
        camera: Camera,
        names: list[str],
        strengths: Mapping[str, float],
    ) -> Tensor:
        """What is blended: the columns (M, C) of passes other than alpha."""
        posed = lit.posed
        values: dict[str, Callable[[], Tensor]] = {
            "rgb": lambda: lit.colours,
            "albedo": lambda: posed.albedo,
            "shading": lambda: lit.shading.clamp(0, 1),
            "normal": lambda: _towards(posed, camera) * 0.5 + 0.5,
            "depth": lambda: projected[:, 2:],
            "segmentation": lambda: self._is_changed(lit, strengths)[:, None].to(projected),
        }
        columns = [values[name]() for name in names]
        if len(columns) == 1:
            return columns[0]
        return torch.cat(columns, dim=1) if columns else projected[:, :0]

    def _is_changed(self, lit: _Lit, strengths: Mapping[str, float]) -> Tensor:
        """(M,) bool, which of what is drawn belong to what is worn or are changed by it."""
        return self._avatar.wardrobe.changed(strengths)[lit.active]

    def _completion(
        self, params: Parameters, strengths: dict[str, float]
    ) -> Callable[[], tuple[Tensor, Tensor]]:
        """What gives points and normals of all surfels, those of nothing worn too."""
        # They may be the caller's own arrays, who goes on to the next frame with them.
        kept = params.copy()

        def complete() -> tuple[Tensor, Tensor]:
            vertices, states = self._pose_head(kept)
            everything = self._avatar.wardrobe.dressed(strengths)
            posed = pose_surfels(everything, vertices, self._head.faces, states)
            return posed.points, posed.normals

        return complete


def _towards(posed: PosedSurfels, camera: Camera) -> Tensor:
    """Normals (M, 3), turned to the side that the camera sees."""
    centre = torch.from_numpy(camera.centre).to(posed.points)
    away = ((centre - posed.points) * posed.normals).sum(dim=1, keepdim=True) < 0
    return torch.where(away, -posed.normals, posed.normals)
