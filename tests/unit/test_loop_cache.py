"""Compiled loops on disk: what is damaged is compiled again, what cannot be kept still runs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = """
import sys
from pegasus_runtime.cpu.jit import njit

@njit(cache=True)
def add(a, b):
    return a + b

print(add(2, 3), add(2.0, 0.5), sum(add.stats.cache_hits.values()))
"""


@pytest.fixture
def program(tmp_path: Path) -> Path:
    (tmp_path / "code").mkdir()
    path = tmp_path / "code" / "adds.py"
    path.write_text(PROGRAM)
    return path


def run(program: Path, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, str(program)],
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout.strip()


def test_damaged_files_are_compiled_again(program: Path, tmp_path: Path) -> None:
    keep = {"NUMBA_CACHE_DIR": str(tmp_path / "cache")}
    assert run(program, **keep) == "5 2.5 0"
    assert run(program, **keep) == "5 2.5 2"
    data, _, index = sorted((tmp_path / "cache").rglob("*.nb*"))
    for file, hits in ((index, 0), (data, 1)):
        whole = file.read_bytes()
        middle = len(whole) // 2
        flipped = whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :]
        for damaged in (whole[:-1], flipped) if file is data else (b"", b"garbage" * 99):
            file.write_bytes(damaged)
            assert run(program, **keep) == f"5 2.5 {hits}"
            assert run(program, **keep) == "5 2.5 2"
    data.unlink()
    data.mkdir()
    assert run(program, **keep) == "5 2.5 1"


@pytest.mark.skipif(os.name == "nt", reason="permissions of POSIX")
@pytest.mark.parametrize("temporary", ["own", "foreign", "none"])
def test_no_place_to_keep_them_is_no_error(program: Path, tmp_path: Path, temporary: str) -> None:
    nowhere = program.with_name("__pycache__")
    nowhere.write_text("no folder")
    place = tmp_path / "tmp"
    place.mkdir()
    ours = place / f"pegasus-loops-{os.getuid()}"
    if temporary == "foreign":
        # What another user could write there is never run.
        ours.mkdir()
        ours.chmod(0o777)
    elif temporary == "none":
        ours.write_text("no folder")
    homeless = {"HOME": str(nowhere), "XDG_CACHE_HOME": str(nowhere), "TMPDIR": str(place)}
    assert run(program, **homeless) == "5 2.5 0"
    assert run(program, **homeless) == ("5 2.5 2" if temporary == "own" else "5 2.5 0")
    assert len(list(place.rglob("*.nbc"))) == (2 if temporary == "own" else 0)


FIRST_PICTURE = """
from pegasus_runtime import warmup

warmup.load()
told = []
forget = warmup.watch(lambda done, total: told.append((done, total)))
from pegasus_runtime.avatar_file import load_avatar
from pegasus_runtime.session import Session

avatar = load_avatar("demo")
frame = Session(avatar, device="cpu").render(
    avatar.neutral(), avatar.default_camera((32, 32)), ("rgb", "alpha"), None
)
from pegasus_runtime.export.display import to_pixels
to_pixels(frame, "rgb")
forget()
assert told == sorted(told, key=lambda pair: pair[0])
print(len({total for _, total in told}), told[0][0] if told else 0, told[-1] if told else ())
"""


def test_what_the_first_picture_compiles_is_counted_to_the_end(tmp_path: Path) -> None:
    """Also that the list of what it needs is true: with another one the last count differs."""
    program = tmp_path / "first_picture.py"
    program.write_text(FIRST_PICTURE)
    keep = {"NUMBA_CACHE_DIR": str(tmp_path / "cache"), "CUDA_VISIBLE_DEVICES": ""}
    kinds_of_total, first, last = run(program, **keep).split(maxsplit=2)
    done, total = last.strip("()").split(", ")
    assert (kinds_of_total, first) == ("1", "0") and done == total != "0"
    assert run(program, **keep) == "0 0 ()"
