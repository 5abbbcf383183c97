"""The README's own commands work, at sizes that take seconds."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "README.md").read_text("utf-8")
# Appended to a command: the last of two values of an option counts.
SMALLER = {
    "render": ["--size", "48"],
    "turntable": ["--size", "48", "--frames", "3"],
    "bench": ["--size", "48", "--points", "500", "--repeats", "1"],
}


def marked_blocks(language: str) -> list[str]:
    pattern = rf"<!-- tested -->\n```{language}\n(.*?)```"
    return re.findall(pattern, TEXT, flags=re.DOTALL)


def commands() -> list[str]:
    return [line for block in marked_blocks("sh") for line in block.splitlines() if line.strip()]


def run(arguments: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    environment = {"OMP_NUM_THREADS": "2", **os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def test_the_readme_has_what_is_tested() -> None:
    assert len(commands()) >= 8 and len(marked_blocks("python")) >= 1


@pytest.mark.slow
@pytest.mark.parametrize("line", commands())
def test_command(line: str, tmp_path: Path) -> None:
    program, script, command, *options = shlex.split(line)
    assert (program, script) == ("python", "main.py")
    small = SMALLER.get(command, [])
    done = run([str(ROOT / "main.py"), command, *options, *small], tmp_path)
    assert done.returncode == 0, done.stderr
    for option in ("--out", "--json"):
        if option in options:
            assert (tmp_path / options[options.index(option) + 1]).exists()


@pytest.mark.slow
@pytest.mark.parametrize("block", marked_blocks("python"))
def test_python(block: str, tmp_path: Path) -> None:
    done = run(["-c", block], tmp_path)
    assert done.returncode == 0, done.stderr


def test_the_two_commands_to_start_exist() -> None:
    makefile = (ROOT / "Makefile").read_text("utf-8")
    for target in re.findall(r"^make (\w+)", TEXT, flags=re.MULTILINE):
        assert re.search(rf"^{target}:", makefile, flags=re.MULTILINE)


@pytest.mark.parametrize("link", sorted(set(re.findall(r"\]\((?!https?:)([^)#]+)\)", TEXT))))
def test_links_lead_somewhere(link: str) -> None:
    assert (ROOT / link).exists()
