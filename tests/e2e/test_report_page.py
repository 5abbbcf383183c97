"""The page of an evaluation in a real browser, where there is one; else as a parser sees it.

PySide6's QtWebEngine is Chromium. The program does not need it, so that it may be installed beside
it: PEGASUS_BROWSER_PYTHON names a Python that has PySide6-Addons.
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.report_example import EVIL, check_page, example_report
from trainer.report.page import make_page
from trainer.report.request import SECTIONS

_SCRIPT = Path(__file__).resolve().parents[1] / "look_in_browser.py"


def find_browser() -> str | None:
    """A Python with Qt's browser."""
    named = os.environ.get("PEGASUS_BROWSER_PYTHON")
    if named:
        return named
    try:
        is_here = importlib.util.find_spec("PySide6.QtWebEngineWidgets") is not None
    except ImportError:
        is_here = False
    return sys.executable if is_here else None


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (420, "dark")])
def test_the_page_stands_alone(tmp_path: Path, width: int, scheme: str) -> None:
    page = tmp_path / "index.html"
    page.write_text(make_page(example_report()), "utf-8")
    browser = find_browser()
    if browser is None:
        assert check_page(page.read_text("utf-8")).ids == set(SECTIONS)
        return
    picture = tmp_path / "page.png"
    done = subprocess.run(
        [browser, str(_SCRIPT), str(page), str(picture), str(width), "1600", scheme],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.stdout, done.stderr[-2000:]
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["title"] == f"{EVIL}: evaluation"
    assert found["console"] == [] and found["asked"] == []
    assert found["sections"] == list(SECTIONS) and found["sorted"] == 1
    assert found["images"] > 20 and found["broken"] == 0 and found["empty_plots"] == 0
    assert found["too_wide"] <= 0 and found["dark"] == (scheme == "dark")
    assert picture.stat().st_size > 10_000
