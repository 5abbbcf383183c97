"""The pieces of an evaluation: each done once, by one process, whole or not at all."""

from __future__ import annotations

import base64
import hashlib
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from pegasus_runtime.avatar.avatar import Avatar
from pegasus_runtime.errors import InvalidInput
from pegasus_runtime.session import Session
from trainer.engine.lpips import PerceptualDistance, find_perceptual_distance
from trainer.losses.weight_files import ALEXNET_FILES, LPIPS_FILES
from trainer.preprocess.estimators import Bytes
from trainer.preprocess.model_files import find_asset
from trainer.report.face_identity import SFACE_NAMES, FaceIdentity, find_face_identity
from trainer.report.frechet import INCEPTION_NAMES, InceptionFeatures, find_inception
from trainer.report.results import Record

VERSION = 1
"""Raised when the same avatar and frame give other numbers than before."""
THUMB_SIDE = 256
"""Of the page's pictures: larger ones show more in a page that opens more slowly."""
_QUALITY = 86
"""Of JPEG: less shows blocks in dark hair, more makes the page larger."""


@dataclass(eq=False)
class Finding:
    """What one piece of work gives."""

    values: dict[str, float | None] = field(default_factory=dict)
    pictures: list[tuple[str, Bytes]] = field(default_factory=list)
    """caption and (H, W, 3) RGB"""
    series: list[float] = field(default_factory=list)
    features: list[npt.NDArray[np.float32]] = field(default_factory=list)
    """of the picture that was taken and of the drawn one, for FID"""


@dataclass(frozen=True, eq=False)
class WorkItem:
    """One piece of work."""

    section: str
    name: str
    """unique within its section"""
    group: str
    """under which the page shows it"""
    facts: tuple[Any, ...]
    """what its result depends on, beside the avatar and the size"""
    run: Callable[[], Finding]
    cost: float = 1.0
    """pictures that are drawn for it, to tell the time that is left"""

    @property
    def key(self) -> str:
        return f"{self.section}/{self.name}"

    def digest(self, base: str) -> str:
        """Of all that its result depends on."""
        text = json.dumps([VERSION, base, self.key, self.facts], default=str)
        return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:24]

    def do(self, base: str) -> Record:
        """Run it, as a record that can be kept."""
        found = self.run()
        return {
            "key": self.key,
            "digest": self.digest(base),
            "section": self.section,
            "name": self.name,
            "group": self.group,
            "values": {n: _finite(v) for n, v in found.values.items()},
            "pictures": [[caption, _encode(pixels)] for caption, pixels in found.pictures],
            "series": [round(value, 7) for value in found.series],
            "features": [_pack(vector) for vector in found.features],
        }


class Tools:
    """What pieces of work share: the avatar ready to be drawn, and measures whose weights are
    there."""

    def __init__(self, avatar: Avatar, device: str, size: int) -> None:
        self.avatar, self.size, self._device = avatar, size, device
        self.lpips: PerceptualDistance | None = find_perceptual_distance()
        self.identity: FaceIdentity | None = find_face_identity()
        self.inception: InceptionFeatures | None = find_inception()

    @cached_property
    def session(self) -> Session:
        return Session(self.avatar, self._device)

    @property
    def missing(self) -> dict[str, str]:
        """Measures without weights: column → file of the asset folder that it needs."""
        found = {}
        if self.lpips is None:
            pairs = (ALEXNET_FILES, LPIPS_FILES)
            found["lpips"] = " and ".join(names[0] for names in pairs if not find_asset(names))
        if self.identity is None:
            found["identity"] = SFACE_NAMES[0]
        if self.inception is None:
            found["fid"] = INCEPTION_NAMES[0]
        return found

    @property
    def facts(self) -> list[str]:
        """What the numbers of measures depend on."""
        files = [each.path for each in (self.identity, self.inception) if each is not None]
        known = [f"{path.name} {path.stat().st_size}" for path in files]
        return [*known, *(["lpips"] if self.lpips is not None else [])]

    @cached_property
    def _neutral_face(self) -> npt.NDArray[np.float32] | None:
        if self.identity is None:
            return None
        side = max(self.size, THUMB_SIDE)
        camera = self.avatar.default_camera((side, side))
        drawn = self.session.render(self.avatar.neutral(), camera, ("rgb",))["rgb"]
        return self.identity.embed(to_bytes(drawn))

    def likeness(self, pixels: Bytes) -> float | None:
        """How alike a picture's face is to the avatar at rest; None where it cannot be told."""
        if self.identity is None or self._neutral_face is None:
            return None
        found = self.identity.embed(pixels)
        return None if found is None else float(found @ self._neutral_face)


def to_bytes(rgb: npt.NDArray[np.float32]) -> Bytes:
    """(H, W, 3) 0..1 as bytes."""
    return np.asarray((rgb.clip(0, 1) * 255).round(), np.uint8)


def unpack_features(texts: list[str]) -> list[npt.NDArray[np.float32]]:
    """The vectors of a record."""
    return [np.frombuffer(base64.b64decode(text), np.float32) for text in texts]


def numbers(found: Mapping[str, Any], names: tuple[str, ...]) -> dict[str, float | None]:
    """Of these columns what is a number."""
    return {name: found.get(name) for name in names}


def _pack(vector: npt.NDArray[np.float32]) -> str:
    return base64.b64encode(np.ascontiguousarray(vector, np.float32).tobytes()).decode()


def _finite(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else round(float(value), 9)


def _encode(pixels: Bytes) -> str:
    """A JPEG as base64, no larger than the page shows it."""
    import cv2

    if pixels.shape[0] > THUMB_SIDE:
        small = cv2.resize(pixels, (THUMB_SIDE, THUMB_SIDE), interpolation=cv2.INTER_AREA)
        pixels = np.asarray(small, np.uint8)
    ordered = np.ascontiguousarray(pixels[:, :, ::-1])
    done, encoded = cv2.imencode(".jpg", ordered, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    if not done:
        raise InvalidInput("a picture of the report could not be encoded.")
    return base64.b64encode(encoded.tobytes()).decode()
