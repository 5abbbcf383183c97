"""What imports cost, what lies at the first level, and that nothing unpickles."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("app", "pegasus_runtime", "trainer")
FIRST_LEVEL = {
    ".ci", ".gitattributes", ".github", ".gitignore", "CHANGELOG.md", "CONTRIBUTING.md", "LICENSE",
    "Makefile", "README.md", "app", "docs", "main.py", "pegasus_runtime", "pyproject.toml",
    "resources", "tests", "trainer",
}  # fmt: skip
QT = ("PySide6", "qtpy", "qtawesome", "qdarkstyle", "pyqtgraph")
HEAVY = ("torch", "numba", "cv2", "imageio_ffmpeg", "scipy")


def modules(package: str) -> Iterator[Path]:
    yield from sorted((ROOT / package).rglob("*.py"))


def imported_names(path: Path) -> set[str]:
    """Full names of the modules that a file imports anywhere in it."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def loaded_by(statement: str) -> set[str]:
    """Top-level names in sys.modules of a fresh interpreter after a statement."""
    code = f"{statement}\nimport sys\nprint(*{{name.partition('.')[0] for name in sys.modules}})"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return set(done.stdout.split())


def test_importing_the_runtime_is_cheap() -> None:
    loaded = loaded_by("import pegasus_runtime, pegasus_runtime.export, pegasus_runtime.raster")
    assert "pegasus_runtime" in loaded and not loaded & set(HEAVY)


def test_the_command_line_is_cheap_until_a_command_runs() -> None:
    statement = "from app.commands.command_line import build_parser; build_parser()"
    assert not loaded_by(statement) & {*HEAVY, *QT}


def test_of_the_runtime_widgets_know_its_errors_only() -> None:
    """All other rules of imports are contracts in pyproject.toml."""
    names = {
        f"{path.relative_to(ROOT)} imports {name}"
        for path in modules("app/widgets")
        if path.name != "viewport.py"
        for name in imported_names(path)
        if name.startswith("pegasus_runtime") and not name.startswith("pegasus_runtime.errors")
    }
    assert not names


def test_first_level_is_fixed() -> None:
    # What git ignores is no part of the tree; caches and environments are.
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if listed.returncode:
        pytest.skip("not a git checkout")
    first = {line.partition("/")[0].strip('"') for line in listed.stdout.splitlines()}
    assert first - FIRST_LEVEL == set()
    assert {"app", "main.py", "pegasus_runtime", "trainer", "Makefile", "README.md"} <= first


def called_name(node: ast.Call) -> str:
    return ast.unparse(node.func)


def is_unsafe(node: ast.AST) -> bool:
    if not isinstance(node, ast.Call):
        return False
    name = called_name(node)
    if name in ("pickle.load", "pickle.loads", "pickle.Unpickler", "joblib.load"):
        return True
    keywords = {k.arg: ast.unparse(k.value) for k in node.keywords}
    if name == "torch.load":
        return keywords.get("weights_only") != "True"
    return name in ("np.load", "numpy.load") and keywords.get("allow_pickle") == "True"


@pytest.mark.parametrize("package", PACKAGES)
def test_nothing_unpickles(package: str) -> None:
    found = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in modules(package)
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if is_unsafe(node)
    ]
    assert found == []


@pytest.mark.parametrize(
    ("code", "unsafe"),
    [
        ("torch.load(p)", True),
        ("torch.load(p, weights_only=False)", True),
        ("torch.load(p, weights_only=True)", False),
        ("pickle.loads(b)", True),
        ("np.load(p, allow_pickle=True)", True),
        ("np.load(p)", False),
    ],
)
def test_the_search_for_unpickling_finds_it(code: str, unsafe: bool) -> None:
    assert any(is_unsafe(node) for node in ast.walk(ast.parse(code))) is unsafe
