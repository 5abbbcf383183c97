"""Load, set parameters, render: the whole use of an avatar in one short class."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Hashable, Iterable
from typing import Generic, TypeVar

import torch
from torch import Tensor

from pegasus_runtime.avatar.avatar import Avatar
from pegasus_runtime.camera import Camera
from pegasus_runtime.deform.canonical_head import make_canonical_head
from pegasus_runtime.deform.nearest import nearest_vertices
from pegasus_runtime.deform.surface import (
    CanonicalSurface,
    PosedSurface,
    evaluate_surface,
    join_surfaces,
    pose_surface,
    prepare_pose,
)
from pegasus_runtime.errors import Refused
from pegasus_runtime.frame import Frame, check_passes
from pegasus_runtime.parameters import Parameters
from pegasus_runtime.passes import finish_pass, point_features

Value = TypeVar("Value")
_EVALUATION_CHUNK = 16_384
"""Points evaluated at once: keeps the derivatives of the widest network inside the CPU's cache
and within a small GPU's memory."""


class Session:
    """An avatar ready to be rendered on one device.

    What depends on the latent code alone is kept until the code changes, so that a change of
    expression, pose or camera costs only what really changes. A session belongs to one thread at
    a time.
    """

    def __init__(self, avatar: Avatar, device: str = "auto") -> None:
        """
        Args:
            avatar: the avatar to render.
            device: "auto" (CUDA when there is one), "cpu", "cuda" or "cuda:N".

        Raises:
            Refused: the device does not exist.
        """
        self.avatar = avatar
        self.device = choose_device(device)
        self._head = avatar.head.to(self.device)
        self._networks = copy.deepcopy(avatar.networks).to(self.device).eval()
        self._canonical = make_canonical_head(
            avatar.head, avatar.canonical_expression, avatar.canonical_jaw_rad
        ).to(self.device)
        self._points = avatar.points.to(self.device)
        self._order = _even_order(len(self._points)).to(self.device)
        self._surfaces: _Latest[CanonicalSurface] = _Latest()
        self._nearest: _Latest[Tensor] = _Latest()
        self._posed: _Latest[tuple[PosedSurface, Tensor]] = _Latest()

    @torch.no_grad()
    def render(
        self,
        params: Parameters,
        camera: Camera,
        passes: Iterable[str] = ("rgb",),
        background: tuple[float, float, float] | None = (1.0, 1.0, 1.0),
        max_points: int | None = None,
    ) -> Frame:
        """Render a picture.

        Args:
            params: expression, pose, shape and attributes.
            camera: the view and the picture's size.
            passes: any of rgb, albedo, shading, normal, depth, alpha, segmentation.
            background: colour behind the head in 0..1; None leaves colours premultiplied by
                alpha, with nothing behind them.
            max_points: use only an even subset of that many points, for a quick picture.

        Returns:
            The pictures by pass, and the posed points and normals.

        Raises:
            Refused: a parameter, a pass or the background is not valid.
        """
        names = check_passes(passes)
        checked = params.checked(self.avatar.codes.latent_size)
        code = self._code(checked)
        count = self._count(max_points)
        surface = self._surface(code, count)
        posed, shading = self._pose(surface, checked, code, count)
        return self._draw(surface, posed, shading, camera, names, background)

    def _count(self, max_points: int | None) -> int:
        total = len(self._points)
        return total if max_points is None else min(total, max(1, int(max_points)))

    def _code(self, params: Parameters) -> Tensor:
        if params.latent is not None:
            return torch.from_numpy(params.latent).to(self.device)
        return self.avatar.codes.compose(params.attributes).detach().to(self.device)

    def _surface(self, code: Tensor, count: int) -> CanonicalSurface:
        def evaluate() -> CanonicalSurface:
            whole = count == len(self._points)
            points = self._points if whole else self._points[self._order[:count]]
            return join_surfaces(
                [
                    evaluate_surface(
                        self._networks, self._canonical, part, code, move=self.avatar.moves_points
                    )
                    for part in points.split(_EVALUATION_CHUNK)
                ]
            )

        return self._surfaces.get((_bytes(code), count), evaluate)

    def _pose(
        self, surface: CanonicalSurface, params: Parameters, code: Tensor, count: int
    ) -> tuple[PosedSurface, Tensor]:
        def evaluate() -> tuple[PosedSurface, Tensor]:
            values = (params.expression, params.pose, params.shape)
            expression, pose, shape = (torch.from_numpy(v).to(self.device) for v in values)
            prepared = prepare_pose(self._head, self._canonical, expression, pose, shape)
            nearest = None
            if prepared.shape_displacements is not None:
                nearest = self._nearest.get(
                    (_bytes(code), count),
                    lambda: nearest_vertices(surface.points, self._canonical.vertices),
                )
            posed = pose_surface(self._networks, self._canonical, surface, prepared, nearest)
            assert posed.normals is not None
            return posed, self._networks.shading(posed.normals, code)

        state = (params.expression.tobytes(), params.pose.tobytes(), params.shape.tobytes())
        return self._posed.get((_bytes(code), count, *state), evaluate)

    def _radius(self, camera: Camera, count: int) -> float:
        """Of the points drawn; fewer of them are drawn larger, so that they cover as much."""
        share = len(self._points) / max(count, 1)
        return self.avatar.radius_in(camera) * math.sqrt(max(share, 1.0))

    def _draw(
        self,
        surface: CanonicalSurface,
        posed: PosedSurface,
        shading: Tensor,
        camera: Camera,
        names: tuple[str, ...],
        background: tuple[float, float, float] | None,
    ) -> Frame:
        from pegasus_runtime.raster import render_features

        projected = camera.project(posed.points)
        features = point_features(surface, posed, shading, projected[:, 2], names)
        image = render_features(
            projected,
            torch.cat(list(features.values()), dim=1),
            image_size=camera.image_size,
            radius=self._radius(camera, len(projected)),
            points_per_pixel=self.avatar.points_per_pixel,
        )
        widths = [value.shape[1] for value in features.values()]
        images = dict(zip(features, image.split(widths, dim=2), strict=True))
        finished = {n: finish_pass(n, images, background).cpu().numpy() for n in names}
        assert posed.normals is not None
        return Frame(finished, posed.points.cpu().numpy(), posed.normals.cpu().numpy())


class _Latest(Generic[Value]):
    """The value of the latest key."""

    def __init__(self) -> None:
        self._key: Hashable = None
        self._value: Value | None = None

    def get(self, key: Hashable, make: Callable[[], Value]) -> Value:
        """The kept value if it is of this key, else a new one."""
        if self._value is None or key != self._key:
            self._value = None
            self._value, self._key = make(), key
        return self._value


def _bytes(code: Tensor) -> bytes:
    return code.cpu().numpy().tobytes()


def _even_order(count: int) -> Tensor:
    """A fixed order of points of which every beginning is spread over all of them."""
    return torch.randperm(count, generator=torch.Generator().manual_seed(0))


def choose_device(name: str) -> torch.device:
    """The torch device of a name.

    Raises:
        Refused: the name is not known or there is no such device.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        raise Refused(f"device {name!r}: use auto, cpu, cuda or cuda:N.") from None
    if device.type not in ("cpu", "cuda"):
        raise Refused(f"device {name!r}: use auto, cpu, cuda or cuda:N.")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise Refused(
            f"device {name!r}: this machine has {torch.cuda.device_count()} CUDA devices."
        )
    return device
