"""Networks that a user brings as ONNX files in the asset folder, by what goes in and comes out.

MODNet (Ke et al. 2022) and its like: (1, 3, H, W) −1..1 to a matte (1, 1, H, W). BiSeNet (Yu et al.
2018) trained on CelebAMask-HQ: (1, 3, 512, 512), normalised as ImageNet, to 19 classes of the face.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from pegasus_runtime.assets import file_sha256
from pegasus_runtime.errors import InvalidInput
from trainer.preprocess.estimators import Bytes, FloatArray, Network
from trainer.preprocess.model_files import find_asset, read_onnx

_SIDE = 512
"""That the networks were trained with; they take no other."""
_MEAN, _SPREAD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Of the pictures that the network was trained with."""
PARSING_CLASSES = (
    "background", "skin", "left brow", "right brow", "left eye", "right eye", "glasses",
    "left ear", "right ear", "earring", "nose", "mouth", "upper lip", "lower lip", "neck",
    "necklace", "clothes", "hair", "hat",
)  # fmt: skip
"""of CelebAMask-HQ, in the order of that network"""


def asset_digest(names: Sequence[str]) -> str:
    """Checksum of the first of these files of the asset folder; empty without any."""
    path = find_asset(names)
    return file_sha256(path) if path else ""


class PortraitMatte:
    """A matting network of MODNet's signature."""

    def __init__(self, path: Path) -> None:
        """Of an ONNX file."""
        self._network, self._path = Network(read_onnx(path), path.name), path

    def estimate(self, pixels: Bytes) -> FloatArray:
        """(512, 512) 0..1.

        Raises:
            InvalidInput: the network has another signature.
        """
        found = _only(self._network.run(_tensor(pixels) * 2 - 1), self._path)
        if found.shape != (1, 1, _SIDE, _SIDE):
            raise InvalidInput(f"{self._path}: gives {found.shape}, not a matte (1, 1, H, W).")
        return np.asarray(found[0, 0].clip(0, 1))


class FaceParser:
    """A network of BiSeNet's signature that names the parts of a face."""

    def __init__(self, path: Path) -> None:
        """Of an ONNX file."""
        self._network, self._path = Network(read_onnx(path), path.name), path

    def parse(self, pixels: Bytes) -> Bytes:
        """(512, 512) index into `PARSING_CLASSES`.

        Raises:
            InvalidInput: the network has another signature.
        """
        mean, spread = (np.array(v, np.float32)[:, None, None] for v in (_MEAN, _SPREAD))
        outputs = self._network.run((_tensor(pixels) - mean) / spread)
        # Its training gives three outputs of one shape; the first is the one that counts.
        found = next(iter(outputs.values()))
        if found.shape != (1, len(PARSING_CLASSES), _SIDE, _SIDE):
            raise InvalidInput(
                f"{self._path}: gives {found.shape}, not 19 classes (1, 19, 512, 512)."
            )
        return np.asarray(found[0].argmax(axis=0), np.uint8)


def _tensor(pixels: Bytes) -> FloatArray:
    import cv2

    small = cv2.resize(pixels, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA)
    return np.ascontiguousarray(small.transpose(2, 0, 1)[None], np.float32) / np.float32(255)


def _only(outputs: dict[str, FloatArray], path: Path) -> FloatArray:
    if len(outputs) != 1:
        raise InvalidInput(f"{path}: has {len(outputs)} outputs, a matting network has one.")
    return next(iter(outputs.values()))
