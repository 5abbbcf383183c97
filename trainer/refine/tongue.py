"""The tongue of a filmed person, whole: no film shows it, and a slider does.

What a tongue's surfels learn from a film is what open lips let through: the edge of teeth, lips
that moved, the dark. Out of the mouth that is rags in all colours.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from pegasus_runtime.head import Head, pose_head
from pegasus_runtime.head.parts import require_parts
from pegasus_runtime.surfels.attributes import Attribute, Difference, Wardrobe
from pegasus_runtime.surfels.surfels import Surfels
from trainer.data.dataset import Capture
from trainer.data.frame_sampler import is_one_sided
from trainer.init.surfel_sampling import sample_skin

_TONGUE = "tongue"
_SEED = 0
_OPAQUE = 3.0
"""The logit of a surfel's opacity: with less of it the lower lip shines through a tongue that lies
on it."""
_SHADE = 0.8
"""Logits by which its underside is darker than its top: less leaves a patch of one colour, more
makes it brown."""
_THICKER = 0.004
"""Units of the head that it stands out at its tip, as lips of people are thicker than the head's:
less lets it come out below a lip instead of over it, more lets a tip that is still behind the lip
shine through."""


@torch.no_grad()
def with_whole_tongue(wardrobe: Wardrobe, head: Head, capture: Capture) -> Wardrobe:
    """The same with as many surfels spread evenly over the tongue as are bound to it.

    Its tip has the colour of the lips, its root that of the inside of the mouth. People who
    were drawn or filmed from all sides have shown theirs.
    """
    frames, source = capture.training[capture.source], wardrobe.source
    index = _on(_TONGUE, head)[source.triangle].nonzero()[:, 0]
    lips, inside = (_colour_on(part, source, head) for part in ("lips", "mouth"))
    if not len(index) or lips is None or inside is None or not is_one_sided(frames):
        return wardrobe
    none = torch.zeros(head.expression_directions.shape[2]), torch.zeros(15)
    vertices = pose_head(head, capture.shape, *none).vertices
    generator = torch.Generator().manual_seed(_SEED)
    tongue = sample_skin(head, vertices, len(index), generator, (_TONGUE,))
    reach = _reach(head)
    tongue = replace(
        tongue,
        offset=_THICKER * reach[tongue.triangle, None] * torch.tensor([0.0, 0.0, 1.0]),
        colour=_colours(inside, lips, reach, head)[tongue.triangle],
        opacity=torch.full((len(index),), _OPAQUE),
        part=source.part[index],
    )
    put = {n: v.index_copy(0, index, getattr(tongue, n)) for n, v in vars(source).items()}
    attributes = tuple(_leaving(each, index) for each in wardrobe.attributes)
    return replace(wardrobe, source=Surfels(**put), attributes=attributes)


def _on(part: str, head: Head) -> Tensor:
    """(F,) bool, which triangles are a part's."""
    on_part: Tensor = require_parts(head).on(part)[head.faces].all(dim=1)
    return on_part


def _colour_on(part: str, source: Surfels, head: Head) -> Tensor | None:
    """Usual colour (3,), in logits, of what is bound to a part; None if nothing is.

    The tongue's own is not asked: that of an avatar that is trained further is from here.
    """
    some = _on(part, head)[source.triangle]
    return source.colour[some].median(dim=0).values if bool(some.any()) else None


def _colours(inner: Tensor, outer: Tensor, reach: Tensor, head: Head) -> Tensor:
    """Logits (F, 3) of triangles: from those (3,) of the root to those of the tip, which comes out
    farthest."""
    corners = head.template[head.faces]
    normals = torch.linalg.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    upward = torch.nn.functional.normalize(normals, dim=1)[:, 1:2]
    shade = _SHADE * (upward - 1) / 2
    colours: Tensor = inner + reach[:, None] * (outer - inner) + shade
    return colours


def _reach(head: Head) -> Tensor:
    """(F,) how far triangles come out, as a share of the tongue's tip."""
    far = head.expression_directions[head.faces[:, 0]].norm(dim=1).amax(dim=1)
    share: Tensor = (far / far[_on(_TONGUE, head)].max().clamp_min(1e-6)).clamp_max(1)
    return share


def _leaving(attribute: Attribute, index: Tensor) -> Attribute:
    """The same without what it changes of the person's surfels ``index`` (K,)."""
    kept = ~torch.isin(attribute.region, index)
    change = {name: values[kept] for name, values in vars(attribute.difference).items()}
    return replace(
        attribute,
        region=attribute.region[kept],
        difference=Difference(**change),
        part=None if attribute.part is None else attribute.part[kept],
    )
