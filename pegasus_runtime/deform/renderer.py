"""Rendering an avatar of the published model."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Hashable

import torch
from torch import Tensor

from pegasus_runtime.avatar.avatar import PublishedAvatar
from pegasus_runtime.cache import Recent
from pegasus_runtime.camera import Camera, project
from pegasus_runtime.cuda_graph import GraphedCalls
from pegasus_runtime.deform.canonical_head import make_canonical_head
from pegasus_runtime.deform.drawn import DrawnPoints, DrawnSurface, find_drawn, pose_waiting
from pegasus_runtime.deform.evaluation import SurfaceEvaluation
from pegasus_runtime.deform.near_order import near_order
from pegasus_runtime.deform.nearest import NearestTracker
from pegasus_runtime.deform.shading_table import bake_shading
from pegasus_runtime.deform.surface import (
    PosedHead,
    PosedSurface,
    displace_by_shape,
    prepare_pose,
)
from pegasus_runtime.drawing import draw_passes, point_features
from pegasus_runtime.frame import Frame
from pegasus_runtime.parameters import Parameters
from pegasus_runtime.raster import render_features

_SURFACE_BYTES = 256 * 2**20
"""Kept of earlier latent codes, so that going back to one costs nothing."""
_MIN_TABLE_POINTS = 4_300
"""With fewer points the shading network itself costs less than its smallest table."""


class PublishedRenderer:
    """An avatar of the published model, ready to be rendered on one device.

    What depends on the latent code alone is kept until the code changes, so that a change of
    expression, pose or camera costs only what really changes. A session belongs to one thread at
    a time.
    """

    def __init__(
        self,
        avatar: PublishedAvatar,
        device: torch.device,
        *,
        exact: bool = False,
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
            self._head, avatar.canonical_expression.cpu(), avatar.canonical_jaw_rad
        )
        self._canonical = self._rest_head.to(self.device)
        # Neighbours in a row: they are evaluated and drawn together.
        self._sorted = near_order(avatar.points).to(self.device)
        self._points = avatar.points.to(self.device)[self._sorted]
        self._order = _even_order(len(self._points)).to(self.device)
        self._exact = exact
        self._surfaces: Recent[DrawnSurface] = Recent(_SURFACE_BYTES, lambda s: s.num_bytes)
        self._evaluation: tuple[Hashable, SurfaceEvaluation, DrawnPoints | None] | None = None
        self._tracker = NearestTracker(self._canonical.vertices)
        self._nearest: Recent[Tensor] = Recent(0, lambda _: 1)
        self._shaders: Recent[Callable[[Tensor], Tensor]] = Recent(0, lambda _: 1)
        self._displaced: Recent[Tensor | None] = Recent(0, lambda _: 1)
        self._posed: Recent[tuple[PosedSurface, Tensor]] = Recent(0, lambda _: 1)
        self._pose_calls, self._view_calls = GraphedCalls(self.device), GraphedCalls(self.device)

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
        surface = self._surface(code, count, interrupted)
        posed, shading = self._pose(surface, params, code, count)
        projected, columns = self._view(surface, posed, shading, camera, names, code, count)
        radius = self._radius(camera, count)

        def blend(points: Tensor, scale: float, size: tuple[int, int]) -> Tensor:
            return render_features(
                points,
                columns,
                image_size=size,
                radius=scale * radius,
                points_per_pixel=self.avatar.points_per_pixel,
            )

        images = draw_passes(projected, names, camera.image_size, blend, background)
        assert posed.normals is not None
        complete = self._completion(surface, posed, params, code, count)
        return Frame(images, posed.points, posed.normals, complete)

    def _code(self, params: Parameters) -> Tensor:
        """On the host, where it is compared with earlier ones."""
        if params.latent is not None:
            # The caller's own array, who may go on to the next frame with it.
            return torch.tensor(params.latent)
        return self.avatar.codes.compose(params.attributes).detach().cpu()

    def _surface(
        self, code: Tensor, count: int, interrupted: Callable[[], bool] | None
    ) -> DrawnSurface:
        key = (_bytes(code), count)
        if self._exact:
            return self._written(code, count)

        def evaluate() -> DrawnSurface:
            if self._evaluation is None or self._evaluation[0] != key:
                self._evaluation = key, *self._evaluate(code, count)
            _, evaluation, drawn = self._evaluation
            surface = DrawnSurface(evaluation.finish(interrupted), drawn)
            self._evaluation = None
            return surface

        return self._surfaces.get(key, evaluate)

    def _written(self, code: Tensor, count: int) -> DrawnSurface:
        from pegasus_runtime.deform.as_written import WrittenSurface

        points, move = self._chosen(count), self.avatar.moves_points
        code, drawn = code.to(self.device), None
        if self._has_waiting:
            drawn = find_drawn(self._networks.deformer.at(code), points, self.avatar.store)
        index = None if drawn is None else drawn.index
        return DrawnSurface(
            WrittenSurface(self._networks, self._canonical, points, code, move, index), drawn
        )

    @property
    def _has_waiting(self) -> bool:
        """Whether some points may wait in the store."""
        return self.avatar.moves_points and self.avatar.store is not None

    def _chosen(self, count: int) -> Tensor:
        whole = count == len(self._points)
        return self._points if whole else self._points[self._order[:count].sort().values]

    def _evaluate(self, code: Tensor, count: int) -> tuple[SurfaceEvaluation, DrawnPoints | None]:
        networks, points = self._networks.at(code.to(self.device)), self._chosen(count)
        drawn = None
        if self.avatar.moves_points:
            drawn = find_drawn(networks.deformer, points, self.avatar.store)
            points = drawn.points
        evaluation = SurfaceEvaluation(self._networks, networks, self._canonical, points)
        return evaluation, drawn if self._has_waiting else None

    def _pose(
        self, surface: DrawnSurface, params: Parameters, code: Tensor, count: int
    ) -> tuple[PosedSurface, Tensor]:
        def evaluate() -> tuple[PosedSurface, Tensor]:
            head, nearest = self._prepare(params), None
            if head.shape_displacements is not None and not self._exact:
                nearest = self._find_nearest(surface, code, count)

            def pose(*head: Tensor) -> tuple[Tensor, Tensor, Tensor]:
                posed = surface.surface.pose(PosedHead(*head), nearest)
                assert posed.normals is not None
                return posed.points, posed.normals, self._shade(posed.normals, code)

            if self._exact:
                points, normals, shading = pose(*head.to(self.device).tensors())
            else:
                key = (_bytes(code), count, nearest is None)
                points, normals, shading = self._pose_calls(key, pose, *head.tensors())
            return PosedSurface(points, normals), shading

        if self._exact:
            return evaluate()
        state = (params.expression.tobytes(), params.pose.tobytes(), params.shape.tobytes())
        return self._posed.get((_bytes(code), count, *state), evaluate)

    def _prepare(self, params: Parameters) -> PosedHead:
        """On the host, but for what its shape displaces: that is larger, and changes seldom."""
        expression, pose, shape = (
            torch.from_numpy(v) for v in (params.expression, params.pose, params.shape)
        )

        def displace() -> Tensor | None:
            displacements = displace_by_shape(self._head, shape)
            return None if displacements is None else displacements.to(self.device)

        known = self._displaced.get(params.shape.tobytes(), displace)
        return prepare_pose(self._head, self._rest_head, expression, pose, shape, known)

    def _completion(
        self,
        surface: DrawnSurface,
        posed: PosedSurface,
        params: Parameters,
        code: Tensor,
        count: int,
    ) -> Callable[[], tuple[Tensor, Tensor]]:
        """What gives points and normals of all, drawn or not, in the avatar's own order."""
        drawn = surface.points
        # They may be the caller's own arrays, who goes on to the next frame with them.
        kept = params.copy()

        def complete() -> tuple[Tensor, Tensor]:
            assert posed.normals is not None
            points, normals = posed.points, posed.normals
            if drawn is not None:
                head = self._prepare(kept).to(self.device)
                points, normals = pose_waiting(
                    self._networks, self._canonical, drawn, code.to(self.device), head, posed
                )
            if count < len(self._points):
                return points, normals
            return _put_back(points, self._sorted), _put_back(normals, self._sorted)

        return complete

    def _find_nearest(self, surface: DrawnSurface, code: Tensor, count: int) -> Tensor:
        """Nearest head vertex (M,) of each point drawn."""
        return self._nearest.get(
            (_bytes(code), count),
            lambda: surface.among_drawn(self._tracker.find(surface.places)),
        )

    def _shade(self, normals: Tensor, code: Tensor) -> Tensor:
        """Shading (N, 3) of normals (N, 3), from a table where that pays."""
        network, bakes = self._networks.shading, len(normals) >= _MIN_TABLE_POINTS

        def make() -> Callable[[Tensor], Tensor]:
            worn = code.to(self.device)

            def shade(normals: Tensor) -> Tensor:
                return network.forward(normals, worn)

            table = bake_shading(shade, self.device) if bakes and not self._exact else None
            return table or shade

        return self._shaders.get((_bytes(code), bakes), make)(normals)

    def _radius(self, camera: Camera, count: int) -> float:
        """Of the points drawn; fewer of them are drawn larger, so that they cover as much."""
        share = len(self._points) / max(count, 1)
        return self.avatar.radius_in(camera) * math.sqrt(max(share, 1.0))

    def _view(
        self,
        surface: DrawnSurface,
        posed: PosedSurface,
        shading: Tensor,
        camera: Camera,
        names: tuple[str, ...],
        code: Tensor,
        count: int,
    ) -> tuple[Tensor, Tensor]:
        """The points as a camera sees them (N, 3), and what is blended of them (N, C)."""
        geometry = surface.surface.geometry

        def view(*given: Tensor) -> tuple[Tensor, Tensor]:
            points, normals, shading, *camera = given
            projected = project(points, *camera)
            posed = PosedSurface(points, normals)
            return projected, point_features(geometry, posed, shading, projected[:, 2], names)

        assert posed.normals is not None
        given = posed.points, posed.normals, shading, *camera.tensors
        projected, columns = self._view_calls((_bytes(code), count, names), view, *given)
        return projected, columns


def _put_back(values: Tensor, order: Tensor) -> Tensor:
    """Values (N, …) that were taken in an order (N,), where they were."""
    return torch.empty_like(values).index_copy(0, order, values)


def _bytes(code: Tensor) -> bytes:
    return code.numpy().tobytes()


def _even_order(count: int) -> Tensor:
    """A fixed order of points of which every beginning is spread over all of them."""
    return torch.randperm(count, generator=torch.Generator().manual_seed(0))
