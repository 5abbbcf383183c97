"""A film of a full, even circle around the head."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from pegasus_runtime.camera import Camera
from pegasus_runtime.errors import InvalidInput
from pegasus_runtime.export.backdrop import WHITE, Backdrop
from pegasus_runtime.export.display import passes_for, to_picture
from pegasus_runtime.export.film import check_film, open_film
from pegasus_runtime.export.image import Picture
from pegasus_runtime.export.limits import MAX_FRAMES
from pegasus_runtime.passes import check_passes

if TYPE_CHECKING:
    from pegasus_runtime.avatar.avatar import Avatar
    from pegasus_runtime.parameters import Parameters
    from pegasus_runtime.session import Session

OnProgress = Callable[[int, int, Picture], bool]


@dataclass(frozen=True)
class Turntable:
    """Cameras on a circle around the vertical axis through ``pivot``."""

    camera: Camera
    """the first view"""
    pivot: npt.NDArray[np.float32]
    """(3,) in the world"""
    num_frames: int = 120

    def __post_init__(self) -> None:
        if not 1 <= self.num_frames <= MAX_FRAMES:
            raise InvalidInput(f"{self.num_frames} frames: a turntable has 1 to {MAX_FRAMES}.")

    def cameras(self) -> Iterator[Camera]:
        """The views in order; the last is one step before the first again."""
        for index in range(self.num_frames):
            yield turned(self.camera, self.pivot, 2 * math.pi * index / self.num_frames)


def turned(camera: Camera, pivot: npt.ArrayLike, yaw_rad: float) -> Camera:
    """The camera carried around the vertical axis through ``pivot``, towards the person's left."""
    cos, sin = math.cos(yaw_rad), math.sin(yaw_rad)
    # Turning the camera by yaw shows the world turned back by it: x' = (x − p)·A + p.
    world_turn = np.array([[cos, 0, sin], [0, 1, 0], [-sin, 0, cos]])
    centre = np.asarray(pivot, dtype=np.float64)
    rotation = camera.rotation.astype(np.float64)
    translation = (centre - centre @ world_turn) @ rotation + camera.translation
    return replace(
        camera,
        rotation=(world_turn @ rotation).astype(np.float32),
        translation=translation.astype(np.float32),
    )


def avatar_centre(avatar: Avatar) -> npt.NDArray[np.float32]:
    """The middle (3,) of the box around an avatar's points, without the outermost few."""
    from pegasus_runtime.avatar.avatar import extent_of

    low, high = extent_of(avatar.rest_points)
    return ((low + high) / 2).cpu().numpy()


def view_camera(avatar: Avatar, yaw_deg: float, pitch_deg: float, size: int) -> Camera:
    """The default camera of an avatar, carried around the head; pictures of ``size`` squared."""
    front = avatar.default_camera((size, size))
    if yaw_deg == 0 and pitch_deg == 0:
        return front
    depth = float(avatar_centre(avatar) @ front.rotation[:, 2] + front.translation[2])
    target = front.centre + front.rotation[:, 2] * depth
    fov_deg = 2 * math.degrees(math.atan(1 / abs(float(front.intrinsics[1, 1]))))
    return Camera.orbit(target, depth, yaw_deg, pitch_deg, fov_deg, (size, size))


def export_turntable(
    session: Session,
    params: Parameters,
    camera: Camera,
    out: str | os.PathLike[str],
    *,
    num_frames: int = 120,
    fps: float = 30,
    backdrop: Backdrop | None = WHITE,
    on_progress: OnProgress | None = None,
    image_pass: str = "rgb",
) -> bool:
    """Write a film of a full circle around the head, seen first from ``camera``.

    Args:
        session: renders the avatar.
        params: what the person looks like.
        camera: the first view, and the size of the pictures.
        out: a film of one of `FILM_FORMATS`, or a folder for PNG files.
        num_frames: of the circle; no frame stands twice, so the film loops.
        fps: pictures a second.
        backdrop: what is behind the head; None keeps it transparent.
        on_progress: called after each frame with (frames done, frames in all, picture (H, W, 3 or
            4) uint8); returns False to cancel.
        image_pass: the pass to film.

    Returns:
        True when the film was written, False when it was cancelled; then nothing is left of it.

    Raises:
        InvalidInput: the format cannot carry what is asked, or the film cannot be written.
    """
    table = Turntable(camera, avatar_centre(session.avatar), num_frames)
    with_alpha = backdrop is None
    check_film(out, camera.image_size, num_frames, fps, with_alpha=with_alpha)
    check_passes(image_pass)
    try:
        with open_film(out, camera.image_size, fps, with_alpha=with_alpha) as add:
            for done, view in enumerate(table.cameras(), start=1):
                frame = session.render(params, view, passes=passes_for(image_pass), background=None)
                picture = to_picture(frame, image_pass, backdrop)
                add(picture)
                _report(on_progress, done, num_frames, picture)
    except _Cancelled:
        return False
    return True


class _Cancelled(Exception):
    """The caller asked to stop; leaves `open_film` so that it removes what it wrote."""


def _report(on_progress: OnProgress | None, done: int, total: int, picture: Picture) -> None:
    if on_progress is not None and on_progress(done, total, picture) is False:
        raise _Cancelled
