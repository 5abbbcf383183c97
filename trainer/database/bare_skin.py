"""Skin where a person's own part was: under hair, brows, hats and glasses nobody has filmed it.

The colour of skin that was seen is continued over the head: it solves Laplace's equation on the
mesh, with what is like no skin of this person left out. Surfels of that colour lie just under the
head's surface, and are seen where nothing else is.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from pegasus_runtime.head import Head, pose_head
from pegasus_runtime.head.parts import PART_NAMES
from pegasus_runtime.surfels.avatar import SurfelAvatar
from pegasus_runtime.surfels.parts import triangle_parts
from pegasus_runtime.surfels.surfels import Surfels
from trainer.init.surfel_sampling import sample_skin

_SKIN = ("skin", "nose", "ears", "neck", "scalp")
_COVERED = (*_SKIN, "eyebrows")
"""parts of the head on which skin is continued"""
_COUNT = 24_000
"""of surfels: fewer let white through, more take longer"""
_DEPTH = 0.006
"""In units of the head, under the surface: less shines through the skin that was filmed, more is
seen beside it at the outline."""
_NEAR = 0.02
"""In units of the head: what stands off farther is no skin, whatever it was called. More takes
locks on a forehead for it, less loses skin where the fitted head lies too deep."""
_ALIKE = 0.13
"""Of albedo: half the difference from the person's median at which a colour hardly counts. Less
forgets red noses, more lets hair colour the temples."""
_OPACITY = 4.0
"""Logit, 0.98: nothing shines through. Less lets white through the skin; more is no different."""
_STIFF = 20.0
"""weight of what was seen against its neighbours; less blurs freckles, more keeps speckles"""


def parts_of(surfels: Surfels, *names: str) -> Tensor:
    """(N,) bool, which surfels show one of these parts."""
    wanted = torch.tensor([PART_NAMES.index(name) for name in names])
    return torch.isin(surfels.part.long(), wanted)


def skin_colours(avatar: SurfelAvatar) -> Tensor:
    """(V, 3) albedo of the person's skin at every vertex of the head, seen or continued."""
    from scipy.sparse import coo_matrix, diags
    from scipy.sparse.linalg import spsolve

    head, surfels = avatar.head, avatar.wardrobe.source
    is_skin = parts_of(surfels, *_SKIN) & (surfels.offset.norm(dim=1) < _NEAR)
    if not bool(is_skin.any()):
        return torch.full((head.num_vertices, 3), 0.5)
    chosen = surfels.chosen(is_skin.nonzero()[:, 0])
    albedo = torch.sigmoid(chosen.colour)
    away = (albedo - albedo.median(dim=0).values).abs().mean(dim=1)
    sure = torch.sigmoid(chosen.opacity) * torch.exp(-((away / _ALIKE) ** 4))
    corners = head.faces[chosen.triangle]
    weight = chosen.barycentric * sure[:, None]
    total = torch.zeros(head.num_vertices, 3)
    seen = torch.zeros(head.num_vertices)
    for corner in range(3):
        total.index_add_(0, corners[:, corner], weight[:, corner, None] * albedo)
        seen.index_add_(0, corners[:, corner], weight[:, corner])
    edges = torch.cat([head.faces[:, [0, 1]], head.faces[:, [1, 2]], head.faces[:, [2, 0]]]).numpy()
    both = np.concatenate([edges, edges[:, ::-1]])
    links = coo_matrix((np.ones(len(both)), both.T), (head.num_vertices,) * 2).tocsr()
    links.data[:] = 1
    known = (_STIFF * seen).numpy()
    system = diags(np.asarray(links.sum(axis=1)).ravel() + known + 1e-6) - links
    wanted = (_STIFF * total).numpy() + 1e-6 * albedo.median(dim=0).values.numpy()
    return torch.from_numpy(np.asarray(spsolve(system.tocsc(), wanted), np.float32)).clamp(0.01, 1)


def skin_underlay(avatar: SurfelAvatar, colours: Tensor) -> Surfels:
    """Surfels of these colours (V, 3) just under the person's skin."""
    head = avatar.head
    zeros = torch.zeros(50), torch.zeros(15)
    with torch.no_grad():
        vertices = pose_head(head, avatar.shape, *zeros).vertices
    found = sample_skin(head, vertices, _COUNT, torch.Generator().manual_seed(0))
    part = triangle_parts(head)[found.triangle]
    covered = torch.tensor([PART_NAMES.index(name) for name in _COVERED])
    kept = torch.isin(part.long(), covered).nonzero()[:, 0]
    found, part = found.chosen(kept), part[kept]
    albedo = at_surfels(head, colours, found)
    part = torch.where(part == PART_NAMES.index("eyebrows"), PART_NAMES.index("skin"), part)
    return replace(
        found,
        offset=torch.tensor([0.0, 0.0, -_DEPTH]).expand(len(found), 3).contiguous(),
        opacity=torch.full((len(found),), _OPACITY),
        colour=torch.logit(albedo.clamp(0.02, 0.98)),
        part=part.byte(),
    )


def unlike_skin(avatar: SurfelAvatar, colours: Tensor) -> Tensor:
    """(N,) bool, the person's surfels that are called skin and do not have its colours (V, 3)."""
    surfels = avatar.wardrobe.source
    away = (torch.sigmoid(surfels.colour) - at_surfels(avatar.head, colours, surfels)).abs()
    return parts_of(surfels, "skin", "scalp", "ears") & (away.mean(dim=1) > _ALIKE)


def at_surfels(head: Head, values: Tensor, surfels: Surfels) -> Tensor:
    """(N, C) values (V, C) of vertices where surfels ride."""
    corners = values[head.faces[surfels.triangle]]
    mixed: Tensor = (corners * surfels.barycentric[:, :, None]).sum(dim=1)
    return mixed
