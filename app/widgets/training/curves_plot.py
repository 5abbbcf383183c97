"""Numbers over steps, of one run or several."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyqtgraph as pg
from PySide6.QtCore import QPointF, Qt
from PySide6.QtWidgets import QLabel, QVBoxLayout, QWidget

from app.widgets.theme import colours

_PALETTE = (
    "#4FA3E3", "#E5A13B", "#62C370", "#D9667B", "#A98BE0", "#4CC3C0", "#C9B458", "#B0B7BF",
    "#F08A5D", "#E58FC9",
)  # fmt: skip
_BELOW_AXIS = 6
"""Points; less cuts that word's feet off."""
_STYLES = (Qt.PenStyle.SolidLine, Qt.PenStyle.DashLine, Qt.PenStyle.DotLine)
Numbers = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Line:
    """One curve; lines of one name have one colour, those of one run one style."""

    name: str
    run: str
    steps: list[int]
    values: list[float]


class CurvesPlot(QWidget):
    """Curves with a legend whose entries hide and show them, and values under the pointer."""

    def __init__(self, title: str, unit: str = "") -> None:
        super().__init__()
        self.plot = pg.PlotWidget()
        self.plot.setAccessibleName(title)
        self.plot.setLabel("bottom", "step")
        # The axis draws its word a little below itself.
        self.plot.getPlotItem().layout.setContentsMargins(0, 0, 0, _BELOW_AXIS)
        if unit:
            # As words: as a unit it would be given prefixes of its own.
            self.plot.setLabel("left", unit)
        self.plot.showGrid(x=True, y=True, alpha=0.18)
        self.legend = self.plot.addLegend(offset=(-8, 8), labelTextSize="9pt", colCount=2)
        self._marker = pg.InfiniteLine(angle=90)
        self._values = pg.TextItem(anchor=(0, 0))
        self.plot.addItem(self._marker, ignoreBounds=True)
        self.plot.addItem(self._values, ignoreBounds=True)
        self._items: dict[tuple[str, str], pg.PlotDataItem] = {}
        self._names: list[str] = []
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self.plot, 1)
        self._nothing = QLabel("Curves are drawn from the first steps of the training on.")
        self._nothing.setObjectName("faint")
        self._nothing.setAlignment(Qt.AlignmentFlag.AlignCenter)
        column.addWidget(self._nothing, 1)
        self.set_lines([], 1, False)
        self.plot.scene().sigMouseMoved.connect(self._on_moved)
        self._show_marker(False)
        self.show_colours()

    def show_colours(self) -> None:
        """Use the colours of the theme."""
        c = colours()
        self.plot.setBackground(c.window)
        for side in ("left", "bottom"):
            self.plot.getAxis(side).setPen(c.line)
            self.plot.getAxis(side).setTextPen(c.faint_text)
        self.legend.setLabelTextColor(c.text)
        for _, label in self.legend.items:
            # Only writing it again gives a label its new colour.
            label.setText(label.text)
        self.legend.setBrush(pg.mkBrush(c.raised))
        self._values.setColor(c.text)
        self._values.fill = pg.mkBrush(c.raised)
        self._marker.setPen(pg.mkPen(c.line))

    def set_lines(self, lines: list[Line], smoothing: int, is_log: bool) -> None:
        """Show these curves, each value the mean of so many."""
        # The theme may be another one by now.
        self.show_colours()
        self.plot.setLogMode(False, is_log)
        runs = list(dict.fromkeys(line.run for line in lines))
        wanted = {(line.run, line.name): line for line in lines}
        for key in [key for key in self._items if key not in wanted]:
            self.plot.removeItem(self._items.pop(key))
        for key, line in wanted.items():
            if line.name not in self._names:
                self._names.append(line.name)
            colour = _PALETTE[self._names.index(line.name) % len(_PALETTE)]
            style = _STYLES[min(runs.index(line.run), len(_STYLES) - 1)]
            title = line.name if len(runs) == 1 else f"{line.name} · {line.run}"
            if key not in self._items:
                self._items[key] = self.plot.plot(name=title)
            item = self._items[key]
            item.setPen(pg.mkPen(colour, width=1.6, style=style))
            item.setDownsampling(auto=True, method="mean")
            item.setData(*_smooth(line, smoothing, is_log))
        self.legend.setVisible(bool(self._items))
        # Axes alone would show numbers that nobody measured.
        self.plot.setVisible(bool(self._items))
        self._nothing.setVisible(not self._items)

    def _on_moved(self, place: QPointF) -> None:
        inside = bool(self._items) and self.plot.sceneBoundingRect().contains(place)
        self._show_marker(inside)
        if not inside:
            return
        box = self.plot.getViewBox()
        step = box.mapSceneToView(place).x()
        texts = [f"step {step:,.0f}"]
        for (_, name), item in self._items.items():
            steps, values = item.getOriginalDataset()
            if item.isVisible() and steps is not None and len(steps):
                texts.append(f"{name} {values[np.abs(steps - step).argmin()]:.4g}")
        self._values.setText("\n".join(texts))
        (left, right), (_, top) = box.viewRange()
        self._values.setAnchor((1 if step > (left + right) / 2 else 0, 0))
        self._values.setPos(step, top)
        self._marker.setPos(step)

    def _show_marker(self, is_shown: bool) -> None:
        self._marker.setVisible(is_shown)
        self._values.setVisible(is_shown)


def _smooth(line: Line, width: int, is_log: bool) -> tuple[Numbers, Numbers]:
    steps, values = np.asarray(line.steps, np.float64), np.asarray(line.values, np.float64)
    kept = np.isfinite(values) & ((values > 0) | (not is_log))
    steps, values = steps[kept], values[kept]
    if width > 1 and len(values) > 1:
        # The mean of the last ones, of fewer at the beginning.
        sums = np.concatenate([[0.0], np.cumsum(values)])
        ends = np.arange(1, len(values) + 1)
        begins = np.maximum(ends - width, 0)
        values = (sums[ends] - sums[begins]) / (ends - begins)
    return steps, values
