"""How alike two faces are to a network that tells people apart (cosine of embeddings).

The network is a file that a user brings: OpenCV's SFace (Zhong et al. 2021) or one of ArcFace's
signature (Deng et al. 2019), (1, 3, 112, 112) to a vector. Both see a face turned and scaled so
that eyes, nose and mouth lie where those of their training did.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from pegasus_runtime.errors import InvalidInput
from trainer.preprocess.estimators import Bytes, FaceEstimators, FloatArray, Network
from trainer.preprocess.model_files import find_asset, read_onnx

SFACE_NAMES = ("face_recognition_sface_2021dec.onnx", "sface.onnx")
ARCFACE_NAMES = ("w600k_r50.onnx", "arcface.onnx")
_SIDE = 112
_PLACES = np.array([[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [56.1396, 92.2848]])
"""Of the eyes, the tip of the nose and the middle of the mouth in such a network's picture, as
published with ArcFace: a network sees worse what lies elsewhere."""


class FaceIdentity:
    """Compares faces."""

    def __init__(self, path: Path) -> None:
        """Of an ONNX file."""
        self.path, self._network = path, Network(read_onnx(path), path.name)
        self._is_sface = path.name in SFACE_NAMES
        self._faces = FaceEstimators()

    def embed(self, pixels: Bytes) -> FloatArray | None:
        """The unit vector of the most certain face in (H, W, 3) RGB bytes; None without one.

        Raises:
            InvalidInput: the network has another signature.
        """
        import cv2

        faces = self._faces.detect(pixels)
        if not faces:
            return None
        matrix = _similarity(faces[0].points[:4].astype(np.float64), _PLACES)
        cut = cv2.warpAffine(pixels, matrix, (_SIDE, _SIDE), flags=cv2.INTER_LINEAR)
        planes = np.ascontiguousarray(cut.transpose(2, 0, 1)[None], np.float32)
        # SFace takes bytes as they are, ArcFace −1..1.
        outputs = self._network.run(planes if self._is_sface else (planes - 127.5) / 127.5)
        vector = next(iter(outputs.values()))
        if len(outputs) != 1 or vector.ndim != 2 or len(vector) != 1 or vector.shape[1] < 2:
            raise InvalidInput(f"{self.path}: gives {vector.shape}, not one vector of a face.")
        length = float(np.linalg.norm(vector[0]))
        return np.asarray(vector[0] / max(length, 1e-12), np.float32)

    def compare(self, first: Bytes, second: Bytes) -> float | None:
        """Cosine of two pictures' faces, 1 for the same; None where one shows none."""
        a, b = self.embed(first), self.embed(second)
        return None if a is None or b is None else float(a @ b)


def find_face_identity() -> FaceIdentity | None:
    """The measure, if a network for it is in the asset folder."""
    path = find_asset((*SFACE_NAMES, *ARCFACE_NAMES))
    return None if path is None else FaceIdentity(path)


def _similarity(
    places: npt.NDArray[np.float64], wanted: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """(2, 3) turn, scale and shift that bring places (N, 2) nearest to those that are wanted."""
    middle, goal = places.mean(axis=0), wanted.mean(axis=0)
    a, b = places - middle, wanted - goal
    total = max(float((a * a).sum()), 1e-12)
    cos = float((a * b).sum()) / total
    sin = float((a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]).sum()) / total
    turn = np.array([[cos, -sin], [sin, cos]])
    return np.column_stack([turn, goal - turn @ middle])
