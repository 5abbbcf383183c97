"""Whether a frame's camera sees the head where its mask shows one.

A wrong camera trains without a word, into fog. The free head stands for every person's: that its
shape is another moves its outline by a few pixels.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch

from pegasus_runtime.head import load_free_head
from pegasus_runtime.head.skinning import pose_joints
from trainer.data.capture_folder import FrameRecord
from trainer.data.images import Pictures

_EVERY = 8
"""of the head's vertices one is looked at; fewer take less time and make the shares coarser"""
_NECK = -0.3
"""height below which they count not: where clothes begin, masks differ"""
_IN_PICTURE, _IN_MASK = 0.1, 0.4
"""least shares of the head; more refuses close-ups, less lets wrong cameras pass"""
_TOO_LARGE, _TOO_SMALL = 2.0, 1 / 8
"""heights of the head over the mask's; nearer to 1 they refuse masks with much hair or clothing"""
_RATHER_LARGE = 1.3
"""where the mask does not hold the head either; it decides only which mistake is named: less the
head's size, more the camera or the mask"""
_UPSIDE_DOWN = -0.5
"""cosine of the angle between the head's and the picture's upwards; nearer to 0 it refuses people
who lie on their side"""


class HeadInView:
    """Projects a head into frames."""

    def __init__(self) -> None:
        head = load_free_head()
        chosen = torch.nonzero(head.template[:, 1] > _NECK)[::_EVERY, 0]
        self._head, self._weights = head, head.skinning_weights[chosen]
        self._template = head.template[chosen]

    def check(self, record: FrameRecord, pictures: Pictures) -> None:
        """Raises ValueError where the head cannot be what the mask shows."""
        view = self._place(record)
        depth = float(view[:, 2].mean())
        if depth <= 0:
            raise ValueError(
                f"world_mat (3×4) puts the head behind the camera, {-depth:.3g} away; is the sign "
                "of the third row the other way?"
            )
        if view[:, 2].min() <= 0.02:
            raise ValueError(
                f"world_mat (3×4) puts the camera into the head, {depth:.3g} before its middle; "
                "are its units those of a head four times as large as FLAME's, in metres?"
            )
        _compare(view, record.camera.intrinsics, pictures.mask)
        self._check_upright(record)

    def _place(self, record: FrameRecord) -> npt.NDArray[np.float64]:
        """(P, 3) of the head in the camera's space: +X left, +Y up, +Z into the picture."""
        _, transforms, _ = pose_joints(
            self._head, torch.zeros(100), torch.zeros(50), torch.from_numpy(record.pose)
        )
        blended = torch.einsum("vj,jab->vab", self._weights, transforms[:, :3])
        posed = (blended[..., :3] @ self._template[..., None])[..., 0] + blended[..., 3]
        camera = record.camera
        view = posed.numpy().astype(np.float64) @ camera.rotation + camera.translation
        return np.asarray(view)

    def _check_upright(self, record: FrameRecord) -> None:
        turned = torch.linalg.matrix_exp(_cross(torch.from_numpy(record.pose[:3])))
        up = turned[:, 1].numpy() @ record.camera.rotation
        if up[1] < _UPSIDE_DOWN:
            raise ValueError("world_mat (3×4) shows the head upside down; negate its second row")


def _compare(
    view: npt.NDArray[np.float64],
    intrinsics: npt.NDArray[np.float32],
    mask: npt.NDArray[np.uint8],
) -> None:
    """Raises ValueError where the projected head and the mask do not meet."""
    size = len(mask)
    left, up = (
        view[:, axis] * intrinsics[axis, axis] / view[:, 2] + intrinsics[axis, 2] for axis in (0, 1)
    )
    seen = (np.abs(left) < 1) & (np.abs(up) < 1)
    if seen.mean() < _IN_PICTURE:
        at = f"{(1 - left.mean()) / 2:.2g}, {(1 - up.mean()) / 2:.2g}"
        raise ValueError(
            f"the head is not in the picture: world_mat (3×4) and intrinsics put it at {at} "
            "picture sizes from the upper left corner"
        )
    shown = np.flatnonzero((mask > 127).any(axis=1))
    tall = (shown[-1] - shown[0] + 1) / size if len(shown) else 0.0
    ratio = float(up.max() - up.min()) / 2 / max(tall, 1 / size)
    size_text = (
        f"world_mat (3×4) and intrinsics make the head {ratio:.2g} times as tall as its mask; "
        "translations are those of a head four times as large as FLAME's, in metres"
    )
    if not _TOO_SMALL < ratio < _TOO_LARGE:
        raise ValueError(size_text)
    columns, rows = (np.floor((1 - at[seen]) / 2 * size).astype(int) for at in (left, up))
    inside = float((mask[rows, columns] > 127).mean())
    if inside < _IN_MASK:
        corners = mask[[0, 0, -1, -1], [0, -1, 0, -1]] > 127
        if corners.sum() < 2 and ratio > _RATHER_LARGE:
            raise ValueError(size_text)
        what = "is the mask inverted?" if corners.sum() >= 2 else "do camera and picture match?"
        raise ValueError(
            f"the mask shows {inside:.0%} of the head that world_mat (3×4) puts into the picture; "
            f"{what}"
        )


def _cross(vector: torch.Tensor) -> torch.Tensor:
    """The matrix whose exponential is the rotation of an axis-angle (3,)."""
    x, y, z = vector.tolist()
    return torch.tensor([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])
