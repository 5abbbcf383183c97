"""Frames of a video file, through the ffmpeg program.

1. ffmpeg opens one local file, as one of the containers named here: no address, no playlist and no
   list of other files, whatever the file's name or content says.
2. Its filters turn frames upright, make fields into frames where they are flagged as such, square
   the pixels, bring 10 bits to 8, and drop the frames that are not wanted. HDR is toned down here.
3. Frames come through a pipe as PPM, which says its own size; their times come with the messages.
"""

from __future__ import annotations

import queue
import re
import threading
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np
import numpy.typing as npt

from pegasus_runtime.errors import InvalidInput, one_line
from pegasus_runtime.export.ffmpeg import find_ffmpeg, start_decoder
from trainer.preprocess.high_dynamic_range import HLG, PQ, to_usual_range

Bytes = npt.NDArray[np.uint8]
MAX_SIDE = 4096
"""pixels to which larger frames are reduced; more takes memory and time, and no face is learned at
so many"""
_MAX_PIXELS = 2**26
"""that a decoder may take memory for: 8192 × 8192"""
_SILENT_S = 120.0
"""a decoder that gives no frame for so long has hung; less gives up on slow disks"""
_CONTAINERS = (
    "mov,matroska,webm,avi,asf,flv,live_flv,gif,apng,mpeg,mpegts,mpegvideo,m4v,h261,h263,h264,hevc,"
    "vvc,av1,obu,ivf,ogg,mxf,mxf_opatom,gxf,nut,dv,dirac,dnxhd,vc1,vc1test,rm,swf,wtv,nsv,nuv,"
    "yuv4mpegpipe,mjpeg,mjpeg_2000,amv,flic,smk,bink,film_cpk,roq,"
    "png_pipe,jpeg_pipe,webp_pipe,webp,webp_anim,bmp_pipe,tiff_pipe,jpegxl_pipe,ppm_pipe"
)
"""all hold their frames themselves; those that lead to other files are left out"""
_TIME = re.compile(rb"showinfo.*\] n: *\d+ .*?pts_time:(\S+)")
_DURATION = re.compile(r"Duration: (\d+):(\d\d):(\d\d(?:\.\d+)?)")
_RATE = re.compile(r"Video: .* ([\d.]+)(k?) fps\b")
_TRANSFER = re.compile(rf"Video: .*/({PQ}|{HLG})[,)]")
_ADDRESS = re.compile(r"^\[[^\]]*\] ")


class NoFrame(InvalidInput):
    """A video that can be read and of which no frame is left."""


@dataclass(frozen=True)
class VideoFacts:
    """What a file says of itself; zero where it says nothing."""

    duration_s: float
    fps: float
    transfer: str = ""
    """how an HDR video codes light, see `high_dynamic_range`"""


class VideoDecoder:
    """One pass over a video's frames; to be used in a with statement, which ends ffmpeg."""

    def __init__(self, path: Path, frame_filter: str, limit: int = 0) -> None:
        """
        Args:
            path: of the file.
            frame_filter: expression of ffmpeg's ``select``: which frames are wanted.
            limit: most frames, 0 for all.

        Raises:
            InvalidInput: ffmpeg cannot be run.
        """
        self._path = path
        self._process = start_decoder(_command(path, frame_filter, limit))
        self._times: queue.Queue[float] = queue.Queue()
        self._said: deque[str] = deque(maxlen=200)
        self._facts = VideoFacts(0.0, 0.0)
        self._alive_at, self._is_stopped, self._is_hung = time.monotonic(), False, False
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()
        threading.Thread(target=self._watch, daemon=True).start()

    def __enter__(self) -> VideoDecoder:
        return self

    def __exit__(self, *_: object) -> None:
        self._is_stopped = True
        self._process.kill()
        self._process.wait()
        self._listener.join()
        for pipe in (self._process.stdout, self._process.stderr):
            if pipe:
                pipe.close()

    @property
    def facts(self) -> VideoFacts:
        """Complete once the first frame is there."""
        return self._facts

    def frames(self) -> Iterator[tuple[float | None, Bytes]]:
        """Time in seconds, None where the file has none, and (H, W, 3) RGB of each frame.

        Raises:
            NoFrame: it holds none, or none that is wanted.
            InvalidInput: it is no video, or its decoder hangs.
        """
        assert self._process.stdout is not None
        count = 0
        while (pixels := _read_ppm(self._process.stdout)) is not None:
            self._alive_at = time.monotonic()
            time_s, transfer = self._next_time(), self._facts.transfer
            yield time_s, to_usual_range(pixels, transfer) if transfer else pixels
            self._alive_at = time.monotonic()
            count += 1
        if self._is_hung:
            raise InvalidInput(f"{self._path}: ffmpeg gives no frame any more; convert the video.")
        if not count:
            self._process.wait()
            self._listener.join()
            raise self._why_nothing()

    def _next_time(self) -> float | None:
        # A message may be a little behind its frame.
        try:
            found = self._times.get(timeout=5)
        except queue.Empty:
            return None
        return found if np.isfinite(found) else None

    def _listen(self) -> None:
        assert self._process.stderr is not None
        for line in self._process.stderr:
            found = _TIME.search(line)
            if found:
                self._times.put(_number(found[1]))
                continue
            text = line.decode("utf-8", "replace").rstrip()
            if "showinfo" not in text:
                self._said.append(text)
                self._note(text)

    def _note(self, text: str) -> None:
        duration, rate = _DURATION.search(text), _RATE.search(text)
        length, fps, transfer = self._facts.duration_s, self._facts.fps, self._facts.transfer
        # Behind the first of these lines come those of what is written.
        if not fps and (coded := _TRANSFER.search(text)):
            transfer = coded[1]
        if duration and not length:
            hours, minutes, seconds = (float(part) for part in duration.groups())
            length = hours * 3600 + minutes * 60 + seconds
        if rate and not fps:
            fps = float(rate[1]) * (1000 if rate[2] else 1)
        self._facts = VideoFacts(length, fps, transfer)

    def _watch(self) -> None:
        while self._process.poll() is None and not self._is_stopped:
            if time.monotonic() - self._alive_at > _SILENT_S:
                self._is_hung = True
                self._process.kill()
            time.sleep(0.5)

    def _why_nothing(self) -> InvalidInput:
        said = "\n".join(self._said)
        if "matches no streams" in said or "does not contain any stream" in said:
            return InvalidInput(
                f"{self._path}: holds no pictures, only sound or nothing; name a video."
            )
        if "Video:" in said and not self._process.returncode:
            return NoFrame(f"{self._path}: holds no frame that can be shown; name another video.")
        reasons = [_ADDRESS.sub("", line) for line in self._said if line.startswith("[")]
        reason = one_line(reasons[-1], 120) if reasons else "ffmpeg does not say why"
        if "not on whitelist" in said:
            reason = "its format is none of a video"
        return InvalidInput(
            f"{self._path}: is no video that ffmpeg can read ({reason}); convert it to MP4, or "
            "name a folder of PNG or JPEG pictures."
        )


def _command(path: Path, frame_filter: str, limit: int) -> list[str]:
    filters = (
        "yadif=deint=interlaced",
        f"select='{frame_filter}'",
        f"scale=w='{_side('iw*sar')}':h='{_side('ih')}'",
        "setsar=1",
        "format=rgb24",
        "showinfo=checksum=0",
    )
    command = [find_ffmpeg(), "-hide_banner", "-nostdin", "-nostats", "-loglevel", "info"]
    command += ["-protocol_whitelist", "file", "-format_whitelist", _CONTAINERS]
    command += ["-max_pixels", str(_MAX_PIXELS)]
    # An absolute path behind a protocol: no name can be an option or an address.
    command += ["-i", f"file:{path.absolute()}", "-map", "0:V:0", "-vf", ",".join(filters)]
    command += ["-fps_mode", "passthrough", *(["-frames:v", str(limit)] if limit else [])]
    return [*command, "-f", "image2pipe", "-c:v", "ppm", "pipe:1"]


def _side(side: str) -> str:
    return f"max(1,round({side}*min(1,{MAX_SIDE}/max(iw*sar,ih))))"


def _read_ppm(stream: IO[bytes]) -> Bytes | None:
    """The next picture of a pipe; None at its end, also within a picture."""
    if stream.readline().strip() != b"P6":
        return None
    width, height = (int(side) for side in stream.readline().split())
    stream.readline()
    pixels = np.empty((height, width, 3), np.uint8)
    view, done = pixels.data.cast("B"), 0
    while done < len(view):
        got = stream.readinto(view[done:])  # type: ignore[attr-defined]
        if not got:
            return None
        done += got
    return pixels


def _number(text: bytes) -> float:
    try:
        return float(text)
    except ValueError:
        return float("nan")
