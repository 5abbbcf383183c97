"""Films: a table of formats, and one way to write any of them frame by frame.

Frames go to an ffmpeg process through a pipe, so the next one is rendered while the last one is
encoded. Nothing exists under the final name before the film is complete.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pegasus_runtime.errors import Refused
from pegasus_runtime.export.image import Picture, write_image
from pegasus_runtime.files import replace_file, replace_folder

MAX_FPS = 240
_FRAME_PATTERN = "frame_*.png"
_SPARE_BYTES = 16 * 2**20
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
        "mp4 (H.264)",
        "libx264",
        "yuv420p",
        options=("-crf", "16", "-preset", "medium", "-movflags", "+faststart", *_BT709),
        even_size=True,
    ),
    FilmFormat(
        ".webm",
        "webm (VP9)",
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
        "mov (ProRes 4444)",
        "prores_ks",
        "yuv444p10le",
        "yuva444p10le",
        options=("-profile:v", "4444", "-alpha_bits", "16", "-vendor", "apl0", *_BT709),
        bytes_per_pixel=3.0,
    ),
    # A delay in a gif is a whole number of hundredths, and players slow down delays below 2.
    FilmFormat(".gif", "gif", "gif", "pal8", options=_GIF_PALETTE, max_fps=50, bytes_per_pixel=1.0),
    FilmFormat("", "folder of PNG files", "png", "rgb24", "rgba", bytes_per_pixel=4.0),
)


def film_format(out: str | os.PathLike[str]) -> FilmFormat:
    """The format that an output name asks for; a name without suffix is a folder of PNG files.

    Raises:
        Refused: there is no such format.
    """
    path = Path(out)
    suffix = "" if path.is_dir() else path.suffix.lower()
    for known in FILM_FORMATS:
        if known.suffix == suffix:
            return known
    endings = ", ".join(f.suffix for f in FILM_FORMATS if f.suffix)
    raise Refused(f"{out}: unknown kind of film; end it in {endings}, or name a folder for PNGs.")


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
        Refused: unknown format, no alpha in it, a bad rate, a folder that is missing or holds
            other files, or too little space on the disk.
    """
    chosen, path = film_format(out), Path(out)
    if with_alpha and not chosen.carries_alpha:
        raise Refused(
            f"{out}: {chosen.title} cannot carry transparency; use .webm, .mov or a folder of "
            "PNGs, or choose a background colour."
        )
    if not 0 < fps <= chosen.max_fps:
        raise Refused(
            f"{fps} frames a second: {chosen.title} takes more than 0 up to {chosen.max_fps}."
        )
    if not path.parent.is_dir():
        raise Refused(f"{out}: the folder {path.parent} does not exist; create it first.")
    if path.is_dir() and any(not p.match(_FRAME_PATTERN) for p in path.iterdir()):
        raise Refused(f"{out}: the folder holds other files; name a new or an empty one.")
    _check_space(path, image_size[0] * image_size[1] * num_frames * chosen.bytes_per_pixel)
    return chosen


def _check_space(path: Path, num_bytes: float) -> None:
    free = shutil.disk_usage(path.parent).free
    if free < num_bytes + _SPARE_BYTES:
        raise Refused(
            f"{path}: the film may take {num_bytes / 2**20:.0f} MB and the disk has "
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
        Refused: see `check_film`; or the encoder or the disk failed.
    """
    chosen = check_film(out, image_size, 1, fps, with_alpha=with_alpha)
    if not chosen.suffix:
        with replace_folder(out) as folder:
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
        alpha = picture[..., 3] if picture.shape[2] == 4 else None
        write_image(folder / f"frame_{written:05d}.png", picture[..., :3], alpha)
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
    import imageio_ffmpeg

    height, width = image_size
    pad = (height % 2, width % 2) if chosen.even_size else (0, 0)
    process = imageio_ffmpeg.write_frames(
        str(path),
        (width + pad[1], height + pad[0]),
        pix_fmt_in="rgba" if with_alpha else "rgb24",
        pix_fmt_out=chosen.alpha_pixels if with_alpha else chosen.pixels,
        fps=fps,
        codec=chosen.codec,
        quality=None,
        macro_block_size=1,
        ffmpeg_log_level="quiet",
        output_params=list(chosen.options),
    )
    process.send(None)

    def add(picture: Picture) -> None:
        padded = np.pad(picture, ((0, pad[0]), (0, pad[1]), (0, 0)), mode="edge")
        process.send(np.ascontiguousarray(padded))

    try:
        yield add
    except OSError as error:
        raise Refused(_stopped(out)) from error
    finally:
        process.close()
    if not path.exists() or not path.stat().st_size:
        raise Refused(_stopped(out))


def _stopped(out: str | os.PathLike[str]) -> str:
    free = shutil.disk_usage(Path(out).parent).free
    reason = "the disk is full" if free < _SPARE_BYTES else "the encoder stopped before its end"
    return f"{out}: not written, {reason}; free some space or try another format (see doctor)."
