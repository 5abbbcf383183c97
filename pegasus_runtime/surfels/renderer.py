"""Rendering an avatar of surfels: strengths → worn → posed → ellipses → passes.

1. `_Dressed` holds the numbers of all surfels with the differences of what is worn added in place:
   putting something on touches its region alone.
2. `_pose` puts them on the posed head: kept until expression, pose, shape or clothes change.
3. `_view` projects them: every camera.
4. `draw_passes` blends them.
On a CPU 1 to 3 are compiled loops, elsewhere torch's operations of `pose`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pegasus_runtime import devices
from pegasus_runtime.camera import Camera
from pegasus_runtime.deform.shading_lut import ShadingLUT, bake_shading
from pegasus_runtime.deform.surface import apply_rows
from pegasus_runtime.drawing import draw_passes, point_colours
from pegasus_runtime.frame import Frame
from pegasus_runtime.head.skinning import pose_joints, rotation_matrices
from pegasus_runtime.lru_cache import LRUCache
from pegasus_runtime.parameters import Parameters
from pegasus_runtime.passes import pass_widths
from pegasus_runtime.surfels.attributes import CHANGED, Wardrobe
from pegasus_runtime.surfels.avatar import SurfelAvatar
from pegasus_runtime.surfels.pose import (
    LOW_PASS,
    NEAR,
    PosedSurfels,
    pose_surfels,
    project_surfels,
)

_MIN_TABLE_SURFELS = 4_300
"""With fewer the light network itself costs less than its smallest table."""
_Floats = NDArray[np.float32]


class _TorchBody:
    """A dressed person, posed by torch's operations."""

    def __init__(self, wardrobe: Wardrobe, faces: Tensor, device: torch.device) -> None:
        self._wardrobe, self._device = wardrobe, device
        self._faces = faces.to(device)

    def wear(self, strengths: Mapping[str, float]) -> Tensor:
        """Put clothes on; the surfels (M,) that are there."""
        self._surfels = self._wardrobe.dressed(strengths).to(self._device)
        self._presence = self._wardrobe.presence(strengths)
        self._changed = self._wardrobe.changed(strengths)
        return self._presence.nonzero()[:, 0]

    def pose(self, active: Tensor, vertices: Tensor, states: Tensor) -> tuple[PosedSurfels, Tensor]:
        """Some surfels on a posed head, and which of them what is worn has changed."""
        vertices, states = (v.to(self._device, non_blocking=True) for v in (vertices, states))
        chosen = self._surfels.chosen(active.to(self._device))
        posed = pose_surfels(chosen, vertices, self._faces, states)
        presence = self._presence[active].to(self._device)
        return replace(posed, opacity=posed.opacity * presence), self._changed[active]


class _LoopBody:
    """A dressed person, posed by compiled loops.

    Numbers of all surfels lie in place once; putting something on changes its region alone.
    """

    def __init__(self, wardrobe: Wardrobe, faces: Tensor, device: torch.device) -> None:
        self._wardrobe = wardrobe
        self._base = everything = wardrobe.everything
        self._faces = faces.int().numpy()
        self._triangle = everything.triangle.int().numpy()
        self._barycentric = everything.barycentric.contiguous().numpy()
        self._residuals = torch.cat(
            [
                everything.offset_states,
                everything.colour_states,
                everything.opacity_states[:, :, None],
            ],
            dim=2,
        ).numpy()
        self._now = {name: getattr(everything, name).clone() for name in CHANGED}
        self._axes = _scaled_axes(self._now["rotation"], self._now["log_radius"])
        self._touched = torch.zeros(0, dtype=torch.long)

    def wear(self, strengths: Mapping[str, float]) -> Tensor:
        """Put clothes on; the surfels (M,) that are there."""
        worn = self._wardrobe.worn(strengths)
        regions = torch.cat([torch.zeros(0, dtype=torch.long), *(a.region for a in worn)])
        stale = torch.cat([self._touched, regions])
        for name, values in self._now.items():
            values[self._touched] = getattr(self._base, name)[self._touched]
        self._wardrobe.add_differences(self._now, strengths)
        self._axes[stale] = _scaled_axes(
            self._now["rotation"][stale], self._now["log_radius"][stale]
        )
        self._touched = regions
        self._presence = self._wardrobe.presence(strengths)
        self._changed = self._wardrobe.changed(strengths)
        return self._presence.nonzero()[:, 0]

    def pose(self, active: Tensor, vertices: Tensor, states: Tensor) -> tuple[PosedSurfels, Tensor]:
        """Some surfels on a posed head, and which of them what is worn has changed."""
        import numba

        from pegasus_runtime.cpu import surfel_pose

        workers, count = numba.get_num_threads(), len(active)
        corners = vertices.contiguous().numpy()
        frames = np.empty((len(self._faces), 3, 3), np.float32)
        surfel_pose.make_triangle_frames(corners, self._faces, workers, frames)
        posed = PosedSurfels(
            *(torch.empty(count, *size) for size in ((3,), (3, 2), (3,), (3,), ()))
        )
        now = {name: values.numpy() for name, values in self._now.items()}
        surfel_pose.pose_surfels(
            active.int().numpy(), self._triangle, self._barycentric, now["offset"],
            self._axes.numpy(), now["opacity"], now["colour"], self._presence.numpy(),
            self._residuals, states.detach().numpy(), corners, self._faces, frames, workers,
            posed.points.numpy(), posed.tangents.numpy(), posed.normals.numpy(),
            posed.albedo.numpy(), posed.opacity.numpy(),
        )  # fmt: skip
        return posed, self._changed[active]


def _scaled_axes(rotation: Tensor, log_radius: Tensor) -> Tensor:
    """(N, 3, 3): both tangents times their radii, and the unit normal."""
    axes = rotation_matrices(rotation)
    axes[:, :, :2] *= log_radius.exp()[:, None, :]
    return axes


@dataclass(frozen=True)
class _Lit:
    """Posed surfels and the light on them."""

    posed: PosedSurfels
    shading: Tensor
    """(M, 3), half the light, as the published model's shading"""
    is_attribute: Tensor
    """(M,) bool"""


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
        body = _LoopBody if self._loops else _TorchBody
        self._body: _LoopBody | _TorchBody = body(avatar.wardrobe, self._head.faces, device)
        # Of every beginning an even subset, for quick pictures.
        generator = torch.Generator().manual_seed(0)
        self._rank = torch.randperm(avatar.num_points, generator=generator)
        self._light = self._bake(plain)
        self._active: LRUCache[Tensor] = LRUCache(0, lambda _: 1)
        self._lit: LRUCache[_Lit] = LRUCache(0, lambda _: 1)
        self._shaped: LRUCache[Tensor] = LRUCache(0, lambda _: 1)
        directions = self._head.expression_directions, self._head.pose_directions
        self._directions = torch.cat(directions, dim=2).flatten(0, 1).contiguous()

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
        columns = self._columns(lit, projected, camera, names)
        widths = pass_widths(names)
        before = sum(list(widths.values())[: list(widths).index("alpha")])

        def draw(points: Tensor, scale: float, size: tuple[int, int]) -> Tensor:
            from pegasus_runtime.raster import blend

            image, alpha = blend(
                points, columns, conics=conics, opacities=lit.posed.opacity, image_size=size
            )
            return torch.cat([image[:, :, :before], alpha[:, :, None], image[:, :, before:]], dim=2)

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
            posed, is_attribute = self._body.pose(active, vertices, states)
            return _Lit(posed, self._light(posed.normals), is_attribute)

        return self._lit.get((worn, *state), pose)

    def _pose_head(self, params: Parameters) -> tuple[Tensor, Tensor]:
        """Vertices (V, 3) and states (R,), on the host: too little to wait for a device.

        As `pose_head`, with what only the shape moves kept and the other directions in one product.
        """
        head = self._head
        expression, pose, shape = (
            torch.tensor(v) for v in (params.expression, params.pose, params.shape)
        )
        shaped = self._shaped.get(
            params.shape.tobytes(), lambda: head.template + head.identity_directions @ shape
        )
        _, transforms, feature = pose_joints(head, shape, expression, pose)
        moved = torch.addmv(shaped.view(-1), self._directions, torch.cat([expression, feature]))
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
        self, lit: _Lit, projected: Tensor, camera: Camera, names: tuple[str, ...]
    ) -> Tensor:
        """What is blended: the columns (M, C) of `pass_widths`, but for alpha."""
        posed = lit.posed
        values: dict[str, Callable[[], Tensor]] = {
            "rgb": lambda: point_colours(posed.albedo, lit.shading),
            "albedo": lambda: posed.albedo,
            "shading": lambda: lit.shading.clamp(0, 1),
            "normal": lambda: _towards(posed, camera) * 0.5 + 0.5,
            "depth": lambda: projected[:, 2:],
            "segmentation": lambda: lit.is_attribute[:, None].to(projected),
        }
        columns = [values[name]() for name in pass_widths(names) if name != "alpha"]
        return torch.cat(columns, dim=1) if columns else projected[:, :0]

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
