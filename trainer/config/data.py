"""Which frames a training learns from: its settings for data."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from pegasus_runtime.model.latent import CATEGORIES
from trainer.config.settings import Problem, Settings, setting


@dataclass(frozen=True)
class DataConfig(Settings):
    """Which frames are learned from."""

    folder: str = setting(
        "",
        "DATABASE folder with one folder per subject",
        label="Data folder",
        is_path=True,
    )
    video: str = setting(
        "",
        "the video that the capture is made of first; it goes into the run folder unless a data "
        "folder is given",
        is_path=True,
    )
    video_frames: int = setting(
        400,
        "so many frames of the video are used at most, evenly spread; 0 for all",
        minimum=0,
        maximum=1_000_000,
        label="Frames of the video",
        unit="frames",
    )
    video_face: int = setting(
        0,
        "whose face in the video, from 1 at the left; 0 for the largest",
        minimum=0,
        maximum=100,
        label="Face of the video",
        may_change=False,
    )
    people: str = setting(
        "",
        "folder with a capture, or a video, of each person whose hair, hats, noses … are put onto "
        "the person first; what is made goes into the run folder",
        label="Other people",
        is_path=True,
        may_change=False,
    )
    attributes: tuple[str, ...] = setting(
        (),
        "which attributes of other people are put onto the person, as CATEGORY_PERSON; none for "
        "all that are seen",
        label="Attributes of other people",
        may_change=False,
    )
    people_frames: int = setting(
        60,
        "so many frames of the person get each attribute, evenly spread; 0 for all",
        minimum=0,
        maximum=1_000_000,
        label="Frames of each attribute",
        unit="frames",
        may_change=False,
    )
    people_steps: int = setting(
        700,
        "steps of the training of each other person, before their attributes are put on",
        minimum=1,
        maximum=1_000_000,
        label="Steps for each other person",
        unit="steps",
        may_change=False,
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
    category_weights: dict[str, float] = setting(
        {},
        "how many times as often the attributes of a category come up as others, e.g. hair: 3; "
        "what has surfels of its own learns a whole surface, a nose a patch",
        minimum=0,
        maximum=1000,
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
        """Holding every frame out leaves none to learn from; only categories have weights."""
        if self.held_out_every == 1:
            yield Problem(
                "held_out_every", "= 1: leaves no frame to learn from; use 0, or 2 or more."
            )
        unknown = sorted(set(self.category_weights) - set(CATEGORIES))
        if unknown:
            yield Problem(
                "category_weights", f"names {unknown[0]!r}; categories are {', '.join(CATEGORIES)}."
            )
