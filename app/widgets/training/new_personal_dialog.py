"""New personal avatar …: a person, other people, and what of theirs is put onto that person."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from PySide6.QtCore import Qt
from PySide6.QtWidgets import (
    QFileDialog,
    QHBoxLayout,
    QLineEdit,
    QPushButton,
    QWidget,
)

from app.runs.presets import Description
from app.runs.settings import to_yaml
from app.runs.video_names import VIDEO_FILTER
from app.state.app_dirs import typed_path
from app.widgets.browse_row import BrowseRow
from app.widgets.training.attribute_table import AttributeTable
from app.widgets.training.preset_choices import long_duration
from app.widgets.training.training_dialog import NamedTrainingDialog

_PARAMETERS_FILE = "flame_params.json"
"""that every subject of a capture has"""
_WAITING = "Choose a person, and a folder of other people."
_EXPLANATION = (
    "A person, and other people whose hair, hats, noses … are put onto that person's frames. An "
    "avatar that wears them all is learned from those. Videos are made captures of first."
)


class NewPersonalDialog(NamedTrainingDialog):
    """A person, other people, ticks, and how much to make of it."""

    looking = "Looking at these people …"
    usual_name = "personal"

    def __init__(
        self,
        description: Description,
        runs_folder: Path,
        parent: QWidget | None = None,
        head: Path | None = None,
    ) -> None:
        """``head`` is what captures were tracked with, unless the user says else."""
        presets = [preset for preset in description.presets if preset.is_of_people]
        super().__init__("New personal avatar", description.settings, presets, runs_folder, parent)
        self._costs: dict[str, dict[str, float]] = {}
        self._make_fields()
        self.head.line.setText(str(head) if head else "")
        self._lay_out()
        self._connect()
        self.show_waiting(_WAITING)
        self.resize(960, 660)

    def config_text(self) -> str:
        """The YAML that the trainer would read."""
        values = self.named(self.choices.chosen.values) | {
            "data.people": str(self._people.absolute()),
            "data.attributes": () if self.table.has_all else tuple(self.table.chosen()),
        }
        person = self._person.absolute()
        if person.is_dir() and not (person / _PARAMETERS_FILE).is_file():
            values["data.folder"] = str(person)
        elif person.is_dir():
            values |= {"data.folder": str(person.parent), "data.source": person.name}
        else:
            values["data.video"] = str(person)
        if person.is_dir() and self.head.line.text().strip():
            values["head"] = str(typed_path(self.head.line.text().strip()).absolute())
        return to_yaml(self._settings, values)

    def show_found(self, report: dict[str, Any]) -> None:
        self.table.set_attributes(report["attributes"])
        self._costs = report["costs_by_preset"]
        problem = self.take_report(report)
        self._show_costs()
        row = self._row_of(problem)
        self.say("" if row else problem, bool(problem))
        if row:
            row.show_problem(problem)
        self.show_ready()

    def problem_to_solve(self) -> str:
        if not self.table.chosen():
            return "Tick what is put onto the person."
        return super().problem_to_solve()

    def is_filled(self) -> bool:
        texts = (self.person.line.text(), self.people.line.text())
        return any(text.strip() for text in texts) or self._has_own_name

    @property
    def _person(self) -> Path:
        return typed_path(self.person.line.text().strip())

    @property
    def _people(self) -> Path:
        return typed_path(self.people.line.text().strip())

    @property
    def _head(self) -> Path:
        return typed_path(self.head.line.text().strip())

    def _make_fields(self) -> None:
        self.person = BrowseRow(QLineEdit(), "Person", self._choose_video)
        self.person.button.setText("Video …")
        self.capture = QPushButton("Capture …")
        self.capture.setAutoDefault(False)
        self.person.line.setPlaceholderText("a video, or the folder of a capture")
        self.people = BrowseRow(QLineEdit(), "Other people", self._choose_folder)
        self.people.line.setPlaceholderText("a folder with a capture, or a video, of each")
        self.head = BrowseRow(QLineEdit(), "Head", self._choose_head)
        self.head.line.setPlaceholderText("the free head")
        self.head.line.setToolTip(
            "The FLAME head (generic_model.pkl) with which the captures were tracked; empty for "
            "the free head."
        )
        self.table = AttributeTable()

    def _lay_out(self) -> None:
        person = QHBoxLayout()
        person.setSpacing(8)
        person.addWidget(self.person, 1)
        person.addWidget(self.capture, 0, Qt.AlignmentFlag.AlignTop)
        form = self._form
        form.addRow("Person", person)
        form.addRow("Other people", self.people)
        form.addRow("Head", self.head)
        form.setRowVisible(self.head, False)
        form.addRow("Name", self.name)
        stops: list[QWidget] = [self.person.line, self.person.button, self.capture]
        stops += [self.people.line, self.people.button, self.head.line, self.head.button]
        self.lay_out(_EXPLANATION, self.table, [*stops, self.name, self.table])

    def _connect(self) -> None:
        for row in (self.person, self.people, self.head):
            row.line.textChanged.connect(self._on_people)
        self.capture.clicked.connect(self._on_capture)
        self.table.changed.connect(self._on_ticks)

    def _on_people(self) -> None:
        text = self.person.line.text().strip()
        self.forget_found(text)
        # What is made of a video has the free head.
        is_capture = bool(text) and self._person.is_dir()
        self._form.setRowVisible(self.head, is_capture)
        problems = {
            self.person: self._path_problem(self.person, self._person.exists()),
            self.people: self._path_problem(self.people, self._people.is_dir()),
            self.head: self._path_problem(self.head, not is_capture or self._head.is_file()),
        }
        for row, problem in problems.items():
            row.show_problem(problem)
        if any(problems.values()):
            self.show_waiting("")
        elif text and self.people.line.text().strip():
            self.show_waiting(self.looking)
            self.look_soon()
        else:
            self.show_waiting(_WAITING)

    @staticmethod
    def _path_problem(row: BrowseRow, is_there: bool) -> str:
        is_named = bool(row.line.text().strip())
        return "This is not there; choose another." if is_named and not is_there else ""

    def _on_capture(self) -> None:
        chosen = self._choose_folder(self.person.line.text())
        if chosen:
            self.person.line.setText(chosen)

    def _on_ticks(self) -> None:
        self._show_costs()
        self.check_ready()
        if not self._is_seen and self.table.chosen():
            # What was too much may be little enough now.
            self.look_soon()

    def _choose_video(self, now: str) -> str:
        return QFileDialog.getOpenFileName(self, "Choose a video", now, VIDEO_FILTER)[0]

    def _choose_folder(self, now: str) -> str:
        return QFileDialog.getExistingDirectory(self, "Choose a folder", now)

    def _choose_head(self, now: str) -> str:
        kinds = "Heads (*.pkl *.head)"
        return QFileDialog.getOpenFileName(self, "Choose a head", now, kinds)[0]

    def _row_of(self, problem: str) -> BrowseRow | None:
        """The field of whose path a problem speaks."""
        rows = ((self.person, self._person), (self.people, self._people), (self.head, self._head))
        for row, path in rows:
            if problem.startswith(f"{path.absolute()}"):
                return row
        return None

    def _show_costs(self) -> None:
        """What is ticked, and what it takes with each preset."""
        chosen = self.table.chosen()
        people = {name.partition("_")[2] for name in chosen}
        count = f"{len(chosen)} attribute{'' if len(chosen) == 1 else 's'}"
        of = f"{len(people)} {'person' if len(people) == 1 else 'people'}"
        self.facts.setText(f"Put on: {count} of {of}" if self._costs else "")
        for preset in self._presets:
            costs = self._costs.get(preset.name)
            takes = ""
            if costs is not None and chosen:
                seconds, size = (
                    costs[what]
                    + len(people) * costs[f"{what}_per_person"]
                    + len(chosen) * costs[f"{what}_per_attribute"]
                    for what in ("seconds", "bytes")
                )
                takes = f"About {long_duration(seconds)} and {size / 2**30:.1f} GB here."
            self.choices.show_cost(preset, takes)
