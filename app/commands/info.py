"""`info`: what is in an avatar file."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any


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
    attributes = facts["attribute_names"]
    print(f"{facts['name']}  (avatar version {facts['version']}, {facts['bytes'] / 1e6:.1f} MB)")
    print(f"points      {facts['num_points']:,}, radius {facts['radius']:.5f}")
    print(f"head        {facts['head']['name']} (sha256 {facts['head']['sha256'][:12]}…)")
    for category in facts["categories"]:
        names = [n.removeprefix(f"{category}_") for n in attributes if n.startswith(f"{category}_")]
        print(f"{category:<11} {', '.join(names) or '–'}")
    for key, value in facts["provenance"].items():
        print(f"{key:<11} {value}")
    return 0


def _facts(avatar: str) -> dict[str, Any]:
    from importlib.resources import as_file, files

    from pegasus_runtime.avatar.file import read_header

    if avatar != "demo":
        return {**read_header(avatar), "bytes": Path(avatar).stat().st_size}
    with as_file(files("resources") / "demo.avatar") as path:
        return {**read_header(path), "bytes": path.stat().st_size}
