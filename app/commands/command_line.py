"""Parsing of the command line, and what becomes of errors."""

from __future__ import annotations

import argparse
import io
import os
import re
import signal
import sys
import threading
import traceback
from collections.abc import Sequence
from importlib import import_module
from typing import NoReturn

from pegasus_runtime.errors import EXIT_INTERRUPTED, InvalidInput
from pegasus_runtime.memory import is_out_of_memory

EXIT_FAILURE, EXIT_MISTAKE = 1, 2
_EXIT_SIGNAL = 128
EDIT = "edit"
_STOPPED = "stopped; nothing half-written is left."
_MODULES = {
    EDIT: "open_editor",
    "render": "render",
    "turntable": "turntable",
    "import-reference": "import_reference",
    "info": "info",
    "bench": "bench",
    "doctor": "doctor",
}
_TOP_LEVEL = ("-h", "--help", "--version")
_MISTAKES = (
    InvalidInput,
    FileNotFoundError,
    PermissionError,
    IsADirectoryError,
    NotADirectoryError,
)


class Terminated(KeyboardInterrupt):
    """The system asks to stop; what Ctrl+C cleans up is cleaned up here too."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.status = _EXIT_SIGNAL + number


class OneLineParser(argparse.ArgumentParser):
    """A parser whose complaint is one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(EXIT_MISTAKE, f"{self.prog}: {message} (see {self.prog} --help)\n")


def build_parser() -> argparse.ArgumentParser:
    """The parser of all commands."""
    from app import VERSION

    parser = OneLineParser(
        prog="pegasus-editor",
        description="Edit, animate and film head avatars. Without a command the editor opens: "
        "pegasus-editor [AVATAR].",
        epilog="AVATAR is the path of an .avatar file or of a project, or demo. A file that has "
        "the name of a command opens with: pegasus-editor edit NAME.",
    )
    parser.add_argument("--version", action="version", version=f"pegasus-editor {VERSION}")
    subparsers = parser.add_subparsers(
        dest="command", metavar="COMMAND", required=True, parser_class=OneLineParser
    )
    for module in _MODULES.values():
        import_module(f"app.commands.{module}").add_parser(subparsers)
    return parser


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Parse arguments; with no command in front they are those of the editor."""
    given = list(arguments)
    if not given or (given[0] not in _MODULES and given[0] not in _TOP_LEVEL):
        given = [EDIT, *given]
    return build_parser().parse_args(_join_negative_values(given))


def run(arguments: Sequence[str]) -> int:
    """Run a command.

    Returns:
        0 when it worked, 2 for a mistake of the user's, 130 when interrupted, 128 and the signal's
        number when terminated, 1 for anything else.
    """
    _stop_on_signals()
    _print_any_name()
    try:
        options = parse(arguments)
        status = int(options.run(options))
        return 0 if _reader_has_gone("") else status
    except _MISTAKES as error:
        return _complain(str(error), EXIT_MISTAKE)
    except KeyboardInterrupt as stop:
        return _complain(_STOPPED, _exit_status(stop))
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else EXIT_FAILURE
    except Exception as error:
        if isinstance(error, BrokenPipeError) and _reader_has_gone("\n"):
            return 0
        if (stopped := _interruption(error)) is not None:
            return _complain(_STOPPED, _exit_status(stopped))
        if is_out_of_memory(error):
            return _complain(_too_large(arguments), EXIT_MISTAKE)
        if os.environ.get("PEGASUS_DEBUG"):
            traceback.print_exc()
        name = type(error).__name__
        return _complain(
            f"unexpected {name}: {error} (PEGASUS_DEBUG=1 shows where it came from)", EXIT_FAILURE
        )


def _reader_has_gone(probe: str) -> bool:
    """Whether what reads our output, head or less, has seen enough and closed it.

    Args:
        probe: written to find out, where the output may hold nothing unwritten any more.
    """
    if sys.stdout is None:  # a program without a console
        return False
    try:
        sys.stdout.write(probe)
        sys.stdout.flush()
    except BrokenPipeError:
        # Python would flush once more at exit, and complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return True
    return False


def _interruption(error: BaseException | None) -> KeyboardInterrupt | None:
    """The Ctrl+C behind an error: inside a compiled kernel it comes out as SystemError."""
    while error is not None:
        if isinstance(error, KeyboardInterrupt):
            return error
        error = error.__cause__ or error.__context__
    return None


def _too_large(arguments: Sequence[str]) -> str:
    lowered = {"render": "lower --size", "turntable": "lower --size", "bench": "lower --points"}
    what = lowered.get(arguments[0] if arguments else "", "open an avatar with fewer points")
    return f"not enough memory; {what}, or close other programs. Nothing half-written is left."


def _exit_status(stop: KeyboardInterrupt) -> int:
    return stop.status if isinstance(stop, Terminated) else EXIT_INTERRUPTED


def _stop_on_signals() -> None:
    """End on SIGTERM and SIGHUP as on Ctrl+C, unless whoever started us has them ignored."""

    def stop(number: int, _frame: object) -> NoReturn:
        raise Terminated(number)

    if threading.current_thread() is not threading.main_thread():
        return
    for name in ("SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, stop)


def _print_any_name() -> None:
    """Let a console that lacks a letter show it as a number instead of ending the command."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _complain(message: str, status: int) -> int:
    print(f"pegasus-editor: {' '.join(message.split())}", file=sys.stderr)
    return status


def _join_negative_values(arguments: list[str]) -> list[str]:
    """Turn ``--view -30,10`` into ``--view=-30,10``; argparse takes the value for an option."""
    joined: list[str] = []
    for argument in arguments:
        if re.match(r"-[\d.]", argument) and joined and re.fullmatch(r"--[a-z-]+", joined[-1]):
            joined[-1] += f"={argument}"
        else:
            joined.append(argument)
    return joined
