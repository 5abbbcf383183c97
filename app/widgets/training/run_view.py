"""One run: how far it is, its curves, its latest preview, and why it ended."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from itertools import islice
from pathlib import Path

from PySide6.QtCore import Qt
from PySide6.QtGui import QPixmap
from PySide6.QtWidgets import (
    QCheckBox,
    QHBoxLayout,
    QLabel,
    QPlainTextEdit,
    QProgressBar,
    QTabWidget,
    QVBoxLayout,
    QWidget,
)

from app.runs.event_reader import Preparation
from app.runs.run import Run, Status
from app.runs.settings import Setting, with_labels
from app.widgets.number_field import WholeNumberField
from app.widgets.training.curves_plot import CurvesPlot, Line
from app.widgets.training.preflight_panel import duration_text, short_duration_text

_PREVIEW_HEIGHT = 150
"""Points; more leaves less for the curves."""
_TABS = {
    "Losses": "losses.",
    "Points": "num_points",
    "Radius": "radius",
    "Learning rates": "rates.",
    "Seconds a step": "seconds",
    "Memory": "memory_mb",
    "Device use": "device_use",
}
_MAX_CURVES = 12
"""of a run in one plot: more cannot be told apart, and would be drawn slowly"""
_BAR_STEPS = 10_000
"""Fewer are seen as jerks in a long training."""
_UNITS = {"Memory": "MB", "Device use": "%"}


class RunView(QWidget):
    """Shows what it is given, and reads nothing but pictures."""

    def __init__(self) -> None:
        super().__init__()
        self.status, self.facts, self.bar = QLabel(), QLabel(), QProgressBar()
        self.status.setWordWrap(True)
        self.facts.setObjectName("faint")
        self.facts.setWordWrap(True)
        self.bar.setTextVisible(False)
        self.bar.setFixedHeight(8)
        self.plots = {title: CurvesPlot(title, _UNITS.get(title, "")) for title in _TABS}
        self.tabs, self.log_axis = QTabWidget(), QCheckBox("Log axis")
        self.smoothing = WholeNumberField(1, 1000)
        for title, plot in self.plots.items():
            self.tabs.addTab(plot, title)
        self.log_axis.setChecked(True)
        self.smoothing.setValue(20)
        self.smoothing.setPrefix("mean of ")
        self.smoothing.setSuffix(" steps")
        self.preview, self.log = QLabel(), QPlainTextEdit()
        self.preview.setAccessibleName("Latest preview")
        self.preview.setToolTip("For each subject: the frame, the avatar, its surface")
        self._preview_path: Path | None = None
        self.log.setReadOnly(True)
        self.log.setMaximumHeight(130)
        self.log.setAccessibleName("Last lines of the log")
        self.log.setLineWrapMode(QPlainTextEdit.LineWrapMode.NoWrap)
        self._lay_out()

    def show_run(
        self, run: Run | None, compared: list[Run], settings: Sequence[Setting] = ()
    ) -> None:
        """Show a run, with curves of others; ``settings`` say what their keys are called."""
        self._show_facts(run, settings)
        self._show_curves([run, *compared] if run else [])
        self._show_preview(run.preview() if run else None)
        failed = run is not None and run.state().status is Status.FAILED
        self.log.setVisible(failed)
        if run is not None and failed:
            self.log.setPlainText("\n".join(run.last_lines()))

    def _lay_out(self) -> None:
        options = QHBoxLayout()
        options.addWidget(self.facts, 1)
        options.addWidget(self.smoothing)
        options.addWidget(self.log_axis)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(8)
        column.addWidget(self.status)
        column.addWidget(self.bar)
        column.addLayout(options)
        column.addWidget(self.tabs, 1)
        column.addWidget(self.log)
        column.addWidget(self.preview)

    def _show_facts(self, run: Run | None, settings: Sequence[Setting]) -> None:
        if run is None:
            self.status.setText("No training yet. Start one, or add the folder of a run.")
            self.facts.clear()
            self.bar.setValue(0)
            return
        state, curves = run.state(), run.events.curves
        words = with_labels(state.detail, settings) if settings else state.detail
        detail = f" – {words}" if words else ""
        self.status.setText(f"<b>{escape(run.name)}</b>: {state.status.value}{escape(detail)}")
        preparation = run.events.preparation
        if preparation and preparation.share < 1 and state.status is not Status.FINISHED:
            self._show_preparation(preparation, state.status is Status.RUNNING)
            return
        step = curves.steps[-1] if curves.steps else 0
        total = run.total_steps
        self.bar.setRange(0, _BAR_STEPS)
        self.bar.setValue(_BAR_STEPS * min(step, total) // max(total, 1))
        facts = [f"step {step:,} of {total:,}" if total else f"step {step:,}"]
        points = curves.values.get("num_points")
        if points:
            facts.append(f"{points[-1]:,.0f} points")
        if curves.memory_mb is not None:
            facts.append(f"{curves.memory_mb / 1024:.1f} GB memory")
        if curves.device_use is not None:
            facts.append(f"device {curves.device_use:.0f} % busy")
        if run.preview_share is not None:
            facts.append(f"previews: {100 * run.preview_share:.0f} % of the time")
        if run.remaining_s is not None and state.status is Status.RUNNING:
            facts.append(f"about {duration_text(run.remaining_s)} left")
        if not step and state.status is Status.RUNNING:
            facts = ["getting ready: reading pictures, fitting the bare head"]
        self.facts.setText(" · ".join(facts))

    def _show_preparation(self, preparation: Preparation, is_running: bool) -> None:
        """How far the part before the training is."""
        self.bar.setRange(0, _BAR_STEPS)
        self.bar.setValue(round(_BAR_STEPS * preparation.share))
        text = f"{preparation.words} · {preparation.share:.0%} of what comes before the training"
        if is_running and preparation.seconds_left is not None:
            text += f" · {short_duration_text(preparation.seconds_left)} left"
        self.facts.setText(text)

    def _show_curves(self, runs: list[Run]) -> None:
        title = self.tabs.tabText(self.tabs.currentIndex())
        prefix = _TABS[title]
        lines = [
            Line(name.removeprefix(prefix) or title.lower(), run.name, run.events.curves.steps, v)
            for run in runs
            for name, v in _shown(run.events.curves.values, prefix)
        ]
        self.plots[title].set_lines(lines, self.smoothing.value(), self.log_axis.isChecked())

    def _show_preview(self, path: Path | None) -> None:
        if path == self._preview_path:
            return
        self._preview_path = path
        picture = QPixmap(str(path)) if path else QPixmap()
        if not picture.isNull():
            ratio = self.devicePixelRatioF()
            picture = picture.scaledToHeight(
                round(_PREVIEW_HEIGHT * ratio), Qt.TransformationMode.SmoothTransformation
            )
            picture.setDevicePixelRatio(ratio)
        self.preview.setPixmap(picture)
        self.preview.setVisible(not picture.isNull())


def _shown(values: dict[str, list[float]], prefix: str) -> Iterator[tuple[str, list[float]]]:
    found = ((name, column) for name, column in values.items() if name.startswith(prefix))
    return islice(found, _MAX_CURVES)
