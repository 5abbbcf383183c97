"""What README and the docs tell to type has commands, options, settings and presets that exist."""

from __future__ import annotations

import re
import shlex
from functools import cache
from itertools import pairwise
from pathlib import Path

import pytest

import trainer.cli
from app.commands.command_line import build_parser
from trainer.config.presets import describe_training

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
PROGRAM = re.compile(r"(?:python -m |torchrun .*-m |python )(trainer|main\.py) (.+)")


def typed(page: Path) -> list[tuple[str, str]]:
    """Program and arguments of each line of the page's shell blocks."""
    blocks = re.findall(r"^```sh\n(.*?)^```", page.read_text("utf-8"), re.DOTALL | re.MULTILINE)
    lines = "\n".join(blocks).replace("\\\n", " ").splitlines()
    found = (PROGRAM.match(line.split(" # ")[0].strip()) for line in lines)
    return [(match[1], match[2]) for match in found if match]


LINES = [(page.name, *line) for page in PAGES for line in typed(page)]


@cache
def settings() -> set[str]:
    return {each["key"] for each in describe_training()["settings"]}


def help_of(program: str, command: str, capsys: pytest.CaptureFixture[str]) -> str:
    with pytest.raises(SystemExit) as ended:
        if program == "trainer":
            trainer.cli.main([command, "--help"])
        else:
            build_parser().parse_args([command, "--help"])
    assert ended.value.code == 0
    return capsys.readouterr().out


def test_the_pages_have_commands() -> None:
    assert len(LINES) > 20 and {program for _, program, _ in LINES} == {"trainer", "main.py"}


@pytest.mark.parametrize(("page", "program", "line"), LINES)
def test_a_command_can_be_typed(page: str, program: str, line: str, capsys) -> None:
    command, *words = shlex.split(line)
    told = help_of(program, command, capsys)
    for word, value in pairwise([*words, ""]):
        if word.startswith("--"):
            assert re.search(rf"{re.escape(word.partition('=')[0])}\b", told), f"{page}: {word}"
        if word == "--set" and command != "capture":
            assert value.partition("=")[0] in settings(), f"{page}: {value}"
        if word.startswith("resources/"):
            assert (ROOT / word).is_file(), f"{page}: {word}"
