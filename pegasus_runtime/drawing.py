"""What points bring to each pass of a picture, drawing them, and what is done after."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
import torch
from torch import Tensor

from pegasus_runtime import devices
from pegasus_runtime.errors import InvalidInput, quoted
from pegasus_runtime.limits import check_number
from pegasus_runtime.memory import new_picture
from pegasus_runtime.model.geometry import GeometryOutput
from pegasus_runtime.passes import PASSES, pass_widths
from pegasus_runtime.posed_surface import PosedSurface

Blend = Callable[[Tensor, float, tuple[int, int]], dict[str, Tensor]]
"""From points (N, 3), what radii in NDC are multiplied by, and a size: what is blended (H, W, C) by
pass, always with alpha, and nobody else's: it is written into."""


def point_features(
    geometry: GeometryOutput,
    posed: PosedSurface,
    shading: Tensor,
    depth: Tensor,
    names: tuple[str, ...],
) -> Tensor:
    """What is blended into the picture: the columns (N, C) of `passes.pass_widths`."""
    normals = posed.normals
    assert normals is not None
    values: dict[str, Callable[[Tensor], object]] = {
        "rgb": lambda out: out.copy_(point_colours(geometry.albedo, shading)),
        "albedo": lambda out: out.copy_(geometry.albedo),
        "shading": lambda out: out.copy_(shading),
        "normal": lambda out: torch.add(normals * 0.5, 0.5, out=out),
        "depth": lambda out: out.copy_(depth[:, None]),
        "segmentation": lambda out: out.copy_((geometry.segmentation > 0)[:, None]),
        "alpha": lambda out: out.fill_(1.0),
    }
    widths = pass_widths(names)
    columns = torch.empty(len(depth), sum(widths.values()), device=depth.device, dtype=depth.dtype)
    for name, part in zip(widths, columns.split(list(widths.values()), dim=1), strict=True):
        values[name](part)
    return columns


def point_colours(albedo: Tensor, shading: Tensor) -> Tensor:
    """Colour (N, 3) of points: clamp(2 · shading · albedo, 0, 1)."""
    if not devices.is_for_loops(albedo, shading):
        return (2 * shading * albedo).clamp(0, 1)
    from pegasus_runtime.cpu.image import light_up

    colours = torch.empty_like(albedo)
    flat = (values.contiguous().view(-1).numpy() for values in (albedo, shading, colours))
    light_up(*flat)
    return colours


def split_passes(image: Tensor, names: Iterable[str]) -> dict[str, Tensor]:
    """Pictures (H, W, C) by pass, of all their columns side by side."""
    widths = [PASSES[name].channels for name in names]
    return dict(zip(names, image.split(widths, dim=2), strict=True))


def draw_passes(
    points: Tensor,
    names: tuple[str, ...],
    image_size: tuple[int, int],
    blend: Blend,
    background: tuple[float, float, float] | None,
) -> dict[str, Tensor]:
    """The pictures by pass, of a size that need not fit in memory before it is finished.

    Args:
        points: (N, 3) as `Camera.project` gives them.
        names: passes.
        image_size: (height, width) in pixels.
        blend: draws what the passes need at the points of a band.
        background: colour in 0..1, or None for none.
    """
    from pegasus_runtime.raster.bands import move_to_band, row_bands

    height, width = image_size
    num_channels = sum(pass_widths(names).values())
    bands: list[dict[str, Tensor]] = []
    for first, end in row_bands(image_size, num_channels):
        moved, scale = move_to_band(points, 1.0, image_size, first, end)
        images = blend(moved, scale, (end - first, width))
        finished = {name: _finish_pass(name, images, background) for name in dict.fromkeys(names)}
        if end - first == height:
            return finished
        # A picture in bands is too large to be kept on the device as a whole.
        bands.append({name: image.cpu() for name, image in finished.items()})
    # Each band is let go once it is copied.
    return {name: torch.cat([band.pop(name) for band in bands]) for name in list(bands[0])}


def _finish_pass(
    name: str, images: dict[str, Tensor], background: tuple[float, float, float] | None
) -> Tensor:
    """Put a blended pass before its background, or undo the blending where that is its meaning."""
    image, alpha = images[name], images["alpha"]
    if name == "depth":
        return torch.where(alpha > 0, image / alpha.clamp_min(1e-6), torch.zeros_like(image))
    if PASSES[name].over_background and background is not None:
        return _over(image, alpha, torch.tensor(background).to(image, non_blocking=True))
    return image


def _over(image: Tensor, alpha: Tensor, colour: Tensor) -> Tensor:
    if not devices.has_loops(image.device):
        return image + (1 - alpha) * colour
    from pegasus_runtime.cpu.image import over

    finished = image if image.is_contiguous() else new_picture(*image.shape)
    over(image.numpy(), alpha.numpy(), colour.numpy(), finished.numpy())
    return finished


def check_background(background: object) -> tuple[float, float, float] | None:
    """A colour to put behind the head, or None for none.

    Raises:
        InvalidInput: it is not three numbers from 0 to 1.
    """
    if background is None:
        return None
    if isinstance(background, Tensor | np.ndarray):
        background = background.tolist()
    parts = background if isinstance(background, tuple | list) else ()
    try:
        red, green, blue = (check_number("background", part, 0.0, 1.0) for part in parts)
    except ValueError:
        raise InvalidInput(
            f"background {quoted(background)}: give three numbers from 0 to 1, or None."
        ) from None
    return red, green, blue
