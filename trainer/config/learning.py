"""What a training minimises, and how fast: its settings for losses and for Adam."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from trainer.config.settings import MAX_POINTS, MAX_STEPS, Settings, setting

_weight = partial(setting, minimum=0, maximum=1e6)
"""of a loss"""
_rate = partial(setting, minimum=0, maximum=10)
"""at which Adam learns; with 1 a weight is another one after each step"""


@dataclass(frozen=True)
class LossConfig(Settings):
    """Weights of the losses; 0 leaves one out."""

    rgb: float = _weight(1.0, "colour of the picture", label="Colour")
    square: float = _weight(
        2.0, "surfels: square of the colour's error, which minds large ones more"
    )
    mask: float = _weight(0.2, "outline of the picture", label="Outline")
    states: float = _weight(1e-3, "surfels: expressions move them little against the head")
    tracking: float = _weight(
        1e-3, "surfels: frames stay near where they were tracked, where optimiser.tracking is set"
    )
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
    tracking: float = _rate(
        0.0,
        "surfels: expression, pose and camera of each frame; 0 takes them as they were tracked, "
        "which is right for drawn captures; about 0.01 for videos",
        may_change=False,
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
