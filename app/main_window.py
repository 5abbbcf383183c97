"""The window: docks around the viewport, and what is in them. No logic."""

from __future__ import annotations

from PySide6.QtCore import QSize, Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import (
    QDockWidget,
    QLabel,
    QMainWindow,
    QStackedWidget,
    QTabWidget,
    QToolButton,
    QWidget,
)

from app.widgets.activity_panel import ActivityPanel
from app.widgets.attribute_panel import AttributePanel
from app.widgets.control_panel import ExpressionPanel, PosePanel
from app.widgets.history_panel import HistoryPanel
from app.widgets.preparation_notice import PreparationNotice
from app.widgets.scene_panel import ScenePanel
from app.widgets.start_screen import StartScreen
from app.widgets.viewport import Viewport

_SIDES = Qt.DockWidgetArea.LeftDockWidgetArea | Qt.DockWidgetArea.RightDockWidgetArea
LAYOUT_VERSION = 2
"""One more forgets where users have put their panels: needed when panels are other ones."""
_SIZE = QSize(1440, 900)
"""Where the screen has room; smaller ones hide rows of the panels."""


class MainWindow(QMainWindow):
    """Attributes left, the picture in the middle, the face right, activity below."""

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("main")
        self.setWindowTitle("PEGASUS editor")
        self.setAcceptDrops(True)
        self.setDockNestingEnabled(True)
        room = QGuiApplication.primaryScreen().availableGeometry().size()
        self.resize(_SIZE.boundedTo(room))
        self.viewport = Viewport()
        self.preparation = PreparationNotice(self.viewport)
        self.attributes, self.expression, self.pose = (
            AttributePanel(),
            ExpressionPanel(),
            PosePanel(),
        )
        self.scene, self.activity = ScenePanel(), ActivityPanel()
        self.history, self.start_screen = HistoryPanel(), StartScreen()
        self.middle = QStackedWidget()
        self.middle.addWidget(self.viewport)
        self.middle.addWidget(self.start_screen)
        self.setCentralWidget(self.middle)
        self._make_docks()
        self._make_status()

    def _make_docks(self) -> None:
        self.setCorner(Qt.Corner.BottomLeftCorner, Qt.DockWidgetArea.LeftDockWidgetArea)
        self.setCorner(Qt.Corner.BottomRightCorner, Qt.DockWidgetArea.RightDockWidgetArea)
        self.face_tabs = QTabWidget()
        self.face_tabs.setDocumentMode(True)
        self.face_tabs.setAccessibleName("Face")
        for title, panel in (
            ("Expression", self.expression),
            ("Pose", self.pose),
            ("Camera && display", self.scene),
        ):
            self.face_tabs.addTab(panel, title)
        areas = Qt.DockWidgetArea
        left = self._dock("Attributes", self.attributes, areas.LeftDockWidgetArea, _SIDES)
        right = self._dock("Face", self.face_tabs, areas.RightDockWidgetArea, _SIDES)
        below = self._dock(
            "Activity", self.activity, areas.BottomDockWidgetArea, areas.AllDockWidgetAreas
        )
        past = self._dock("History", self.history, areas.LeftDockWidgetArea, _SIDES)
        self.docks = (left, right, below, past)
        self.activity_dock = below
        self.resizeDocks([left, right], [280, 360], Qt.Orientation.Horizontal)
        self.resizeDocks([left, past], [640, 150], Qt.Orientation.Vertical)
        self.resizeDocks([below], [110], Qt.Orientation.Vertical)
        below.hide()

    def show_start_screen(self) -> None:
        """Nothing is open: show the ways in instead of a picture, and nothing to change."""
        self.middle.setCurrentWidget(self.start_screen)
        self._set_editable(False)

    def show_viewport(self) -> None:
        """Something is open."""
        self.middle.setCurrentWidget(self.viewport)
        self._set_editable(True)

    def _set_editable(self, editable: bool) -> None:
        for panel in (self.attributes, self.face_tabs, self.history):
            panel.setEnabled(editable)

    def _dock(
        self, title: str, widget: QWidget, area: Qt.DockWidgetArea, allowed: Qt.DockWidgetArea
    ) -> QDockWidget:
        dock = QDockWidget(title, self)
        dock.setObjectName(title.lower())
        dock.setAllowedAreas(allowed)
        dock.setWidget(widget)
        self.addDockWidget(area, dock)
        return dock

    def _make_status(self) -> None:
        self.message, self.speed, self.points, self.device = QLabel(), QLabel(), QLabel(), QLabel()
        self.statusBar().addWidget(self.message, 1)
        log = QToolButton()
        log.setDefaultAction(self.activity_dock.toggleViewAction())
        log.setToolTip("Show or hide the jobs and the log")
        self.statusBar().addPermanentWidget(log)
        for label in (self.speed, self.points, self.device):
            label.setObjectName("faint")
            self.statusBar().addPermanentWidget(label)
