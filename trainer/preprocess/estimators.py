"""MediaPipe's face and matte networks in OpenCV: what goes in, what comes out.

All take (H, W, 3) RGB bytes and give places in pixels of that picture, where 0 is the left or upper
edge of the first pixel. The order of tensors, landmarks and names is that of MediaPipe's graphs
(face_detector_graph.cc, face_landmarks_detector_graph.cc, face_blendshapes_graph.cc).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import numpy.typing as npt

from pegasus_runtime.errors import InvalidInput, one_line
from trainer.preprocess.landmark_groups import NUM_LANDMARKS
from trainer.preprocess.model_files import (
    FACE_LANDMARKER,
    HAIR_SEGMENTATION,
    SELFIE_SEGMENTATION,
    read_optional,
    read_shipped,
    unpack,
)

Bytes = npt.NDArray[np.uint8]
FloatArray = npt.NDArray[np.float32]
NUM_BLENDSHAPES = 52
RIGHT_EYE_CORNER, LEFT_EYE_CORNER = 33, 263
"""the outer ones; right is the person's"""
REGION_SCALE = 1.5
"""Side of what the landmark network sees, over the larger side of the face's box, as it was
trained: with another one landmarks are less exact."""
_DETECTOR_SIDE, _LANDMARK_SIDE, _SELFIE_SIDE, _HAIR_SIDE = 128, 256, 256, 512
_MIN_SCORE, _SAME_FACE = 0.5, 0.3
"""Less finds patterns, more misses turned faces; boxes that share more than the second are one
face: less joins neighbours, more counts a face twice."""
_PARTS = ("face_detector.tflite", "face_landmarks_detector.tflite", "face_blendshapes.tflite")
# fmt: off
BLENDSHAPE_LANDMARKS = (
    0, 1, 4, 5, 6, 7, 8, 10, 13, 14, 17, 21, 33, 37, 39, 40, 46, 52, 53, 54, 55, 58, 61, 63, 65,
    66, 67, 70, 78, 80, 81, 82, 84, 87, 88, 91, 93, 95, 103, 105, 107, 109, 127, 132, 133, 136,
    144, 145, 146, 148, 149, 150, 152, 153, 154, 155, 157, 158, 159, 160, 161, 162, 163, 168,
    172, 173, 176, 178, 181, 185, 191, 195, 197, 234, 246, 249, 251, 263, 267, 269, 270, 276,
    282, 283, 284, 285, 288, 291, 293, 295, 296, 297, 300, 308, 310, 311, 312, 314, 317, 318,
    321, 323, 324, 332, 334, 336, 338, 356, 361, 362, 365, 373, 374, 375, 377, 378, 379, 380,
    381, 382, 384, 385, 386, 387, 388, 389, 390, 397, 398, 400, 402, 405, 409, 415, 454, 466,
    *range(468, 478),
)
"""what the blendshape network looks at"""
BLENDSHAPE_NAMES = (
    "_neutral", "browDownLeft", "browDownRight", "browInnerUp", "browOuterUpLeft",
    "browOuterUpRight", "cheekPuff", "cheekSquintLeft", "cheekSquintRight", "eyeBlinkLeft",
    "eyeBlinkRight", "eyeLookDownLeft", "eyeLookDownRight", "eyeLookInLeft", "eyeLookInRight",
    "eyeLookOutLeft", "eyeLookOutRight", "eyeLookUpLeft", "eyeLookUpRight", "eyeSquintLeft",
    "eyeSquintRight", "eyeWideLeft", "eyeWideRight", "jawForward", "jawLeft", "jawOpen", "jawRight",
    "mouthClose", "mouthDimpleLeft", "mouthDimpleRight", "mouthFrownLeft", "mouthFrownRight",
    "mouthFunnel", "mouthLeft", "mouthLowerDownLeft", "mouthLowerDownRight", "mouthPressLeft",
    "mouthPressRight", "mouthPucker", "mouthRight", "mouthRollLower", "mouthRollUpper",
    "mouthShrugLower", "mouthShrugUpper", "mouthSmileLeft", "mouthSmileRight", "mouthStretchLeft",
    "mouthStretchRight", "mouthUpperUpLeft", "mouthUpperUpRight", "noseSneerLeft", "noseSneerRight",
)
"""ARKit's"""
# fmt: on


@dataclass(frozen=True, eq=False)
class DetectedFace:
    """A face that the detector found."""

    score: float
    """0..1"""
    box: FloatArray
    """(4,) left, top, right, bottom"""
    points: FloatArray
    """(6, 2) eyes (the person's right first), tip of the nose, mouth, ears"""

    @property
    def side(self) -> float:
        """The larger side of its box."""
        return float(max(self.box[2] - self.box[0], self.box[3] - self.box[1]))


@dataclass(frozen=True)
class Region:
    """A turned square of a picture."""

    x: float
    """of its centre"""
    y: float
    side: float
    angle: float
    """radians, from the picture's x axis towards y"""

    @classmethod
    def of_face(cls, face: DetectedFace) -> Region:
        """What the landmark network looks at on a first frame."""
        left, top, right, bottom = (float(value) for value in face.box)
        angle = _slope(face.points[0], face.points[1])
        return cls((left + right) / 2, (top + bottom) / 2, REGION_SCALE * face.side, angle)

    @classmethod
    def of_landmarks(cls, landmarks: FloatArray) -> Region:
        """What it looks at on the frame after that of these landmarks (478, 2 or 3)."""
        places = landmarks[:, :2].astype(np.float64)
        angle = _slope(places[RIGHT_EYE_CORNER], places[LEFT_EYE_CORNER])
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        level = places @ turn
        low, high = level.min(axis=0), level.max(axis=0)
        x, y = turn @ ((low + high) / 2)
        return cls(float(x), float(y), REGION_SCALE * float((high - low).max()), angle)

    def matrix(self, side: int) -> npt.NDArray[np.float64]:
        """(2, 3) from places of the picture to places of its (side, side) cut-out."""
        scale = side / max(self.side, 1e-3)
        cos, sin = np.cos(self.angle) * scale, np.sin(self.angle) * scale
        turn = np.array([[cos, sin], [-sin, cos]])
        shift = side / 2 - turn @ (self.x, self.y)
        return np.column_stack([turn, shift])

    def cut_out(self, pixels: Bytes, side: int) -> Bytes:
        """(side, side, 3) of the picture, black outside."""
        import cv2

        matrix = self.matrix(side)
        # OpenCV counts from the middle of the first pixel.
        matrix[:, 2] += matrix[:, :2] @ (0.5, 0.5) - 0.5
        return np.asarray(cv2.warpAffine(pixels, matrix, (side, side), flags=cv2.INTER_LINEAR))


@dataclass(frozen=True, eq=False)
class FaceLandmarks:
    """What the landmark network says of one region."""

    places: FloatArray
    """(478, 3); z in the same unit, smaller is nearer; from 468 on the irises"""
    presence: float
    """0..1; a guard against nothing but emptiness"""


class FaceEstimators:
    """Detector, landmarks and blendshapes of ``face_landmarker.task``."""

    def __init__(self) -> None:
        """Raises InvalidInput when the weights are not as they were shipped."""
        members = unpack(read_shipped(FACE_LANDMARKER), _PARTS, FACE_LANDMARKER.name)
        self._detector, self._landmarker, self._blendshapes = (
            Network(members[name], name) for name in _PARTS
        )

    def detect(self, pixels: Bytes) -> list[DetectedFace]:
        """The faces of a picture, the most certain first.

        A face smaller than about a tenth of the longer side is not found; see `find_small`.
        """
        import cv2

        height, width = pixels.shape[:2]
        scale = _DETECTOR_SIDE / max(height, width)
        size = max(round(width * scale), 1), max(round(height * scale), 1)
        square = np.zeros((_DETECTOR_SIDE, _DETECTOR_SIDE, 3), np.uint8)
        left, top = (_DETECTOR_SIDE - size[0]) // 2, (_DETECTOR_SIDE - size[1]) // 2
        small = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
        square[top : top + size[1], left : left + size[0]] = small
        found = self._detector.run(_planes(square) * 2 - 1)
        boxes, logits = found["regressors"][0], found["classificators"][0, :, 0]
        shift = np.array([left, top], np.float32)
        return [
            DetectedFace(
                face.score, (face.box - np.tile(shift, 2)) / scale, (face.points - shift) / scale
            )
            for face in _decode_faces(boxes, logits)
        ]

    def find_small(self, pixels: Bytes) -> list[DetectedFace]:
        """As `detect`, also in overlapping squares of it, which takes ten times as long."""
        height, width = pixels.shape[:2]
        faces = list(self.detect(pixels))
        for side in (min(height, width), -(-min(height, width) // 2)):
            for top in _starts(height, side):
                for left in _starts(width, side):
                    shift = np.array([left, top], np.float32)
                    for face in self.detect(pixels[top : top + side, left : left + side]):
                        moved = face.box + np.tile(shift, 2), face.points + shift
                        faces.append(DetectedFace(face.score, *moved))
        return _suppress(faces)

    def landmarks(self, pixels: Bytes, region: Region) -> FaceLandmarks:
        """The landmarks of the face that a region shows."""
        cut = region.cut_out(pixels, _LANDMARK_SIDE)
        found = self._landmarker.run(_planes(cut))
        places = found["Identity"].reshape(NUM_LANDMARKS, 3)
        matrix = region.matrix(_LANDMARK_SIDE)
        level = np.linalg.solve(matrix[:, :2], places[:, :2].T.astype(np.float64) - matrix[:, 2:]).T
        depth = places[:, 2:] * (region.side / _LANDMARK_SIDE)
        whole = np.concatenate([level, depth], axis=1).astype(np.float32)
        return FaceLandmarks(whole, _sigmoid(float(found["Identity_1"].ravel()[0])))

    def blendshapes(self, landmarks: FloatArray) -> FloatArray:
        """(52,) 0..1 as `BLENDSHAPE_NAMES`, of landmarks (478, 3)."""
        chosen = landmarks[list(BLENDSHAPE_LANDMARKS), :2]
        (found,) = self._blendshapes.run(np.ascontiguousarray(chosen[None], np.float32)).values()
        return found.reshape(NUM_BLENDSHAPES).clip(0, 1)


class SelfieMatte:
    """A soft matte of people, coarse at hair."""

    def __init__(self) -> None:
        """Raises InvalidInput when the weights are not as they were shipped."""
        name = SELFIE_SEGMENTATION.name
        self._network = Network(read_shipped(SELFIE_SEGMENTATION), name)

    def estimate(self, pixels: Bytes) -> FloatArray:
        """(256, 256) 0..1 of a picture of any size."""
        (found,) = self._network.run(_planes(_resized(pixels, _SELFIE_SIDE))).values()
        return found.reshape(_SELFIE_SIDE, _SELFIE_SIDE).clip(0, 1)


class HairMatte:
    """A soft matte of hair, of a network that users put into the asset folder."""

    def __init__(self, raw: bytes) -> None:
        """Of the bytes of `HAIR_SEGMENTATION`."""
        self._network = Network(raw, HAIR_SEGMENTATION.name)

    @classmethod
    def find(cls) -> HairMatte | None:
        """The one of the asset folder, None without; InvalidInput where it is another file."""
        raw = read_optional(HAIR_SEGMENTATION)
        return None if raw is None else cls(raw)

    def estimate(self, pixels: Bytes) -> FloatArray:
        """(512, 512) 0..1 of a picture of any size."""
        colours = _planes(_resized(pixels, _HAIR_SIDE))
        before = np.zeros_like(colours[:, :1])
        (found,) = self._network.run(np.concatenate([colours, before], axis=1)).values()
        hair: FloatArray = 1 / (1 + np.exp(np.clip(found[0, 0] - found[0, 1], -50, 50)))
        return hair


class Network:
    """A network in OpenCV, read when it is first used."""

    def __init__(self, raw: bytes, label: str) -> None:
        self._raw, self._label = raw, label

    def run(self, given: FloatArray | Mapping[str, FloatArray]) -> dict[str, FloatArray]:
        """Its outputs by name, for one input or several by name.

        Raises:
            InvalidInput: OpenCV cannot read it, or not run it on this input.
        """
        import cv2

        net, names = self._opened
        inputs = given if isinstance(given, Mapping) else {"": given}
        try:
            for name, tensor in inputs.items():
                net.setInput(tensor, name)
            outputs = net.forward(names)
        except cv2.error as error:
            raise self._refusal("cannot be run by OpenCV", error) from None
        return {name: np.array(value) for name, value in zip(names, outputs, strict=True)}

    def _refusal(self, what: str, error: Any) -> InvalidInput:
        reason = one_line(str(error.err).strip() or str(error), 160)
        return InvalidInput(f"{self._label}: {what} ({reason}); is it the right network?")

    @cached_property
    def _opened(self) -> tuple[Any, Sequence[str]]:
        import cv2

        is_onnx = self._label.endswith(".onnx")
        read = cv2.dnn.readNetFromONNX if is_onnx else cv2.dnn.readNetFromTFLite
        # The new engine of OpenCV 5 fails on MediaPipe's networks with several outputs; of ONNX it
        # knows more operations. One can be asked for only where a file is read by its path.
        engine = getattr(cv2.dnn, "ENGINE_AUTO" if is_onnx else "ENGINE_CLASSIC", None)
        options = {} if engine is None else {"engine": engine}
        with TemporaryDirectory(prefix="pegasus-") as folder:
            path = Path(folder) / ("network.onnx" if is_onnx else "network.tflite")
            path.write_bytes(self._raw)
            try:
                net = read(str(path), **options)
                return net, net.getUnconnectedOutLayersNames()
            except cv2.error as error:
                raise self._refusal("OpenCV cannot read it", error) from None


def _planes(pixels: Bytes) -> FloatArray:
    """(1, 3, H, W) 0..1."""
    return np.ascontiguousarray(pixels.transpose(2, 0, 1)[None], np.float32) / np.float32(255)


def _resized(pixels: Bytes, side: int) -> Bytes:
    import cv2

    method = cv2.INTER_AREA if min(pixels.shape[:2]) > side else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(pixels, (side, side), interpolation=method))


def _anchors() -> FloatArray:
    """(896, 2) centres in pixels of the detector's input: 2 a cell of 8 pixels, 6 a cell of 16."""
    rows = []
    for stride, times in ((8, 2), (16, 6)):
        centres = (np.arange(_DETECTOR_SIDE // stride) + 0.5) * stride
        y, x = np.meshgrid(centres, centres, indexing="ij")
        rows.append(np.repeat(np.stack([x.ravel(), y.ravel()], axis=1), times, axis=0))
    return np.concatenate(rows).astype(np.float32)


_ANCHORS = _anchors()


def _decode_faces(boxes: FloatArray, logits: FloatArray) -> list[DetectedFace]:
    scores = 1 / (1 + np.exp(-logits.clip(-80, 80)))
    faces = []
    for index in np.flatnonzero(scores >= _MIN_SCORE):
        pairs = boxes[index].reshape(8, 2)
        centre, half = pairs[0] + _ANCHORS[index], pairs[1] / 2
        if (half <= 0).any() or not np.isfinite(pairs).all():
            continue
        box = np.concatenate([centre - half, centre + half])
        faces.append(DetectedFace(float(scores[index]), box, pairs[2:] + _ANCHORS[index]))
    return _suppress(faces)


def _suppress(faces: list[DetectedFace]) -> list[DetectedFace]:
    """One face for many that overlap: their mean, weighted by score, as the detector expects."""
    left, kept = sorted(faces, key=lambda face: -face.score), []
    while left:
        best = left[0]
        same = [f for f in left if overlap(f.box, best.box) > _SAME_FACE] or [best]
        left = [f for f in left if not any(f is other for other in same)]
        weights = np.array([f.score for f in same], np.float32)
        weights /= weights.sum()
        box = np.einsum("n,nc->c", weights, np.stack([f.box for f in same]))
        points = np.einsum("n,nkc->kc", weights, np.stack([f.points for f in same]))
        kept.append(DetectedFace(best.score, box, points))
    return kept


def overlap(first: FloatArray, second: FloatArray) -> float:
    """Intersection over union of two boxes (4,)."""
    low, high = np.maximum(first[:2], second[:2]), np.minimum(first[2:], second[2:])
    shared = float(np.prod((high - low).clip(0)))
    whole = sum(float(np.prod((b[2:] - b[:2]).clip(0))) for b in (first, second)) - shared
    return shared / whole if whole > 0 else 0.0


def _starts(length: int, side: int) -> list[int]:
    """Where squares of half overlap begin along a side."""
    count = 1 if length <= side else -(-2 * (length - side) // side) + 1
    return [round(value) for value in np.linspace(0, length - side, count)]


def _slope(start: Any, end: Any) -> float:
    return float(np.arctan2(end[1] - start[1], end[0] - start[0]))


def _sigmoid(value: float) -> float:
    return float(1 / (1 + np.exp(-np.clip(value, -80, 80))))
