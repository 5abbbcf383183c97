"""What tests begin with: small avatars of both models, another head, and small captures."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor

import pegasus_runtime as pr
from pegasus_runtime.avatar.avatar import PublishedAvatar
from pegasus_runtime.camera import Camera
from pegasus_runtime.head import Head, load_free_head, pose_head
from pegasus_runtime.model.latent import LatentCodes
from pegasus_runtime.raster import composite, rasterize
from pegasus_runtime.surfels.attributes import (
    CHANGED,
    Attribute,
    Difference,
    Wardrobe,
    rest_corners,
)
from pegasus_runtime.surfels.avatar import SurfelAvatar
from pegasus_runtime.surfels.file import in_drawing_order
from pegasus_runtime.surfels.pose import LightNetwork, StateNetwork
from pegasus_runtime.surfels.surfels import NUM_STATES, Surfels, new_surfels

SIDE = 64
FOCAL = 2.4
DISTANCE = 3.2
SMALL_SIZES = pr.NetworkSizes(
    num_frequencies=2, geometry_width=16, geometry_depth=2, geometry_skip=0, deformer_width=16,
    deformer_depth=2, shading_width=8,
)  # fmt: skip


def other_head() -> Head:
    """A head that is not the free one: a little larger."""
    free = load_free_head()
    return replace(free, template=free.template * 1.01)


def published_avatar(
    attributes: Sequence[str] = (),
    *,
    every: int = 9,
    radius: float = 0.05,
    sizes: pr.NetworkSizes = SMALL_SIZES,
    name: str = "small",
    blendshapes: float = 0.0,
) -> PublishedAvatar:
    """An untrained avatar of the published model, with points on every so-manieth vertex.

    Args:
        attributes: CATEGORY_NAME of each.
        every: one vertex in so many has a point.
        radius: of a point, in NDC.
        sizes: of the networks.
        name: of the avatar.
        blendshapes: deviation of random blendshapes, by which expressions move points.
    """
    head = load_free_head()
    points = head.template[::every].contiguous()
    avatar = pr.initial_avatar(
        head, points, radius, sizes=sizes, attribute_names=attributes, name=name
    )
    if blendshapes:
        generator = torch.Generator().manual_seed(1)
        weight = avatar.networks.deformer.blendshapes.weight
        torch.nn.init.normal_(weight, std=blendshapes, generator=generator)
    return avatar


def surfels_on(head: Head, count: int, seed: int = 0) -> Surfels:
    """Surfels all over the head, a little off its skin, of chance turns and colours."""
    generator = torch.Generator().manual_seed(seed)

    def chance(*size: int) -> Tensor:
        return torch.randn(*size, generator=generator)

    triangle = torch.randint(len(head.faces), (count,), generator=generator)
    barycentric = torch.rand(count, 3, generator=generator) + 0.05
    barycentric /= barycentric.sum(dim=1, keepdim=True)
    surfels = new_surfels(triangle, barycentric, 0.01 * chance(count, 3), chance(count, 3), 0.03)
    return replace(
        surfels,
        colour=chance(count, 3),
        offset_states=0.005 * chance(count, NUM_STATES, 3),
        colour_states=0.3 * chance(count, NUM_STATES, 3),
        opacity_states=0.3 * chance(count, NUM_STATES),
    )


def _attribute_on(head: Head, name: str, num_source: int, seed: int) -> Attribute:
    generator = torch.Generator().manual_seed(seed)
    region = torch.randperm(num_source, generator=generator)[:200].sort().values
    none = Difference.none(len(region))
    changes = {n: 0.05 * torch.randn(getattr(none, n).shape, generator=generator) for n in CHANGED}
    return Attribute(name, region, Difference(**changes), surfels_on(head, 150, seed))


def surfel_avatar(attributes: Sequence[str], count: int = 3000) -> SurfelAvatar:
    """An avatar of so many chance surfels on the free head, 150 more for each attribute."""
    head = load_free_head()
    torch.manual_seed(0)
    states, light = StateNetwork(), LightNetwork()
    torch.nn.init.normal_(light.layers[-1].weight, std=0.1)
    worn = tuple(_attribute_on(head, name, count, i) for i, name in enumerate(attributes))
    wardrobe = Wardrobe(surfels_on(head, count), worn, rest_corners(head, torch.zeros(100)))
    codes = LatentCodes(attributes).requires_grad_(False)
    return SurfelAvatar(
        name="test",
        head=head,
        wardrobe=in_drawing_order(wardrobe, codes),
        states=states.requires_grad_(False),
        light=light.requires_grad_(False),
        codes=codes,
        canonical_expression=torch.zeros(50),
    )


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
