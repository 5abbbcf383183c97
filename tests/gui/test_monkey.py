"""Random actions on the real window: whatever is done, undo leads back, and nothing is left behind.

`pytest tests/gui/test_monkey.py --monkey-actions 20000 --monkey-seed 3` does more of it.
"""

from __future__ import annotations

import gc
import threading

import psutil
import pytest
from PySide6.QtWidgets import QApplication, QDialog

from tests.gui.monkey import Monkey

WARM_UP = 300
"""Actions after which everything that is made once has been made."""
MAX_GROWTH_MB = 60


def _threads() -> list[str]:
    return sorted(thread.name for thread in threading.enumerate())


@pytest.mark.slow
def test_undo_leads_back_from_wherever_a_monkey_has_gone(
    qtbot, window, avatar_file, tmp_path, pytestconfig
):
    actions, seed = (pytestconfig.getoption(f"--monkey-{name}") for name in ("actions", "seed"))
    window.resize(900, 600)
    threads = _threads()
    monkey = Monkey(window, avatar_file, tmp_path, seed)

    def memory_mb() -> float:
        """With what is kept of earlier pictures thrown away, which has a bound of its own."""
        window.editor.document.close()
        window.editor.avatar_loader.open(str(avatar_file))
        qtbot.waitUntil(lambda: not window.editor.avatar_loader.num_opening, timeout=60_000)
        rest()
        monkey.first = window.editor.document.snapshot
        gc.collect()
        return psutil.Process().memory_info().rss / 2**20

    def rest() -> None:
        qtbot.waitUntil(lambda: window.editor.live.is_settled, timeout=60_000)
        qtbot.waitUntil(lambda: window.editor.thumbnails.num_pending == 0, timeout=60_000)
        QApplication.processEvents()

    for _ in range(min(WARM_UP, actions)):
        monkey.act()
    rest()
    monkey.take_back()
    memory, dialogs = memory_mb(), len(window.findChildren(QDialog)) + 1
    for _ in range(actions - WARM_UP):
        monkey.act()
    for theme in ("light", "dark"):
        window.set_theme(theme)
    rest()
    monkey.take_back()
    rest()
    qtbot.waitUntil(lambda: _threads() == threads, timeout=30_000)
    assert memory_mb() - memory < MAX_GROWTH_MB
    assert len(window.findChildren(QDialog)) <= dialogs
    window.close_discarding()
    assert not list((tmp_path / "home" / "state").iterdir())
