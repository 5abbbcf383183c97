"""Everything a training can be told, with the defaults of a small avatar for a CPU.

The presets in resources/presets differ from these only where they say so.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from pegasus_runtime.errors import Refused


def _require(condition: bool, name: str, value: object, wanted: str) -> None:
    if not condition:
        raise Refused(f"{name} = {value}: use {wanted}.")


@dataclass(frozen=True)
class DataConfig:
    """Which frames are learned from."""

    folder: str = ""
    """DATABASE folder with one folder per subject"""
    source: str = "source"
    """the subject without any attribute"""
    image_size: int = 512
    """side to which pictures are reduced"""
    memory_gb: float = 0.0
    """pictures are kept decoded up to this, 0 for half of the free memory; the others are decoded
    while training goes on"""
    held_out_every: int = 12
    """every so many frames one is kept for the evaluation, 0 for none"""
    source_share: float = 0.2
    """share of the steps that see the source person, all others share the rest; with 1 only the
    source person's folder is read"""
    view_balance: float = 0.0
    """0: every frame comes up as often as any other; 1: every side of the head as often as any
    other, however few frames show it"""
    max_bad_share: float = 0.1
    """training is refused when a larger share of a subject's frames is unreadable"""

    def __post_init__(self) -> None:
        _require(16 <= self.image_size <= 4096, "data.image_size", self.image_size, "16 to 4096")
        _require(self.memory_gb >= 0, "data.memory_gb", self.memory_gb, "0 or more")
        _require(self.held_out_every >= 0, "data.held_out_every", self.held_out_every, "0 or more")
        _require(0 < self.source_share <= 1, "data.source_share", self.source_share, "0 to 1")
        _require(0 <= self.view_balance <= 1, "data.view_balance", self.view_balance, "0 to 1")


@dataclass(frozen=True)
class ModelConfig:
    """Sizes of the networks; the published ones are 6, 512, 9, 4, 128, 4, 512."""

    num_frequencies: int = 6
    """of the positional encoding: each one more shows detail of half the size"""
    geometry_width: int = 128
    """of the network for surface and colour; twice the width, four times the work"""
    geometry_depth: int = 5
    """layers of the network for surface and colour"""
    geometry_skip: int = 0
    """layer that sees the position once more, 0 for none"""
    deformer_width: int = 64
    """of the network that moves points with expression and pose"""
    deformer_depth: int = 4
    """layers of the network that moves points"""
    shading_width: int = 64
    """of the network for light and shadow"""
    moves_points: bool = True
    """whether attributes may move points; a database avatar has none and needs no such map"""
    points_per_pixel: int = 8
    """points blended in a pixel while training"""
    drawn_per_pixel: int = 16
    """the same of the finished avatar: an edge of the face that is seen from the side is many
    points deep, and lets what lies behind it through where they are too few"""
    tangent_precision: str = "auto"
    """of derivatives while training: float32, bfloat16, or auto, which measures what is faster on
    the device; values are always float32"""

    def __post_init__(self) -> None:
        known = ("auto", "float32", "bfloat16")
        _require(
            self.tangent_precision in known,
            "model.tangent_precision",
            self.tangent_precision,
            " or ".join(known),
        )
        for name in ("points_per_pixel", "drawn_per_pixel"):
            count = getattr(self, name)
            _require(1 <= count <= 150, f"model.{name}", count, "a number from 1 to 150")


@dataclass(frozen=True)
class PointConfig:
    """How the number of points grows: doubled every so many steps, each time with less radius."""

    initial: int = 5000
    """how many the training begins with"""
    maximum: int = 40_000
    """how many there are at most"""
    grow_every: int = 400
    """steps"""
    initial_radius: float = 0.03
    """of a point at the beginning, in units of the head"""
    radius_factor: float = 0.72
    """per doubling"""
    minimum_radius: float = 0.005
    """of a point, however many there are"""
    noise: float = 0.5
    """new points are moved by up to this times the radius along each axis"""
    prune: bool = True
    """drop, before growing, points that were never seen since the last time"""
    fill_gaps: bool = False
    """at the end, add points where the frames' motions pull the skin apart"""
    line_skin: bool = False
    """at the end, add points beneath the skin where what lies behind would show through"""

    def __post_init__(self) -> None:
        _require(self.initial >= 1, "points.initial", self.initial, "1 or more")
        _require(
            self.maximum >= self.initial, "points.maximum", self.maximum, "at least points.initial"
        )
        _require(self.grow_every >= 1, "points.grow_every", self.grow_every, "1 or more")
        radius = self.initial_radius
        _require(0 < radius < 2, "points.initial_radius", radius, "a number from 0 to 2")
        _require(0 < self.radius_factor <= 1, "points.radius_factor", self.radius_factor, "0 to 1")


@dataclass(frozen=True)
class LossConfig:
    """Weights of the losses; 0 leaves one out."""

    rgb: float = 1.0
    """colour of the picture"""
    mask: float = 1.0
    """outline of the picture"""
    sdf: float = 1.0
    """points lie on the surface"""
    eikonal: float = 0.1
    """the surface's distance changes evenly"""
    latent: float = 0.01
    """codes stay small"""
    vgg: float = 0.1
    """features of VGG-19, whose weights are a file in the asset folder; nothing without it"""
    normal: float = 0.1
    """direction of the surface, where the capture has it"""
    segmentation: float = 0.1
    """the attribute's region, where the capture has it"""
    flame: float = 10.0
    """base weight of the supervision by the head; halved at each of flame_halvings"""
    flame_halvings: tuple[int, ...] = (10, 20, 30, 40)
    """epochs"""
    normals_every: int = 1
    """every so many steps the picture bends the surface too; in those between, normals are taken as
    they are, which halves a step's time"""
    num_samples: int = 2000
    """points that the losses on points look at in a step"""
    part_weights: dict[str, float] = field(default_factory=dict)
    """how much more a pixel of a part counts in the colour loss, e.g. eyes: 4"""
    region_share: float = 0.0
    """least share of the attribute's region in the colour loss of its frames, where the capture has
    it; a small region, such as an iris, is otherwise learned last"""

    def __post_init__(self) -> None:
        _require(self.normals_every >= 1, "losses.normals_every", self.normals_every, "1 or more")
        _require(0 <= self.region_share < 1, "losses.region_share", self.region_share, "0 to 1")


@dataclass(frozen=True)
class OptimiserConfig:
    """Adam's learning rates, which fall along a half cosine to `final_share` of themselves."""

    shading: float = 1e-3
    """light on the surface"""
    deformer: float = 1e-4
    """what moves points; the start has fitted it to the head, so pictures need to correct little"""
    directions: float = 1e-6
    """its expression and pose directions, a hundred times smaller than its other weights"""
    geometry: float = 5e-4
    """less than the others: its normals are derivatives along high frequencies, and shake first"""
    points: float = 3e-4
    """places of the points"""
    latents: float = 2e-3
    """codes of the attributes"""
    final_share: float = 0.03
    """of each rate at the last step"""
    latents_from_epoch: float = 0.0
    """the published program leaves the codes alone for 10 epochs"""
    clip_norm: float = 0.0
    """largest norm of the gradient, 0 for no limit"""


@dataclass(frozen=True)
class TrainingConfig:
    """A whole training."""

    name: str = "avatar"
    """the finished file is called NAME.avatar"""
    seed: int = 0
    """of everything random; the same seed gives the same training"""
    start_from: str = ""
    """avatar of an earlier stage whose points, networks and codes this one begins with"""
    steps: int = 4000
    """more steps, a better likeness, more time"""
    batch_size: int = 1
    """frames that a step looks at, over all graphics cards; a multiple of their number"""
    steps_per_epoch: int = 0
    """0: as many as show each training frame once on average"""
    warm_start_steps: int = 600
    """steps that fit the networks to the bare head before any picture is seen"""
    device: str = "auto"
    """auto: the graphics card if there is one, otherwise the processor"""
    threads: int = 0
    """CPU threads, 0 for all"""
    checkpoint_every: int = 500
    """steps between saves: how much work a crash may cost"""
    keep_checkpoints: int = 2
    """how many saves are kept"""
    preview_every: int = 250
    """steps between previews; one takes about as long as two steps for each subject shown"""
    data: DataConfig = field(default_factory=DataConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    points: PointConfig = field(default_factory=PointConfig)
    losses: LossConfig = field(default_factory=LossConfig)
    optimiser: OptimiserConfig = field(default_factory=OptimiserConfig)

    def __post_init__(self) -> None:
        _require(self.steps >= 1, "steps", self.steps, "1 or more")
        _require(self.batch_size >= 1, "batch_size", self.batch_size, "1 or more")
        _require(self.checkpoint_every >= 1, "checkpoint_every", self.checkpoint_every, "1 or more")
        _require(self.keep_checkpoints >= 1, "keep_checkpoints", self.keep_checkpoints, "1 or more")
        _require(self.preview_every >= 1, "preview_every", self.preview_every, "1 or more")
        legal = bool(self.name) and not set(self.name) & set('/\\:*?"<>|')
        _require(legal, "name", self.name, "a name that can be a file name")
