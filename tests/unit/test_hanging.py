"""What is worn or hangs from a head goes with the scalp, and not with the nearest skin."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from pegasus_runtime.head import Head, load_free_head, pose_head
from pegasus_runtime.head.canonical import CanonicalHead, make_canonical_head
from pegasus_runtime.surfels.pose import pose_surfels
from pegasus_runtime.surfels.surfels import NUM_STATES, Surfels
from trainer.init.surfel_sampling import bound_surfels

HEAD = load_free_head()
NAMES = HEAD.expression_names
PIXEL = 0.0028
"""of a picture of 512 that shows a head and shoulders, in units of the head"""


@pytest.fixture(scope="module")
def canonical() -> CanonicalHead:
    return make_canonical_head(HEAD, torch.zeros(50))


def glasses() -> Tensor:
    """Both rims, before eyes and brows."""
    angle = torch.linspace(0, 6.28, 24)
    rim = torch.stack([0.095 * angle.cos(), 0.03 + 0.09 * angle.sin(), 0 * angle], dim=1)
    rims = torch.cat([rim + torch.tensor([side * 0.128, 0, 0.44]) for side in (-1, 1)])
    return rims.float()


def curtain() -> Tensor:
    """Hair that hangs beside cheeks and neck down to the shoulders."""
    height = torch.linspace(0.1, -0.55, 30)
    return torch.stack([torch.full_like(height, 0.33), height, 0 * height + 0.16], dim=1)


def moved(
    surfels: Surfels,
    expression: Tensor,
    pose: Tensor,
    head: Head = HEAD,
    shape: Tensor | None = None,
) -> Tensor:
    shape = torch.zeros(100) if shape is None else shape
    vertices = pose_head(head, shape, expression, pose).vertices
    return pose_surfels(surfels, vertices, head.faces, torch.zeros(NUM_STATES)).points


def bound(canonical: CanonicalHead, points: Tensor, hangs: bool) -> Surfels:
    return bound_surfels(HEAD, canonical, points, torch.zeros_like(points) + 0.577, hangs=hangs)


@pytest.mark.parametrize("points", [glasses, curtain])
def test_a_face_does_not_move_what_is_worn(
    canonical: CanonicalHead, points: Callable[[], Tensor]
) -> None:
    expression = torch.zeros(50)
    for name in ("brow inner up", "brow down left", "smile left", "cheek puff"):
        expression[NAMES.index(name)] = 1.0
    rest, still = torch.zeros(15), torch.zeros(50)
    worn = bound(canonical, points(), hangs=True)
    skin = bound(canonical, points(), hangs=False)
    change, of_skin = (
        (moved(s, expression, rest) - moved(s, still, rest)).norm(dim=1).max() for s in (worn, skin)
    )
    assert change < 0.3 * PIXEL < of_skin


@pytest.mark.parametrize("size", [0.0, 2.0])
@pytest.mark.parametrize("turn", [(0.3, 0, 0), (0, 0.3, 0), (0, 0, 0.3)])
def test_long_hair_follows_the_scalp_when_the_neck_turns(
    turn: tuple[float, float, float], size: float
) -> None:
    points, pose = curtain(), torch.zeros(15)
    pose[3:6] = torch.tensor(turn)
    shape = size * torch.cos(torch.arange(100.0)) * (torch.arange(100) < 10)
    canonical = make_canonical_head(HEAD, torch.zeros(50), shape=shape)
    posed = pose_head(HEAD, shape, torch.zeros(50), pose)
    scalp = HEAD.part_labels == HEAD.part_names.index("scalp")
    near = torch.softmax(-(torch.cdist(points, HEAD.template[scalp]) / 0.06).square(), dim=1)
    motion = torch.einsum("nj,jab->nab", near @ HEAD.skinning_weights[scalp], posed.transforms)
    wanted = (motion[:, :3, :3] @ points[:, :, None])[:, :, 0] + motion[:, :3, 3]
    astray, of_skin = (
        (moved(bound(canonical, points, hangs), torch.zeros(50), pose, shape=shape) - wanted)
        .norm(dim=1)
        .mean()
        for hangs in (True, False)
    )
    assert astray < 0.5 * of_skin
