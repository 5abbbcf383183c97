"""Networks that a user brings as ONNX files in the asset folder, by what goes in and comes out.

MODNet (Ke et al. 2022) and its like: (1, 3, H, W) −1..1 to a matte (1, 1, H, W). BiSeNet (Yu et al.
2018) trained on CelebAMask-HQ: (1, 3, 512, 512), normalised as ImageNet, to 19 classes of the face.
Segment Anything (Kirillov et al. 2023) as its program exports it, in two files: an encoder of
(1, 3, 1024, 1024), normalised as ImageNet, to (1, 256, 64, 64), and the decoder of
export_onnx_model.py with its six inputs.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from pegasus_runtime.assets import file_sha256
from pegasus_runtime.errors import InvalidInput
from trainer.preprocess.estimators import Bytes, FloatArray, Network
from trainer.preprocess.model_files import (
    SAM_DECODER_NAMES,
    SAM_ENCODER_NAMES,
    find_asset,
    read_onnx,
)

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


_SAM_SIDE, _SAM_MASK = 1024, 256
"""Of what that network sees and of the masks that it gives; it takes no other."""
_SAM_FEATURES = (1, 256, 64, 64)
_BESIDE_FACE, _ABOVE_FACE = 1.0, 0.7
"""Room of the box that a person is looked for in, over the width and height of the face: less cuts
hair and shoulders off, more takes in neighbours. Below, it ends with the picture."""
_POINT, _BOX_START, _BOX_END = 1.0, 2.0, 3.0
"""The network's labels of what it is pointed at with."""


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
        outputs = self._network.run(_normalised(pixels, _SIDE))
        # Its training gives three outputs of one shape; the first is the one that counts.
        found = next(iter(outputs.values()))
        if found.shape != (1, len(PARSING_CLASSES), _SIDE, _SIDE):
            raise InvalidInput(
                f"{self._path}: gives {found.shape}, not 19 classes (1, 19, 512, 512)."
            )
        return np.asarray(found[0].argmax(axis=0), np.uint8)


class PersonSegmenter:
    """A network of Segment Anything's signature, pointed at a person by the face."""

    def __init__(self, encoder: Path, decoder: Path) -> None:
        """Of two ONNX files."""
        self._encoder, self._decoder = (Network(read_onnx(p), p.name) for p in (encoder, decoder))
        self._paths = encoder, decoder

    @classmethod
    def find(cls) -> PersonSegmenter | None:
        """That of the asset folder, None without.

        Raises:
            InvalidInput: one of its two files is there alone.
        """
        found = find_asset(SAM_ENCODER_NAMES), find_asset(SAM_DECODER_NAMES)
        if found[0] and found[1]:
            return cls(found[0], found[1])
        for path, lacking in zip(found, (SAM_DECODER_NAMES, SAM_ENCODER_NAMES), strict=True):
            if path:
                raise InvalidInput(
                    f"{path}: {lacking[0]} has to lie beside it; add that, or remove this one."
                )
        return None

    def estimate(self, pixels: Bytes, face: FloatArray) -> FloatArray:
        """(256, 256) 0..1 of a square picture, for the person with these landmarks (478, 2).

        Raises:
            InvalidInput: a network has another signature.
        """
        features = _only(self._encoder.run(_normalised(pixels, _SAM_SIDE)), self._paths[0])
        if features.shape != _SAM_FEATURES:
            raise InvalidInput(
                f"{self._paths[0]}: gives {features.shape}, not the features {_SAM_FEATURES} of a "
                "Segment Anything encoder."
            )
        points, labels = _prompt(face, pixels.shape[0])
        outputs = self._decoder.run(
            {
                "image_embeddings": features,
                "point_coords": points,
                "point_labels": labels,
                "mask_input": np.zeros((1, 1, _SAM_MASK, _SAM_MASK), np.float32),
                "has_mask_input": np.zeros(1, np.float32),
                "orig_im_size": np.full(2, _SAM_SIDE, np.float32),
            }
        )
        masks, scores = outputs.get("low_res_masks"), outputs.get("iou_predictions")
        if masks is None or scores is None or masks.shape != (1, scores.size, *[_SAM_MASK] * 2):
            shapes = {name: value.shape for name, value in outputs.items()}
            raise InvalidInput(
                f"{self._paths[1]}: gives {shapes}, not low_res_masks and iou_predictions of a "
                "Segment Anything decoder."
            )
        logits = masks[0, int(scores.argmax())]
        return np.asarray(1 / (1 + np.exp(-logits.clip(-50, 50))), np.float32)


def _prompt(face: FloatArray, size: int) -> tuple[FloatArray, FloatArray]:
    """Points (1, N, 2) of the network's picture and their labels: a box, and the face's middle."""
    places = face[:, :2]
    low, high = places.min(axis=0), places.max(axis=0)
    room = (high - low) * (_BESIDE_FACE, _ABOVE_FACE)
    box = np.array([low - room, (high[0] + room[0], size)])
    points = np.concatenate([[(low + high) / 2], box]).clip(0, size) * (_SAM_SIDE / size)
    labels = np.array([[_POINT, _BOX_START, _BOX_END]], np.float32)
    return np.ascontiguousarray(points[None], np.float32), labels


def _normalised(pixels: Bytes, side: int) -> FloatArray:
    mean, spread = (np.array(v, np.float32)[:, None, None] for v in (_MEAN, _SPREAD))
    return np.asarray((_tensor(pixels, side) - mean) / spread)


def _tensor(pixels: Bytes, side: int = _SIDE) -> FloatArray:
    import cv2

    method = cv2.INTER_AREA if side < pixels.shape[0] else cv2.INTER_LINEAR
    small = cv2.resize(pixels, (side, side), interpolation=method)
    return np.ascontiguousarray(small.transpose(2, 0, 1)[None], np.float32) / np.float32(255)


def _only(outputs: dict[str, FloatArray], path: Path) -> FloatArray:
    if len(outputs) != 1:
        raise InvalidInput(f"{path}: has {len(outputs)} outputs, a matting network has one.")
    return next(iter(outputs.values()))
