"""Stands beside a training: starts it, passes on requests, writes down how it ended.

``python -m app.runs.supervisor FOLDER COMMAND …``, started by the editor and independent of it.
Requests come as a file in the run's folder, so they work on every system and from any machine
that sees the folder.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any

import psutil

from pegasus_runtime.process_identity import ProcessIdentity, this_process
from pegasus_runtime.run_request import KILL, SUPERVISED, read_request

PROCESS_FILE, LOG_FILE = "process.json", "run.log"
_SIZE = 4096
"""Bytes, more than these facts take; with less the file would grow when its end is noted."""
_POLL_S = 0.2
"""Less lets Pause and Stop answer sooner, for more reads of a file."""


def main(arguments: list[str]) -> int:
    """Run the command to its end; its exit status."""
    folder, command = Path(arguments[0]), arguments[1:]
    with (folder / LOG_FILE).open("ab") as log:
        return _guard(folder, command, log)


def _guard(folder: Path, command: list[str], log: IO[bytes]) -> int:
    # Started in the background of a shell, an editor ignores Ctrl+C, and so would all below it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    child = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=subprocess.STDOUT,
        env={**os.environ, "PYTHONUNBUFFERED": "1", SUPERVISED: "1"},
        start_new_session=os.name != "nt",
    )
    # After the start, which would pass it on. On Windows Ctrl+C reaches all that share a console.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    facts: dict[str, Any] = {
        "process": asdict(ProcessIdentity.of(child.pid)),
        "guard": asdict(this_process()),
        "command": command,
        "began": time.time(),
    }
    _write(folder, facts)
    code = _wait(folder, child)
    _write(folder, {**facts, "exit_code": code, "ended": time.time()})
    return code


def _wait(folder: Path, child: subprocess.Popen[bytes]) -> int:
    done = ""
    while True:
        with suppress(subprocess.TimeoutExpired):
            return child.wait(_POLL_S)
        wanted = read_request(folder)
        if wanted and wanted != done:
            done = wanted
            send(child.pid, wanted)


def send(pid: int, wanted: str) -> None:
    """Pass on a request, "pause", "stop" or "kill", to a process."""
    with suppress(OSError, psutil.NoSuchProcess):
        if wanted == KILL:
            # torchrun puts each worker into a group of its own.
            for process in (psutil.Process(pid), *psutil.Process(pid).children(recursive=True)):
                with suppress(psutil.NoSuchProcess):
                    process.kill()
        elif os.name == "nt":
            os.kill(0, signal.CTRL_C_EVENT)  # type: ignore[attr-defined]
        else:
            # Only the leader: torchrun tells its workers itself.
            os.kill(pid, signal.SIGINT)


def _write(folder: Path, facts: dict[str, Any]) -> None:
    """In place and always of one size, so that the end can be noted on a full disk as well."""
    data = json.dumps(facts).encode().ljust(_SIZE) + b"\n"
    path = folder / PROCESS_FILE
    with suppress(OSError), path.open("r+b" if path.exists() else "wb") as stream:
        stream.write(data)
        stream.truncate()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
