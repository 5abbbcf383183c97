"""What happens when a step makes numbers that are none."""

from __future__ import annotations

from pegasus_runtime.errors import InvalidInput
from trainer.engine.checkpoints import Checkpoints
from trainer.engine.train_state import TrainState

_MAX_ATTEMPTS = 3
"""More try longer before a training that cannot be saved ends."""
_SLOWER = 0.5
"""Of the learning rates after numbers that are none: nearer to 1 takes more tries, less learns more
slowly ever after."""


class Recovery:
    """Goes back to the last checkpoint at half the learning rate, three times at most."""

    def __init__(self, checkpoints: Checkpoints, state: TrainState) -> None:
        self._checkpoints, self._state = checkpoints, state
        self._attempts = 0
        self._furthest = -1

    def roll_back(self, step: int, losses: dict[str, float]) -> tuple[int, str]:
        """Restore the last checkpoint.

        Returns:
            the number of steps that it has done, and what to tell people.

        Raises:
            InvalidInput: it did not help three times.
        """
        broken = ", ".join(name for name, value in losses.items() if value - value != 0)
        what = (
            f"step {step + 1}: {f'the loss {broken}' if broken else 'a gradient'} is not a number"
        )
        # A failure farther on is another one.
        self._attempts = 1 if step > self._furthest else self._attempts + 1
        self._furthest = max(step, self._furthest)
        saved = self._checkpoints.restore("auto")
        if self._attempts > _MAX_ATTEMPTS or saved is None:
            raise InvalidInput(
                f"{what}, after {_MAX_ATTEMPTS} tries at lower rates too; lower the rates below "
                "optimiser and go on with --resume auto."
            )
        scale = self._state.rate_scale * _SLOWER
        self._state.restore(saved)
        self._state.rate_scale = scale
        done = int(saved["step"])
        return done, f"{what}; back to step {done} with {scale:g} of the learning rate"
