"""A head that turns before a camera, drawn plainly: skin, hair of a known thickness, background."""

from __future__ import annotations

from types import SimpleNamespace
from typing import cast

import cv2
import numpy as np
import torch

from pegasus_runtime.camera import Camera
from pegasus_runtime.head import Head, pose_head
from pegasus_runtime.head.mesh_normals import vertex_normals
from pegasus_runtime.head.parts import require_parts
from trainer.data.dataset import Capture, TrainingFrame
from trainer.data.images import Pictures

SIDE, THICK = 160, 0.08
NAMES = ("skin", "hair", "background")
HAIR, BACKGROUND = 1, 2
SKIN_COLOUR, HAIR_COLOUR = (200, 150, 130), (60, 40, 20)


HIGH_FOREHEAD, BALD = 0.33, 9.0


def filmed(head: Head, hairline: float = -9.0, over_ears: bool = False) -> Capture:
    """A head that turns by ten degrees to both sides before a camera that stands still.

    Its hair begins in front at this height, in units of the head, and may hang over the ears.
    """
    frames = []
    for turn in np.radians((-10, -5, 0, 5, 10, 0, 4)):
        pose = np.zeros(15, np.float32)
        pose[4] = turn
        frames.append(_frame(head, pose, hairline, over_ears))
    return cast(
        Capture,
        SimpleNamespace(
            training={"me": frames}, source="me", shape=torch.zeros(100), part_names=NAMES,
            mean_expression=torch.zeros(50), attribute_names=(),
        ),
    )  # fmt: skip


def _frame(head: Head, pose: np.ndarray, hairline: float, over_ears: bool) -> TrainingFrame:
    camera = Camera.orbit((0, 0, 0.05), 5.0, fov_deg=19, image_size=(SIDE, SIDE))
    none = torch.zeros(50)
    vertices = pose_head(head, torch.zeros(100), none, torch.from_numpy(pose)).vertices
    scalp = require_parts(head).on("scalp")
    at_back = (head.template[:, 2] < 0.1) & (hairline < BALD)
    scalp = scalp & ((head.template[:, 1] > hairline) | at_back)
    normals = torch.from_numpy(vertex_normals(vertices.numpy(), head.faces.numpy()))
    vertices = vertices + THICK * scalp[:, None] * normals
    label = torch.where(scalp[head.faces].all(dim=1), HAIR, 0).numpy()
    flat = camera.project(vertices).numpy()
    places = ((1 - flat[:, :2]) * SIDE / 2).round().astype(np.int32)[head.faces.numpy()]
    parts = np.full((SIDE, SIDE), BACKGROUND, np.uint8)
    for face in np.argsort(-flat[:, 2][head.faces.numpy()].mean(axis=1)):
        cv2.fillConvexPoly(parts, places[face], int(label[face]))
    ears = require_parts(head).on("ears")[head.faces].all(dim=1)
    for side in (flat[:, 0] > 0, flat[:, 0] <= 0) if over_ears else ():
        here = ears.numpy() & side[head.faces.numpy()].all(axis=1)
        cv2.fillConvexPoly(parts, cv2.convexHull(places[here].reshape(-1, 2)), HAIR)
    colours = np.array([SKIN_COLOUR, HAIR_COLOUR, (255, 255, 255)], np.uint8)
    mask = np.where(parts == BACKGROUND, 0, 255).astype(np.uint8)
    pictures = Pictures(colours[parts], mask, None, None, parts)
    record = SimpleNamespace(expression=none.numpy(), pose=pose, camera=camera)
    return cast(TrainingFrame, SimpleNamespace(record=record, pictures=pictures))
