"""What is asked of SLURM for a training."""

from __future__ import annotations

from PySide6.QtWidgets import (
    QDialog,
    QDialogButtonBox,
    QDoubleSpinBox,
    QFormLayout,
    QLabel,
    QLineEdit,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from app.state.slurm import SlurmJob
from pegasus_runtime.errors import Refused


class SlurmBox(QDialog):
    """Asks; accepted when the job can be handed in."""

    def __init__(self, batch_size: int, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle("Submit to SLURM")
        self._batch_size = batch_size
        self.partition, self.account, self.further = QLineEdit(), QLineEdit(), QLineEdit()
        self.nodes, self.gpus, self.hours = QSpinBox(), QSpinBox(), QDoubleSpinBox()
        usual = SlurmJob()
        self.nodes.setRange(1, 1000)
        self.nodes.setValue(usual.nodes)
        self.gpus.setRange(0, 64)
        self.gpus.setValue(usual.gpus_per_node)
        self.hours.setRange(0.1, 10_000)
        self.hours.setDecimals(1)
        self.hours.setValue(usual.hours)
        self.hours.setToolTip("A job whose time is up is queued again and goes on from its save.")
        for line in (self.partition, self.account):
            line.setPlaceholderText("the usual one")
        self.further.setPlaceholderText("KEY=VALUE …, e.g. mem_gb=64 slurm_qos=long")
        self.further.setToolTip("Options as submitit names them, with blanks between them")
        self.problem = QLabel()
        self.problem.setWordWrap(True)
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Cancel)
        self.submit = buttons.addButton("Submit", QDialogButtonBox.ButtonRole.AcceptRole)
        buttons.accepted.connect(self.accept)
        buttons.rejected.connect(self.reject)
        column = QVBoxLayout(self)
        column.setContentsMargins(16, 16, 16, 14)
        column.setSpacing(12)
        column.addLayout(self._make_form())
        column.addWidget(self.problem)
        column.addWidget(buttons)
        self.setMinimumWidth(460)
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
        self.nodes.valueChanged.connect(self._check)
        self.gpus.valueChanged.connect(self._check)
        self.further.textChanged.connect(self._check)
        return form

    def _check(self) -> None:
        job = self.job()
        text = ""
        if self._batch_size % job.num_processes:
            text = (
                f"{self._batch_size} frames per step cannot be divided among "
                f"{job.num_processes} processes; set a multiple in the settings."
            )
        try:
            job.options()
        except Refused as error:
            text = str(error)
        self.problem.setText(text)
        self.submit.setEnabled(not text)
