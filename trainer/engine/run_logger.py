"""What a run tells about itself while it goes on."""

from __future__ import annotations

from pathlib import Path

from pegasus_runtime.memory import peak_memory_mb
from trainer.config.training import TrainingConfig
from trainer.engine.accumulate import BatchResult
from trainer.engine.event_log import EventLog
from trainer.engine.progress import Progress
from trainer.engine.train_state import TrainState
from trainer.engine.utilisation import DeviceUse


class RunLogger:
    """Events and the progress bar, written by the first process alone."""

    def __init__(self, run_dir: Path, config: TrainingConfig, done: int, is_first: bool) -> None:
        self._log = EventLog(run_dir, done) if is_first else None
        self._progress = Progress(config.steps, done) if is_first else None
        self._device_use: DeviceUse | None = None

    def __enter__(self) -> RunLogger:
        if self._progress:
            self._progress.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        if self._progress and self._log:
            self._progress.__exit__()
            self._log.close()

    def write(
        self,
        step: int,
        epoch: float,
        result: BatchResult,
        state: TrainState,
        seconds: float,
        preview_seconds: float = 0.0,
    ) -> None:
        """Note a step that was done, and what the preview before it took, if there was one."""
        if not self._log or not self._progress:
            return
        self._device_use = self._device_use or DeviceUse(state.device)
        event = {
            "step": step,
            "epoch": round(epoch, 4),
            "subjects": result.subjects,
            "losses": result.losses,
            "num_points": state.num_points,
            "radius": state.radius,
            "learning_rates": state.rates,
            "seconds": round(seconds, 4),
            "memory_mb": peak_memory_mb(state.device),
            "device_use": self._device_use.percent(),
        }
        if preview_seconds:
            event["preview_seconds"] = round(preview_seconds, 4)
        self._log.write(event)
        self._progress.advance(event)

    def say(self, message: str) -> None:
        """Tell people something."""
        if self._progress:
            self._progress.say(message)

    def go_back(self, done: int, message: str) -> None:
        """Forget the steps after one, and say why."""
        if self._log:
            self._log.truncate_after(done)
            self.say(message)
