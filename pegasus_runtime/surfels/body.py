"""A dressed person on one device: what is worn, put on a posed head.

`TorchBody` does it with the operations of `attributes` and `pose`, on any device; `LoopBody` in
compiled loops, which keep the numbers of all surfels in place: putting something on touches its
region alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from pegasus_runtime.head.skinning import rotation_matrices
from pegasus_runtime.model.latent import category_of
from pegasus_runtime.surfels.attributes import HIDDEN, Wardrobe
from pegasus_runtime.surfels.pose import PosedSurfels, pose_surfels

_CHANGED = ("offset", "colour", "opacity", "rotation", "log_radius")
"""in the order in which compiled loops take them"""
_MOVING = ("offset", "colour", "opacity")
_STATES = ("offset_states", "colour_states", "opacity_states")


class TorchBody:
    """A dressed person, posed by torch's operations."""

    def __init__(self, wardrobe: Wardrobe, faces: Tensor, device: torch.device) -> None:
        self._wardrobe, self._device = wardrobe, device
        self._faces = faces.to(device)

    def wear(self, strengths: Mapping[str, float]) -> Tensor:
        """Put clothes on; the surfels (M,) that are there."""
        self._surfels = self._wardrobe.dressed(strengths).to(self._device)
        self._presence = self._wardrobe.presence(strengths)
        return self._presence.nonzero()[:, 0]

    def pose(self, active: Tensor, vertices: Tensor, states: Tensor) -> PosedSurfels:
        """Some surfels on a posed head."""
        vertices, states = (v.to(self._device, non_blocking=True) for v in (vertices, states))
        chosen = self._surfels.chosen(active.to(self._device))
        posed = pose_surfels(chosen, vertices, self._faces, states)
        presence = self._presence[active].to(self._device)
        return replace(posed, opacity=posed.opacity * presence)


class LoopBody:
    """A dressed person, posed by compiled loops."""

    def __init__(self, wardrobe: Wardrobe, faces: Tensor, device: torch.device) -> None:
        everything = wardrobe.everything
        self._wardrobe = wardrobe
        self._faces = faces.int().numpy()
        self._triangle = everything.triangle.int().numpy()
        self._barycentric = everything.barycentric.contiguous().numpy()
        self._residuals = _side_by_side(everything, _STATES, 2, pad=1).numpy()
        self._moving = _side_by_side(everything, _MOVING, 1, pad=1).numpy()
        self._axes = _scaled_axes(everything.rotation, everything.log_radius).numpy()
        self._base = _side_by_side(wardrobe.source, _CHANGED, 1).numpy()
        self._line_up_differences()

    def _line_up_differences(self) -> None:
        """The differences of all attributes, those of the same surfel in a row."""
        attributes = self._wardrobe.attributes
        counts = [len(a.region) for a in attributes]
        nobody = torch.zeros(0, dtype=torch.long)
        surfel = torch.cat([nobody, *(a.region for a in attributes)])
        order = surfel.argsort(stable=True)
        worn = torch.arange(len(attributes)).repeat_interleave(torch.tensor(counts).long())
        changes = [_side_by_side(a.difference, _CHANGED, 1) for a in attributes]
        self._differences = torch.cat([torch.zeros(0, 12), *changes])[order].numpy()
        self._attribute = worn[order].int().numpy()
        ends = torch.bincount(surfel, minlength=len(self._base)).cumsum(0)
        self._starts = torch.nn.functional.pad(ends, (1, 0)).int().numpy()
        self._share = np.ones(len(surfel), np.float32)
        # Unlike any: the first time everything is written, by the loop that writes it later.
        self._strengths = np.full(len(attributes), np.nan, np.float32)

    def wear(self, strengths: Mapping[str, float]) -> Tensor:
        """Put clothes on; the surfels (M,) that are there."""
        import numba

        from pegasus_runtime.cpu import surfel_wear

        names = [attribute.name for attribute in self._wardrobe.attributes]
        now = np.array([strengths.get(name, 0.0) for name in names], np.float32)
        is_stale = (now != self._strengths) | self._share_with_hats(strengths)
        self._strengths = now
        if is_stale.any():
            surfel_wear.wear(
                self._starts, self._attribute, self._differences, self._share, self._base, now,
                is_stale, numba.get_num_threads(), self._moving, self._axes,
            )  # fmt: skip
        presence = self._wardrobe.presence(strengths)
        self._presence = presence.numpy()
        return presence.nonzero()[:, 0]

    def _share_with_hats(self, strengths: Mapping[str, float]) -> np.ndarray:
        """(A,) bool, of which attributes hats leave another share than before; it is written."""
        attributes = self._wardrobe.attributes
        differs = np.zeros(len(attributes), bool)
        for index, attribute in enumerate(attributes):
            if category_of(attribute.name) == HIDDEN:
                mine = self._attribute == index
                share = self._wardrobe.share(attribute, strengths).numpy()
                differs[index] = not np.array_equal(self._share[mine], share)
                self._share[mine] = share
        return differs

    def pose(self, active: Tensor, vertices: Tensor, states: Tensor) -> PosedSurfels:
        """Some surfels on a posed head."""
        import numba

        from pegasus_runtime.cpu import surfel_pose

        workers, count = numba.get_num_threads(), len(active)
        corners = vertices.contiguous().numpy()
        frames = np.empty((len(self._faces), 3, 3), np.float32)
        surfel_pose.make_triangle_frames(corners, self._faces, workers, frames)
        posed = PosedSurfels(
            *(torch.empty(count, *size) for size in ((3,), (3, 2), (3,), (3,), ()))
        )
        surfel_pose.pose_surfels(
            active.int().numpy(), self._triangle, self._barycentric, self._moving.reshape(-1),
            self._axes, self._presence, self._residuals.reshape(-1),
            states.detach().numpy(), corners, self._faces, frames, workers,
            posed.points.numpy(), posed.tangents.numpy(), posed.normals.numpy(),
            posed.albedo.numpy(), posed.opacity.numpy(),
        )  # fmt: skip
        return posed


def _side_by_side(values: object, names: tuple[str, ...], dim: int, pad: int = 0) -> Tensor:
    """Arrays (N, …) and (N, …, C) of surfels or their differences as one (N, …, all columns)."""
    arrays = [getattr(values, name) for name in names]
    joined = torch.cat([a if a.ndim > dim else a.unsqueeze(dim) for a in arrays], dim=dim)
    return torch.nn.functional.pad(joined, (0, pad)).contiguous()


def _scaled_axes(rotation: Tensor, log_radius: Tensor) -> Tensor:
    """(N, 3, 3): both tangents times their radii, and the unit normal."""
    axes = rotation_matrices(rotation)
    axes[:, :, :2] *= log_radius.exp()[:, None, :]
    return axes
