"""Rendering a published avatar, one of the published model, in torch's operations on every device.

1. `_evaluate`: all that a latent code fixes, kept for the latest codes.
2. `_pose`: expression, pose and shape, which are folded into one small map; kept until they change.
3. `_view`: every camera.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Hashable
from dataclasses import dataclass, fields, is_dataclass

import torch
from torch import Tensor

from pegasus_runtime.avatar.avatar import PublishedAvatar
from pegasus_runtime.camera import Camera, project
from pegasus_runtime.deform.evaluation import Evaluation
from pegasus_runtime.deform.morton import morton_order
from pegasus_runtime.deform.nearest_vertex import nearest_vertices
from pegasus_runtime.deform.reference_model import evaluate_reference
from pegasus_runtime.deform.shading_lut import bake_shading
from pegasus_runtime.deform.surface import (
    CanonicalSurface,
    JointPose,
    displace_by_shape,
    join_surfaces,
    pose_surface,
    prepare_pose,
)
from pegasus_runtime.drawing import draw_passes, point_features, split_passes
from pegasus_runtime.frame import Frame
from pegasus_runtime.head.canonical import make_canonical_head
from pegasus_runtime.lru_cache import LRUCache
from pegasus_runtime.model.geometry import GeometryOutput
from pegasus_runtime.parameters import Parameters
from pegasus_runtime.passes import pass_widths
from pegasus_runtime.posed_surface import PosedSurface
from pegasus_runtime.raster import render_features

_SURFACE_BYTES = 512 * 2**20
"""Kept of earlier latent codes, so that going back to one costs nothing: more keeps more of them,
less works surfaces out again that were shown a moment ago."""
_MIN_TABLE_POINTS = 4_300
"""With fewer points the shading network itself costs less than its smallest table."""
_EXACT_CHUNK = 8192
"""Points at a time in the exact mode: more takes memory, fewer more calls."""
_BEHIND = -1.0
"""depth of points that are not drawn"""


@dataclass
class _Posed:
    """All points as a frame shows them, before a camera does."""

    surface: PosedSurface
    geometry: GeometryOutput
    shading: Tensor
    """(N, 3)"""


class PublishedRenderer:
    """An avatar of the published model on one device. Belongs to one thread at a time."""

    def __init__(
        self, avatar: PublishedAvatar, device: torch.device, *, exact: bool = False
    ) -> None:
        """
        Args:
            avatar: the avatar to render.
            device: where.
            exact: evaluate the model as it is written, for every frame anew: what the fast paths
                are compared with.
        """
        self.avatar, self.device = avatar, device
        self._networks = copy.deepcopy(avatar.networks).to(self.device).freeze()
        # Bones are posed on the host: that is too little to wait for a device.
        self._head = avatar.head.to("cpu")
        self._rest_head = make_canonical_head(
            self._head,
            avatar.canonical_expression.cpu(),
            avatar.canonical_jaw_rad,
            None if avatar.canonical_shape is None else avatar.canonical_shape.cpu(),
        )
        self._canonical = self._rest_head.to(self.device)
        # Neighbours in a row: they are drawn together.
        self._sorted = morton_order(avatar.points).to(self.device)
        self._points = avatar.points.to(self.device)[self._sorted]
        self._order = _even_order(len(self._points)).to(self.device)
        self._exact = exact
        self._surfaces: LRUCache[CanonicalSurface] = LRUCache(_SURFACE_BYTES, _num_bytes)
        self._evaluation: tuple[Hashable, Evaluation] | None = None
        self._nearest: LRUCache[Tensor] = LRUCache(0, lambda _: 1)
        self._waiting: LRUCache[Tensor | None] = LRUCache(0, lambda _: 1)
        self._shaders: LRUCache[Callable[[Tensor], Tensor]] = LRUCache(0, lambda _: 1)
        self._displaced: LRUCache[Tensor | None] = LRUCache(0, lambda _: 1)
        self._posed: LRUCache[_Posed] = LRUCache(0, lambda _: 1)

    def render(
        self,
        params: Parameters,
        camera: Camera,
        names: tuple[str, ...],
        background: tuple[float, float, float] | None,
        count: int,
        interrupted: Callable[[], bool] | None,
    ) -> Frame:
        """A picture; see `Session.render`, which has checked everything."""
        code = self._code(params)
        posed = self._pose(params, code, count, interrupted)
        projected, columns = self._view(posed, code, count, camera, names)
        radius = self._radius(camera, count)

        def blend(points: Tensor, scale: float, size: tuple[int, int]) -> dict[str, Tensor]:
            image = render_features(
                points,
                columns,
                image_size=size,
                radius=scale * radius,
                points_per_pixel=self.avatar.points_per_pixel,
            )
            return split_passes(image, pass_widths(names))

        images = draw_passes(projected, names, camera.image_size, blend, background)
        points, normals = posed.surface.points, posed.surface.normals
        assert normals is not None

        def complete() -> tuple[Tensor, Tensor]:
            if count < len(self._points):
                return points, normals
            return _put_back(points, self._sorted), _put_back(normals, self._sorted)

        return Frame(images, points, normals, complete)

    def _code(self, params: Parameters) -> Tensor:
        """On the host, where it is compared with earlier ones."""
        if params.latent is not None:
            # The caller's own array, who may go on to the next frame with it.
            return torch.tensor(params.latent)
        return self.avatar.codes.compose(params.attributes).detach().cpu()

    def _chosen(self, count: int) -> Tensor:
        whole = count == len(self._points)
        return self._points if whole else self._points[self._order[:count].sort().values]

    def _evaluate(
        self, code: Tensor, count: int, interrupted: Callable[[], bool] | None
    ) -> CanonicalSurface:
        key = (_bytes(code), count)

        def evaluate() -> CanonicalSurface:
            if self._evaluation is None or self._evaluation[0] != key:
                networks, points = (
                    self._networks.condition(code.to(self.device)),
                    self._chosen(count),
                )
                given = networks, self._canonical, points, self.avatar.moves_points
                self._evaluation = key, Evaluation(*given)
            surface = self._evaluation[1].finish(interrupted)
            self._evaluation = None
            return surface

        return self._surfaces.get(key, evaluate)

    def _pose(
        self,
        params: Parameters,
        code: Tensor,
        count: int,
        interrupted: Callable[[], bool] | None,
    ) -> _Posed:
        if self._exact:
            return self._pose_exactly(params, code, count)
        surface = self._evaluate(code, count, interrupted)

        def pose() -> _Posed:
            head, nearest = self._prepare(params).to(self.device), None
            if head.shape_displacements is not None:
                nearest = self._nearest.get(
                    (_bytes(code), count),
                    lambda: nearest_vertices(surface.points, self._canonical.vertices),
                )
            blend = self._networks.deformer.blend_map(head.expression_change, head.feature_change)
            posed = pose_surface(blend, self._canonical, surface, head, nearest)
            assert surface.geometry is not None and posed.normals is not None
            return _Posed(posed, surface.geometry, self._shade(posed.normals, code))

        state = (params.expression.tobytes(), params.pose.tobytes(), params.shape.tobytes())
        return self._posed.get((_bytes(code), count, *state), pose)

    def _pose_exactly(self, params: Parameters, code: Tensor, count: int) -> _Posed:
        head, code = self._prepare(params).to(self.device), code.to(self.device)
        parts = [
            evaluate_reference(
                self._networks, self._canonical, points, code, head, move=self.avatar.moves_points
            )
            for points in self._chosen(count).split(_EXACT_CHUNK)
        ]
        posed, geometry = (join_surfaces(list(each)) for each in zip(*parts, strict=True))
        shading = self._networks.shading(posed.normals, code)
        return _Posed(posed, geometry, shading)

    def _prepare(self, params: Parameters) -> JointPose:
        """On the host, but for what its shape displaces: that is larger, and changes seldom."""
        expression, pose, shape = (
            torch.from_numpy(v) for v in (params.expression, params.pose, params.shape)
        )

        def displace() -> Tensor | None:
            displacements = displace_by_shape(self._head, self._rest_head, shape)
            return None if displacements is None else displacements.to(self.device)

        known = self._displaced.get(params.shape.tobytes(), displace)
        return prepare_pose(self._head, self._rest_head, expression, pose, shape, known)

    def _shade(self, normals: Tensor, code: Tensor) -> Tensor:
        """Shading (N, 3) of normals (N, 3), from a table where that pays."""
        network, bakes = self._networks.shading, len(normals) >= _MIN_TABLE_POINTS

        def make() -> Callable[[Tensor], Tensor]:
            worn = code.to(self.device)

            def shade(normals: Tensor) -> Tensor:
                return network.forward(normals, worn)

            table = bake_shading(shade, self.device) if bakes else None
            return table or shade

        return self._shaders.get((_bytes(code), bakes), make)(normals)

    def _radius(self, camera: Camera, count: int) -> float:
        """Of the points drawn; fewer of them are drawn larger, so that they cover as much."""
        share = len(self._points) / max(count, 1)
        return self.avatar.radius_in(camera) * math.sqrt(max(share, 1.0))

    def _view(
        self, posed: _Posed, code: Tensor, count: int, camera: Camera, names: tuple[str, ...]
    ) -> tuple[Tensor, Tensor]:
        """The points as a camera sees them (N, 3), and what is blended of them (N, C)."""
        tensors = (part.to(self.device, non_blocking=True) for part in camera.tensors)
        projected = project(posed.surface.points, *tensors)
        waiting = self._waiting.get((_bytes(code), count), lambda: self._find_waiting(code, count))
        if waiting is not None:
            projected[:, 2].masked_fill_(waiting, _BEHIND)
        depth = projected[:, 2]
        return projected, point_features(posed.geometry, posed.surface, posed.shading, depth, names)

    def _find_waiting(self, code: Tensor, count: int) -> Tensor | None:
        """(N,) whether the canonical offset leaves a point in the avatar's store: not drawn."""
        if self.avatar.store is None or not self.avatar.moves_points:
            return None
        points, code = self._chosen(count), code.to(self.device)
        moved = points + self._networks.deformer.canonical_offset(points, code)
        low, high = self.avatar.store.to(moved)
        waiting: Tensor = ((moved > low) & (moved < high)).all(dim=1)
        return waiting


def _num_bytes(holder: object) -> int:
    """Of all tensors that a dataclass and those in it hold."""
    if isinstance(holder, Tensor):
        return holder.nbytes
    if not is_dataclass(holder):
        return 0
    return sum(_num_bytes(getattr(holder, field.name)) for field in fields(holder))


def _put_back(values: Tensor, order: Tensor) -> Tensor:
    """Values (N, …) that were taken in an order (N,), where they were."""
    return torch.empty_like(values).index_copy(0, order, values)


def _bytes(code: Tensor) -> bytes:
    return code.numpy().tobytes()


def _even_order(count: int) -> Tensor:
    """A fixed order of points of which every beginning is spread over all of them."""
    return torch.randperm(count, generator=torch.Generator().manual_seed(0))
