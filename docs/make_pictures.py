"""Makes the pictures of the README from the demo avatar, as the program shows it.

Run it from the repository: ``python docs/make_pictures.py``; on Linux without a display put
``.ci/with-display`` before it. Look at what it made, at full size, before it is committed.
``python docs/make_pictures.py fit`` makes the picture of a fitted head alone. It needs the picture
that scikit-image brings along (``pip install scikit-image``): Eileen Collins, NASA, public domain.
"""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import tempfile
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

import pegasus_runtime as pr
from pegasus_runtime.camera import Camera
from pegasus_runtime.export.display import passes_for, to_picture
from pegasus_runtime.export.turntable import export_turntable
from pegasus_runtime.head import load_free_head
from pegasus_runtime.model.latent import category_of
from pegasus_runtime.session import Session
from trainer.preprocess.crop import FOLDER as CROPS
from trainer.preprocess.crop import read_picture
from trainer.preprocess.fit_step import FittedHead
from trainer.preprocess.frames import open_source
from trainer.preprocess.layout import draw_mesh
from trainer.preprocess.steps import Options, Workspace
from trainer.preprocess.video import preprocess_video

ROOT = Path(__file__).resolve().parent.parent
IMAGES = ROOT / "docs" / "images"
_TILE, _COLUMNS, _STEPS = 240, 6, 6
"""Pixels of a picture, and how many stand in a row: more is wider than a page of GitHub, and each
is then shown smaller."""
_FILM_SIDE, _FILM_FRAMES, _FILM_FPS, _MOST_BYTES = 256, 36, 12, 3_000_000
"""An animated picture of more of them has more bytes than the last, and is long in coming."""
_PAN_FRAMES, _PAN_SIDE, _PAN_PX, _FIT_TILE = 9, 400, 112, 320
"""Frames that a camera sees while it moves so far over a picture, their side, and a tile's."""

Picture = npt.NDArray[np.uint8]


def main() -> int:
    IMAGES.mkdir(exist_ok=True)
    if sys.argv[1:] == ["fit"]:
        _save_fit(IMAGES / "fitted_head.jpg")
        return 0
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


def _save_fit(path: Path) -> None:
    """A picture that a camera pans over, as a video whose head is fitted, with the fit drawn."""
    package = importlib.util.find_spec("skimage")
    if package is None or not package.submodule_search_locations:
        raise SystemExit("scikit-image is not installed, whose picture this is made of")
    found = Path(package.submodule_search_locations[0]) / "data" / "astronaut.png"
    whole = cv2.imread(str(found))
    with tempfile.TemporaryDirectory() as folder:
        frames = Path(folder) / "astronaut"
        frames.mkdir()
        for number in range(_PAN_FRAMES):
            left = round(_PAN_PX * number / (_PAN_FRAMES - 1))
            part = whole[:_PAN_SIDE, left : left + _PAN_SIDE]
            cv2.imwrite(str(frames / f"{number}.png"), part)
        summary = preprocess_video(frames, Path(folder) / "capture", Options(), _tell)
        work = Workspace(open_source(frames), summary.folder, Options())
        fit, head, tiles = FittedHead.read(work), load_free_head(), []
        for number in np.linspace(1, _PAN_FRAMES, 3).astype(int):
            picture = read_picture(summary.folder / CROPS, int(number))
            drawn = draw_mesh(picture, head, fit.vertices(head, int(number)))
            tiles.append(cv2.resize(drawn, (_FIT_TILE, _FIT_TILE), interpolation=cv2.INTER_AREA))
        strip = np.hstack(tiles)[..., ::-1]
        cv2.imwrite(str(path), strip, [cv2.IMWRITE_JPEG_QUALITY, 85])
        print(f"{path}: {path.stat().st_size} bytes")


def _tell(step: str, share: float) -> None:
    print(f"{step} {share:.0%}", end="\r", flush=True)


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
