"""The turntable dialog: films written while the window lives on."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QImage
from PySide6.QtTest import QTest

from app.state.display import Display
from app.state.export_settings import FILM_FORMATS, TRANSPARENT, VIEWPORT, ExportSettings
from pegasus_runtime.export.limits import MAX_FRAMES, MAX_SIDE

LEFT = Qt.MouseButton.LeftButton


@pytest.fixture()
def dialog(window, full_picture, tmp_path):
    """The dialog, set to three small transparent PNG pictures."""
    full_picture()
    window.preferences.last_folder = str(tmp_path)
    window.actions_.turntable.trigger()
    shown = window.binding.export_dialog
    shown.format.setCurrentIndex(shown.format.findData(""))
    shown.background.setCurrentIndex(shown.background.findData(TRANSPARENT))
    shown.side.setValue(48)
    shown.num_frames.setValue(3)
    return shown


def test_the_dialog_writes_pngs_with_alpha(qtbot, window, dialog, tmp_path):
    assert dialog.settings().background == TRANSPARENT
    QTest.mouseClick(dialog.start, LEFT)
    qtbot.waitUntil(lambda: dialog.status.text().startswith("Wrote"), timeout=30_000)
    files = sorted(dialog.settings().out.glob("*.png"))
    assert len(files) == 3
    images = [cv2.imread(str(file), cv2.IMREAD_UNCHANGED) for file in files]
    assert all(image.shape == (48, 48, 4) for image in images)
    assert images[0][..., 3].min() == 0 and images[0][..., 3].max() > 200
    assert not np.array_equal(images[0], images[1])
    assert not dialog.preview.pixmap().isNull()


def test_cancel_leaves_nothing(qtbot, window, dialog, tmp_path):
    dialog.num_frames.setValue(5000)
    before = set(tmp_path.iterdir())
    QTest.mouseClick(dialog.start, LEFT)
    qtbot.waitUntil(lambda: dialog.bar.value() >= 2, timeout=30_000)
    assert not dialog.start.isEnabled()
    QTest.mouseClick(dialog.close_button, LEFT)
    qtbot.waitUntil(lambda: dialog.status.text().startswith("Cancelled"), timeout=30_000)
    assert set(tmp_path.iterdir()) == before
    assert dialog.start.isEnabled() and dialog.isVisible()


def test_a_folder_that_is_missing_is_said(qtbot, window, dialog, tmp_path):
    dialog.out.setText(str(tmp_path / "nowhere" / "film"))
    QTest.mouseClick(dialog.start, LEFT)
    qtbot.waitUntil(lambda: "does not exist" in dialog.status.text(), timeout=30_000)


@pytest.mark.slow
def test_mp4_cannot_be_transparent(dialog):
    dialog.format.setCurrentIndex(dialog.format.findData(".mp4"))
    assert dialog.settings().background == VIEWPORT
    assert dialog.settings().out.suffix == ".mp4"


def test_closing_the_window_during_an_export_leaves_nothing(qtbot, window, dialog, tmp_path):
    dialog.num_frames.setValue(5000)
    before = set(tmp_path.iterdir())
    QTest.mouseClick(dialog.start, LEFT)
    qtbot.waitUntil(lambda: dialog.bar.value() >= 2, timeout=30_000)
    window.close()
    assert {path for path in tmp_path.iterdir() if path.name != "home"} == before - {
        tmp_path / "home"
    }


@pytest.mark.slow
@pytest.mark.parametrize(
    ("pass_name", "background"),
    [("rgb", "studio"), ("normal", "studio"), ("depth", "white"), ("alpha", "black"),
     ("rgb", "checker"), ("albedo", "colour")],
)  # fmt: skip
def test_films_and_pictures_are_what_the_viewport_shows(
    qtbot, window, full_picture, tmp_path, pass_name, background
):
    window.editor.document.set_display(Display(pass_name, background, (0.2, 0.5, 0.4)))
    full_picture()
    with qtbot.waitSignal(window.viewport.frameSwapped):
        window.viewport.update()
    width, height = window.viewport.size_px
    shown = window.viewport.grabFramebuffer().convertToFormat(QImage.Format.Format_RGB888)
    data = np.frombuffer(shown.constBits(), np.uint8).reshape(height, -1)
    viewport = data[:, : 3 * width].reshape(height, width, 3).astype(int)
    done = []
    window.editor.exporter.finished.connect(lambda job, out: done.append(out))
    # A format that cannot be transparent has the checker that stands for it.
    settings = ExportSettings(tmp_path / "film.gif", (height, width), 1)
    window.editor.exporter.film(settings)
    picture = tmp_path / "picture.jpg"
    window.editor.exporter.picture(picture, (height, width))
    qtbot.waitUntil(lambda: len(done) == 2, timeout=60_000)
    film = cv2.VideoCapture(str(settings.out)).read()[1]
    for found in (cv2.imread(str(picture)), film):
        assert np.abs(found[..., ::-1] - viewport).mean() < 4


def test_what_is_see_through_stays_so_where_the_format_can(qtbot, window, full_picture, tmp_path):
    window.editor.document.set_display(Display("rgb", "checker"))
    full_picture()
    done = []
    window.editor.exporter.finished.connect(lambda job, out: done.append(out))
    window.editor.exporter.film(ExportSettings(tmp_path / "film", (48, 48), 1))
    window.binding.save_picture(tmp_path / "picture.png")
    qtbot.waitUntil(lambda: len(done) == 2, timeout=60_000)
    for file in (tmp_path / "film" / "frame_00000.png", tmp_path / "picture.png"):
        alpha = cv2.imread(str(file), cv2.IMREAD_UNCHANGED)[..., 3]
        assert alpha.min() == 0 and alpha.max() == 255


def test_the_limits_are_those_of_the_commands(dialog):
    assert (dialog.side.maximum(), dialog.num_frames.maximum()) == (MAX_SIDE, MAX_FRAMES)
    for known in FILM_FORMATS:
        dialog.format.setCurrentIndex(dialog.format.findData(known.suffix))
        assert dialog.fps.maximum() == known.max_fps
