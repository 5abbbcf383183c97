"""The step that fits the head to landmarks and pictures, and where its mesh lies in these."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from pegasus_runtime.camera import Camera
from pegasus_runtime.head import Head, load_free_head, pose_head
from trainer.preprocess.arrays import Array, read_arrays, write_arrays
from trainer.preprocess.crop import FOLDER as CROPS
from trainer.preprocess.crop import Crop, read_picture
from trainer.preprocess.estimators import FloatArray
from trainer.preprocess.face_track import Track
from trainer.preprocess.head_fit import fit_head
from trainer.preprocess.steps import OWN_FOLDER, Fraction, Options, Workspace

FILE = f"{OWN_FOLDER}/fit.npz"


@dataclass(frozen=True, eq=False)
class FittedHead:
    """The head in every picture of a subject."""

    shape: FloatArray
    """(100,)"""
    expression: FloatArray
    """(N, 50)"""
    pose: FloatArray
    """(N, 15)"""
    cameras: list[Camera]
    landmarks: Array
    """(K,) numbers of those that were fitted"""
    residuals: FloatArray
    """(N, K) pixels of the picture"""

    @classmethod
    def read(cls, work: Workspace) -> FittedHead:
        """That of a subject."""
        found = read_arrays(work.folder / FILE)
        size = int(found["size"])
        cameras = [
            Camera(rotation, translation, found["intrinsics"], (size, size))
            for rotation, translation in zip(found["rotation"], found["translation"], strict=True)
        ]
        kept = {k: found[k] for k in ("shape", "expression", "pose", "landmarks", "residuals")}
        return cls(cameras=cameras, **kept)

    def vertices(self, head: Head, number: int) -> Array:
        """(V, 2) places of the head's vertices in the picture with this number, from 1."""
        values = (self.shape, self.expression[number - 1], self.pose[number - 1])
        posed = pose_head(head, *(torch.from_numpy(value) for value in values))
        camera = self.cameras[number - 1]
        flat = camera.project(posed.vertices)[:, :2].numpy()
        return np.asarray((1 - flat) * camera.image_size[0] / 2)


class FitStep:
    """Identity, expression, pose and camera; see `head_fit`."""

    name, version, after, cost = "fit", 8, ("landmarks", "crop"), 110.0
    outputs = (FILE,)
    frames_apart = None

    def __init__(self, fit: Callable[..., Any] = fit_head) -> None:
        """With a function like `fit_head`."""
        self._fit = fit

    def settings(self, options: Options) -> dict[str, Any]:
        """Nothing beyond what it reads."""
        return {}

    def run(self, work: Workspace, report: Fraction) -> list[str]:
        """See `Step`."""
        track, crop = Track.read(work), Crop.read(work)
        count = len(track.landmarks)
        pictures = (read_picture(work.folder / CROPS, number + 1) for number in range(count))
        found = self._fit(
            load_free_head(), crop.to_picture(track.landmarks), track.blendshapes, crop.size,
            crop.focal, crop.principal, track.fps, track.present, report, pictures,
        )  # fmt: skip
        write_arrays(
            work.folder / FILE,
            {
                "shape": _array(found.shape),
                "expression": _array(found.expression),
                "pose": _array(found.pose),
                "rotation": np.stack([camera.rotation for camera in found.cameras]),
                "translation": np.stack([camera.translation for camera in found.cameras]),
                "intrinsics": found.cameras[0].intrinsics,
                "size": np.array(crop.size),
                "landmarks": np.asarray(found.landmarks),
                "residuals": _array(found.residuals),
            },
        )
        return []


def _array(values: Any) -> FloatArray:
    return np.asarray(values.detach() if isinstance(values, torch.Tensor) else values, np.float32)


def covered_pixels(triangles: Array, size: int) -> Array:
    """(S, S) truth within triangles (T, 3, 2)."""
    import cv2

    shape = np.zeros((size, size), np.uint8)
    for triangle in triangles.round().astype(np.int32):  # in one call overlapping ones cancel out
        cv2.fillConvexPoly(shape, triangle, 1)
    return shape > 0
