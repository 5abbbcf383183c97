"""Films and pictures written while the user goes on working."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from threading import Thread
from typing import cast

import numpy as np

from app.controllers.dispatch import Dispatch, run_in_background
from app.rendering.renderer import SessionMaker, make_session
from app.rendering.request import Pixels
from app.state.document import Document
from app.state.export_settings import ExportSettings
from app.state.face import Face
from app.state.jobs import Activity, Job
from app.state.signal import Signal
from app.state.view import View
from pegasus_runtime.avatar.avatar import Avatar
from pegasus_runtime.errors import InvalidInput
from pegasus_runtime.memory import is_out_of_memory
from pegasus_runtime.session import Session

Work = Callable[[Job], bool]
_LAST_FRAME_WAIT_S = 10.0
"""More lets a slow machine end its frame, less closes sooner and may leave a temporary file."""


class Exporter:
    """Each export renders in a session and a thread of its own."""

    def __init__(
        self,
        document: Document,
        activity: Activity,
        dispatch: Dispatch,
        make: SessionMaker = make_session,
    ) -> None:
        self.frame_done: Signal[[Job, Pixels]] = Signal()
        self.finished: Signal[[Job, Path]] = Signal()
        self.cancelled: Signal[[Job]] = Signal()
        self.failed: Signal[[Job, BaseException]] = Signal()
        self._document, self._activity = document, activity
        self._dispatch, self._make = dispatch, make
        self._jobs: list[Job] = []
        self._threads: list[Thread] = []

    def film(self, settings: ExportSettings) -> Job:
        """Write a turntable of the document as it is now."""
        avatar, face, view = self._now()
        display = self._document.display

        def work(job: Job) -> bool:
            from pegasus_runtime.export import export_turntable

            return export_turntable(
                cast(Session, self._make(avatar)),
                face.parameters(),
                view.camera(settings.image_size),
                settings.out,
                num_frames=settings.num_frames,
                fps=settings.fps,
                backdrop=settings.backdrop(display),
                image_pass=display.pass_name,
                on_progress=lambda done, total, image: self._progress(job, done, total, image),
            )

        return self._start(f"Film {settings.out.name}", settings.out, work, settings.num_frames)

    def picture(self, out: Path, image_size: tuple[int, int], scale: float = 1.0) -> Job:
        """Write the viewport's picture (height, width): the document as it is now.

        A background that shows transparency is left out, where the kind of file can be transparent.

        Args:
            out: .png or .jpg.
            image_size: (height, width) in pixels.
            scale: pixels of the screen to a point.
        """
        avatar, face, view = self._now()
        display = self._document.display

        def work(job: Job) -> bool:
            from pegasus_runtime.export.display import passes_for, to_picture
            from pegasus_runtime.export.image import carries_alpha, check_image_path, write_picture

            name = display.pass_name
            see_through = display.is_see_through and carries_alpha(out)
            check_image_path(out, with_alpha=see_through)
            frame = self._make(avatar).render(
                face.parameters(), view.camera(image_size), passes=passes_for(name), background=None
            )
            backdrop = None if see_through else display.backdrop(scale)
            write_picture(out, to_picture(frame, name, backdrop))
            return True

        return self._start(f"Picture {out.name}", out, work, 1)

    def cancel(self, job: Job) -> None:
        """Stop after the frame that is being made; nothing of the film is left.

        A job of somebody else's is left alone.
        """
        if job in self._jobs:
            job.cancelled = True

    def cancel_all(self) -> None:
        """Stop every export and wait until what it had begun to write is gone."""
        for job in self._jobs:
            job.cancelled = True
        # The threads end with the program; one that is cut off would leave its temporary file.
        for thread in self._threads:
            thread.join(_LAST_FRAME_WAIT_S)

    def _now(self) -> tuple[Avatar, Face, View]:
        avatar = self._document.avatar
        assert avatar is not None, "nothing is open"
        return avatar, self._document.face, self._document.view

    def _start(self, title: str, out: Path, work: Work, total: int) -> Job:
        job = self._activity.start(title, total, cancellable=True)
        self._jobs.append(job)
        self._threads = [thread for thread in self._threads if thread.is_alive()]
        thread = run_in_background(
            "export",
            lambda: work(job),
            lambda written: self._done(job, out, written),
            lambda error: self._failed(job, error),
            self._dispatch,
        )
        self._threads.append(thread)
        return job

    def _progress(self, job: Job, done: int, total: int, image: Pixels) -> bool:
        kept = np.ascontiguousarray(image)
        self._dispatch(lambda: self._advance(job, done, total, kept))
        return not job.cancelled

    def _advance(self, job: Job, done: int, total: int, image: Pixels) -> None:
        self._activity.advance(job, done, total)
        self.frame_done.emit(job, image)

    def _done(self, job: Job, out: Path, written: bool) -> None:
        self._end(job)
        if written:
            self._activity.log(f"Wrote {out}")
            self.finished.emit(job, out)
        else:
            self._activity.log(f"{job.title} cancelled; nothing was written")
            self.cancelled.emit(job)

    def _failed(self, job: Job, error: BaseException) -> None:
        self._end(job)
        if is_out_of_memory(error):
            error = InvalidInput(
                "not enough memory; choose a smaller size, or close other programs."
            )
        self._activity.log(f"{job.title}: {error}", "error")
        self.failed.emit(job, error)

    def _end(self, job: Job) -> None:
        self._jobs.remove(job)
        self._activity.end(job)
