"""Every slider of the editor ends at a face, and does to the head what its name says."""

from __future__ import annotations

import math
import re
from dataclasses import replace

import numpy as np
import pytest
import torch

import pegasus_runtime as pr
from app.state.controls import (
    EXPRESSION_RANGE,
    JAW_OPEN,
    Control,
    combined_controls,
    single_controls,
)
from pegasus_runtime.head import Head, face_landmarks, pose_head
from pegasus_runtime.head.expression_ranges import expression_ranges, is_action
from pegasus_runtime.head.gaze_range import gaze_range
from pegasus_runtime.head.mouth_closing import mouth_closing
from pegasus_runtime.head.parts import require_parts
from pegasus_runtime.head.tongue_room import tongue_room
from pegasus_runtime.parameters import JAW_OPEN_INDEX

HEAD = pr.load_free_head()
NAMES = HEAD.expression_names
RANGES = expression_ranges(HEAD)
CONTROLS = [*single_controls(NAMES, RANGES), *combined_controls(NAMES, RANGES)]
UPPER_LIPS, LOWER_LIPS = [61, 62, 63], [67, 66, 65]


def posed(expression: dict[int, float], pose: dict[int, float] | None = None) -> np.ndarray:
    coefficients, angles = torch.zeros(50), torch.zeros(15)
    for index, value in expression.items():
        coefficients[index] = value
    for index, value in (pose or {}).items():
        angles[index] = value
    return pose_head(HEAD, torch.zeros(100), coefficients, angles).vertices.numpy()


def face_triangles() -> np.ndarray:
    outer = [HEAD.part_names.index(n) for n in ("skin", "lips", "nose", "eyebrows", "eyelids")]
    return HEAD.faces.numpy()[np.isin(HEAD.part_labels.numpy(), outer)[HEAD.faces].all(axis=1)]


def normals(vertices: np.ndarray) -> np.ndarray:
    corners = vertices[face_triangles()]
    return np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])


def lip_gap(vertices: np.ndarray) -> float:
    marks = face_landmarks(HEAD, torch.from_numpy(vertices), torch.zeros(15)).numpy()
    return float((marks[UPPER_LIPS, 1] - marks[LOWER_LIPS, 1]).mean())


def eye_opening(vertices: np.ndarray, joint: int) -> float:
    """Degrees between the rims of both lids in the middle of an eye, seen from its centre."""
    centre = HEAD.joint_directions[0][joint].numpy()
    lids = HEAD.part_labels.numpy() == HEAD.part_names.index("eyelids")

    def elevations(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        seen = points - centre
        return np.arctan2(seen[:, 1], np.hypot(seen[:, 0], seen[:, 2])), seen

    neutral, seen = elevations(HEAD.template.numpy())
    middle = lids & (np.abs(np.arctan2(seen[:, 0], seen[:, 2])) < 0.3) & (seen[:, 2] > 0)
    now, _ = elevations(vertices)
    rim_above = now[middle & (neutral > 0)].min()
    return math.degrees(rim_above - now[middle & (neutral < 0)].max())


@pytest.mark.parametrize("end", ["low", "high"])
@pytest.mark.parametrize("control", CONTROLS, ids=lambda control: control.title)
def test_a_slider_ends_at_a_face(control: Control, end: str) -> None:
    value = getattr(control, end)
    assert EXPRESSION_RANGE[0] <= control.low <= 0 < control.high <= EXPRESSION_RANGE[1]
    vertices = posed(control.values(value))
    before, after = normals(posed({})), normals(vertices)
    areas = np.linalg.norm(before, axis=1)
    turned = (before * after).sum(axis=1) < 0
    assert areas[turned].sum() < 0.002 * areas.sum()
    larger = np.linalg.norm(after, axis=1) / areas
    assert np.quantile(larger, 0.99) < 2.2
    for joint in (3, 4):
        assert -10 < eye_opening(vertices, joint) < 1.5 * eye_opening(posed({}), joint)
    if (
        "shrug" not in control.title
        and "roll" not in control.title
        and "close" not in control.title
    ):
        mouth_width = 0.2
        assert lip_gap(vertices) > -0.1 * mouth_width


@pytest.mark.parametrize("index", [i for i, name in enumerate(NAMES) if "left" in name.split()])
def test_both_sides_go_equally_far(index: int) -> None:
    other = NAMES.index(NAMES[index].replace("left", "right"))
    assert RANGES[index] == RANGES[other]
    moved = [np.linalg.norm(posed({i: RANGES[i][1]}) - posed({}), axis=1) for i in (index, other)]
    assert moved[0].max() == pytest.approx(moved[1].max(), rel=0.05)
    assert moved[0].sum() == pytest.approx(moved[1].sum(), rel=0.05)


def test_actions_reach_their_full_value_and_their_opposite_less() -> None:
    for name, (low, high) in zip(NAMES, RANGES, strict=True):
        if is_action(name) and name != "mouth close":
            assert high >= 1 and -low <= 1, name
    assert RANGES[NAMES.index("blink left")][0] > -0.3
    assert RANGES[NAMES.index("tongue out")][0] == 0


@pytest.mark.parametrize(("side", "joint"), [("left", 3), ("right", 4)])
def test_blink_brings_the_lids_together(side: str, joint: int) -> None:
    opened = eye_opening(posed({}), joint)
    closed = eye_opening(posed({NAMES.index(f"blink {side}"): 1.0}), joint)
    # Closed rims lie over each other a little.
    assert opened > 20 and -0.2 * opened < closed < 0.1 * opened


@pytest.mark.parametrize("jaw_deg", [5.0, 10.0, 15.0, 20.0, 25.0, 30.0])
def test_mouth_close_closes_the_lips_of_an_open_jaw(jaw_deg: float) -> None:
    closing = mouth_closing(HEAD)
    assert closing is not None and NAMES[closing.index] == "mouth close"
    jaw = JAW_OPEN.values(jaw_deg)
    at_rest, opened = lip_gap(posed({})), lip_gap(posed({}, jaw))
    assert opened > 2 * at_rest
    closes = closing.at(jaw[JAW_OPEN_INDEX])
    closed = lip_gap(posed({closing.index: closes}, jaw))
    assert abs(closed - at_rest) < 0.15 * (opened - at_rest)
    assert closing.at(0.0) == 0


@pytest.mark.parametrize("out", [0.6, 1.0, 1.5])
def test_a_tongue_comes_out_between_parted_lips(out: float) -> None:
    room = tongue_room(HEAD)
    assert room is not None and NAMES[room.index] == "tongue out"
    assert room.at(0.0) == room.at(-1.0) == 0
    jaw = {JAW_OPEN_INDEX: room.at(out)}
    closed, opened = lip_gap(posed({})), lip_gap(posed({room.index: out}, jaw))
    assert opened > 2.5 * closed and room.at(out) < np.radians(20)
    # It lies on the lower lip, and its upper side is below the upper one.
    vertices = posed({room.index: out}, jaw)
    tongue = vertices[require_parts(HEAD).on("tongue").numpy()]
    marks = face_landmarks(HEAD, torch.from_numpy(vertices), torch.zeros(15)).numpy()
    upper, lower = marks[UPPER_LIPS].mean(axis=0), marks[LOWER_LIPS].mean(axis=0)
    out_there = tongue[tongue[:, 2] > lower[2] - 0.02]
    assert len(out_there) and out_there[:, 1].max() < upper[1]


def test_the_iris_stays_between_the_lids() -> None:
    gaze = gaze_range(HEAD)
    assert 10 <= gaze.up_deg <= 30 and 10 <= gaze.down_deg <= 30 and 20 <= gaze.sideways_deg <= 40


def test_a_head_of_flame_has_ranges_too() -> None:
    names = tuple(f"expression {i + 1}" for i in range(50))
    flame = replace(HEAD, part_labels=None, part_names=(), sha256="f", expression_names=names)
    found = expression_ranges(flame)
    # Without names no direction is the opposite one.
    assert all(-2 <= low < 0 < high <= 2 for low, high in found)
    assert found[2][0] > -1 and mouth_closing(flame) is tongue_room(flame) is None
    bare = replace(flame, landmarks=None)
    assert len(expression_ranges(bare)) == 50 and gaze_range(bare).sideways_deg == 40


def test_names_of_sides_are_found_however_they_are_written() -> None:
    names = tuple(re.sub(" ", "_", name) for name in NAMES)
    head: Head = replace(HEAD, sha256="g", expression_names=names)
    assert expression_ranges(head) == RANGES and mouth_closing(head) is not None
