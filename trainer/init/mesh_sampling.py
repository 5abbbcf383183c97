"""Points on the canonical head, and which part of it they lie on."""

from __future__ import annotations

import torch
from torch import Tensor

from pegasus_runtime.head import Head
from pegasus_runtime.head.canonical import CanonicalHead
from pegasus_runtime.head.parts import require_parts


def sample_head(
    head: Head, canonical: CanonicalHead, count: int, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Points and unit normals (count, 3) spread evenly over the canonical head's triangles."""
    corners = canonical.vertices[head.faces]
    flat = torch.linalg.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    chosen = torch.multinomial(flat.norm(dim=1), count, replacement=True, generator=generator)
    first, second = torch.rand(2, count, 1, generator=generator)
    root = first.sqrt()
    shares = torch.cat([1 - root, root * (1 - second), root * second], dim=1)[:, :, None]
    smooth = torch.zeros_like(canonical.vertices)
    smooth = smooth.index_add(0, head.faces.reshape(-1), flat.repeat_interleave(3, dim=0))
    normals = (smooth[head.faces[chosen]] * shares).sum(dim=1)
    points = (corners[chosen] * shares).sum(dim=1)
    return points, torch.nn.functional.normalize(normals, dim=1)


def on_parts(head: Head, vertices: Tensor, names: tuple[str, ...]) -> Tensor:
    """(M,) whether vertices (M,) lie on named parts."""
    return require_parts(head).on(*names)[vertices]
