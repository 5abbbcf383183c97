"""What has no truth to be compared with: other views, another's motion, and codes between and
around those that were trained."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import cv2
import numpy as np
import torch

from pegasus_runtime.avatar.avatar import Avatar
from pegasus_runtime.camera import Camera
from pegasus_runtime.export.turntable import view_camera
from pegasus_runtime.parameters import Choice, Parameters
from trainer.data.image_file import PictureFile
from trainer.preprocess.estimators import Bytes, FloatArray
from trainer.report.driver import Driver, DriverFrame
from trainer.report.work import THUMB_SIDE, Finding, Tools, WorkItem, to_bytes

NUM_STEPS = 60
"""Of an interpolation: more run more smoothly and take longer."""
PERSON = "the person"
_VIEWS = ((-75, 0), (-50, 0), (-25, 0), (0, 0), (25, 0), (50, 0), (75, 0), (0, 25), (0, -25))
"""Yaw and pitch in degrees: farther round is what few frames have shown."""
_STILLS = (0, 15, 30, 45, 60)
"""of an interpolation's steps those that are shown"""
_MOST_PAIRS = 3
"""Of a category's attributes: more take a minute each and show the same."""
_NUM_COMPOSITIONS, _NUM_SAMPLES = 8, 4
"""More show more of what an avatar can wear, for a picture's time each."""
_SHARE_WORN = 0.6
"""of the categories in a composition; with less it is one attribute, with more always all"""


def view_items(tools: Tools) -> list[WorkItem]:
    """The person, and the first attribute of each category, from around the head."""
    avatar, items = tools.avatar, []
    wearing: list[dict[str, Choice]] = [{}]
    wearing += [{c: avatar.attributes_of(c)[0]} for c in _categories(avatar)]
    for worn in wearing:
        name = ", ".join(map(str, worn.values())) or PERSON
        run = partial(_turn_around, tools, worn)
        items.append(WorkItem("views", name, name, _VIEWS, run, len(_VIEWS)))
    return items


def reenactment_items(tools: Tools, driver: Driver, frames: list[DriverFrame]) -> list[WorkItem]:
    """The avatar with each of these expressions, poses and cameras."""
    items = []
    for frame in frames:
        camera = frame.camera
        values = (frame.expression, frame.pose, camera.rotation, camera.translation)
        facts = (b"".join(value.tobytes() for value in values).hex(), str(frame.picture))
        run = partial(_reenact, tools, frame)
        items.append(WorkItem("reenactment", frame.name, driver.path.parent.name, facts, run))
    return items


def interpolation_items(tools: Tools) -> list[WorkItem]:
    """From one attribute to the next of its category, or from the person to the only one."""
    avatar, items = tools.avatar, []
    for category in _categories(avatar):
        names = avatar.attributes_of(category)
        ends = list(zip(names, names[1:], strict=False)) or [("", names[0])]
        for first, last in ends[:_MOST_PAIRS]:
            name = f"{first or PERSON} → {last}"
            run = partial(_interpolate, tools, category, first, last)
            items.append(
                WorkItem("interpolation", name, category, (NUM_STEPS,), run, NUM_STEPS / 3)
            )
    return items


def composition_items(tools: Tools) -> list[WorkItem]:
    """Several attributes at once, chosen by chance, always the same for an avatar."""
    avatar, random = tools.avatar, np.random.default_rng(0)
    categories = _categories(avatar)
    chosen: dict[str, dict[str, Choice]] = {}
    for _ in range(4 * _NUM_COMPOSITIONS):
        if len(categories) < 2 or len(chosen) == _NUM_COMPOSITIONS:
            break
        worn: dict[str, Choice] = {
            category: str(random.choice(avatar.attributes_of(category)))
            for category in categories
            if random.random() < _SHARE_WORN
        }
        if len(worn) >= 2:
            chosen.setdefault(", ".join(map(str, worn.values())), worn)
    return [
        WorkItem("compositions", name, "", (), partial(_wear, tools, worn))
        for name, worn in chosen.items()
    ]


def sample_items(tools: Tools) -> list[WorkItem]:
    """Codes from the Gaussian of each category's trained codes, and of all at once."""
    avatar = tools.avatar
    several = [c for c in _categories(avatar) if len(avatar.attributes_of(c)) > 1]
    groups = {category: [category] for category in several}
    if len(several) > 1:
        groups["all categories"] = several
    return [
        WorkItem("samples", f"{group} {i + 1}", group, (), partial(_sample, tools, parts, i))
        for group, parts in groups.items()
        for i in range(_NUM_SAMPLES)
    ]


def _categories(avatar: Avatar) -> list[str]:
    return [category for category in avatar.categories if avatar.attributes_of(category)]


def _turn_around(tools: Tools, worn: Mapping[str, Choice]) -> Finding:
    found, holes = Finding(), []
    params = _wearing(tools.avatar, worn)
    for yaw, pitch in _VIEWS:
        camera = view_camera(tools.avatar, yaw, pitch, _side(tools))
        drawn = tools.session.render(params, camera, ("rgb", "alpha"))
        holes.append(_holes(drawn["alpha"][:, :, 0]))
        caption = f"{yaw}°" if not pitch else f"pitch {pitch}°"
        found.pictures.append((caption, to_bytes(drawn["rgb"])))
    found.values = {"holes": float(max(holes))}
    return found


def _reenact(tools: Tools, frame: DriverFrame) -> Finding:
    params = tools.avatar.neutral()
    params.expression, params.pose = frame.expression, frame.pose
    pixels = to_bytes(tools.session.render(params, frame.camera, ("rgb",))["rgb"])
    found = Finding({"identity": tools.likeness(pixels)})
    if frame.picture is not None:
        try:
            driver = PictureFile.read(frame.picture).colour(THUMB_SIDE)
            found.pictures.append(("driver", driver))
        except ValueError:
            pass  # A motion needs no pictures.
    found.pictures.append(("avatar", pixels))
    return found


def _interpolate(tools: Tools, category: str, first: str, last: str) -> Finding:
    avatar = tools.avatar
    with torch.no_grad():
        begin = avatar.codes.compose({category: first} if first else {})
        end = avatar.codes.compose({category: last})
    params, camera = avatar.neutral(), avatar.default_camera((_side(tools), _side(tools)))
    found, before = Finding(), None
    for step in range(NUM_STEPS + 1):
        params.latent = torch.lerp(begin, end, step / NUM_STEPS).numpy()
        drawn = tools.session.render(params, camera, ("rgb",))["rgb"].copy()
        if before is not None:
            found.series.append(float(np.abs(drawn - before).mean()))
        before = drawn
        if step in _STILLS:
            found.pictures.append((f"{step / NUM_STEPS:.0%}", to_bytes(drawn)))
    largest = int(np.argmax(found.series))
    found.values = {
        "largest_step": found.series[largest],
        "largest_at": float(largest + 1),
        "mean_step": float(np.mean(found.series)),
    }
    return found


def _wear(tools: Tools, worn: Mapping[str, Choice]) -> Finding:
    return Finding(pictures=[("", _portrait(tools, _wearing(tools.avatar, worn)))])


def _sample(tools: Tools, categories: list[str], index: int) -> Finding:
    codes = tools.avatar.codes
    generator = torch.Generator().manual_seed(index)
    with torch.no_grad():
        latent = codes.compose({}).clone()
        size = len(latent) // len(codes.categories)
        for category in categories:
            rows = [codes.attribute_names.index(name) for name in codes.attributes_of(category)]
            trained = codes.attributes[rows]
            noise = torch.randn(trained.shape[1], generator=generator)
            drawn = trained.mean(dim=0) + noise * trained.std(dim=0)
            end = (codes.categories.index(category) + 1) * size
            latent[end - len(drawn) : end] = drawn
    params = tools.avatar.neutral()
    params.latent = latent.numpy()
    return Finding(pictures=[("", _portrait(tools, params))])


def _wearing(avatar: Avatar, worn: Mapping[str, Choice]) -> Parameters:
    params = avatar.neutral()
    params.attributes = dict(worn)
    return params


def _portrait(tools: Tools, params: Parameters) -> Bytes:
    side = _side(tools)
    camera: Camera = tools.avatar.default_camera((side, side))
    return to_bytes(tools.session.render(params, camera, ("rgb",))["rgb"])


def _side(tools: Tools) -> int:
    return min(tools.size, THUMB_SIDE)


def _holes(alpha: FloatArray) -> float:
    """Share of what lies inside the outline (H, W) that is seen through."""
    solid = np.asarray(alpha > 0.5, np.uint8)
    outlines, _ = cv2.findContours(solid, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    filled = np.zeros_like(solid)
    cv2.drawContours(filled, outlines, -1, 1, cv2.FILLED)
    inside = int(filled.sum())
    return 1 - int((solid & filled).sum()) / inside if inside else 0.0
