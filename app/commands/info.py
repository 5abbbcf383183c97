"""`info`: what is in an avatar file."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from app.commands.avatar_source import AVATAR_HELP, avatar_of, read_source
from pegasus_runtime.avatar.seen_sides import KEY as SEEN_KEY
from pegasus_runtime.avatar.seen_sides import SeenSides

if TYPE_CHECKING:
    from app.state.project import Project

_SCORES = {
    "psnr_head": "{:.1f} dB", "psnr_frame": "{:.1f} dB", "ssim": "{:.3f}", "mask_iou": "{:.3f}",
}  # fmt: skip
"""shown of each subject, and how"""


def add_parser(subparsers: Any) -> None:
    """Describe the command."""
    parser = subparsers.add_parser(
        "info", help="what is in an avatar", description="Say what is in an avatar file."
    )
    parser.add_argument("avatar", metavar="AVATAR", help=AVATAR_HELP)
    parser.add_argument("--json", action="store_true", help="print the file's header as JSON")
    parser.set_defaults(run=info)


def info(options: argparse.Namespace) -> int:
    """Print the header; the head and the networks need not be there."""
    project = read_source(options.avatar)
    facts = _facts(avatar_of(options.avatar, project))
    if options.json:
        kept = {} if project is None else {"project": _project_facts(project)}
        print(json.dumps({**facts, **kept}, indent=2, ensure_ascii=False))
        return 0
    if project is not None:
        _print_project(project)
    print(f"{facts['name']}  (avatar version {facts['version']}, {facts['bytes'] / 1e6:.1f} MB)")
    for label, value in _contents(facts):
        print(f"{label:<18} {value}")
    for line in _scores(facts["provenance"].get("scores")):
        print(line)
    return 0


def _print_project(project: Project) -> None:
    """What was chosen, in the names that the file uses."""
    print(f"{project.path}  (a project with the avatar {project.avatar.name})")
    parts = {**project.face, "view": project.view or {}, "display": project.display or {}}
    for part, values in parts.items():
        print(f"{part:<18} {', '.join(f'{k} {_brief(v)}' for k, v in values.items()) or '–'}")
    print()


def _project_facts(project: Project) -> dict[str, Any]:
    view, display = project.view or {}, project.display or {}
    return {"path": str(project.path), **project.face, "view": view, "display": display}


def _brief(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, dict):
        return " ".join(_brief(item) for item in value.values())
    return f"({', '.join(map(_brief, value))})" if isinstance(value, list) else str(value)


def _contents(facts: dict[str, Any]) -> Iterator[tuple[str, str]]:
    if "radius" in facts:
        yield "points", f"{facts['num_points']:,}, radius {facts['radius']:.5f}"
    else:
        own = facts["num_points"] - facts["num_source"]
        yield (
            "surfels",
            f"{facts['num_points']:,}, of which {own:,} are there with an attribute only",
        )
    yield "head", f"{facts['head']['name']} (sha256 {facts['head']['sha256'][:12]}…)"
    attributes = facts["attribute_names"]
    for category in facts["categories"]:
        names = [n.removeprefix(f"{category}_") for n in attributes if n.startswith(f"{category}_")]
        yield category, ", ".join(names) or "–"
    seen = SeenSides.of(facts["provenance"])
    for key, value in facts["provenance"].items():
        if key == SEEN_KEY and seen:
            yield key, f"{seen.facts}. {seen.note}".strip()
            continue
        label = key.removeprefix("num_").replace("_", " ")
        if isinstance(value, dict) and key != "scores":
            yield label, f"{value.get('name') or ''} (all of it with --json)".strip()
        elif key != "scores":
            yield label, str(value)


def _scores(scores: Any) -> Iterator[str]:
    """How close the avatar came to each subject, if the file says so, which may say anything."""
    if not isinstance(scores, dict) or not scores:
        return
    yield f"\n{'held-out frames':<18} {'PSNR head':>10} {'frame':>10} {'SSIM':>7} {'mask IoU':>9}"
    for name, score in scores.items():
        found = score if isinstance(score, dict) else {}
        head, frame, similar, mask = (
            form.format(found[key]) if isinstance(found.get(key), int | float) else "–"
            for key, form in _SCORES.items()
        )
        yield f"{name:<18} {head:>10} {frame:>10} {similar:>7} {mask:>9}"


def _facts(avatar: str) -> dict[str, Any]:
    from importlib.resources import as_file, files

    from pegasus_runtime.avatar_file import read_header

    if avatar != "demo":
        return {**read_header(avatar), "bytes": Path(avatar).stat().st_size}
    with as_file(files("resources") / "demo.avatar") as path:
        return {**read_header(path), "bytes": path.stat().st_size}
