"""`render`: one picture of an avatar."""

from __future__ import annotations

import argparse
from typing import Any

from app.commands.picture_options import (
    TRANSPARENT,
    add_picture_options,
    read_defaults,
    read_picture_options,
)


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
    from pegasus_runtime.export.image import check_image_path, to_picture, write_image

    project = read_defaults(options)
    transparent = options.background.lower() == TRANSPARENT
    check_image_path(options.out, with_alpha=transparent)
    request = read_picture_options(options, project)
    frame = request.session.render(
        request.params,
        request.camera,
        passes=tuple(dict.fromkeys((request.image_pass, "alpha"))),
        background=request.background,
    )
    picture = to_picture(frame, request.image_pass, with_alpha=transparent)
    write_image(options.out, picture[..., :3], picture[..., 3] if transparent else None)
    print(f"wrote {options.out}")
    return 0
