"""Everything a training can be told, with the defaults of a small avatar for a CPU.

Types, ranges, units and help are written down here and nowhere else; `python -m trainer describe`
prints them. The presets in resources/presets differ from the defaults only where they say so.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial

from trainer.config.settings import Problem, Settings, setting

MAX_STEPS = 100_000_000
MAX_POINTS = 10_000_000
MAX_SEED = 2**32 - 1
_weight = partial(setting, minimum=0, maximum=1e6)
"""of a loss"""
_rate = partial(setting, minimum=0, maximum=10)
"""at which Adam learns; with 1 a weight is another one after each step"""


@dataclass(frozen=True)
class DataConfig(Settings):
    """Which frames are learned from."""

    folder: str = setting(
        "",
        "DATABASE folder with one folder per subject",
        label="Data folder",
        is_path=True,
    )
    source: str = setting(
        "source",
        "the subject without any attribute",
        label="Person without attributes",
        may_change=False,
    )
    image_size: int = setting(
        512,
        "side to which pictures are reduced",
        minimum=16,
        maximum=4096,
        label="Picture size",
        unit="px",
        is_common=True,
    )
    memory_gb: float = setting(
        0.0,
        "pictures are kept decoded up to this, 0 for half of the free memory; the others are "
        "decoded while training goes on",
        minimum=0,
        maximum=100_000,
        label="Memory for pictures",
        unit="GB",
    )
    held_out_every: int = setting(
        12,
        "every so many frames one is kept for the evaluation, 0 for none",
        minimum=0,
        maximum=1_000_000,
        label="Held out: one in",
        unit="frames",
        may_change=False,
    )
    source_share: float = setting(
        0.2,
        "share of the steps that see the source person, all others share the rest; with 1 only the "
        "source person's folder is read",
        above=0,
        maximum=1,
        label="Source person's share",
    )
    view_balance: float = setting(
        0.0,
        "0: every frame comes up as often as any other; 1: every side of the head as often as any "
        "other, however few frames show it",
        minimum=0,
        maximum=1,
    )
    max_bad_share: float = setting(
        0.1,
        "training is refused when a larger share of a subject's frames is unreadable",
        minimum=0,
        maximum=1,
        label="Bad frames at most (share)",
    )
    pairs: str = setting(
        "",
        "folder with frames of two attributes at once, one subfolder NAME+NAME for each pair; they "
        "are evaluated at the end and never learned from",
        label="Pairs of attributes",
        is_path=True,
    )

    def conflicts(self) -> Iterator[Problem]:
        """Holding every frame out leaves none to learn from."""
        if self.held_out_every == 1:
            yield Problem(
                "held_out_every", "= 1: leaves no frame to learn from; use 0, or 2 or more."
            )


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


@dataclass(frozen=True)
class LossConfig(Settings):
    """Weights of the losses; 0 leaves one out."""

    rgb: float = _weight(1.0, "colour of the picture", label="Colour")
    square: float = _weight(
        2.0, "surfels: square of the colour's error, which minds large ones more"
    )
    mask: float = _weight(0.2, "outline of the picture", label="Outline")
    states: float = _weight(1e-3, "surfels: expressions move them little against the head")
    difference: float = _weight(
        3e-4, "surfels: an attribute changes as little as it can", label="Attribute's change"
    )
    sdf: float = _weight(1.0, "published: points lie on the surface", label="Distance (SDF)")
    eikonal: float = _weight(0.1, "published: the surface's distance changes evenly")
    latent: float = _weight(0.01, "published: codes stay small", label="Latent codes")
    vgg: float = _weight(
        0.1,
        "features of VGG-19, whose weights are a file in the asset folder; nothing without it",
        label="Features (VGG-19)",
    )
    normal: float = _weight(
        0.05,
        "direction of the surface, where the capture has it",
        label="Normals",
    )
    segmentation: float = _weight(
        0.1, "published: the attribute's region, where the capture has it"
    )
    flame: float = _weight(
        10.0,
        "published: base weight of the supervision by the head; halved at each of flame_halvings",
        label="Head (FLAME)",
    )
    flame_halvings: tuple[int, ...] = setting(
        (10, 20, 30, 40),
        "epochs at which the weight of the head is halved",
        minimum=0,
        maximum=MAX_STEPS,
        label="Head's weight halved at",
        unit="epochs",
    )
    normals_every: int = setting(
        4,
        "every so many steps normals are learned too, which takes longer",
        minimum=1,
        maximum=MAX_STEPS,
        unit="steps",
    )
    num_samples: int = setting(
        2000,
        "points that the losses on points look at in a step",
        minimum=1,
        maximum=MAX_POINTS,
        label="Sampled points",
        unit="points",
    )
    part_weights: dict[str, float] = _weight(
        {},
        "how much more a pixel of a part counts in the colour loss, e.g. eyes: 4",
    )
    region_share: float = setting(
        0.0,
        "least share of the attribute's region in the colour loss of its frames, where the capture "
        "has it; a small region, such as an iris, is otherwise learned last",
        minimum=0,
        maximum=0.99,
    )


@dataclass(frozen=True)
class OptimiserConfig(Settings):
    """Adam's learning rates, which fall along a half cosine to `final_share` of themselves."""

    offset: float = _rate(1.6e-4, "surfels: where they are")
    rotation: float = _rate(5e-3, "surfels: how they are turned")
    log_radius: float = _rate(5e-3, "surfels: how large they are")
    opacity: float = _rate(2e-2, "surfels: how opaque they are")
    colour: float = _rate(1e-2, "surfels: their colour without light")
    offset_states: float = _rate(1e-4, "surfels: how expressions move them against the head")
    colour_states: float = _rate(4e-3, "surfels: how expressions colour them")
    opacity_states: float = _rate(4e-3, "surfels: how expressions show and hide them")
    networks: float = _rate(
        1e-3, "surfels: light, and which expressions matter; published: all networks"
    )
    points: float = _rate(3e-4, "published: places of the points")
    latents: float = _rate(2e-3, "published: codes of the attributes", label="Latent codes")
    final_share: float = setting(0.03, "of each rate at the last step", minimum=0, maximum=1)
    latents_from_epoch: float = setting(
        0.0,
        "published: the codes are left alone until then",
        minimum=0,
        maximum=MAX_STEPS,
        unit="epochs",
    )
    clip_norm: float = setting(
        0.0, "largest norm of the gradient, 0 for no limit", minimum=0, maximum=1e12
    )


@dataclass(frozen=True)
class TrainingConfig(Settings):
    """A whole training."""

    name: str = setting(
        "avatar",
        "the finished file is called NAME.avatar",
        # What Windows, macOS and Linux all take, so that a run folder can be carried about.
        pattern=r'(?!\.|(?i:con|prn|aux|nul|com\d|lpt\d)(\.|$))[^/\\:*?"<>|]{1,100}(?<![. ])',
        wanted='a name that can be a file name: 1 to 100 letters, none of / \\ : * ? " < > |, '
        "no dot at its ends",
        label="Name of the avatar",
        is_common=True,
    )
    seed: int = setting(
        0,
        "of everything random; the same seed gives the same training",
        minimum=0,
        maximum=MAX_SEED,
        may_change=False,
    )
    head: str = setting(
        "",
        "FLAME head (generic_model.pkl) with which the videos were tracked, or empty for the free "
        "head",
        label="Head",
        is_path=True,
    )
    start_from: str = setting(
        "",
        "avatar of an earlier stage whose points, networks and codes this one begins with",
        label="Begin with (optional)",
        may_change=False,
        is_path=True,
    )
    steps: int = setting(
        2400,
        "more steps, a better likeness, more time",
        minimum=1,
        maximum=MAX_STEPS,
        unit="steps",
        is_common=True,
        asks_for_gpu=True,
    )
    batch_size: int = setting(
        1,
        "frames that a step looks at, over all graphics cards; a multiple of their number",
        minimum=1,
        maximum=4096,
        label="Frames per step",
        is_common=True,
    )
    steps_per_epoch: int = setting(
        0,
        "0: as many as show each training frame once on average",
        minimum=0,
        maximum=MAX_STEPS,
        unit="steps",
    )
    device: str = setting(
        "auto",
        "auto: the graphics card if there is one, otherwise the processor",
        pattern=r"auto|cpu|cuda(:[0-9]{1,3})?",
        wanted="auto, cpu, cuda or cuda:N",
        suggestions=("auto", "cpu", "cuda"),
        is_common=True,
    )
    threads: int = setting(
        0, "CPU threads, 0 for all", minimum=0, maximum=1024, label="CPU threads"
    )
    checkpoint_every: int = setting(
        500,
        "steps between saves: how much work a crash may cost",
        minimum=1,
        maximum=MAX_STEPS,
        label="Save every",
        unit="steps",
        is_common=True,
        asks_for_gpu=True,
    )
    keep_checkpoints: int = setting(
        2, "how many saves are kept", minimum=1, maximum=100_000, label="Saves kept"
    )
    preview_every: int = setting(
        250,
        "steps between previews; one takes about as long as two steps for each subject shown",
        minimum=1,
        maximum=MAX_STEPS,
        label="Preview every",
        unit="steps",
        is_common=True,
        asks_for_gpu=True,
    )
    data: DataConfig = field(default_factory=DataConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    points: PointConfig = field(default_factory=PointConfig)
    losses: LossConfig = field(default_factory=LossConfig)
    optimiser: OptimiserConfig = field(default_factory=OptimiserConfig)
