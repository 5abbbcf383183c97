"""`render`: one picture of an avatar."""

from __future__ import annotations

import argparse
from typing import Any

from app.commands.picture_options import add_picture_options, read_picture_options, read_shown


def add_parser(subparsers: Any) -> None:
    """Describe the command."""
    parser = subparsers.add_parser(
        "render", help="write one picture", description="Write one picture of an avatar."
    )
    add_picture_options(parser)
    parser.add_argument("--out", required=True, metavar="IMG.png", help=".png or .jpg to write")
    parser.set_defaults(run=render)


def render(options: argparse.Namespace) -> int:
    """Write the picture that the options describe."""
    from pegasus_runtime.export.image import carries_alpha, check_image_path, write_picture

    shown = read_shown(options, can_be_transparent=carries_alpha(options.out))
    check_image_path(options.out, with_alpha=shown.backdrop is None)
    request = read_picture_options(options, shown)
    from pegasus_runtime.export.display import passes_for, to_picture

    frame = request.session.render(
        request.params, request.camera, passes=passes_for(request.image_pass), background=None
    )
    write_picture(options.out, to_picture(frame, request.image_pass, request.backdrop))
    print(f"wrote {options.out}")
    return 0
