"""What is asked of SLURM for a training."""

from __future__ import annotations

from PySide6.QtWidgets import (
    QDialog,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from app.runs.slurm import SlurmJob
from app.widgets.number_field import NumberField, WholeNumberField


class SlurmBox(QDialog):
    """Asks; accepted when the job can be handed in."""

    def __init__(self, batch_size: int, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle("Submit to SLURM")
        self._batch_size = batch_size
        # The order in which Tab goes through them.
        self.partition = QLineEdit()
        self.nodes, self.gpus = WholeNumberField(1, 1000), WholeNumberField(0, 64)
        self.hours = NumberField(0.1, 10_000, 1)
        self.account, self.further = QLineEdit(), QLineEdit()
        usual = SlurmJob()
        self.nodes.setValue(usual.nodes)
        self.gpus.setValue(usual.gpus_per_node)
        self.hours.setValue(usual.hours)
        self.hours.setToolTip("A job whose time is up is queued again and goes on from its save.")
        for line in (self.partition, self.account):
            line.setPlaceholderText("the usual one")
        self.further.setPlaceholderText("KEY=VALUE KEY=VALUE …")
        self.further.setToolTip("Options as submitit names them, e.g. mem_gb=64 slurm_qos=long")
        self.problem = QLabel()
        self.problem.setWordWrap(True)
        self.cancel, self.submit = QPushButton("Cancel"), QPushButton("Submit")
        self.cancel.clicked.connect(self.reject)
        self.submit.clicked.connect(self.accept)
        buttons = QHBoxLayout()
        buttons.addStretch(1)
        for button in (self.cancel, self.submit):
            button.setAutoDefault(False)
            buttons.addWidget(button)
        column = QVBoxLayout(self)
        column.setContentsMargins(16, 16, 16, 14)
        column.setSpacing(12)
        column.addLayout(self._make_form())
        column.addWidget(self.problem)
        column.addStretch(1)
        column.addLayout(buttons)
        self.setMinimumWidth(460)
        self.partition.setFocus()
        self._check()

    def job(self) -> SlurmJob:
        """What the fields say."""
        return SlurmJob(
            nodes=self.nodes.value(),
            gpus_per_node=self.gpus.value(),
            hours=self.hours.value(),
            partition=self.partition.text().strip(),
            account=self.account.text().strip(),
            further=self.further.text(),
        )

    def _make_form(self) -> QFormLayout:
        form = QFormLayout()
        form.setVerticalSpacing(8)
        form.setHorizontalSpacing(14)
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        for title, field in (
            ("Partition", self.partition),
            ("Nodes", self.nodes),
            ("GPUs per node", self.gpus),
            ("Hours", self.hours),
            ("Account", self.account),
            ("Further options", self.further),
        ):
            form.addRow(title, field)
            field.setAccessibleName(title)
        self.nodes.valueChanged.connect(self._check)
        self.gpus.valueChanged.connect(self._check)
        self.further.textChanged.connect(self._check)
        return form

    def _check(self) -> None:
        job = self.job()
        text = ""
        if self._batch_size % job.num_processes:
            text = (
                f"{job.num_processes} GPUs cannot share {self._batch_size} evenly: close this and "
                f"set the frames per step to a multiple of {job.num_processes}."
            )
        try:
            job.options()
        except ValueError as error:
            text = str(error)
        self.problem.setText(text)
        self.problem.setVisible(bool(text))
        self.submit.setEnabled(not text)
        self.submit.setDefault(not text)
