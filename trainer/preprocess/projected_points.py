"""Where points of a head lie in the pictures of a clip, and how that changes."""

from __future__ import annotations

import torch
from torch import Tensor

from pegasus_runtime.head.skinning import rotation_matrices
from trainer.preprocess.fit_unknowns import BASE, EXPRESSION, TURN, Unknowns, camera_rotation
from trainer.preprocess.posed_points import MOVED_ANGLES, PosedPoints

_NUDGE = 1e-6
"""radians, for slopes by the camera's rotation; larger ones are off by the bend"""


class ProjectedPoints:
    """K points of a head before a camera."""

    def __init__(self, points: PosedPoints, lens: tuple[float, float, float]) -> None:
        """With a focal length and a principal point in pixels."""
        self._points, self._lens = points, lens

    def places(self, at: Unknowns, shift: Tensor | float = 0.0) -> Tensor:
        """(B, K, 2) pixels.

        Args:
            at: what is taken for known.
            shift: (K, 3) by which the points are moved on the head at rest.
        """
        seen = self._seen_from_camera(at, shift)
        focal, *principal = self._lens
        return torch.tensor(principal) - seen[..., :2] * (focal / seen[..., 2:])

    def facing(self, at: Unknowns) -> Tensor:
        """(B, K) cosines between the skin's normals and what leads to the camera."""
        # Of what poses a head, only how it is turned matters here.
        normals = self._points.normals @ rotation_matrices(at.of_frames(TURN)).mT @ at.rotation()
        seen = self._seen_from_camera(at, 0.0)
        return -(normals * torch.nn.functional.normalize(seen, dim=2)).sum(dim=2)

    def slopes(
        self, at: Unknowns, shift: Tensor | float = 0.0, through: Tensor | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """(B, K, R, …) of the pixels by a frame's unknowns, by rotation and shape, and by the
        points' places on the head at rest.

        Args:
            at: where they are looked for.
            shift: (K, 3) by which the points are moved on the head at rest.
            through: (B, K, R, 2) slopes by the pixels, of what is wanted instead of the pixels.
        """
        seen, turned = self._seen_from_camera(at, shift), at.rotation()
        flat = torch.zeros(*seen.shape[:2], 2, 3, dtype=seen.dtype)
        flat[..., 0, 0] = flat[..., 1, 1] = -self._lens[0] / seen[..., 2]
        flat[..., :, 2] = self._lens[0] * seen[..., :2] / seen[..., 2:].square()
        if through is not None:
            flat = through @ flat
        onto = flat @ turned.T
        moves = self._points.slopes(at.shape, at.of_frames(EXPRESSION), at.pose(), shift, onto)
        neck, others = moves.angles.split((3, len(MOVED_ANGLES) - 3), dim=-1)
        place = flat[..., :2] * at.depth()[:, :, None, None]
        depth = flat @ at.translation()[:, None, :, None]
        by_frame = torch.cat([neck, place, depth, moves.expression, others], dim=-1)
        posed, base = seen - at.translation()[:, None], torch.from_numpy(at.shared[BASE])
        by_base = [
            posed @ turned.T @ (camera_rotation(base + nudge) - turned) / _NUDGE
            for nudge in _NUDGE * torch.eye(3, dtype=base.dtype)
        ]
        by_shared = torch.cat([flat @ torch.stack(by_base, dim=-1), moves.shape], dim=-1)
        return by_frame, by_shared, moves.rest

    def _seen_from_camera(self, at: Unknowns, shift: Tensor | float) -> Tensor:
        posed = self._points.posed(at.shape, at.of_frames(EXPRESSION), at.pose(), shift)
        return posed @ at.rotation() + at.translation()[:, None]
