"""Makes the pictures of the README from the demo avatar, as the program shows it.

Run it from the repository: ``python docs/make_pictures.py``; on Linux without a display put
``.ci/with-display`` before it. Look at what it made, at full size, before it is committed.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

import pegasus_runtime as pr
from pegasus_runtime.camera import Camera
from pegasus_runtime.export.display import passes_for, to_picture
from pegasus_runtime.export.turntable import export_turntable
from pegasus_runtime.model.latent import category_of
from pegasus_runtime.session import Session

ROOT = Path(__file__).resolve().parent.parent
IMAGES = ROOT / "docs" / "images"
_TILE, _COLUMNS = 240, 6
_STEPS = 6
"""More is wider than a page of GitHub, and each is then shown smaller."""
_FILM_SIDE, _FILM_FRAMES, _FILM_FPS = 256, 36, 12
"""An animated picture of more of them is above 3 MB."""
_MOST_BYTES = 3_000_000

Picture = npt.NDArray[np.uint8]


def main() -> int:
    IMAGES.mkdir(exist_ok=True)
    window = IMAGES / "window.png"
    subprocess.run([sys.executable, ROOT / "main.py", "demo", "--screenshot", window], check=True)
    session = Session(pr.load_avatar("demo"), device="cpu")
    _save("attributes.png", _attributes(session))
    _save("interpolation.png", _interpolation(session))
    _save("expressions.png", _expressions(session))
    _save("passes.png", _passes(session))
    film = IMAGES / "turntable.gif"
    camera = session.avatar.default_camera((_FILM_SIDE, _FILM_SIDE))
    params = session.avatar.neutral()
    export_turntable(session, params, camera, film, num_frames=_FILM_FRAMES, fps=_FILM_FPS)
    if film.stat().st_size > _MOST_BYTES:
        print(f"{film}: {film.stat().st_size} bytes are too many for a page", file=sys.stderr)
        return 1
    return 0


def _attributes(session: Session) -> Picture:
    """The person, and the person with each attribute."""
    tiles = [_tile(session, session.avatar.neutral(), "no attribute")]
    for name in session.avatar.attribute_names:
        params = session.avatar.neutral()
        params.attributes = {category_of(name): name.split("_", 1)[1]}
        tiles.append(_tile(session, params, name.replace("_", ": ", 1)))
    while len(tiles) % _COLUMNS:
        tiles.append(np.full_like(tiles[0], 255))
    rows = [np.hstack(tiles[i : i + _COLUMNS]) for i in range(0, len(tiles), _COLUMNS)]
    return np.vstack(rows)


def _interpolation(session: Session) -> Picture:
    """From one set of attributes to another, by their latent codes."""
    codes = session.avatar.codes
    first = codes.compose({"nose": "aquiline", "mouth": "thin", "ears": "small"})
    last = codes.compose({"nose": "button", "mouth": "full", "ears": "pointed"})
    tiles = []
    for step in range(_STEPS):
        share = step / (_STEPS - 1)
        params = session.avatar.neutral()
        params.latent = _between(first, last, share)
        tiles.append(_tile(session, params, f"{100 * share:.0f} %"))
    return np.hstack(tiles)


def _between(first: object, last: object, share: float) -> npt.NDArray[np.float32]:
    """Between two codes (369,)."""
    return np.asarray((1 - share) * np.asarray(first) + share * np.asarray(last), np.float32)


def _expressions(session: Session) -> Picture:
    """What a face does."""
    names = session.avatar.head.expression_names
    tiles = []
    for label, actions, jaw in (
        ("neutral", {}, 0.0),
        ("blink", {"blink left": 1.0, "blink right": 1.0}, 0.0),
        ("smile", {"smile left": 1.0, "smile right": 1.0}, 0.0),
        ("jaw open", {}, 0.25),
        ("brows up", {"brow inner up": 1.0, "eye wide left": 0.8, "eye wide right": 0.8}, 0.0),
        ("pucker", {"mouth pucker": 1.0}, 0.0),
    ):
        params = session.avatar.neutral()
        for name, value in actions.items():
            params.expression[names.index(name)] = value
        params.pose[6] = jaw
        tiles.append(_tile(session, params, label))
    return np.hstack(tiles)


def _passes(session: Session) -> Picture:
    """Colours, and what else a picture can show."""
    params, camera = session.avatar.neutral(), _camera(session)
    params.attributes = {"hat": "beanie", "eyeglasses": "round"}  # what segmentation shows
    tiles = []
    for name in ("rgb", "albedo", "shading", "normal", "depth", "segmentation"):
        frame = session.render(params, camera, passes=passes_for(name))
        tiles.append(_labelled(to_picture(frame, name)[:, :, :3], name))
    return np.hstack(tiles)


def _tile(session: Session, params: pr.Parameters, label: str) -> Picture:
    frame = session.render(params, _camera(session), passes=passes_for("rgb"))
    return _labelled(to_picture(frame)[:, :, :3], label)


def _camera(session: Session) -> Camera:
    return session.avatar.default_camera((_TILE, _TILE))


def _labelled(picture: npt.NDArray[np.generic], label: str) -> Picture:
    tile = np.ascontiguousarray(picture, np.uint8)
    place, font = (8, _TILE - 8), cv2.FONT_HERSHEY_SIMPLEX
    cv2.putText(tile, label, place, font, 0.45, (90, 90, 90), 1, cv2.LINE_AA)
    return tile


def _save(name: str, picture: Picture) -> None:
    cv2.imwrite(str(IMAGES / name), picture[:, :, ::-1])


if __name__ == "__main__":
    sys.exit(main())
