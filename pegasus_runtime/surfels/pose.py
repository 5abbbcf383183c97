"""From bound surfels to ellipses in a picture: the specification, in plain torch.

1. The head is posed, and each of its triangles has a frame.
2. A surfel's place is its point on the triangle plus the triangle's frame times its offset; what
   the head does not know of the person is added by a few *states* of expression and pose.
3. Its two radii turn with the triangle.
4. In the picture it is a conic: the projection of its plane, to first order at its centre (EWA
   splatting, Zwicker et al. 2001).

The compiled twin for frames without gradients is `pegasus_runtime.cpu.surfel_pose`.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from pegasus_runtime.head.model import NUM_POSE_FEATURES
from pegasus_runtime.head.skinning import rotation_matrices
from pegasus_runtime.parameters import NUM_EXPRESSIONS
from pegasus_runtime.surfels.binding import place_on_triangles
from pegasus_runtime.surfels.surfels import NUM_STATES, Surfels

LOW_PASS = 0.1
"""Variance in square pixels that every ellipse is widened by: a third of a pixel is the least that
a pixel can hold. Without it distant surfels flicker; with more of it eyelashes are lost."""
NEAR = 1e-3
"""Depth below which nothing is projected. Nearer ones would fill the picture, and be divided by
nothing."""


class StateNetwork(nn.Module):
    """s(expression, pose) in −2..2, zero for the neutral face: what residuals are weighted by."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(NUM_EXPRESSIONS + NUM_POSE_FEATURES, NUM_STATES)
        # Small, so that at the start every state is nearly linear in what moves.
        nn.init.normal_(self.linear.weight, std=0.05)
        nn.init.zeros_(self.linear.bias)

    def forward(self, expression: Tensor, pose_feature: Tensor) -> Tensor:
        """States (R,) of an expression (50,) and a pose feature (36,)."""
        given = torch.cat([expression, pose_feature])
        states: Tensor = torch.tanh(self.linear(given)) - torch.tanh(self.linear.bias)
        return states


class LightNetwork(nn.Module):
    """Logarithm of the light that falls on a normal: what the training pictures were lit by."""

    def __init__(self, width: int = 32) -> None:
        super().__init__()
        last = nn.Linear(width, 1)
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)
        self.layers = nn.Sequential(
            nn.Linear(3, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(), last
        )

    def forward(self, normals: Tensor) -> Tensor:
        """Light (N, 1) of unit normals (N, 3); 1 leaves the albedo as it is."""
        light: Tensor = torch.exp(self.layers(normals))
        return light


@dataclass(frozen=True, eq=False)
class PosedSurfels:
    """Surfels in the world."""

    points: Tensor
    """(N, 3)"""
    tangents: Tensor
    """(N, 3, 2), columns: both radii as vectors"""
    normals: Tensor
    """(N, 3), unit"""
    albedo: Tensor
    """(N, 3) in 0..1"""
    opacity: Tensor
    """(N,) in 0..1"""


def pose_surfels(surfels: Surfels, vertices: Tensor, faces: Tensor, states: Tensor) -> PosedSurfels:
    """Surfels on a posed head.

    Args:
        surfels: N of them.
        vertices: (V, 3) of the posed head.
        faces: (F, 3)
        states: (R,) from `StateNetwork`.
    """
    corners = vertices[faces]
    offset = surfels.offset + torch.einsum("r,nrc->nc", states, surfels.offset_states)
    colour = surfels.colour + torch.einsum("r,nrc->nc", states, surfels.colour_states)
    opacity = surfels.opacity + surfels.opacity_states @ states
    points, frames = place_on_triangles(corners, surfels.triangle, surfels.barycentric, offset)
    axes = frames @ rotation_matrices(surfels.rotation)
    return PosedSurfels(
        points=points,
        tangents=axes[:, :, :2] * surfels.log_radius.exp()[:, None, :],
        normals=axes[:, :, 2],
        albedo=torch.sigmoid(colour),
        opacity=torch.sigmoid(opacity),
    )


def project_surfels(
    posed: PosedSurfels,
    camera: tuple[Tensor, Tensor, Tensor],
    image_size: tuple[int, int],
    radius_factor: float = 1.0,
) -> tuple[Tensor, Tensor]:
    """Ellipses of surfels in a picture.

    Args:
        posed: N surfels.
        camera: rotation, translation and intrinsics as `Camera.tensors` gives them.
        image_size: (height, width) in pixels.
        radius_factor: by which all are enlarged, where fewer of them are drawn.

    Returns:
        points (N, 3) in NDC with view depth, and conics (N, 3) in pixels as `raster.blend` takes
        them.
    """
    rotation, translation, intrinsics = camera
    x, y, depth = (posed.points @ rotation + translation).unbind(dim=1)
    z = depth.clamp_min(NEAR)
    pixels = min(image_size) / 2
    scale_x, scale_y = intrinsics[0, 0] * pixels, intrinsics[1, 1] * pixels
    tangents = rotation.T @ (radius_factor * posed.tangents)
    # Columns of the picture run against +X, rows against +Y.
    across = -(scale_x / z)[:, None] * (tangents[:, 0] - (x / z)[:, None] * tangents[:, 2])
    down = -(scale_y / z)[:, None] * (tangents[:, 1] - (y / z)[:, None] * tangents[:, 2])
    xx = (across * across).sum(dim=1) + LOW_PASS
    xy = (across * down).sum(dim=1)
    yy = (down * down).sum(dim=1) + LOW_PASS
    determinant = xx * yy - xy * xy
    conics = torch.stack([yy, -xy, xx], dim=1) / determinant[:, None]
    left = x * intrinsics[0, 0] / z + intrinsics[0, 2]
    up = y * intrinsics[1, 1] / z + intrinsics[1, 2]
    return torch.stack([left, up, depth], dim=1), conics
