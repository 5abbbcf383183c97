"""Where the user looks from."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from pegasus_runtime.camera import Camera

if TYPE_CHECKING:
    from pegasus_runtime.avatar.avatar import Avatar

PRESETS: dict[str, tuple[float, float]] = {
    "Front": (0.0, 0.0),
    "Three-quarter": (35.0, 5.0),
    "Left side": (90.0, 0.0),
    "Right side": (-90.0, 0.0),
    "Back": (180.0, 0.0),
    "From above": (0.0, 35.0),
}
"""Name → yaw and pitch in degrees; left and right are the person's own."""
PRESET_KEYS = dict(zip(PRESETS, ("1", "2", "3", "4", "5", "7"), strict=True))
MAX_PITCH_DEG = 89.0
"""At 90 the camera has no upwards any more, and the picture turns over."""
FOV_RANGE_DEG = (5.0, 90.0)
"""Degrees: a narrower view is almost parallel, a wider one bends a face."""
DEFAULT_FOV_DEG = 20.0
"""As a portrait lens sees, and as the runtime's own default."""
DISTANCE_RANGE = (0.5, 12.0)
"""In head units: nearer the camera is inside the head, farther away it is a speck."""
MAX_OFFSET = 12.0
"""How far panning takes the target along each axis. Less stops before the edge of a large picture,
more lets the head get lost."""


@dataclass(frozen=True)
class View:
    """An orbit around a target."""

    target: tuple[float, float, float] = (0.0, 0.0, 0.0)
    reach: float = 1.0
    """half the height of what fills the picture's shorter side, at the target"""
    yaw_deg: float = 0.0
    pitch_deg: float = 0.0
    roll_deg: float = 0.0
    fov_deg: float = DEFAULT_FOV_DEG

    @classmethod
    def framing(cls, avatar: Avatar) -> View:
        """The avatar's default view, with the orbit's centre in the middle of its points."""
        camera = avatar.default_camera((512, 512))
        away = camera.rotation[:, 2].astype(np.float64)
        middle = np.zeros(3)
        points = avatar.rest_points
        if len(points):
            # Not numpy's, with which a module of masked arrays would come.
            middle = points.median(dim=0).values.double().numpy()
        depth = max(float((middle - camera.centre) @ away), 1e-3)
        target = camera.centre + away * depth
        tangent = 1.0 / float(camera.intrinsics[1, 1])
        x, y, z = (float(value) for value in target)
        return cls((x, y, z), depth * tangent, fov_deg=math.degrees(2 * math.atan(tangent)))

    def camera(self, image_size: tuple[int, int]) -> Camera:
        """The camera of a picture of (height, width) pixels."""
        return Camera.orbit(
            np.asarray(self.target),
            self.distance,
            self.yaw_deg,
            self.pitch_deg,
            self.fov_deg,
            image_size,
            self.roll_deg,
        )

    def orbited(self, right: float, down: float) -> View:
        """After a drag over that share of the picture's shorter side: a whole one turns 180°."""
        yaw, pitch = self.yaw_deg - right * 180.0, self.pitch_deg + down * 180.0
        return replace(self, yaw_deg=yaw, pitch_deg=pitch).limited(self)

    def panned(self, right: float, down: float) -> View:
        """After a drag over that share of the shorter side; the head stays under the cursor."""
        rotation = self.camera((2, 2)).rotation.astype(np.float64)
        step = 2 * self.reach * (right * rotation[:, 0] + down * rotation[:, 1])
        x, y, z = (float(value) for value in np.asarray(self.target) + step)
        return replace(self, target=(x, y, z))

    def zoomed(self, factor: float) -> View:
        """Closer by a factor."""
        return replace(self, reach=self.reach / factor)

    def limited(self, now: View) -> View:
        """The nearest view that the camera may take from where it is now.

        An avatar of another scale may begin beyond the usual distances: it can come nearer to them
        and go no farther.
        """
        numbers = (*self.target, self.reach, self.yaw_deg, self.pitch_deg, self.roll_deg)
        if not all(map(math.isfinite, (*numbers, self.fov_deg))):
            return now
        fov = min(max(self.fov_deg, FOV_RANGE_DEG[0]), FOV_RANGE_DEG[1])
        turned = replace(
            self,
            yaw_deg=_wrapped(self.yaw_deg),
            pitch_deg=min(max(self.pitch_deg, -MAX_PITCH_DEG), MAX_PITCH_DEG),
            roll_deg=_wrapped(self.roll_deg),
            fov_deg=fov,
        )
        far = max(MAX_OFFSET, *map(abs, now.target))
        x, y, z = (min(max(value, -far), far) for value in self.target)
        nearest = min(DISTANCE_RANGE[0], now.distance)
        farthest = max(DISTANCE_RANGE[1], now.distance)
        distance = min(max(turned.distance, nearest), farthest)
        reach = self.reach
        if distance != turned.distance:
            reach = distance * math.tan(math.radians(fov / 2))
        return replace(turned, target=(x, y, z), reach=reach)

    @property
    def distance(self) -> float:
        """From the eye to the target, in the avatar's units."""
        return self.reach / math.tan(math.radians(self.fov_deg / 2))

    def at_distance(self, distance: float) -> View:
        """Moved along the line of sight; the field of view stays."""
        return self.zoomed(self.distance / max(distance, 1e-3))

    def turned_to(self, preset: str) -> View:
        """From one of the named sides."""
        yaw, pitch = PRESETS[preset]
        return replace(self, yaw_deg=yaw, pitch_deg=pitch, roll_deg=0.0)


def _wrapped(angle_deg: float) -> float:
    """The same angle in [-180, 180]."""
    return angle_deg if abs(angle_deg) <= 180.0 else (angle_deg + 180.0) % 360.0 - 180.0


def view_label(old: View, new: View) -> str:
    """What a change of the view is called in the history."""
    if (old.yaw_deg, old.pitch_deg) != (new.yaw_deg, new.pitch_deg):
        return "Turn camera"
    if old.target != new.target:
        return "Move camera"
    if old.fov_deg != new.fov_deg:
        return "Field of view"
    return "Roll camera" if old.roll_deg != new.roll_deg else "Zoom"
