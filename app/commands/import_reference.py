"""`import-reference`: an avatar of a run of the authors' research program."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from pegasus_runtime.errors import InvalidInput
from pegasus_runtime.files import output_file


def add_parser(subparsers: Any) -> None:
    """Describe the command."""
    parser = subparsers.add_parser(
        "import-reference",
        help="make an avatar of a run of the research program",
        description="Make an .avatar file of a run of the authors' research program, or of "
        "PointAvatar's. RUN_DIR holds ModelParameters/ and InputParameters/, itself or in "
        "checkpoints/ or train/checkpoints/. Names of attributes are those of the run's "
        "configuration (*.conf beside checkpoints/), or of --meta.",
    )
    parser.add_argument("run_dir", metavar="RUN_DIR")
    parser.add_argument("--head", required=True, metavar="generic_model.pkl", help="FLAME head")
    parser.add_argument("--landmarks", metavar="landmark_embedding.npy", help="of that head")
    parser.add_argument(
        "--meta",
        metavar="meta.json",
        help="names of the attribute rows, where the run's configuration does not say them",
    )
    parser.add_argument("--out", required=True, metavar="NAME.avatar", help="file to write")
    parser.set_defaults(run=import_reference)


def import_reference(options: argparse.Namespace) -> int:
    """Import the run and write the avatar."""
    if Path(options.out).suffix != ".avatar":
        raise InvalidInput(f"{options.out}: end the name of an avatar file in .avatar.")
    output_file(options.out)
    import pegasus_runtime as pr

    avatar = pr.import_reference(
        options.run_dir, head=options.head, landmarks=options.landmarks, meta=options.meta
    )
    avatar.save(options.out)
    print(
        f"wrote {options.out}: {avatar.num_points} points, "
        f"{len(avatar.attribute_names)} attributes, head {avatar.head.name}"
    )
    left_out = avatar.provenance.get("left_out")
    if left_out:
        print(f"left out, for their names are no attribute's: {', '.join(left_out)}")
    return 0
