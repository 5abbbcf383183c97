"""What of a head is hair, without a network for it: by the colours of this very person's hair.

1. Some frames give samples: hair above the face, skin within it, clothes below the neck.
2. A colour is hair as far as it is seen more often in hair than in skin and clothes.
3. That is smoothed in the picture, and over neighbouring frames moved as the head has moved, for
   hair does not become skin from one frame to the next.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from trainer.preprocess.arrays import Array
from trainer.preprocess.colour_histogram import colour_bins, colour_shares
from trainer.preprocess.estimators import FloatArray
from trainer.preprocess.outline_in_time import SAME_FPS, follow_head

_UNSEEN, _RATHER_HAIR = 2e-6, 2.0
"""Share of a colour that no sample had, and how much more of it hair is thought to have: skin and
clothes are seen whole, hair is not. Less of the first believes single pixels."""
_MOST = 2.5
"""The largest that one pixel says for or against: more lets few pixels outvote their neighbours."""
_SURELY = 0.3
"""Beyond which it is hair: on bald heads, whose samples of hair are skin, all say about 0."""
_CLOTHES = 0.3
"""how much clothes count: more loses black hair beside a black coat, less learns such a coat"""
_HANGING = 1.0
"""evidence from which what is before the chest is hair; less learns hair as clothes, more dark
clothes as hair"""
_SIDE = 256
"""at which it is worked out; more shows thinner strands and takes its square as long"""
_SMOOTH = 1.5
"""pixels of that: less leaves speckles, more rounds strands off"""
_REACH = 2
"""frames before and after: more hold still what swings, fewer flicker"""


@dataclass(frozen=True, eq=False)
class HairColours:
    """How much more a colour is that of the hair."""

    table: Array
    """logarithms, by `colour_bins`"""

    @classmethod
    def of(cls, around: Array, face: Array, shoulders: Array, chest: Array) -> HairColours:
        """From samples (S, 3) in L*a*b*, of which there may be none.

        Args:
            around: the face, above its chin: hair, and some skin.
            face: skin.
            shoulders: below the neck, farther out than the head.
            chest: between them, clothes and hair that hangs down.
        """
        hair, skin, clothes = map(colour_shares, (around, face, shoulders))
        found = cls._of_shares(hair, np.maximum(skin, _CLOTHES * clothes))
        other = chest[found.evidence(chest) < _HANGING]
        clothes = colour_shares(np.concatenate([shoulders, other]))
        return cls._of_shares(hair, np.maximum(skin, _CLOTHES * clothes))

    @classmethod
    def _of_shares(cls, hair: Array, other: Array) -> HairColours:
        ratio = (hair + _RATHER_HAIR * _UNSEEN) / (other + _UNSEEN)
        return cls(np.log(ratio).clip(-_MOST, _MOST).astype(np.float32))

    def evidence(self, colours: FloatArray) -> FloatArray:
        """(…,) of colours (…, 3): above 0 for hair, below against it."""
        return np.asarray(self.table[colour_bins(colours)])


class GuessedHair:
    """Where there is hair, in one picture after the other."""

    def __init__(
        self,
        evidence: Callable[[int], FloatArray],
        places: Array,
        present: Array,
        fps: float,
    ) -> None:
        """See the arguments.

        Args:
            evidence: of the pixels of a picture (S, S), by its number from 1.
            places: (N, 478, 2) landmarks, in 0..1 of the picture.
            present: (N,) truth where they were found.
            fps: of the pictures.
        """
        self._evidence, self._places, self._present = evidence, places, present
        self._reach = _REACH if fps >= SAME_FPS else 0
        self._kept = OrderedDict[int, FloatArray]()

    def find(self, number: int, size: int) -> Array:
        """(S, S) truth, by this picture and those beside it."""
        import cv2

        now, near = self._places[number - 1], []
        for n in range(number - self._reach, number + self._reach + 1):
            if 1 <= n <= len(self._present) and self._present[n - 1]:
                near.append(follow_head(self._small(n), self._places[n - 1], now))
        mean = np.mean(near, axis=0)
        return np.asarray(cv2.resize(mean, (size, size)) > _SURELY)

    def _small(self, number: int) -> FloatArray:
        import cv2

        if number not in self._kept:
            found = self._evidence(number)
            small = cv2.resize(found, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA)
            self._kept[number] = np.asarray(cv2.GaussianBlur(small, (0, 0), _SMOOTH))
            if len(self._kept) > 2 * _REACH + 1:
                self._kept.popitem(last=False)
        return self._kept[number]
