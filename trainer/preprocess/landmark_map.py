"""Where the landmarks of the face estimator lie on a head's mesh.

On the free head the places were found once, by showing the estimator pictures of it from many sides
(`trainer.head_builder.landmark_map`). On another head they are found by bending the free head's
onto it, by the 68 landmarks that both have.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import as_file, files

import torch
from torch import Tensor

from pegasus_runtime.errors import InvalidInput
from pegasus_runtime.head import Head, load_free_head
from pegasus_runtime.head.landmark_embedding import LandmarkEmbedding, check_indices, check_numbers
from pegasus_runtime.surfels.binding import bind_points, place_on_triangles
from trainer.preprocess.landmark_groups import FIRST_IRIS, NUM_LANDMARKS

MAP_FILE = "face_landmarks_on_free_head.safetensors"
_EYE_JOINTS = (3, 4)
_EYE_SHARE = 0.5
"""of the eyes' joints in a vertex' skinning weights from which it belongs to an eyeball"""
_STIFFNESS = 1e-4
"""of the warp between two heads: 0 meets all 68 landmarks, larger values smooth over their errors,
which are some millimetres where one was placed by hand on a cheek"""
_MOST_APART = 0.15
"""in units of the head (4 cm): from a bent landmark to the head's skin; more takes wrong places,
less leaves landmarks out of a head that is built otherwise"""


@dataclass(frozen=True, eq=False)
class LandmarkMap:
    """A triangle and barycentric weights for each landmark."""

    triangles: Tensor
    """(478,)"""
    barycentric: Tensor
    """(478, 3)"""
    spread: Tensor
    """(478,) how far from there the views disagreed, in units of the head"""

    def on_mesh(self, head: Head, values: Tensor) -> Tensor:
        """What vertices have (V, …), at the landmarks (478, …)."""
        corners = values[head.faces[self.triangles]]
        weights = self.barycentric.reshape(-1, 3, *[1] * (values.dim() - 1))
        return (corners * weights).sum(dim=1)


def landmark_map(head: Head) -> LandmarkMap:
    """The map of a head.

    Raises:
        InvalidInput: the head has no landmarks by which it could be found, or ones elsewhere.
    """
    free = load_free_head()
    found = _shipped(free)
    return found if head.sha256 == free.sha256 else _carried_over(found, free, head)


def _shipped(free: Head) -> LandmarkMap:
    from safetensors.torch import load_file

    with as_file(files("resources") / "models" / MAP_FILE) as path:
        stored = load_file(path)
    found = LandmarkMap(stored["triangles"].long(), stored["barycentric"], stored["spread"])
    check_indices("triangles", found.triangles, (NUM_LANDMARKS,), len(free.faces))
    check_numbers("barycentric", found.barycentric, (NUM_LANDMARKS, 3))
    check_numbers("spread", found.spread, (NUM_LANDMARKS,))
    return found


def _carried_over(found: LandmarkMap, free: Head, head: Head) -> LandmarkMap:
    from scipy.interpolate import RBFInterpolator

    if head.landmarks is None or free.landmarks is None:
        raise InvalidInput(
            f"head {head.name!r}: has no landmarks, by which the estimator's are found on it; give "
            "its landmark_embedding.npy along."
        )
    ours, theirs = _places(free, free.landmarks), _places(head, head.landmarks)
    warp = RBFInterpolator(ours.numpy(), theirs.numpy(), smoothing=_STIFFNESS)
    wanted = torch.from_numpy(warp(found.on_mesh(free, free.template).numpy())).float()
    eyes = head.skinning_weights[:, _EYE_JOINTS].sum(dim=1) > _EYE_SHARE
    on_eyes = eyes[head.faces].all(dim=1)
    iris = torch.arange(NUM_LANDMARKS) >= FIRST_IRIS
    triangles, weights = torch.zeros(NUM_LANDMARKS).long(), torch.zeros(NUM_LANDMARKS, 3)
    for chosen, allowed in ((iris, on_eyes), (~iris, ~on_eyes)):
        bound = bind_points(head.template, head.faces, wanted[chosen], allowed)
        triangles[chosen], weights[chosen] = bound.triangle, bound.barycentric
    carried = LandmarkMap(triangles, weights, found.spread)
    apart = (carried.on_mesh(head, head.template) - wanted).norm(dim=1).max()
    if apart > _MOST_APART:
        raise InvalidInput(
            f"head {head.name!r}: its landmarks do not lie where a face has them "
            f"({float(apart) * 250:.0f} mm off); give the landmark_embedding.npy of this head."
        )
    return carried


def _places(head: Head, marks: LandmarkEmbedding) -> Tensor:
    """(68, 3) of the landmarks at rest."""
    none = torch.zeros(len(marks.faces), 3)
    corners = head.template[head.faces]
    return place_on_triangles(corners, marks.faces, marks.barycentric, none)[0]
