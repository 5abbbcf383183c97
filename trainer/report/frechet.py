"""FID: how far the drawn pictures as a whole are from those taken (Heusel et al. 2017).

The network is a file that a user brings: an Inception in ONNX, (1, 3, 299, 299) in −1..1 to a
vector of features.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from pegasus_runtime.errors import InvalidInput
from trainer.preprocess.estimators import Bytes, FloatArray, Network
from trainer.preprocess.model_files import find_asset, read_onnx

INCEPTION_NAMES = ("inception_fid.onnx", "pt_inception-2015-12-05.onnx")
FEWEST = 2
"""pictures of which a spread can be told"""
_SIDE = 299


class InceptionFeatures:
    """The features of a picture."""

    def __init__(self, path: Path) -> None:
        """Of an ONNX file."""
        self.path, self._network = path, Network(read_onnx(path), path.name)

    def __call__(self, pixels: Bytes) -> FloatArray:
        """(D,) of (H, W, 3) RGB bytes.

        Raises:
            InvalidInput: the network has another signature.
        """
        import cv2

        small = cv2.resize(pixels, (_SIDE, _SIDE), interpolation=cv2.INTER_LINEAR)
        planes = np.ascontiguousarray(small.transpose(2, 0, 1)[None], np.float32)
        outputs = self._network.run(planes / np.float32(127.5) - 1)
        found = next(iter(outputs.values())).squeeze()
        if len(outputs) != 1 or found.ndim != 1:
            raise InvalidInput(f"{self.path}: gives {found.shape}, not one vector of features.")
        return np.asarray(found, np.float32)


def find_inception() -> InceptionFeatures | None:
    """The network, if it is in the asset folder."""
    path = find_asset(INCEPTION_NAMES)
    return None if path is None else InceptionFeatures(path)


def frechet_distance(first: Sequence[FloatArray], second: Sequence[FloatArray]) -> float | None:
    """Between the Gaussians of two sets of features (D,); None for fewer than two of either.

    tr √(Σ₁Σ₂) is the sum of the singular values of X₁ᵀX₂ with Σ = XXᵀ: no matrix of D × D is made.
    """
    if min(len(first), len(second)) < FEWEST:
        return None
    centred, spread = [], 0.0
    for features in (first, second):
        values = np.stack(features).astype(np.float64)
        columns = (values - values.mean(axis=0)).T / np.sqrt(len(values) - 1)
        spread += float((columns**2).sum())
        centred.append(columns)
    means = [np.stack(features).astype(np.float64).mean(axis=0) for features in (first, second)]
    apart = means[0] - means[1]
    common: npt.NDArray[np.float64] = np.linalg.svd(centred[0].T @ centred[1], compute_uv=False)
    return max(float(apart @ apart) + spread - 2 * float(common.sum()), 0.0)
