"""Which model is trained, and of how many points: settings of a training."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from trainer.config.settings import MAX_POINTS, MAX_STEPS, Problem, Settings, setting


@dataclass(frozen=True)
class ModelConfig(Settings):
    """Which model, and sizes of the published model's networks (6, 512, 9, 4, 128, 4, 512)."""

    kind: str = setting(
        "surfels",
        "surfels: ellipses bound to the head; published: the networks of the PEGASUS paper, which "
        "need a graphics card",
        choices=("surfels", "published"),
        label="Model",
        may_change=False,
    )
    num_frequencies: int = setting(
        6,
        "published: of the positional encoding: each one more shows detail of half the size",
        minimum=0,
        maximum=16,
        label="Frequencies",
        may_change=False,
        asks_for_gpu=True,
    )
    geometry_width: int = setting(
        128,
        "published: of the network for surface and colour; twice the width, four times the work",
        minimum=8,
        maximum=4096,
        may_change=False,
        asks_for_gpu=True,
    )
    geometry_depth: int = setting(
        5,
        "published: layers of the network for surface and colour",
        minimum=1,
        maximum=32,
        unit="layers",
        may_change=False,
        asks_for_gpu=True,
    )
    geometry_skip: int = setting(
        0,
        "published: layer that sees the position once more, 0 for none",
        minimum=0,
        maximum=31,
        may_change=False,
        asks_for_gpu=True,
    )
    deformer_width: int = setting(
        64,
        "published: of the network that moves points with expression and pose",
        minimum=8,
        maximum=4096,
        may_change=False,
        asks_for_gpu=True,
    )
    deformer_depth: int = setting(
        4,
        "published: layers of the network that moves points",
        minimum=1,
        maximum=32,
        unit="layers",
        may_change=False,
        asks_for_gpu=True,
    )
    shading_width: int = setting(
        64,
        "published: of the network for light and shadow",
        minimum=8,
        maximum=4096,
        may_change=False,
        asks_for_gpu=True,
    )
    moves_points: bool = setting(
        True,
        "published: whether attributes may move points; a single person has none and needs no "
        "such map",
        label="Attributes move points",
        may_change=False,
    )
    points_per_pixel: int = setting(
        8,
        "published: points blended in a pixel while training",
        minimum=1,
        maximum=150,
        unit="points",
        asks_for_gpu=True,
    )
    drawn_per_pixel: int = setting(
        16,
        "published: the same of the finished avatar: an edge of the face that is seen from the "
        "side is many points deep, and lets what lies behind it through where they are too few",
        minimum=1,
        maximum=150,
        unit="points",
        asks_for_gpu=True,
    )

    def conflicts(self) -> Iterator[Problem]:
        """The layer that sees the position again is one of those that there are."""
        if self.geometry_skip >= self.geometry_depth:
            yield Problem(
                "geometry_skip",
                f"= {self.geometry_skip}: use less than model.geometry_depth "
                f"({self.geometry_depth}).",
            )


@dataclass(frozen=True)
class PointConfig(Settings):
    """How the number of points grows every so many steps.

    Surfels are split where most of the error lies; the published model's points are doubled, each
    time with less radius.
    """

    initial: int = setting(
        40_000,
        "how many the training begins with",
        minimum=1,
        maximum=MAX_POINTS,
        label="Points at the beginning",
        unit="points",
        may_change=False,
        asks_for_gpu=True,
    )
    maximum: int = setting(
        60_000,
        "how many there are at most; more show finer detail and take longer",
        minimum=1,
        maximum=MAX_POINTS,
        label="Points at most",
        unit="points",
        is_common=True,
        asks_for_gpu=True,
    )
    grow_every: int = setting(
        300,
        "steps between one growth and the next",
        minimum=1,
        maximum=MAX_STEPS,
        unit="steps",
        asks_for_gpu=True,
    )
    initial_radius: float = setting(
        0.03,
        "published: of a point at the beginning, in units of the head",
        above=0,
        maximum=2,
        may_change=False,
        asks_for_gpu=True,
    )
    radius_factor: float = setting(
        0.72,
        "published: by which the radius shrinks with each doubling",
        above=0,
        maximum=1,
        asks_for_gpu=True,
    )
    minimum_radius: float = setting(
        0.005,
        "published: of a point, however many there are",
        above=0,
        maximum=2,
        asks_for_gpu=True,
    )
    noise: float = setting(
        0.5,
        "published: new points are moved by up to this times the radius along each axis",
        minimum=0,
        maximum=100,
    )
    prune: bool = setting(
        True,
        "drop, before growing, points that were never seen since the last time",
        label="Drop unseen points",
    )
    growth: float = setting(
        0.1,
        "surfels: share of them that is split each time, those on which most of the error lies",
        minimum=0,
        maximum=1,
    )
    grow_until: float = setting(
        0.7,
        "surfels: share of the steps after which none are split any more",
        minimum=0,
        maximum=1,
    )

    def conflicts(self) -> Iterator[Problem]:
        """Points only become more, and smaller."""
        if self.maximum < self.initial:
            yield Problem(
                "maximum", f"= {self.maximum}: use at least points.initial ({self.initial})."
            )
        if self.minimum_radius > self.initial_radius:
            yield Problem(
                "minimum_radius",
                f"= {self.minimum_radius:g}: use at most points.initial_radius "
                f"({self.initial_radius:g}).",
            )
