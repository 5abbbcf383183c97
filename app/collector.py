"""Python's cyclic garbage, collected on the thread of the windows alone.

A collection runs on whichever thread happens to start it. Windows that are garbage by then would be
taken down on a background thread, which Qt does not allow.
"""

from __future__ import annotations

import gc

from PySide6.QtCore import QObject, QTimer

_EVERY_MS = 500
_LIMITS = (700, 10, 10)
"""Python's own: new objects before a collection, and collections before an older generation's"""


class GuiCollector(QObject):
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
