"""Mattes without what has the colours of what is behind a person, and none of the person's.

Networks take a rim of background along, most of all above hair, and where a camera moves no other
frame shows what is behind. But the clip as a whole tells which colours only the background has:

1. Some frames, and their coarse mattes, give histograms of colours well inside and well outside.
2. Near a matte's edge, what hangs together with the outside and has colours that are seen far
   oftener outside goes. Nothing is added: dark leaves are like dark hair.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from trainer.preprocess.arrays import Array
from trainer.preprocess.coarse_mattes import coarse_matte, coarse_picture, dilated, eroded
from trainer.preprocess.colour_histogram import colour_bins, colour_shares, lab
from trainer.preprocess.estimators import Bytes, FloatArray

_INSIDE = 8
"""pixels of 256, from a matte's edge: how far in it may be wrong, and from where on colours are
sure; more takes highlights of hair away, less leaves background above it"""
_SURELY = 0.95
"""of a matte, from which it is the person, and less its rest the background"""
_UNSEEN = 2e-5
"""share of a colour that no sample had; less believes single pixels"""
_MOST = 4.0
"""The largest logarithm that one pixel says: more lets few outvote their neighbours."""
_BEHIND = -2.0
"""Logarithm from which colours are those of the background: lower ones leave more of it, higher
ones take hair that shines."""
_SMOOTH = 1.5
"""pixels of 256 over which that is told: less leaves speckles, more rounds outlines off"""
_NARROW = 3
"""pixels of 256: narrower bays stay the person's, as a parting does that has a wall's colour; more
keeps what is between strands"""
_EVERY = 3
"""one in so many pixels counts: fewer are as good, and quicker"""


@dataclass(frozen=True, eq=False)
class ColoursBehind:
    """How much oftener each colour is seen on the person than behind."""

    table: Array
    """logarithms, by `colour_bins`"""

    @classmethod
    def of(cls, frames: Iterable[tuple[Bytes, FloatArray]]) -> ColoursBehind:
        """From pictures (S, S, 3) and their coarse mattes."""
        inside, outside = [np.zeros((0, 3), np.float32)], [np.zeros((0, 3), np.float32)]
        for picture, matte in frames:
            colours, coarse = lab(coarse_picture(picture)), coarse_matte(matte)
            inside.append(colours[eroded(coarse, _INSIDE) > _SURELY][::_EVERY])
            outside.append(colours[dilated(coarse, _INSIDE) < 1 - _SURELY][::_EVERY])
        own, other = (colour_shares(np.concatenate(each)) for each in (inside, outside))
        ratio = np.log((own + _UNSEEN) / (other + _UNSEEN))
        return cls(ratio.clip(-_MOST, _MOST).astype(np.float32))

    def correct(self, picture: Bytes, matte: FloatArray) -> FloatArray:
        """A matte (R, R) of a picture (S, S, 3), coarse and without the background's colours."""
        import cv2

        coarse = coarse_matte(matte)
        evidence = self.table[colour_bins(lab(coarse_picture(picture)))]
        evidence = cv2.GaussianBlur(evidence, (0, 0), _SMOOTH)
        outside = coarse < 1 - _SURELY
        may_go = (evidence < _BEHIND) & (eroded(coarse, _INSIDE) < 0.5)
        _, pieces = cv2.connectedComponents((outside | may_go).astype(np.uint8))
        gone = np.isin(pieces, np.unique(pieces[outside])) & (pieces > 0)
        wide = dilated(eroded(gone.astype(np.uint8), _NARROW), _NARROW) > 0
        return np.where(wide & may_go, 0, coarse).astype(np.float32)
