"""The view of a run shows what there is, whatever was written into the run's folder."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from app.runs.run import Run
from app.widgets.training.run_view import RunView


@pytest.mark.parametrize("steps", ["steps: 3", "steps: 999999999", "steps: 1e999", "steps: no"])
def test_thousands_of_losses_and_numbers_beyond_all_bounds(qtbot, tmp_path: Path, steps) -> None:
    folder = tmp_path / "<img src=x> & run"
    (folder / "previews").mkdir(parents=True)
    (folder / "previews" / "step-00000001.png").write_bytes(b"\x89PNG no picture")
    (folder / "config.yaml").write_text(f"{steps}\n", "utf-8")
    events = [
        {"step": step, "losses": {f"loss {name}": 0.5**step for name in range(3000)}}
        for step in (1, 2, 999_999_999)
    ]
    lines = [json.dumps(event) for event in events]
    lines += ["null", '{"step": 1e999}', '{"step": 4, "losses": {"loss 1": 1e999}, "seconds": -1}']
    (folder / "events.jsonl").write_text("\n".join(lines) + "\n", "utf-8")
    run, view = Run(folder), RunView()
    qtbot.addWidget(view)
    view.show()
    run.events.read()
    view.show_run(run, [])
    assert 0 < len(view.plots["Losses"].plot.listDataItems()) <= 12
    assert "&lt;img" in view.status.text()
    assert view.preview.isHidden()
