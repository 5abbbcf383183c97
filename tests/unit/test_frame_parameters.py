"""How a made-up person moves: the source shows what sliders offer, attributes what people do."""

from __future__ import annotations

import numpy as np

from pegasus_runtime.head import load_free_head
from trainer.synthetic.frame_sampling import FrameParameters, draw_frame_parameters

NAMES = load_free_head().expression_names


def frames(subject: str) -> list[FrameParameters]:
    return [draw_frame_parameters(7, subject, index, 512, NAMES) for index in range(240)]


def reach(subject: str) -> tuple[float, float, float]:
    """How far the jaw, the tongue and the eyes go."""
    drawn = frames(subject)
    tongue = [f.expression[NAMES.index("tongue out")] for f in drawn]
    poses = np.stack([f.pose for f in drawn])
    return float(poses[:, 6].max()), float(max(tongue)), float(np.abs(poses[:, 9:]).max())


def test_the_source_person_shows_what_sliders_offer() -> None:
    jaw, tongue, gaze = reach("source")
    assert 0.4 < jaw <= 0.5 and 0.8 < tongue <= 1 and 0.35 < gaze <= 0.45
    usual = [f for f in frames("source") if f.pose[6] <= 0.3 and np.abs(f.pose[9:]).max() <= 0.25]
    assert len(usual) > 0.75 * 240


def test_attributes_are_shown_on_usual_faces() -> None:
    jaw, tongue, gaze = reach("hair_long")
    assert jaw <= 0.3 and tongue == 0 and gaze <= 0.25
