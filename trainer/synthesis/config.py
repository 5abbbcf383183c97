"""What a synthetic capture is made of."""

from __future__ import annotations

from dataclasses import dataclass

from pegasus_runtime.errors import Refused

SOURCE = "source"
ATTRIBUTE_NAMES = (
    "hair_bob",
    "hair_curly",
    "hat_beanie",
    "hat_cap",
    "eyebrows_thick",
    "eyes_green",
    "nose_button",
    "nose_aquiline",
    "mouth_full",
    "eyeglasses_round",
)
SUBJECTS = (SOURCE, *ATTRIBUTE_NAMES)


@dataclass(frozen=True)
class CaptureConfig:
    """The settings of one capture; the same settings give the same pictures.

    Raises:
        Refused: a value is out of range or a subject is unknown.
    """

    seed: int = 7
    image_size: int = 512
    """side of the square pictures, in pixels"""
    num_source_frames: int = 240
    num_attribute_frames: int = 70
    """frames of each attribute folder"""
    subjects: tuple[str, ...] = SUBJECTS
    supersampling: int = 2
    """pictures are drawn this many times larger, then box filtered"""
    num_processes: int = 2

    def __post_init__(self) -> None:
        object.__setattr__(self, "subjects", _checked_subjects(self.subjects))
        _check_whole("seed", self.seed, 0, 2**32 - 1)
        _check_whole("image_size", self.image_size, 16, 2048)
        _check_whole("num_source_frames", self.num_source_frames, 1, 100_000)
        _check_whole("num_attribute_frames", self.num_attribute_frames, 1, 100_000)
        _check_whole("supersampling", self.supersampling, 1, 4)
        _check_whole("num_processes", self.num_processes, 1, 64)

    def num_frames(self, subject: str) -> int:
        """How many frames the folder of this subject has."""
        return self.num_source_frames if subject == SOURCE else self.num_attribute_frames


def _checked_subjects(subjects: object) -> tuple[str, ...]:
    if isinstance(subjects, str) or not isinstance(subjects, (list, tuple)) or not subjects:
        raise Refused(f"subjects {subjects!r}: give a list of names, such as ['{SOURCE}'].")
    for name in subjects:
        if name not in SUBJECTS:
            raise Refused(f"subjects: {name!r} is unknown; choose from {', '.join(SUBJECTS)}.")
    if len(set(subjects)) != len(subjects):
        raise Refused("subjects: a name is given twice; give every name once.")
    return tuple(subjects)


def _check_whole(name: str, value: object, low: int, high: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise Refused(f"{name} {value!r}: give a whole number from {low} to {high}.")
