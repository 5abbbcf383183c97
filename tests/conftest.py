"""Fixtures shared by all tests."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest

# As in trainer/__main__.py: tests start processes, and threads that wait must not hold the cores.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
if "PYTEST_XDIST_WORKER_COUNT" in os.environ:
    # Processes that test at once share the cores; threads of one would take them from the others.
    share = (os.cpu_count() or 1) // int(os.environ["PYTEST_XDIST_WORKER_COUNT"])
    os.environ.setdefault("OMP_NUM_THREADS", str(max(share, 1)))

import torch  # noqa: E402

ROOT = Path(__file__).resolve().parent.parent

# Without a GPU the CUDA kernels are tested in Triton's interpreter. Triton reads this when a kernel
# is defined, so it has to be there before anything imports the engine.
if not torch.cuda.is_available():
    os.environ.setdefault("TRITON_INTERPRET", "1")

# Programs started in the background of a shell ignore Ctrl+C, those of nohup the end of a terminal,
# and so would all that tests start.
signal.signal(signal.SIGINT, signal.default_int_handler)
if hasattr(signal, "SIGHUP"):
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--monkey-actions", type=int, default=1000, help="of tests/gui/test_monkey.py")
    parser.addoption("--monkey-seed", type=int, default=1)
    parser.addoption(
        "--fuzz-seeds",
        type=int,
        default=200,
        help="how many damaged files each fuzz test of a reader makes",
    )


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Files go to whichever process is free, except that one gets all that open windows.

    There is one screen: two windows at once would take the focus and the clipboard from each other.
    """
    from xdist.scheduler import LoadFileScheduling

    class WindowsInOneProcess(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file = super()._split_scope(nodeid)
            return "tests/gui" if file.startswith("tests/gui/") else file

    return WindowsInOneProcess(config, log) if config.getvalue("dist") == "loadfile" else None


@pytest.fixture
def fuzz_seeds(request: pytest.FixtureRequest) -> range:
    """The seeds of a fuzz test; `--fuzz-seeds N` takes more than CI does."""
    return range(request.config.getoption("--fuzz-seeds"))


@pytest.fixture
def sbatch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A SLURM that takes every job and starts none."""
    pytest.importorskip("submitit")
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("sbatch", "srun"):
        program = folder / name
        program.write_text("#!/bin/sh\necho Submitted batch job 123\n", "utf-8")
        program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    return folder / "sbatch"


@pytest.fixture(scope="session")
def golden() -> Path:
    """The folder of reference numbers, which lies beside the repository where it is available."""
    folder = Path(os.environ.get("PEGASUS_GOLDEN", ROOT.parent / "shared" / "golden"))
    if not (folder / "reference_a").is_dir():
        pytest.skip("the reference numbers (../shared/golden) are not beside this checkout")
    return folder
