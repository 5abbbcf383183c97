"""Load, set parameters, render: the whole use of an avatar in one short class."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch

from pegasus_runtime.avatar.avatar import Avatar, PublishedAvatar
from pegasus_runtime.camera import Camera
from pegasus_runtime.deform.renderer import PublishedRenderer
from pegasus_runtime.devices import choose_device
from pegasus_runtime.drawing import check_background
from pegasus_runtime.errors import InvalidInput, quoted
from pegasus_runtime.frame import Frame
from pegasus_runtime.limits import check_whole
from pegasus_runtime.parameters import Parameters
from pegasus_runtime.passes import check_passes
from pegasus_runtime.surfels.avatar import SurfelAvatar
from pegasus_runtime.surfels.renderer import SurfelRenderer


class Session:
    """An avatar ready to be rendered on one device.

    What depends on the latent code alone is kept until the code changes, so that a change of
    expression, pose or camera costs only what really changes. A session belongs to one thread at
    a time.
    """

    def __init__(self, avatar: Avatar, device: str = "auto", *, exact: bool = False) -> None:
        """
        Args:
            avatar: the avatar to render.
            device: "auto" (CUDA when there is one), "cpu", "cuda" or "cuda:N".
            exact: evaluate the model as it is written, for every frame anew: what the fast paths
                are compared with.

        Raises:
            InvalidInput: it is no avatar, or the device does not exist.
        """
        self.avatar = avatar
        self.device = choose_device(device)
        self.renderer: SurfelRenderer | PublishedRenderer
        if isinstance(avatar, SurfelAvatar):
            self.renderer = SurfelRenderer(avatar, self.device, plain=exact)
        elif isinstance(avatar, PublishedAvatar):
            self.renderer = PublishedRenderer(avatar, self.device, exact=exact)
        else:
            raise InvalidInput(f"avatar {quoted(avatar)}: open it first, with load_avatar(path).")

    @torch.no_grad()
    def render(
        self,
        params: Parameters,
        camera: Camera,
        passes: Iterable[str] = ("rgb",),
        background: tuple[float, float, float] | None = (1.0, 1.0, 1.0),
        max_points: int | None = None,
        interrupted: Callable[[], bool] | None = None,
    ) -> Frame:
        """Render a picture.

        Args:
            params: expression, pose, shape and attributes.
            camera: the view and the picture's size.
            passes: any of rgb, albedo, shading, normal, depth, alpha, segmentation.
            background: colour behind the head in 0..1; None leaves colours premultiplied by
                alpha, with nothing behind them.
            max_points: use only an even subset of that many points, for a quick picture.
            interrupted: asked every few hundredths of a second while a new latent code of a
                published avatar is evaluated; True stops. What is evaluated is kept for the next
                call.

        Returns:
            The pictures by pass, and the posed points and normals.

        Raises:
            InvalidInput: a parameter, a pass or the background is not valid.
            Interrupted: ``interrupted`` said so.
        """
        if not isinstance(params, Parameters) or not isinstance(camera, Camera):
            raise InvalidInput(
                f"render({quoted(params)}, {quoted(camera)}): give Parameters and a Camera, such "
                "as avatar.neutral() and avatar.default_camera()."
            )
        names, behind = check_passes(passes), check_background(background)
        checked = params.checked(self.avatar.codes.latent_size)
        return self.renderer.render(
            checked, camera, names, behind, self._count(max_points), interrupted
        )

    def _count(self, max_points: int | None) -> int:
        total = self.avatar.num_points
        if max_points is None:
            return total
        return min(total, max(1, check_whole("max_points", max_points, 0, 2**53)))
