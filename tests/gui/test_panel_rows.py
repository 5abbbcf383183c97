"""Rows of sliders have their height from the first moment, however small the window is."""

from __future__ import annotations

import pytest
from PySide6.QtWidgets import QTabWidget

from app.widgets.control_panel import ExpressionPanel, PosePanel
from app.widgets.scene_panel import ScenePanel
from app.widgets.slider_row import SliderRow


def squashed(panel) -> list[str]:
    rows = [row for row in panel.findChildren(SliderRow) if row.isVisible()]
    assert rows
    return [row.title for row in rows if row.height() < row.minimumSizeHint().height()]


def test_what_was_never_filmed_is_one_line_under_the_camera(qtbot) -> None:
    panel = ScenePanel()
    qtbot.addWidget(panel)
    assert panel.note.isHidden()
    panel.set_note("The back was never filmed.")
    assert not panel.note.isHidden() and panel.note.text() == "The back was never filmed."
    panel.set_note("")
    assert panel.note.isHidden()


@pytest.mark.parametrize("height", [120, 300, 900])
def test_rows_are_never_squashed(qtbot, height: int) -> None:
    tabs, expression, pose = QTabWidget(), ExpressionPanel(), PosePanel()
    qtbot.addWidget(tabs)
    expression.set_names([f"name {number}" for number in range(50)])
    tabs.addTab(expression, "Expression")
    tabs.addTab(pose, "Pose")
    tabs.resize(420, height)
    tabs.show()
    # Events are not waited for: a busy machine draws what is there now.
    tabs.setCurrentWidget(pose)
    assert squashed(pose) == []
    for together in (False, True, False):
        pose.linked.setChecked(together)
        assert squashed(pose) == []
    tabs.setCurrentWidget(expression)
    expression.search.setText("name 4")
    assert squashed(expression) == []
    expression.search.clear()
    assert squashed(expression) == []


def test_sliders_go_back_to_the_face_at_rest(qtbot) -> None:
    expression, pose = ExpressionPanel(), PosePanel()
    names = ["blink left", "blink right", "cheek squint left"]
    rest, rest_pose = [0.2, 0.4, 0.1], [0.0] * 15
    rest_pose[9] = rest_pose[12] = 0.25
    for panel in (expression, pose):
        qtbot.addWidget(panel)
        panel.show()
    expression.set_names(names)
    expression.set_limits([(0.0, 1.0)] * 3)
    expression.set_rest(rest, rest_pose)
    pose.set_rest(rest_pose)
    expression.set_values([1.0, 1.0, 1.0], rest_pose)
    pose.set_values([0.0] * 15)
    came = {}
    expression.changed.connect(lambda values, _: came.update(values))
    rows = {row.title: row for row in expression.rows()}
    rows["Blink"].reset()
    assert came == pytest.approx({0: 0.3, 1: 0.3}), "one slider over both sides: their mean"
    rows["Cheek squint left"].reset()
    assert came[2] == pytest.approx(0.1)
    turned = {}
    pose.changed.connect(lambda values, _: turned.update(values))
    for row in pose.findChildren(SliderRow):
        row.reset()
    assert turned[9] == pytest.approx(turned[12]) and turned[9] == pytest.approx(0.25)
    assert not any(turned[index] for index in range(9))
