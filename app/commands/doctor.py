"""`doctor`: what this machine offers, and what is missing and where it comes from."""

from __future__ import annotations

import argparse
import os
import platform
from collections.abc import Callable
from typing import Any

_Check = tuple[bool, str]


def add_parser(subparsers: Any) -> None:
    """Describe the command."""
    parser = subparsers.add_parser(
        "doctor",
        help="check this machine",
        description="Say what was found: device, OpenGL, codecs, rasterisers, optional models.",
    )
    parser.set_defaults(run=doctor)


def doctor(_options: argparse.Namespace) -> int:
    """Print one line for each finding; what is missing is no failure."""
    checks: list[tuple[str, Callable[[], _Check]]] = [
        ("system", _system),
        ("device", _device),
        # Before OpenGL: some Tritons crash when they are imported after Mesa's drivers.
        ("rasterisers", _rasterisers),
        ("OpenGL", _opengl),
        ("display", _display),
        ("pictures go", _upload),
        ("codecs", _codecs),
        ("threads", _threads),
        ("free head", _free_head),
        ("demo avatar", _demo),
        ("face models", _face_models),
        ("human assets", _human_assets),
    ]
    for name, check in checks:
        _print_line(name, *_guarded(check))
    for name, found, text in optional_models():
        _print_line(name, found, text)
    return 0


def _print_line(name: str, good: bool, text: str) -> None:
    print(f"{'ok     ' if good else 'missing'} {name:<16} {' '.join(text.split())}")


def _guarded(check: Callable[[], _Check]) -> _Check:
    """A check that fails is a finding, never the end of the report."""
    try:
        return check()
    except Exception as error:
        return False, f"{type(error).__name__}: {error}"


def _system() -> _Check:
    from app import VERSION

    return (
        True,
        f"pegasus-editor {VERSION}, Python {platform.python_version()}, {platform.platform()}",
    )


def _device() -> _Check:
    import torch

    if torch.cuda.is_available():
        facts = torch.cuda.get_device_properties(0)
        return (
            True,
            f"CUDA: {facts.name}, {facts.total_memory / 2**30:.0f} GiB (torch {torch.__version__})",
        )
    if torch.version.cuda is None:
        why = "this build of torch has no CUDA"
    else:
        why = "no CUDA device or driver was found"
    return True, f"CPU ({platform.machine()}): {why} (torch {torch.__version__})"


def _opengl() -> _Check:
    import moderngl

    backend = {"backend": "egl"} if platform.system() == "Linux" else {}
    context = moderngl.create_context(standalone=True, **backend)  # type: ignore[arg-type]
    try:
        return True, f"{context.info['GL_RENDERER']}, OpenGL {context.version_code / 100:.1f}"
    finally:
        context.release()


def _display() -> _Check:
    if platform.system() != "Linux":
        return True, platform.system()
    for name in ("WAYLAND_DISPLAY", "DISPLAY"):
        if os.environ.get(name):
            return True, f"{name}={os.environ[name]}"
    return False, "no display: the editor cannot open here; render and turntable work"


def _upload() -> _Check:
    from app.rendering.texture_upload import describe_upload

    return True, describe_upload()


def _codecs() -> _Check:
    import imageio_ffmpeg

    from pegasus_runtime.export.ffmpeg import find_ffmpeg, list_encoders
    from pegasus_runtime.export.film import FILM_FORMATS

    program = find_ffmpeg()
    wanted = [known.codec for known in FILM_FORMATS if known.suffix]
    missing = [name for name in wanted if name not in list_encoders(program)]
    version = imageio_ffmpeg.get_ffmpeg_version()
    if missing:
        return False, f"ffmpeg {version} has no {', '.join(missing)}; reinstall imageio-ffmpeg"
    return True, f"ffmpeg {version} with {', '.join(wanted)}"


def _threads() -> _Check:
    import numba
    import torch

    return True, (
        f"{os.cpu_count()} cores, numba {numba.get_num_threads()}, torch {torch.get_num_threads()}"
    )


def _rasterisers() -> _Check:
    import torch

    from pegasus_runtime.raster import available_engines, choose_engine, missing_engines

    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    engines = available_engines()
    text = f"{', '.join(engines)}; used here: {choose_engine('auto', device)}"
    missing = [f"; not {name}: {why}" for name, why in missing_engines().items()]
    return bool(engines), text + "".join(missing)


def _free_head() -> _Check:
    from pegasus_runtime import load_free_head

    head = load_free_head()
    return True, f"{head.name}, {head.num_vertices:,} vertices, {head.license}"


def _demo() -> _Check:
    from pegasus_runtime import load_avatar

    avatar = load_avatar("demo")
    return True, f"{avatar.num_points:,} points, {len(avatar.attribute_names)} attributes"


def _face_models() -> _Check:
    """What `python -m trainer preprocess` looks at videos with."""
    from importlib.resources import files

    import cv2

    folder = files("resources") / "models"
    found = sorted(p.name for p in folder.iterdir() if p.name.endswith((".task", ".tflite")))
    return bool(found), f"{', '.join(found) or 'reinstall'} in OpenCV {cv2.__version__}"


def _human_assets() -> _Check:
    from pegasus_runtime.human_assets import describe_human_assets

    return describe_human_assets()


def optional_models() -> list[tuple[str, bool, str]]:
    """Files a user may put into the asset folder: name, whether it is there, and its story."""
    from app.commands.optional_models import OPTIONAL_MODELS
    from pegasus_runtime.assets import asset_folder

    folder = asset_folder()
    lines = [("asset folder", folder.is_dir(), f"{folder} (PEGASUS_ASSETS moves it)")]
    for model in OPTIONAL_MODELS:
        present = (
            [name for name in model.files if any(folder.rglob(name))] if folder.is_dir() else []
        )
        place = str(folder / model.files[0])
        text = f"{present[0]}: {model.use}" if present else f"{model.use}; {model.source} → {place}"
        lines.append((model.name, bool(present), text))
    return lines
