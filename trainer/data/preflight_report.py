"""What a look before the training has found."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class Report:
    """What was found. Problems keep a training from running, notes do not."""

    problems: list[dict[str, str]] = field(default_factory=list)
    """text, fix, and the key of the setting that the text goes on from, if it is one"""
    notes: list[str] = field(default_factory=list)
    facts: dict[str, str] = field(default_factory=dict)
    bad: list[dict[str, str]] = field(default_factory=list)
    """frame, reason, picture"""
    subjects: list[str] = field(default_factory=list)
    num_gpus: int = 0
    """that would train; none for a training on the processor"""
    seconds: float = 0.0
    """a rough estimate"""
    frames: list[dict[str, str]] = field(default_factory=list)
    """of a video: picture (JPEG as base64, with what was found drawn on it), time, and the reason
    for which it would be left out"""
    num_faces: int = 0
    """of people that a video shows at the same time"""
    seconds_by_preset: dict[str, float] = field(default_factory=dict)
    """of a video: what each preset that begins with one would take"""
    attributes: list[dict[str, str]] = field(default_factory=list)
    """of other people: name, category, person, picture (JPEG as base64), and the reason for which
    it cannot be taken"""
    costs_by_preset: dict[str, dict[str, float]] = field(default_factory=dict)
    """of other people: what each preset that begins with some takes: seconds and bytes, and beside
    them seconds_per_person, bytes_per_person, seconds_per_attribute and bytes_per_attribute"""

    def refuse(self, text: str, fix: str, key: str = "") -> None:
        """Add a problem with what to do about it."""
        self.problems.append({"text": text, "fix": fix, "key": key})
