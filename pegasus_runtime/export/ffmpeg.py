"""The ffmpeg program: where it is, what it can encode, and starting it."""

from __future__ import annotations

import os
import subprocess
from functools import lru_cache
from typing import IO

from pegasus_runtime.errors import InvalidInput

_ANSWER_S = 60
"""Seconds for a list of encoders; less takes one that a virus scanner holds up for none."""
_REINSTALL = "reinstall imageio-ffmpeg, or name another ffmpeg in IMAGEIO_FFMPEG_EXE"


def find_ffmpeg() -> str:
    """The program that $IMAGEIO_FFMPEG_EXE names, the one that was installed, or the system's.

    Raises:
        InvalidInput: there is none.
    """
    import imageio_ffmpeg

    try:
        return str(imageio_ffmpeg.get_ffmpeg_exe())
    except (RuntimeError, OSError) as error:
        raise InvalidInput(
            f"films need ffmpeg, which is not there ({error}); {_REINSTALL}."
        ) from error


@lru_cache
def list_encoders(program: str) -> frozenset[str]:
    """The names of what a program can encode.

    Raises:
        InvalidInput: it cannot be run.
    """
    try:
        asked = subprocess.run(
            [program, "-hide_banner", "-encoders"],
            capture_output=True, stdin=subprocess.DEVNULL, timeout=_ANSWER_S, check=False,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError) as error:
        reason = getattr(error, "strerror", None) or type(error).__name__
        raise InvalidInput(
            f"{program}: films need it, and it cannot be run ({reason}); {_REINSTALL}."
        ) from error
    if asked.returncode or not asked.stdout:
        raise InvalidInput(f"{program}: films need it, and it fails; {_REINSTALL}.")
    return frozenset(asked.stdout.decode("utf-8", "replace").split())


def require_encoder(name: str) -> None:
    """Ask, before any work, whether a film can be encoded.

    Raises:
        InvalidInput: ffmpeg is missing, cannot be run or has no such encoder.
    """
    program = find_ffmpeg()
    if name not in list_encoders(program):
        raise InvalidInput(
            f"{program}: has no encoder {name}, which this film needs; {_REINSTALL}."
        )


def start_ffmpeg(command: list[str], complaints: IO[bytes]) -> subprocess.Popen[bytes]:
    """Start it with a pipe to its input, to encode.

    It is kept from a terminal's Ctrl+C: who has started it stops it, and removes what it wrote.

    Raises:
        InvalidInput: it cannot be run.
    """
    return _start(command, subprocess.PIPE, subprocess.DEVNULL, complaints)


def start_decoder(command: list[str]) -> subprocess.Popen[bytes]:
    """Start it with pipes from its output and from what it says, to decode.

    Raises:
        InvalidInput: it cannot be run.
    """
    return _start(command, subprocess.DEVNULL, subprocess.PIPE, subprocess.PIPE)


def _start(
    command: list[str], stdin: int, stdout: int, stderr: int | IO[bytes]
) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(
            command,
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            start_new_session=os.name == "posix",
            creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0)
            | getattr(subprocess, "CREATE_NO_WINDOW", 0),
        )
    except OSError as error:
        raise InvalidInput(
            f"{command[0]}: cannot be run ({error.strerror}); {_REINSTALL}."
        ) from error
