"""What a synthetic capture is made of."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import permutations

from trainer.config.settings import Problem, Settings, setting
from trainer.data.pairs import is_pair, pair_name
from trainer.synthetic.attributes import ATTRIBUTES
from trainer.synthetic.lending import LENT_CATEGORIES, lent_names

SOURCE = "source"
ATTRIBUTE_NAMES = tuple(ATTRIBUTES)
SUBJECTS = (SOURCE, *ATTRIBUTE_NAMES)
WORN_ALWAYS = tuple(name for name in ATTRIBUTE_NAMES if name.startswith(("hat_", "eyeglasses_")))
PAIRS = tuple(
    name for names in permutations(ATTRIBUTE_NAMES, 2) if is_pair(name := pair_name(*names))
)
"""two attributes of different categories at once, for evaluation only"""


@dataclass(frozen=True)
class PersonConfig(Settings):
    """Who is drawn; where no assets are, a painted person of the capture's seed."""

    made_of: str = setting(
        "auto",
        "auto: of human assets where they are found, else painted",
        choices=("auto", "assets", "painted"),
    )
    name: str = setting("", "of resources/people.yaml; empty: one of them by the seed")
    skin: str = setting("", "another skin of the assets than that person's")
    hair: str = setting("", "another hair of the assets")
    hair_colour: str = setting("", "of hair and brows, such as dark brown")
    eyebrows: str = setting("", "other eyebrows of the assets")
    eyes: str = setting("", "other eyes of the assets")
    shirt: str = setting("", "colour of the T-shirt")
    wears: tuple[str, ...] = setting(
        (),
        "hats and glasses that are on in every picture",
        choices=WORN_ALWAYS,
        wanted=f"some of {', '.join(WORN_ALWAYS)}",
    )

    def changes(self) -> dict[str, str]:
        """What is to be other than that person's."""
        own = ("skin", "hair", "hair_colour", "eyebrows", "eyes", "shirt")
        return {name: getattr(self, name) for name in own}


@dataclass(frozen=True)
class CaptureConfig(Settings):
    """The settings of one capture; the same settings give the same pictures."""

    seed: int = setting(7, "of people and poses", minimum=0, maximum=2**32 - 1)
    image_size: int = setting(
        512, "side of the square pictures", minimum=16, maximum=2048, unit="px"
    )
    num_source_frames: int = setting(
        240, "frames of the source person's folder", minimum=1, maximum=100_000, unit="frames"
    )
    num_attribute_frames: int = setting(
        70, "frames of each folder with attributes", minimum=1, maximum=100_000, unit="frames"
    )
    subjects: tuple[str, ...] = setting(
        SUBJECTS,
        "folders that are drawn",
        choices=(*SUBJECTS, *PAIRS, *lent_names()),
        wanted=f"some of {', '.join(SUBJECTS)}, NAME+NAME of two categories, or CATEGORY_PERSON of "
        f"{', '.join(LENT_CATEGORIES)} and resources/people.yaml",
    )
    supersampling: int = setting(
        2, "pictures are drawn this many times larger, then box filtered", minimum=1, maximum=4
    )
    num_processes: int = setting(2, "that draw side by side", minimum=1, maximum=64)
    person: PersonConfig = field(default_factory=PersonConfig)

    def conflicts(self) -> Iterator[Problem]:
        """Each subject is drawn once, and at least one is."""
        if not self.subjects:
            yield Problem("subjects", "= []: name at least one.")
        if len(set(self.subjects)) != len(self.subjects):
            yield Problem("subjects", "names one twice; give every name once.")

    def num_frames(self, subject: str) -> int:
        """How many frames the folder of this subject has."""
        return self.num_source_frames if subject == SOURCE else self.num_attribute_frames
