"""Each device works in the precision that was measured to be best on it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from app.controllers.dispatch import Dispatch
from app.rendering.render_loop import RenderLoop
from app.rendering.renderer import Renderer, SessionLike, SessionMaker
from app.state.precision import keep_precision, kept_precision
from app.state.preferences import Preferences
from pegasus_runtime.avatar.avatar import Avatar

if TYPE_CHECKING:
    from pegasus_runtime.precision import PrecisionChoice, PrecisionTrial

MIN_POINTS = 24_000
"""A smaller avatar makes nobody wait, and says little about a larger one."""


class Precision:
    """Gives sessions the precision kept for their device, and measures where none is kept."""

    def __init__(self, preferences: Preferences, dispatch: Dispatch) -> None:
        self._preferences, self._dispatch = preferences, dispatch

    def maker(self, make: SessionMaker) -> SessionMaker:
        """A maker of sessions in the precision of their device."""

        def make_precise(avatar: Avatar) -> SessionLike:
            session = make(avatar)
            if avatar.num_points >= MIN_POINTS:
                name = kept_precision(self._preferences, _key(session.device))
                if name is not None:
                    session.precision = name
            return session

        return make_precise

    def measure(self, avatar: Avatar, loop: RenderLoop) -> None:
        """Measure on the render thread when it has nothing better to do, once for each device."""
        if avatar.num_points < MIN_POINTS:
            return

        def begin(renderer: Renderer) -> None:
            from pegasus_runtime.precision import PrecisionTrial

            known = kept_precision(self._preferences, _key(renderer.device))
            if renderer.avatar is avatar and known is None:
                self._go_on(PrecisionTrial(avatar, renderer.device), avatar, loop)

        loop.submit_background(begin)

    def _go_on(self, trial: PrecisionTrial, avatar: Avatar, loop: RenderLoop) -> None:
        """One step at a time, so that a drag that begins meanwhile waits for no more than that."""

        def step(renderer: Renderer) -> None:
            if renderer.avatar is not avatar:
                return
            choice = trial.step()
            if choice is None:
                loop.submit_background(step)
                return
            renderer.set_precision(choice.name)
            key = _key(renderer.device)
            self._dispatch(lambda: self._keep(key, choice))

        loop.submit_background(step)

    def _keep(self, key: str, choice: PrecisionChoice) -> None:
        keep_precision(self._preferences, key, choice)
        self._preferences.keep()


def _key(device: object) -> str:
    from pegasus_runtime.precision import device_key

    return device_key(str(device))
