"""The face as the user has set it: a value that never changes, so undo keeps the old one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from pegasus_runtime.parameters import (
    NUM_EXPRESSIONS,
    NUM_IDENTITIES,
    NUM_POSE,
    AttributeBlend,
    Choice,
    Parameters,
)

MAX_STRENGTH = 1.5
"""How far the strength of an attribute can be pushed; above 1 it is exaggerated, and more of it is
soon no face."""


@dataclass(frozen=True)
class Face:
    """Expression, pose, shape and attributes."""

    expression: tuple[float, ...] = (0.0,) * NUM_EXPRESSIONS
    pose: tuple[float, ...] = (0.0,) * NUM_POSE
    """axis-angle in radians: root, neck, jaw, left eye, right eye"""
    shape: tuple[float, ...] = (0.0,) * NUM_IDENTITIES
    attributes: Mapping[str, AttributeBlend] = field(default_factory=dict)
    """category → what is worn; a category that is missing shows the source person"""

    @classmethod
    def of(cls, parameters: Parameters) -> Face:
        """The face of runtime parameters without attributes, such as an avatar's neutral ones."""
        vectors = (parameters.expression, parameters.pose, parameters.shape)
        expression, pose, shape = (tuple(float(x) for x in vector) for vector in vectors)
        return cls(expression, pose, shape)

    def with_expression(self, values: Mapping[int, float]) -> Face:
        """The same with some expression coefficients changed."""
        return replace(self, expression=_replaced(self.expression, values))

    def with_pose(self, values: Mapping[int, float]) -> Face:
        """The same with some numbers of the pose (radians) changed."""
        return replace(self, pose=_replaced(self.pose, values))

    def wearing(self, category: str, wear: AttributeBlend | None) -> Face:
        """The same with another attribute of one category; None takes it off."""
        attributes = {k: v for k, v in self.attributes.items() if k != category}
        if wear is not None:
            attributes[category] = wear
        return replace(self, attributes=attributes)

    def parameters(self) -> Parameters:
        """What the runtime renders."""
        vectors = (self.expression, self.pose, self.shape)
        expression, pose, shape = (np.asarray(v, np.float32) for v in vectors)
        attributes: dict[str, Choice] = dict(self.attributes)
        return Parameters(expression, pose, shape, attributes)


def _replaced(old: tuple[float, ...], values: Mapping[int, float]) -> tuple[float, ...]:
    return tuple(float(values.get(index, value)) for index, value in enumerate(old))
