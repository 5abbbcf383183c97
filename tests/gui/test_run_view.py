"""The view of a run shows what there is, whatever was written into the run's folder."""

from __future__ import annotations

import json
import re
from dataclasses import asdict
from pathlib import Path

import pytest

from app.runs.run import ADVICE, Run
from app.runs.settings import read_setting, with_labels
from app.widgets.training.run_view import RunView
from pegasus_runtime.process_identity import this_process
from trainer.config.presets import describe_training


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
    view.show_run(run, [])
    # Before the first step there are no axes, whose numbers would be nobody's.
    assert view.plots["Losses"].plot.isHidden()
    run.events.read()
    view.show_run(run, [])
    assert 0 < len(view.plots["Losses"].plot.listDataItems()) <= 12
    assert view.plots["Losses"].plot.isVisible()
    assert "&lt;img" in view.status.text()
    assert view.preview.isHidden()


def test_advice_calls_settings_by_the_words_of_the_form(qtbot, tmp_path: Path) -> None:
    me = asdict(this_process())
    facts = {"process": me, "guard": me, "began": 0.0, "exit_code": 2, "ended": 1e12}
    (tmp_path / "process.json").write_text(json.dumps(facts), "utf-8")
    (tmp_path / "run.log").write_text("trainer: x: out of memory\n", "utf-8")
    settings = [read_setting(entry) for entry in describe_training()["settings"]]
    view = RunView()
    qtbot.addWidget(view)
    view.show_run(Run(tmp_path), [], settings)
    assert "lower “Points at most” or “Picture size”" in view.status.text()
    for advice in ADVICE.values():
        assert not re.search(r"[a-z]+[.][a-z]+_", with_labels(advice, settings))
