"""An avatar small enough to be rendered in a blink, and a real window on it."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

import pegasus_runtime as pr
from tests.factories import published_avatar

ATTRIBUTES = ("hair_curly", "hair_long", "hat_beanie", "nose_wide")


@pytest.fixture(autouse=True)
def _own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of the user's is read, and no run is left in their home."""
    monkeypatch.setenv("PEGASUS_HOME", str(tmp_path / "home"))
    for name in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(name, str(tmp_path))


@pytest.fixture(autouse=True)
def _collect_here() -> Iterator[None]:
    """As in the editor, no window is taken down on a background thread."""
    gc.disable()
    yield
    gc.collect()
    gc.enable()


@pytest.fixture(scope="session")
def small_avatar() -> pr.Avatar:
    """Points on the head's vertices; the codes reach the colour, so that attributes are seen."""
    avatar = published_avatar(ATTRIBUTES, every=1, radius=0.03)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        # More than this in the deformer would tear the head apart.
        for name, weight in avatar.networks.named_parameters():
            deviation = 0.02 if name.startswith("deformer") else 0.1
            weight += deviation * torch.randn(weight.shape, generator=generator)
        avatar.codes.attributes *= 6
    return avatar


@pytest.fixture()
def avatar_file(small_avatar: pr.Avatar, tmp_path: Path) -> Path:
    """The small avatar on disk."""
    path = tmp_path / "small.avatar"
    small_avatar.save(path)
    return path


def _screen_missing() -> str | None:
    if sys.platform.startswith("linux"):
        if os.environ.get("QT_QPA_PLATFORM") == "offscreen":
            return "Qt's offscreen platform has no OpenGL"
        if not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
            return "there is no display (.ci/with-display brings one)"
    return None


@pytest.fixture(scope="session")
def qapp() -> object:
    """The editor's own application, with its surface format, in place of pytest-qt's."""
    reason = _screen_missing()
    if reason:
        pytest.skip(reason)
    from app.application import make_application

    return make_application()


@pytest.fixture()
def open_window(qtbot, avatar_file: Path) -> Iterator[Callable]:
    """Opens an editor window on the small avatar and waits for its picture."""
    from app.editor_window import EditorWindow
    from app.state.preferences import Preferences

    windows = []

    def make(preferences: Preferences | None = None):
        window = EditorWindow(preferences or Preferences())
        windows.append(window)
        window.show()
        window.editor.avatar_loader.open(str(avatar_file))
        qtbot.waitUntil(
            lambda: window.editor.live.is_settled and window.is_populated, timeout=120_000
        )
        return window

    yield make
    for window in windows:
        window.close_discarding()
        window.deleteLater()


@pytest.fixture()
def window(open_window):
    """A window with its first full picture."""
    return open_window()


@pytest.fixture()
def full_picture(qtbot, window) -> Callable[[], np.ndarray]:
    """Waits for the full picture of the document as it is now."""

    def wait() -> np.ndarray:
        qtbot.waitUntil(lambda: window.editor.live.is_settled, timeout=30_000)
        return window.editor.live.latest.pixels

    return wait
