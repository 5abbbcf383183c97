"""Films: a table of formats, and one way to write any of them frame by frame.

Frames go to an ffmpeg process through a pipe, so the next one is rendered while the last one is
encoded. Nothing exists under the final name before the film is complete.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO

import numpy as np

from pegasus_runtime.errors import InvalidInput
from pegasus_runtime.export.ffmpeg import find_ffmpeg, require_encoder, start_ffmpeg
from pegasus_runtime.export.image import Picture, encode_picture
from pegasus_runtime.export.limits import MAX_FPS, MIN_FPS
from pegasus_runtime.files import output_file, output_folder, replace_file, replace_folder

_OWN_NAMES = ("frame_[0-9]*.png",)
_MAX_COMPLAINT = 500
"""Bytes of an encoder's complaint; of them the first line is told."""
_SPARE_BYTES = 16 * 2**20
"""Left free on a disk: less risks a film that ends in its last frames."""
_TO_BT709 = ["-vf", "scale=out_color_matrix=bt709:out_range=tv"]
_BT709_TAGS = ["-colorspace", "bt709", "-color_primaries", "bt709", "-color_trc", "bt709"]
_BT709 = [*_TO_BT709, *_BT709_TAGS, "-color_range", "tv"]


@dataclass(frozen=True)
class FilmFormat:
    """How films of one file name suffix are encoded."""

    suffix: str
    """with its dot; empty for a folder of PNG files"""
    title: str
    codec: str = ""
    pixels: str = ""
    """ffmpeg's pixel format of an opaque film"""
    alpha_pixels: str = ""
    """ffmpeg's pixel format with alpha; empty where the format has none"""
    options: tuple[str, ...] = ()
    even_size: bool = False
    """sides must be even: the picture's last row and column are repeated where they are not"""
    max_fps: int = MAX_FPS
    bytes_per_pixel: float = 0.5
    """more than a film of a head ever takes, for the check of the disk's space"""

    @property
    def carries_alpha(self) -> bool:
        return bool(self.alpha_pixels)


_GIF_PALETTE = (
    "-filter_complex",
    "split[a][b];[a]palettegen=stats_mode=full[p];[b][p]paletteuse=dither=sierra2_4a",
    "-loop",
    "0",
)
FILM_FORMATS = (
    FilmFormat(
        ".mp4",
        "MP4 film (H.264)",
        "libx264",
        "yuv420p",
        options=("-crf", "16", "-preset", "medium", "-movflags", "+faststart", *_BT709),
        even_size=True,
    ),
    FilmFormat(
        ".webm",
        "WebM film (VP9)",
        "libvpx-vp9",
        "yuv420p",
        "yuva420p",
        # Alternative reference frames lose the alpha channel in libvpx.
        options=(
            *("-crf", "18", "-b:v", "0", "-deadline", "good", "-cpu-used", "4"),
            *("-row-mt", "1", "-auto-alt-ref", "0", *_BT709),
        ),
    ),
    FilmFormat(
        ".mov",
        "MOV film (ProRes 4444)",
        "prores_ks",
        "yuv444p10le",
        "yuva444p10le",
        options=("-profile:v", "4444", "-alpha_bits", "16", "-vendor", "apl0", *_BT709),
        bytes_per_pixel=3.0,
    ),
    # A delay in a gif is a whole number of hundredths, and players slow down delays below 2.
    FilmFormat(
        ".gif",
        "GIF animation",
        "gif",
        "pal8",
        options=_GIF_PALETTE,
        max_fps=50,
        bytes_per_pixel=1.0,
    ),
    FilmFormat("", "PNG pictures (a folder)", "png", "rgb24", "rgba", bytes_per_pixel=4.0),
)


def film_format(out: str | os.PathLike[str]) -> FilmFormat:
    """The format that an output name asks for; a name without suffix is a folder of PNG files.

    Raises:
        InvalidInput: there is no such format.
    """
    text, by_suffix = os.fspath(out), {known.suffix: known for known in FILM_FORMATS}
    suffix = Path(text).suffix.lower()
    names_folder = text.endswith(("/", os.sep)) or (suffix not in by_suffix and Path(text).is_dir())
    if names_folder or suffix in by_suffix:
        return by_suffix["" if names_folder else suffix]
    endings = ", ".join(f.suffix for f in FILM_FORMATS if f.suffix)
    raise InvalidInput(
        f"{out}: unknown kind of film; end it in {endings}, or name a folder for PNGs."
    )


def check_film(
    out: str | os.PathLike[str],
    image_size: tuple[int, int],
    num_frames: int,
    fps: float,
    *,
    with_alpha: bool,
) -> FilmFormat:
    """Everything that would end a film badly, asked before it is begun.

    Raises:
        InvalidInput: unknown format, no alpha in it, a bad rate, a place that is not for output
            (see
            `files.output_file`), no encoder, or too little space on the disk.
    """
    chosen = film_format(out)
    if with_alpha and not chosen.carries_alpha:
        endings = ", ".join(f.suffix for f in FILM_FORMATS if f.suffix and f.carries_alpha)
        raise InvalidInput(
            f"{out}: {chosen.title} cannot carry transparency; use {endings} or a folder of PNGs, "
            "or choose a background colour."
        )
    if not MIN_FPS <= fps <= chosen.max_fps:
        raise InvalidInput(
            f"{fps} frames a second: {chosen.title} takes from {MIN_FPS} up to {chosen.max_fps}."
        )
    target = output_file(out) if chosen.suffix else output_folder(out, _OWN_NAMES)
    if chosen.suffix:
        require_encoder(chosen.codec)
    num_bytes = image_size[0] * image_size[1] * num_frames * chosen.bytes_per_pixel
    _check_space(out, target, num_bytes)
    return chosen


def _check_space(out: str | os.PathLike[str], target: Path, num_bytes: float) -> None:
    free = shutil.disk_usage(target.parent).free
    if free < num_bytes + _SPARE_BYTES:
        raise InvalidInput(
            f"{out}: the film may take {num_bytes / 2**20:.0f} MB and the disk has "
            f"{free / 2**20:.0f} MB left; free some space or choose another folder."
        )


@contextmanager
def open_film(
    out: str | os.PathLike[str],
    image_size: tuple[int, int],
    fps: float = 30,
    *,
    with_alpha: bool = False,
) -> Iterator[Callable[[Picture], None]]:
    """Yield a function that appends a picture; the film is there when the block succeeds.

    When the block raises, nothing is left and an older film stays as it was.

    Args:
        out: decides the format, see `film_format`.
        image_size: (height, width) of every picture.
        fps: pictures a second.
        with_alpha: pictures are (H, W, 4) with straight alpha rather than (H, W, 3), uint8.

    Raises:
        InvalidInput: see `check_film`; or the encoder or the disk failed.
    """
    chosen = check_film(out, image_size, 1, fps, with_alpha=with_alpha)
    if not chosen.suffix:
        with replace_folder(out, _OWN_NAMES) as folder:
            yield _numbered_writer(folder)
        return
    with (
        replace_file(out) as partial,
        _encoder(out, partial, chosen, image_size, fps, with_alpha) as add,
    ):
        yield add


def _numbered_writer(folder: Path) -> Callable[[Picture], None]:
    written = 0

    def add(picture: Picture) -> None:
        nonlocal written
        # The folder is nobody else's yet: no need to write beside and rename.
        (folder / f"frame_{written:05d}.png").write_bytes(encode_picture(picture, ".png"))
        written += 1

    return add


@contextmanager
def _encoder(
    out: str | os.PathLike[str],
    path: Path,
    chosen: FilmFormat,
    image_size: tuple[int, int],
    fps: float,
    with_alpha: bool,
) -> Iterator[Callable[[Picture], None]]:
    height, width = image_size
    pad = (height % 2, width % 2) if chosen.even_size else (0, 0)
    command = [
        find_ffmpeg(),
        *("-y", "-v", "error", "-f", "rawvideo", "-pix_fmt", "rgba" if with_alpha else "rgb24"),
        *("-s", f"{width + pad[1]}x{height + pad[0]}"),
        # 24000/1001 and the like are kept as they are.
        *("-r", str(Fraction(fps).limit_denominator()), "-i", "-"),
        *("-c:v", chosen.codec, "-pix_fmt", chosen.alpha_pixels if with_alpha else chosen.pixels),
        *(*chosen.options, str(path)),
    ]
    with TemporaryFile() as complaints:
        process = start_ffmpeg(command, complaints)
        assert process.stdin is not None
        pipe = process.stdin

        def add(picture: Picture) -> None:
            padded = np.pad(picture, ((0, pad[0]), (0, pad[1]), (0, 0)), mode="edge")
            try:
                pipe.write(np.ascontiguousarray(padded).data)
            except OSError as error:
                raise InvalidInput(_stopped(out, path, complaints)) from error

        try:
            yield add
            with suppress(OSError):
                pipe.close()
            if process.wait() or not path.exists():
                raise InvalidInput(_stopped(out, path, complaints))
        finally:
            process.kill()
            with suppress(OSError):
                pipe.close()
            process.wait()


def _stopped(out: str | os.PathLike[str], path: Path, complaints: IO[bytes]) -> str:
    complaints.seek(0)
    said = complaints.read(_MAX_COMPLAINT).decode("utf-8", "replace").split("\n")[0].strip()
    reason = f"the encoder stopped before its end ({said or 'without a word'})"
    if shutil.disk_usage(path.parent).free < _SPARE_BYTES:
        reason = "the disk is full"
    return f"{out}: not written, {reason}; free some space or try another format (see doctor)."
