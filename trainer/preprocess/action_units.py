"""The estimator's 52 blendshape values as expressions of a head and a jaw."""

from __future__ import annotations

import re

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from pegasus_runtime.head import Head
from trainer.preprocess.estimators import BLENDSHAPE_NAMES

_SAID_OTHERWISE = {"mouth smile": "smile", "eye blink": "blink"}
_JAW_RAD = 0.35
"""by which a jaw is open at jawOpen = 1; only a beginning for the fit, which moves it to the
landmarks"""


def action_units(head: Head, blendshapes: npt.NDArray[np.float32]) -> tuple[Tensor, Tensor]:
    """Expressions (B, 50) of the head and jaw angles (B,) in radians that blendshapes (B, 52) mean.

    Zeros for what the head has no name for, and for (B, 0) without blendshapes.
    """
    expression = torch.zeros(len(blendshapes), len(head.expression_names))
    jaw = torch.zeros(len(blendshapes))
    if not blendshapes.shape[1]:
        return expression, jaw
    values = torch.from_numpy(blendshapes).float()
    for column, name in enumerate(BLENDSHAPE_NAMES):
        if (spoken := _spoken(name)) in head.expression_names:
            expression[:, head.expression_names.index(spoken)] = values[:, column]
    return expression, _JAW_RAD * values[:, BLENDSHAPE_NAMES.index("jawOpen")]


def _spoken(name: str) -> str:
    words = re.sub(r"[A-Z]", lambda letter: " " + letter[0].lower(), name)
    for theirs, ours in _SAID_OTHERWISE.items():
        words = words.replace(theirs, ours)
    return words
