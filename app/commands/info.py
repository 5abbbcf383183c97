"""`info`: what is in an avatar file."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_SCORES = {
    "psnr_head": "{:.1f} dB", "psnr_frame": "{:.1f} dB", "ssim": "{:.3f}", "mask_iou": "{:.3f}",
}  # fmt: skip
"""shown of each subject, and how"""


def add_parser(subparsers: Any) -> None:
    """Describe the command."""
    parser = subparsers.add_parser(
        "info", help="what is in an avatar", description="Say what is in an avatar file."
    )
    parser.add_argument("avatar", metavar="AVATAR", help="path of an .avatar file, or demo")
    parser.add_argument("--json", action="store_true", help="print the file's header as JSON")
    parser.set_defaults(run=info)


def info(options: argparse.Namespace) -> int:
    """Print the header; the head and the networks need not be there."""
    facts = _facts(options.avatar)
    if options.json:
        print(json.dumps(facts, indent=2, ensure_ascii=False))
        return 0
    print(f"{facts['name']}  (avatar version {facts['version']}, {facts['bytes'] / 1e6:.1f} MB)")
    for label, value in _contents(facts):
        print(f"{label:<18} {value}")
    for line in _scores(facts["provenance"].get("scores")):
        print(line)
    return 0


def _contents(facts: dict[str, Any]) -> Iterator[tuple[str, str]]:
    yield "points", f"{facts['num_points']:,}, radius {facts['radius']:.5f}"
    yield "head", f"{facts['head']['name']} (sha256 {facts['head']['sha256'][:12]}…)"
    attributes = facts["attribute_names"]
    for category in facts["categories"]:
        names = [n.removeprefix(f"{category}_") for n in attributes if n.startswith(f"{category}_")]
        yield category, ", ".join(names) or "–"
    for key, value in facts["provenance"].items():
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

    from pegasus_runtime.avatar.file import read_header

    if avatar != "demo":
        return {**read_header(avatar), "bytes": Path(avatar).stat().st_size}
    with as_file(files("resources") / "demo.avatar") as path:
        return {**read_header(path), "bytes": path.stat().st_size}
