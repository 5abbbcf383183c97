"""Reads a camera for the editor, in a process that can be ended when its driver hangs.

``python -m app.camera_process SOURCE`` says with its exit code whether it gives pictures.
``python -m app.camera_process SOURCE OUT SECONDS`` records, and prints now and then the picture and
the share that is done: ``{"share": 0.3, "picture": "JPEG as base64"}``. A source is the number of a
camera, or a file in its place.
"""

from __future__ import annotations

import base64
import json
import os
import sys
import time
from typing import Any

_TELL_EVERY_S = 0.1
"""Less shows the picture more smoothly and takes time from the recording."""
_SHOWN_HEIGHT = 360
"""More is sharper and takes time from the recording."""
_USUAL_FPS, _MOST_FPS = 25.0, 120.0
"""Where a camera tells nothing, or more than any has; a wrong rate makes the film too fast or too
slow."""
_CODEC = "MJPG"
"""OpenCV writes it on every system, and it loses little"""


def main(arguments: list[str]) -> int:
    """Look for a camera, or record; 0 on success."""
    import cv2

    source, *rest = arguments
    camera = cv2.VideoCapture(int(source) if source.isdigit() else source)
    try:
        is_there, picture = camera.read() if camera.isOpened() else (False, None)
        if not is_there:
            print("The camera gives no picture.", file=sys.stderr)
            return 1
        if rest:
            return _record(camera, picture, rest[0], float(rest[1]))
        return 0
    finally:
        camera.release()


def _record(camera: Any, picture: Any, out: str, seconds: float) -> int:
    import cv2

    height, width = picture.shape[:2]
    fps = camera.get(cv2.CAP_PROP_FPS)
    fps = fps if 1 <= fps <= _MOST_FPS else _USUAL_FPS
    writer = cv2.VideoWriter(out, cv2.VideoWriter.fourcc(*_CODEC), fps, (width, height))
    if not writer.isOpened():
        print(f"{out}: cannot be written; free some space.", file=sys.stderr)
        return 1
    began, told, is_there = time.monotonic(), 0.0, True
    while is_there and (gone := time.monotonic() - began) < seconds:
        writer.write(picture)
        if gone - told > _TELL_EVERY_S or not told:
            told = gone or 1e-9
            _tell(picture, gone / seconds)
        is_there, picture = camera.read()
    writer.release()
    return 0 if os.path.getsize(out) else 1


def _tell(picture: Any, share: float) -> None:
    import cv2

    scale = _SHOWN_HEIGHT / picture.shape[0]
    # As in a mirror.
    small = cv2.flip(cv2.resize(picture, None, fx=scale, fy=scale), 1)
    _, encoded = cv2.imencode(".jpg", small)
    text = base64.b64encode(encoded.tobytes()).decode("ascii")
    print(json.dumps({"share": round(share, 4), "picture": text}), flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
