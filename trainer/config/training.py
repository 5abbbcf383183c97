"""Everything a training can be told, with the defaults of a small avatar for a CPU.

Types, ranges, units and help are written down here and nowhere else; `python -m trainer describe`
prints them. The presets in resources/presets differ from the defaults only where they say so.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from pegasus_runtime.constraints import shown
from trainer.config.data import DataConfig
from trainer.config.learning import LossConfig, OptimiserConfig
from trainer.config.model import ModelConfig, PointConfig
from trainer.config.settings import MAX_STEPS, Problem, Settings, setting

MAX_SEED = 2**32 - 1
"""The largest that numpy takes."""


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

    def conflicts(self) -> Iterator[Problem]:
        """What is made of a video has the free head."""
        if self.head and self.data.video:
            yield Problem(
                "head",
                f"= {shown(self.head)}: a video is fitted with the free head; leave this or "
                "data.video empty.",
            )
