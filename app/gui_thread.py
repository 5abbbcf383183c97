"""What runs on the thread of the windows: functions of other threads, and the collector.

Python's cyclic garbage is collected there alone. A collection runs on whichever thread happens to
start it. Windows that are garbage by then would be taken down on a background thread, which Qt does
not allow.
"""

from __future__ import annotations

import gc

from PySide6.QtCore import QObject, Qt, QTimer, Signal, Slot

_EVERY_MS = 500
"""More often costs time between frames; less often lets garbage pile up until a collection is
felt."""
_LIMITS = (700, 10, 10)
"""Python's own: new objects before a collection, and collections before an older generation's"""


class GuiThreadGC(QObject):
    """Takes the place of automatic collection while it lives."""

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        gc.disable()
        # What there is by now are modules, and the first collection would look at all of them
        # while the first picture is awaited.
        gc.freeze()
        self._timer = QTimer(self)
        self._timer.setInterval(_EVERY_MS)
        self._timer.timeout.connect(self.collect)
        self._timer.start()

        self._is_settled = False

    def collect(self) -> None:
        """Collect as far as Python itself would by now."""
        due = [g for g, count in enumerate(gc.get_count()) if count > _LIMITS[g]]
        if not due:
            return
        gc.collect(max(due))
        if max(due) == len(_LIMITS) - 1 and not self._is_settled:
            # Modules stay. Looked at again by every full collection they would hold up the window
            # for a third of a second each time.
            gc.freeze()
            self._is_settled = True


class GuiDispatch(QObject):
    """Runs functions on the thread it lives on, from any thread."""

    _asked = Signal(object)

    def __init__(self) -> None:
        super().__init__()
        self._is_stopped = False
        self._asked.connect(self._run, Qt.ConnectionType.QueuedConnection)

    def __call__(self, function: object) -> None:
        """Run ``function`` soon."""
        self._asked.emit(function)

    def stop(self) -> None:
        """Run nothing more: what a background job reports now has no window to be shown in."""
        self._is_stopped = True

    @Slot(object)
    def _run(self, function: object) -> None:
        assert callable(function)
        if not self._is_stopped:
            function()
