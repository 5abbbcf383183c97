"""A tiny capture for tests: coloured points on the free head, drawn with the rasteriser."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import torch

from pegasus_runtime.camera import Camera
from pegasus_runtime.head import load_free_head, pose_head
from pegasus_runtime.raster import composite, rasterize

SIDE = 64
FOCAL = 2.4
DISTANCE = 3.2


def write_small_capture(folder: Path, subjects: dict[str, int]) -> Path:
    """Write a capture with the given number of frames per subject, in the documented layout."""
    for name, count in subjects.items():
        _write_subject(folder / name, count, tint=sum(map(ord, name)) % 7 / 7)
    return folder


def write_plain_subject(folder: Path, count: int) -> Path:
    """Write a subject of grey ovals, which takes no time: for tests that train nothing."""
    rows, columns = np.mgrid[-1 : 1 : SIDE * 1j, -1 : 1 : SIDE * 1j]
    matte = ((rows / 0.75) ** 2 + (columns / 0.55) ** 2 < 1).astype(np.float32)
    frames = []
    for kind in ("image", "mask"):
        (folder / kind).mkdir(parents=True)
    for index in range(1, count + 1):
        _save(folder / "image" / f"{index}.png", np.dstack([1 - matte * 0.6] * 3))
        _save(folder / "mask" / f"{index}.png", matte)
        world = [[-1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, -DISTANCE]]
        expression = [float(np.cos(index)), *[0.0] * 49]
        frames.append(
            {
                "file_path": f"./image/{index}",
                "world_mat": world,
                "expression": expression,
                "pose": [0.0, 0.2 * float(np.sin(index)), *[0.0] * 13],
            }
        )
    content = {
        "frames": frames,
        "shape_params": [0.0] * 100,
        "intrinsics": [FOCAL / 2, FOCAL / 2, 0.5, 0.5],
    }
    (folder / "flame_params.json").write_text(json.dumps(content), "utf-8")
    return folder


def _write_subject(folder: Path, count: int, tint: float) -> None:
    for kind in ("image", "mask", "mask_object", "normal_rendering"):
        (folder / kind).mkdir(parents=True)
    frames = [_write_frame(folder, index, tint) for index in range(1, count + 1)]
    content = {
        "frames": frames,
        "shape_params": [0.0] * 100,
        "intrinsics": [FOCAL / 2, FOCAL / 2, 0.5, 0.5],
    }
    (folder / "flame_params.json").write_text(json.dumps(content), "utf-8")


def _write_frame(folder: Path, index: int, tint: float) -> dict[str, object]:
    random = np.random.default_rng(index)
    yaw = float(random.uniform(-0.5, 0.5))
    pose = np.zeros(15, np.float32)
    pose[1], pose[6] = yaw, random.uniform(0, 0.2)
    expression = np.zeros(50, np.float32)
    expression[:2] = random.uniform(0, 1)
    head = load_free_head()
    posed = pose_head(head, torch.zeros(100), torch.from_numpy(expression), torch.from_numpy(pose))
    camera = Camera(np.diag([-1.0, 1.0, -1.0]), (0, 0, DISTANCE), _intrinsics(), (SIDE, SIDE))
    colours = (head.template * 1.5 + 0.5).clamp(0, 1)
    colours[:, 0] = tint
    features = torch.cat([colours, torch.ones(len(colours), 1)], dim=1)
    fragments = rasterize(camera.project(posed.vertices), (SIDE, SIDE), 0.06, 8)
    picture = composite(fragments, features).numpy()
    alpha = picture[:, :, 3:]
    _save(folder / "image" / f"{index}.png", (picture[:, :, :3] + 1 - alpha)[:, :, ::-1])
    _save(folder / "mask" / f"{index}.png", alpha)
    _save(folder / "mask_object" / f"{index}.png", alpha * 0)
    _save(folder / "normal_rendering" / f"{index}.png", np.full_like(picture[:, :, :3], 0.5))
    # The layout stores OpenCV-like matrices: reading negates column 2 and the z translation.
    world = np.concatenate([camera.rotation, camera.translation[:, None]], axis=1)
    world[2, 3] = -world[2, 3]
    world[:, 2] = -world[:, 2]
    return {
        "file_path": f"./image/{index}",
        "world_mat": world.tolist(),
        "expression": expression.tolist(),
        "pose": pose.tolist(),
    }


def _intrinsics() -> np.ndarray:
    matrix = np.zeros((4, 4), np.float32)
    matrix[0, 0] = matrix[1, 1] = FOCAL
    matrix[2, 3] = matrix[3, 2] = 1
    return matrix


def _save(path: Path, picture: np.ndarray) -> None:
    cv2.imwrite(str(path), (picture.clip(0, 1) * 255).round().astype(np.uint8))
