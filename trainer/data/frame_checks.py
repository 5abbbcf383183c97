"""The one look at a subject's frames: a training trusts it, and the look before a training is it.

1. Numbers are read, and a tracker's lost frames left out (`capture_folder`, `outliers`).
2. Every picture is decoded, by the reader that the training's steps use (`pictures`).
3. The head has to be where the mask shows one (`head_in_view`).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path

from trainer.data.capture_folder import FrameRecord, SubjectRecord, read_subject
from trainer.data.head_in_view import HeadInView
from trainer.data.images import PictureCache, Pictures

_FULL = 0.995
"""share of a picture: there is no outline in it; less refuses faces that fill the picture"""


def check_frames(folder: Path, image_size: int, cache: PictureCache) -> SubjectRecord:
    """Read a subject and look at all its frames; whoever asks decides how many may be bad.

    Raises:
        InvalidInput: the parameters file is missing or damaged, or no frame can be read.
    """
    subject = read_subject(folder, image_size, 1.0)
    check_pictures(subject, cache)
    return subject


def check_pictures(subject: SubjectRecord, cache: PictureCache) -> None:
    """Look at the pictures of a subject's frames, and leave out those that are bad."""
    head, reasons, num_full = HeadInView(), {}, 0
    for record, decoded in _decode_all(subject.frames, cache):
        try:
            pictures = decoded.result()
            subject.sides.add(pictures.stored_side)
            if pictures.has_matte:
                head.check(record, pictures)
                num_full += bool((pictures.mask > 127).mean() > _FULL)
        except ValueError as error:
            reasons[record.name] = str(error)
    subject.leave_out(reasons)
    if num_full:
        subject.notes.append(
            f"{subject.name}: the masks of {num_full} frames cover the whole picture, so that all "
            "of it is learned as the person."
        )


def _decode_all(
    records: list[FrameRecord], cache: PictureCache
) -> Iterator[tuple[FrameRecord, Future[Pictures]]]:
    """All frames' pictures in their order, some of them being decoded ahead."""
    ahead: deque[tuple[FrameRecord, Future[Pictures]]] = deque()
    for record in records:
        ahead.append((record, cache.ask(record)))
        if len(ahead) >= cache.num_ahead:
            yield ahead.popleft()
    yield from ahead
