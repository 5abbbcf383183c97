"""Finds where the face estimator's landmarks lie on the free head, for ``resources/models``.

The made-up people of the asset folder are drawn from many sides, the estimator looks at the
pictures, and rays through what it finds are cast onto each person's mesh: where the rays of all
views of all people meet it, on average, the landmark lies. Of one person the mean would be what the
estimator thinks of that face. The inner edges of the lips are looked for in an open mouth; in a
closed one nobody can tell which lip a point is on. The demo's person is left out, so that drawn
videos of it can tell how good the map is.

Run it as ``python -m trainer.head_builder.landmark_map --out FILE``.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from pegasus_runtime.camera import Camera
from pegasus_runtime.files import replace_file
from pegasus_runtime.head import Head, load_free_head
from pegasus_runtime.surfels.binding import bind_points
from trainer.preprocess.estimators import FaceEstimators, Region
from trainer.preprocess.landmark_groups import FIRST_IRIS, INNER_LIPS, NUM_LANDMARKS
from trainer.synthetic.casting import person_for, renderer_for
from trainer.synthetic.config import SOURCE, CaptureConfig, PersonConfig
from trainer.synthetic.frame_sampling import FrameParameters
from trainer.synthetic.gl_renderer import posed_vertices
from trainer.synthetic.people import people_presets

_LEFT_OUT = "victor"
"""of the people: whom the demo avatar is of"""
_YAWS_DEG, _PITCHES_DEG = (-30, -15, 0, 15, 30), (-12, 0, 12)
"""Views of the landmarks' faces: farther ones hide half of them, fewer leave errors of a view
in."""
_JAW, _OPEN_JAW_RAD = 6, 0.22
"""Place in the pose, and radians of the second look, in which the inner lips are apart: less leaves
one before the other."""
_SIDE, _FOV_DEG, _DISTANCE, _TARGET = 640, 17.0, 5.0, (0.0, -0.03, 0.2)
"""Of the views: pixels, degrees, distance and centre; a larger face is found no better, a cut one
not at all."""
_MIN_COSINE = 0.15
"""between a triangle's normal and the ray: flatter hits may be anywhere; more leaves sides of the
face without any"""
_COSINE_POWER = 4
"""How much more a view counts that looks straight at a landmark."""
_FAR = 0.03
"""in units of the head (7 mm): from where most views see it, a hit on something else; more takes
the other lip for this one, less throws good views away"""
_BESIDE_PX, _BESIDE_DEPTH = 12.0, 0.05
"""How far from a lid or a lip a landmark may lie beside it, in pixels and in units of the head.
Less loses those at edges, more takes some from another part."""
_LOOKS = 3
"""after which the estimator's own region of the face stays where it is; fewer leave it a little
beside, more only take longer"""
_FEW = 4
"""Views that see a landmark in one place; fewer may all be wrong, as at the face's outline."""
_EYE_IRISES, _EYE_SHARE = ((4, 0), (3, 5)), 0.5
"""joints of the right and the left eye with the first of its irises' landmarks; their share in the
skinning weights of what is an eyeball's"""
_INNER_PARTS = ("teeth", "tongue", "mouth")

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class _View:
    camera: Camera
    vertices: Tensor
    """(V, 3) of this person's head as it is seen"""
    is_open: bool
    """whether the mouth is"""
    landmarks: FloatArray
    """(478, 2) pixels"""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    out = parser.parse_args().out
    from safetensors.torch import save_file

    head = load_free_head()
    names = [name for name in people_presets() if name != _LEFT_OUT]
    places, spread = _meet(head, [view for name in names for view in _look_at(head, name)])
    triangles, weights = _bind(head, places)
    with replace_file(out) as partial:
        save_file(
            {"triangles": triangles, "barycentric": weights, "spread": spread},
            partial,
            {"made_by": "trainer.head_builder.landmark_map", "head": head.sha256},
        )
    print(f"{out}: spread {float(spread.median()) * 250:.2f} mm in the median")
    return 0


def _look_at(head: Head, name: str) -> list[_View]:
    estimators, views = FaceEstimators(), []
    person_of = PersonConfig(made_of="assets", name=name)
    config = CaptureConfig(supersampling=1, person=person_of)
    person = person_for(config, SOURCE)
    closed = np.zeros(15, np.float32)
    opened = _OPEN_JAW_RAD * np.eye(15, dtype=np.float32)[_JAW]
    with renderer_for(config, SOURCE, _SIDE) as renderer:
        for pitch, yaw, pose in product(_PITCHES_DEG, _YAWS_DEG, (closed, opened)):
            camera = Camera.orbit(
                _TARGET, _DISTANCE, yaw, pitch, fov_deg=_FOV_DEG, image_size=(_SIDE, _SIDE)
            )
            moment = FrameParameters(np.zeros(50, np.float32), pose, camera)
            picture = renderer.draw(moment).image
            faces = estimators.detect(picture)
            if not faces:
                continue
            region = Region.of_face(faces[0])
            for _ in range(_LOOKS):
                places = estimators.landmarks(picture, region).places
                region = Region.of_landmarks(places)
            vertices = torch.from_numpy(posed_vertices(person, moment)[: head.num_vertices])
            views.append(_View(camera, vertices, pose is opened, places[:, :2].astype(np.float64)))
    return views


def _meet(head: Head, views: list[_View]) -> tuple[Tensor, Tensor]:
    """Where the rays of all views hit the head (478, 3), told on it as it is stored, and how far
    apart (478,)."""
    hits = np.full((len(views), NUM_LANDMARKS, 3), np.nan)
    cosines = np.zeros((len(views), NUM_LANDMARKS))
    for index, view in enumerate(views):
        hits[index], cosines[index] = _cast(head, view)
    wanted = np.isin(np.arange(NUM_LANDMARKS), INNER_LIPS)
    hits[np.array([view.is_open for view in views])[:, None] != wanted] = np.nan
    # The hit that most others lie near: between two clusters there is nothing.
    apart = np.linalg.norm(hits[:, None] - hits[None], axis=3)
    support = np.where(apart < _FAR, cosines[None], 0).sum(axis=1)
    middle = hits[support.argmax(axis=0), np.arange(NUM_LANDMARKS)]
    near = np.linalg.norm(hits - middle, axis=2) < _FAR
    weights = np.where(near, cosines.clip(0) ** _COSINE_POWER, 0)[:, :, None]
    hits = np.nan_to_num(hits)
    mean = (hits * weights).sum(axis=0) / weights.sum(axis=0)
    off = np.square(hits - mean).sum(axis=2)
    spread = np.sqrt((off * near).sum(axis=0) / near.sum(axis=0))
    spread[near.sum(axis=0) < _FEW] = _FAR
    return torch.from_numpy(mean).float(), torch.from_numpy(spread).float()


def _cast(head: Head, view: _View) -> tuple[FloatArray, FloatArray]:
    """The first hits (478, 3) of one view's rays, NaN without one, and their cosines (478,).

    The hits are told on the head as it is stored, whoever it is and does whatever in the view.
    """
    vertices, stored = view.vertices, head.template[head.faces].double().numpy()
    corners = vertices[head.faces].double().numpy()
    projected = view.camera.project(vertices).double().numpy()
    flat = (1 - projected[:, :2]) * _SIDE / 2
    first, second, third = (flat[head.faces[:, k].numpy()] for k in range(3))
    along, across = second - first, third - first
    area = along[:, 0] * across[:, 1] - along[:, 1] * across[:, 0]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    away = view.camera.centre - corners.mean(axis=1)
    cosine = (normals * away).sum(axis=1) / (
        np.linalg.norm(normals, axis=1) * np.linalg.norm(away, axis=1) + 1e-12
    )
    flat_centres = (first + second + third) / 3
    depth = projected[:, 2][head.faces.numpy()].mean(axis=1)
    inner, eyes = _parts(head, _INNER_PARTS), _parts(head, ("eyes",))
    hits, cosines = np.full((NUM_LANDMARKS, 3), np.nan), np.zeros(NUM_LANDMARKS)
    for index, mark in enumerate(view.landmarks):
        to = mark - first
        with np.errstate(divide="ignore", invalid="ignore"):
            v = (to[:, 0] * across[:, 1] - to[:, 1] * across[:, 0]) / area
            w = (along[:, 0] * to[:, 1] - along[:, 1] * to[:, 0]) / area
        met = np.flatnonzero((v >= 0) & (w >= 0) & (v + w <= 1) & (cosine > 0))
        allowed = (eyes if index >= FIRST_IRIS else ~(eyes | inner)) & (cosine > _MIN_COSINE)
        if not len(met):
            continue
        nearest = met[depth[met].argmin()]
        weights = np.array([1 - v[nearest] - w[nearest], v[nearest], w[nearest]])
        if not allowed[nearest]:
            # Past the edge of a lid or a lip: the edge is meant, not what lies behind it.
            beside = np.linalg.norm(flat_centres - mark, axis=1)
            behind = depth > depth[nearest] + _BESIDE_DEPTH
            beside[~allowed | behind] = np.inf
            nearest, weights = beside.argmin(), np.full(3, 1 / 3)
            if beside[nearest] > _BESIDE_PX:
                continue
        hits[index], cosines[index] = weights @ stored[nearest], cosine[nearest]
    return hits, cosines


def _parts(head: Head, names: tuple[str, ...]) -> npt.NDArray[np.bool_]:
    assert head.part_labels is not None
    wanted = torch.tensor([head.part_names.index(name) for name in names])
    return torch.isin(head.part_labels[head.faces], wanted).any(dim=1).numpy()


def _bind(head: Head, places: Tensor) -> tuple[Tensor, Tensor]:
    eyes = torch.from_numpy(_parts(head, ("eyes",)))
    skin = ~eyes & ~torch.from_numpy(_parts(head, _INNER_PARTS))
    on_skin = bind_points(head.template, head.faces, places[:FIRST_IRIS], skin)
    on_eyes = bind_points(head.template, head.faces, _on_axes(head, places[FIRST_IRIS:]), eyes)
    return (
        torch.cat([on_skin.triangle, on_eyes.triangle]),
        torch.cat([on_skin.barycentric, on_eyes.barycentric]),
    )


def _on_axes(head: Head, irises: Tensor) -> Tensor:
    """Irises (10, 3) with their centres on the eyes' own axes.

    The estimator leaves them about the middle of the lids; films are fitted by those that are seen
    (`trainer.preprocess.irises`), which lie where the eye looks.
    """
    moved = irises.clone()
    for joint, first in _EYE_IRISES:
        ball = head.template[head.skinning_weights[:, joint] > _EYE_SHARE]
        moved[first : first + 5, :2] += (ball.amin(dim=0) + ball.amax(dim=0))[:2] / 2 - irises[
            first, :2
        ]
    return moved


if __name__ == "__main__":
    sys.exit(main())
