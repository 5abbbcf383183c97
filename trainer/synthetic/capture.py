"""Making a whole capture: one folder per subject, and a sheet to look at."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pegasus_runtime.devices import use_threads
from pegasus_runtime.errors import InvalidInput
from pegasus_runtime.files import replace_file, replace_folder
from pegasus_runtime.head import load_free_head
from trainer.synthetic.casting import (
    assets_for,
    drawn_subjects,
    person_for,
    renderer_for,
)
from trainer.synthetic.config import CaptureConfig
from trainer.synthetic.contact_sheet import write_contact_sheet
from trainer.synthetic.dataset_writer import OWN_NAMES, make_folders, write_frame, write_parameters
from trainer.synthetic.frame_sampling import FrameParameters, draw_frame_parameters
from trainer.synthetic.gl_renderer import GLRenderer, open_context

Progress = Callable[[int, int], None]
SETTINGS_FILE = "capture.json"
"""in a capture: what it was drawn with"""
_UNSEEN = ("subjects", "num_processes")
_CHUNK = 8
"""frames drawn by a process at a time: more wait for the slowest process at the end, fewer start
more often"""
_renderers: dict[tuple[CaptureConfig, str], GLRenderer] = {}


@dataclass(frozen=True)
class _Job:
    config: CaptureConfig
    subject: str
    folder: Path
    frames: range


_Run = Callable[[list[_Job]], Iterable[int]]


def capture(config: CaptureConfig, out: Path, progress: Progress) -> None:
    """Write the capture into ``out``; subjects already complete there are kept.

    Args:
        config: what to draw.
        out: the database folder, made when missing.
        progress: called with (frames done, frames in all).

    Raises:
        InvalidInput: no off-screen OpenGL, ``out`` holds something else, or it cannot be written.
    """
    out = Path(out)
    open_context().release()
    missing = _claim(config, out)
    total = sum(config.num_frames(subject) for subject in missing)
    done = 0
    progress(0, total)
    with _workers(config, len(missing)) as run:
        for subject in missing:
            with replace_folder(out / subject, OWN_NAMES) as folder:
                make_folders(folder)
                for count in run(_jobs(config, subject, folder)):
                    done += count
                    progress(done, total)
                _write_parameters(config, subject, folder)
    write_contact_sheet(config, out)


def frames_of(config: CaptureConfig, subject: str) -> list[FrameParameters]:
    """Every frame's exact parameters, in order."""
    names = load_free_head().expression_names
    count = config.num_frames(subject)
    return [
        draw_frame_parameters(config.seed, subject, i, config.image_size, names)
        for i in range(count)
    ]


def _claim(config: CaptureConfig, out: Path) -> list[str]:
    """Make or check the folder; the subjects still to be drawn."""
    settings = {k: v for k, v in asdict(config).items() if k not in _UNSEEN}
    settings["drawn_with"] = "paint" if assets_for(config) is None else "assets"
    # As it is read back, and as captures were written before people wore anything.
    worn = settings["person"].pop("wears")
    settings["person"] |= {"wears": list(worn)} if worn else {}
    if out.exists() and not out.is_dir():
        raise InvalidInput(f"{out}: is a file; choose another folder for the capture.")
    note = out / SETTINGS_FILE
    if out.is_dir() and any(out.iterdir()) and _read(note) != settings:
        raise InvalidInput(
            f"{out}: holds something else than this capture; choose an empty folder."
        )
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise InvalidInput(f"{out}: cannot be made ({reason}); choose another folder.") from error
    with replace_file(note) as partial:
        partial.write_text(json.dumps(settings, indent=1) + "\n")
    return [s for s in drawn_subjects(config) if not (out / s / "flame_params.json").is_file()]


def _read(path: Path) -> Any:
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError):
        return None


def _jobs(config: CaptureConfig, subject: str, folder: Path) -> list[_Job]:
    frames = range(config.num_frames(subject))
    return [_Job(config, subject, folder, frames[i : i + _CHUNK]) for i in frames[::_CHUNK]]


@contextmanager
def _workers(config: CaptureConfig, num_subjects: int) -> Iterator[_Run]:
    if config.num_processes == 1 or num_subjects == 0:
        yield lambda jobs: map(_draw_chunk, jobs)
        _close_renderers()
        return
    context = multiprocessing.get_context("spawn")
    with context.Pool(config.num_processes, initializer=_quiet_worker) as pool:
        yield lambda jobs: pool.imap_unordered(_draw_chunk, jobs)


def _quiet_worker() -> None:
    """Ctrl+C is the parent's to handle; the processes share the cores."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.environ["LP_NUM_THREADS"] = "1"
    use_threads(1)


def _draw_chunk(job: _Job) -> int:
    """Draw a chunk of frames; how many there were."""
    renderer = _renderer(job.config, job.subject)
    frames = frames_of(job.config, job.subject)
    for index in job.frames:
        write_frame(job.folder, index + 1, renderer.draw(frames[index]))
    return len(job.frames)


def _renderer(config: CaptureConfig, subject: str) -> GLRenderer:
    """This process' renderer of the subject; one is kept open, as opening takes a second."""
    key = (config, subject)
    if key not in _renderers:
        _close_renderers()
        _renderers[key] = renderer_for(config, subject, config.image_size)
    return _renderers[key]


def _close_renderers() -> None:
    while _renderers:
        _renderers.popitem()[1].close()


def _write_parameters(config: CaptureConfig, subject: str, folder: Path) -> None:
    write_parameters(folder, person_for(config, subject), frames_of(config, subject))
