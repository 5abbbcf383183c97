"""The options that `render` and `turntable` share: who, what they wear, from where, on what."""

from __future__ import annotations

import argparse
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from app.commands.avatar_source import AVATAR_HELP, load_source, read_source
from app.commands.face_options import face_parameters, read_numbers
from app.commands.name_suggestions import refuse_name
from app.commands.option_errors import said_of
from pegasus_runtime.errors import InvalidInput
from pegasus_runtime.export.limits import MAX_SIDE, MIN_SIDE
from pegasus_runtime.passes import PASSES

if TYPE_CHECKING:
    from app.state.project import Project
    from app.state.view import View
    from pegasus_runtime import Camera, Parameters, Session
    from pegasus_runtime.export.backdrop import Backdrop, Colour

TRANSPARENT = "transparent"
_MAX_PITCH_DEG = 89.0
"""As in the window: at 90 the camera has no upwards any more."""


@dataclass(frozen=True)
class PictureRequest:
    """What the options ask for, ready to be rendered."""

    session: Session
    params: Parameters
    camera: Camera
    image_pass: str
    backdrop: Backdrop | None
    """None keeps the picture transparent"""


def add_picture_options(parser: argparse.ArgumentParser) -> None:
    """Describe the options to a parser."""
    parser.add_argument("avatar", metavar="AVATAR", help=AVATAR_HELP)
    parser.add_argument("--size", default="512", metavar="N", help="side in pixels (512)")
    parser.add_argument(
        "--pass",
        dest="image_pass",
        metavar="PASS",
        help=f"one of {', '.join(PASSES)} (rgb, or the project's)",
    )
    parser.add_argument(
        "--attribute",
        action="append",
        default=[],
        metavar="CATEGORY=NAME[:STRENGTH]",
        help="wear an attribute, e.g. hair=curly:0.7; one for each category",
    )
    parser.add_argument(
        "--expression",
        action="append",
        default=[],
        metavar="NAME|INDEX=VALUE",
        help="set an expression component, e.g. smile=0.8",
    )
    parser.add_argument(
        "--pose",
        action="append",
        default=[],
        metavar="JOINT=X,Y,Z",
        help="turn root, neck, jaw, left_eye, right_eye or eyes: axis-angle in radians",
    )
    parser.add_argument(
        "--view",
        metavar="YAW,PITCH",
        help="degrees; 0,0 looks at the face, positive yaw goes to the person's left (0,0, or the "
        "project's)",
    )
    parser.add_argument(
        "--background",
        metavar="COLOUR",
        help="transparent or #rrggbb (#ffffff, or the project's)",
    )
    add_device_option(parser)
    add_head_option(parser)


def add_device_option(parser: argparse.ArgumentParser) -> None:
    """Describe --device."""
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N (auto)")


def add_head_option(parser: argparse.ArgumentParser) -> None:
    """Describe --head."""
    parser.add_argument(
        "--head", metavar="FILE", help="the avatar's head, when it is not in the asset folder"
    )


@dataclass(frozen=True)
class Shown:
    """What of the head is shown and before what, and the project that AVATAR names, if it does."""

    project: Project | None
    image_pass: str
    backdrop: Backdrop | None


def read_shown(options: argparse.Namespace, *, can_be_transparent: bool) -> Shown:
    """What the options say, or the project, or the usual: colour before white.

    Raises:
        FileNotFoundError: there is no such project.
        InvalidInput: it cannot be read, or an option cannot be used.
    """
    from app.state.display import Display
    from pegasus_runtime.export.backdrop import Backdrop

    project = read_source(options.avatar)
    usual = Display(background="white")
    display = project.read_display(usual) if project is not None else usual
    image_pass = display.pass_name if options.image_pass is None else read_pass(options.image_pass)
    if options.background is not None:
        colour = read_background(options.background)
        backdrop = None if colour is None else Backdrop.plain(colour)
    else:
        see_through = display.is_see_through and can_be_transparent
        backdrop = None if see_through else display.backdrop()
    return Shown(project, image_pass, backdrop)


def read_picture_options(options: argparse.Namespace, shown: Shown) -> PictureRequest:
    """Open the avatar and turn the options into what the runtime takes.

    Args:
        options: the parsed arguments.
        shown: of the same arguments.

    Raises:
        FileNotFoundError: there is no such avatar or head.
        InvalidInput: an option or a file cannot be used.
    """
    size = read_size(options.size)
    angles = None if options.view is None else read_view(options.view)
    # Everything that is quick to refuse has been; torch is loaded from here on.
    from pegasus_runtime import Session
    from pegasus_runtime.devices import choose_device

    with said_of("--device", options.device):
        choose_device(options.device)
    avatar, kept = load_source(options.avatar, shown.project, options.head)
    start = avatar.neutral() if kept is None else kept.face.parameters()
    params = face_parameters(avatar, options.attribute, options.expression, options.pose, start)
    if kept is None:
        from pegasus_runtime.export.turntable import view_camera

        camera = view_camera(avatar, *(angles or (0.0, 0.0)), size)
    else:
        camera = _turned(kept.view, angles).camera((size, size))
    return PictureRequest(
        Session(avatar, device=options.device), params, camera, shown.image_pass, shown.backdrop
    )


def _turned(view: View, angles: tuple[float, float] | None) -> View:
    """A project's view; angles that were given win, and the distance stays."""
    if angles is None:
        return view
    return replace(view, yaw_deg=angles[0], pitch_deg=angles[1])


def read_size(text: str) -> int:
    """A picture's side in pixels.

    Raises:
        InvalidInput: it is not a whole number from 1 to 8192.
    """
    if not re.fullmatch(r"\d{1,9}", text) or not MIN_SIDE <= int(text) <= MAX_SIDE:
        raise InvalidInput(
            f"--size {text}: give a whole number of pixels from {MIN_SIDE} to {MAX_SIDE}."
        )
    return int(text)


def read_view(text: str) -> tuple[float, float]:
    """Yaw and pitch in degrees.

    Raises:
        InvalidInput: they are not two numbers, or the pitch is straight up or down.
    """
    yaw_deg, pitch_deg = read_numbers("--view", text, text, 2)
    if abs(pitch_deg) > _MAX_PITCH_DEG:
        raise InvalidInput(f"--view {text}: the pitch goes from -89 to 89 degrees.")
    return yaw_deg, pitch_deg


def read_background(text: str) -> Colour | None:
    """A colour in 0..1, or None for transparent.

    Raises:
        InvalidInput: it is neither.
    """
    if text.lower() == TRANSPARENT:
        return None
    if not re.fullmatch(r"#[0-9a-fA-F]{6}", text):
        raise InvalidInput(f"--background {text}: write {TRANSPARENT} or #rrggbb, e.g. '#ffffff'.")
    red, green, blue = bytes.fromhex(text[1:])
    return red / 255, green / 255, blue / 255


def read_pass(text: str) -> str:
    """The name of a pass.

    Raises:
        InvalidInput: there is no such pass.
    """
    with said_of("--pass", text):
        if text not in PASSES:
            refuse_name("pass", text, list(PASSES))
    return text
