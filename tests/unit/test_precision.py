"""The editor measures once for each device, works as measured, and remembers it."""

from __future__ import annotations

import json
import queue
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import pytest

import pegasus_runtime as pr
from app.controllers import precision as precision_controller
from app.controllers.editor import Editor
from app.rendering.renderer import make_session
from app.state.preferences import Preferences
from pegasus_runtime import precision as precision_module
from pegasus_runtime.precision import PrecisionChoice, device_key

CHOICE = PrecisionChoice("bfloat16", 1.5, 0.01)


@pytest.fixture(autouse=True)
def _own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PEGASUS_HOME", str(tmp_path))
    monkeypatch.setattr(precision_controller, "MIN_POINTS", 100)


@pytest.fixture(scope="module")
def avatar() -> pr.Avatar:
    head = pr.load_free_head()
    sizes = pr.NetworkSizes(
        num_frequencies=2, geometry_width=16, geometry_depth=2, geometry_skip=0,
        deformer_width=16, deformer_depth=2, shading_width=8,
    )  # fmt: skip
    return pr.initial_avatar(head, head.template[::10], 0.05, sizes=sizes)


class _Trial:
    """Stands for the measurement."""

    started = 0

    def __init__(self, _avatar: pr.Avatar, device: str) -> None:
        type(self).started += 1
        assert device == "cpu"
        self.steps = 0

    def step(self) -> PrecisionChoice | None:
        self.steps += 1
        return CHOICE if self.steps == 3 else None


def _run(avatar: pr.Avatar, done: Callable[[Preferences, list[pr.Session]], bool]) -> Preferences:
    """Open an avatar in an editor with no window, until that is so."""
    preferences, waiting = Preferences.load(), queue.Queue()
    sessions: list[pr.Session] = []

    def make(avatar: pr.Avatar) -> pr.Session:
        sessions.append(make_session(avatar))
        return sessions[-1]

    editor = Editor(waiting.put, preferences, make)
    editor.start()
    editor.document.open(avatar)
    deadline = time.monotonic() + 30
    while not done(preferences, sessions):
        assert time.monotonic() < deadline
        try:
            waiting.get(timeout=0.05)()
        except queue.Empty:
            continue
    editor.close()
    return preferences


def test_measured_once_used_at_once_and_kept(
    avatar: pr.Avatar, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(precision_module, "PrecisionTrial", _Trial)
    monkeypatch.setattr(_Trial, "started", 0)
    if make_session(avatar).device.type != "cpu":
        pytest.skip("a CPU's choice is looked at")

    def measured(preferences: Preferences, sessions: list[pr.Session]) -> bool:
        return bool(preferences.precision) and sessions[0].precision == "bfloat16"

    kept = _run(avatar, measured)
    assert kept.precision == {device_key("cpu"): asdict(CHOICE)}
    again = _run(avatar, lambda _, sessions: len(sessions) == 3)
    assert again.precision == kept.precision and _Trial.started == 1


def test_what_cannot_be_read_is_measured_anew(
    avatar: pr.Avatar, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(precision_module, "PrecisionTrial", _Trial)
    if make_session(avatar).device.type != "cpu":
        pytest.skip("a CPU's choice is looked at")
    (tmp_path / "config").mkdir()
    broken = {"precision": {device_key("cpu"): {"name": "float8"}}}
    (tmp_path / "config" / "editor.json").write_text(json.dumps(broken))
    name = device_key("cpu")
    kept = _run(avatar, lambda found, _: found.precision[name] == asdict(CHOICE))
    assert kept.precision[name]["name"] == "bfloat16"


def test_the_real_measurement_ends_with_a_choice(avatar: pr.Avatar) -> None:
    choice = precision_module.choose_precision(avatar, "cpu")
    assert choice.name in ("float32", "bfloat16") and choice.times_faster > 0
    assert 0 <= choice.difference < 20
