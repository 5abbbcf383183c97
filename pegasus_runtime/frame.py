"""A rendered picture with its passes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float32]

if TYPE_CHECKING:
    from torch import Tensor

    Values = FloatArray | Tensor


class Frame:
    """Pictures of one render, by pass: ``frame["rgb"]`` is (H, W, 3) float32 in 0..1.

    ``alpha`` and ``segmentation`` are (H, W, 1) in 0..1; ``depth`` is (H, W, 1) in the camera's
    units, 0 where nothing is seen.

    What a device has drawn stays there until somebody asks for it: a viewer on the same device
    takes `tensor`, and nothing goes through the host's memory.
    """

    def __init__(
        self,
        images: Mapping[str, Values],
        points: Values,
        normals: Values,
        complete: Callable[[], tuple[Values, Values]] | None = None,
    ) -> None:
        """Of what was drawn.

        Args:
            images: by pass.
            points: (M, 3) posed points that were drawn.
            normals: (M, 3) theirs.
            complete: points and normals (N, 3) of all, where some were not drawn or were sorted.
        """
        self._images = dict(images)
        self._surface = points, normals
        self._complete = complete
        self._num_drawn = len(points)

    def __getitem__(self, name: str) -> FloatArray:
        image = on_host(self._named(name))
        self._images[name] = image
        return image

    def __contains__(self, name: object) -> bool:
        return name in self._images

    def tensor(self, name: str) -> Tensor:
        """A pass as ``frame[name]``, on the device where it lies."""
        import torch

        return torch.as_tensor(self._named(name))

    @property
    def points(self) -> FloatArray:
        """(N, 3) posed points in the world."""
        return self._whole()[0]

    @property
    def normals(self) -> FloatArray:
        """(N, 3), unit normals of the points."""
        return self._whole()[1]

    @property
    def num_points(self) -> int:
        """How many points were drawn."""
        return self._num_drawn

    def _whole(self) -> tuple[FloatArray, FloatArray]:
        if self._complete is not None:
            self._surface, self._complete = self._complete(), None
        points, normals = (on_host(values) for values in self._surface)
        self._surface = points, normals
        return points, normals

    def _named(self, name: str) -> Values:
        if name not in self._images:
            raise KeyError(f"{name!r} was not rendered; this frame has {', '.join(self._images)}")
        return self._images[name]


def on_host(values: Values) -> FloatArray:
    """Values as an array; those that lie elsewhere are copied."""
    return values if isinstance(values, np.ndarray) else values.cpu().numpy()
