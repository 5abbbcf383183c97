"""Frames of videos and of folders of pictures."""

from __future__ import annotations

import os
from pathlib import Path

import cv2
import numpy as np
import pytest

from pegasus_runtime.errors import InvalidInput
from tests.videos import RATE, grey_levels, run_ffmpeg, write_video
from trainer.preprocess.frames import Frame, Selection, open_source
from trainer.preprocess.video_decoder import MAX_SIDE

COUNT = 12


def read(path: Path, selection: Selection = Selection()) -> list[Frame]:  # noqa: B008
    return list(open_source(path).frames(selection))


def numbers(frames: list[Frame]) -> list[int]:
    """Which pictures of `grey_levels` these are."""
    return [round(float(frame.pixels[-4:, -4:].mean()) / 10) for frame in frames]


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("film.mkv", ()),
        ("12:30 take.mp4", ("-c:v", "libx264", "-pix_fmt", "yuv420p")),
        ("-i.mp4", ("-c:v", "libx264", "-pix_fmt", "yuv420p")),
        ("ten bits %d.mp4", ("-c:v", "libx264", "-pix_fmt", "yuv420p10le")),
        ("é|concat.webm", ("-c:v", "libvpx-vp9", "-lossless", "1")),
        ("film.avi", ("-c:v", "mjpeg", "-q:v", "2", "-pix_fmt", "yuvj420p")),
        ("film.gif", ("-c:v", "gif",)),
        ("no ending", ("-c:v", "mpeg2video", "-q:v", "2", "-f", "mpegts", "-r", "25")),
    ],
)  # fmt: skip
def test_any_video_is_read(tmp_path: Path, name: str, options: tuple[str, ...]) -> None:
    path = write_video(tmp_path / name, grey_levels(COUNT), *options)
    source = open_source(path)
    frames = list(source.frames(Selection()))
    if "mpegts" in options:
        assert len(frames) >= COUNT
        return
    assert numbers(frames) == list(range(COUNT))
    assert [frame.index for frame in frames] == list(range(COUNT))
    assert frames[0].pixels.shape == (48, 64, 3) and frames[0].pixels.dtype == np.uint8
    red = frames[3].pixels[4, 4]
    assert red[0] > 200 and red[1] < 40 and red[2] < 40
    assert source.fps == pytest.approx(RATE)
    assert source.estimated_count(Selection(every=2)) in (COUNT // 2, COUNT // 2 + 1)


@pytest.mark.parametrize(
    ("selection", "wanted"),
    [
        (Selection(every=3), [0, 3, 6, 9]),
        (Selection(limit=2), [0, 1]),
        (Selection(every=3, limit=3, first=1), [3, 6]),
    ],
)
def test_frames_are_chosen(tmp_path: Path, selection: Selection, wanted: list[int]) -> None:
    pictures = grey_levels(COUNT)
    folder = tmp_path / "pictures"
    folder.mkdir()
    for number, picture in enumerate(pictures):
        cv2.imwrite(str(folder / f"{number}.png"), picture[..., ::-1])
    (folder / "notes.txt").write_text("not a picture")
    for path in (write_video(tmp_path / "film.mkv", pictures), folder):
        frames = read(path, selection)
        assert numbers(frames) == [frame.index for frame in frames] == wanted


def test_times_odd_sizes_turns_and_pixels_that_are_not_square(tmp_path: Path) -> None:
    film = write_video(tmp_path / "film.mkv", grey_levels(COUNT, 49, 65))
    assert read(film)[0].pixels.shape == (49, 65, 3)
    # Every third frame is there; times stay those of the file.
    varying = tmp_path / "varying.mkv"
    chosen = ("-vf", "select='lt(n,3)+eq(n,9)'", "-fps_mode", "passthrough", "-c:v", "ffv1")
    run_ffmpeg("-i", f"file:{film}", *chosen, str(varying))
    assert [f.time_s for f in read(varying)] == pytest.approx([0, 0.1, 0.2, 0.9], abs=2e-3)
    even = write_video(tmp_path / "even.mp4", grey_levels(4), "-c:v", "libx264")
    turned = tmp_path / "turned.mp4"
    run_ffmpeg("-display_rotation", "90", "-i", str(even), "-c", "copy", str(turned))
    shape = read(turned)[0].pixels.shape
    assert shape == (64, 48, 3)
    wide = write_video(tmp_path / "wide.mkv", grey_levels(2), "-vf", "setsar=2", "-c:v", "ffv1")
    assert read(wide)[0].pixels.shape == (48, 128, 3)
    endless = write_video(tmp_path / "x.mkv", grey_levels(2), "-vf", "setsar=9999", "-c:v", "ffv1")
    assert max(read(endless)[0].pixels.shape) <= MAX_SIDE


@pytest.mark.parametrize(
    ("transfer", "codes", "shown"),
    [
        # 203, 36.5 and 0 candelas: the white of paper, grey of 18 %, black.
        ("smpte2084", (148, 107, 0), (242, 118, 0)),
        ("arib-std-b67", (191, 114, 0), (242, 119, 0)),
        ("bt709", (148, 107, 0), (148, 107, 0)),
    ],
)
def test_hdr_is_toned_down(
    tmp_path: Path, transfer: str, codes: tuple[int, ...], shown: tuple[int, ...]
) -> None:
    pictures = [np.full((48, 64, 3), code, np.uint8) for code in codes]
    pictures.append(np.full((48, 64, 3), (120, 105, 98), np.uint8))
    space = ("bt709", "bt709") if transfer == "bt709" else ("bt2020", "bt2020nc")
    # The matrix has to be that of the pictures, not only be said.
    scaled = f"scale=out_color_matrix={space[0]}:out_range=tv"
    said = f"setparams=color_primaries={space[0]}:color_trc={transfer}:colorspace={space[1]}"
    tags = ("-vf", f"{scaled},format=yuv420p10le,{said}")
    options = ("-c:v", "libx264", "-qp", "0", "-pix_fmt", "yuv420p10le", *tags)
    frames = read(write_video(tmp_path / "phone.mp4", pictures, *options))
    middles = [frame.pixels[24, 32].astype(int) for frame in frames]
    for found, wanted in zip(middles, shown, strict=False):
        assert np.abs(found - wanted).max() <= 5
    # Skin stays skin.
    red, green, blue = middles[-1]
    assert red > green > blue


def test_fields_become_frames_where_they_are_flagged(tmp_path: Path) -> None:
    comb = np.zeros((48, 64, 3), np.uint8)
    comb[::2] = 200
    plain = ("-c:v", "mpeg2video", "-q:v", "2", "-r", "25")
    flagged = ("-vf", "setfield=tff", "-flags", "+ilme+ildct", *plain)
    seen = []
    for name, given in (("fields.mpg", flagged), ("frames.mpg", plain)):
        path = write_video(tmp_path / name, [comb] * COUNT, *given)
        grey = read(path)[5].pixels[10:40, 10:50].mean(axis=(1, 2))
        seen.append(np.abs(np.diff(grey)).mean())
    assert seen[0] < 0.3 * seen[1]


def _sound(path: Path) -> None:
    run_ffmpeg("-f", "lavfi", "-i", "sine=d=0.2", "-f", "mp4", "-c:a", "aac", str(path))


def _playlist(path: Path) -> None:
    write_video(path.with_name("other.mp4"), grey_levels(2), "-c:v", "libx264")
    path.write_text("ffconcat version 1.0\nfile other.mp4\n")


def _cut_off(path: Path) -> None:
    write_video(path.with_name("whole.mp4"), grey_levels(COUNT), "-c:v", "libx264")
    path.write_bytes(path.with_name("whole.mp4").read_bytes()[:900])


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda path: path.write_text("this is no video"), "no video that ffmpeg can read"),
        (lambda path: path.write_bytes(b""), "no video that ffmpeg can read"),
        (lambda path: path.write_bytes(os.urandom(5000)), "no video that ffmpeg can read"),
        (_sound, "holds no pictures"),
        (_playlist, "its format is none of a video"),
        (_cut_off, "no video that ffmpeg can read"),
        (lambda path: path.mkdir(), "holds no PNG or JPEG picture"),
    ],
)
def test_what_is_no_video_is_refused_in_one_line(tmp_path: Path, make, says) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path / "given.mp4"
    make(path)
    with pytest.raises(InvalidInput, match=says) as caught:
        read(path)
    assert str(path) in str(caught.value)


def test_a_missing_video_and_pictures_of_two_sizes(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no such file"):
        open_source(tmp_path / "none.mp4")
    for number in range(2):
        cv2.imwrite(str(tmp_path / f"{number}.png"), np.zeros((40 + number, 40, 3), np.uint8))
    with pytest.raises(InvalidInput, match="1.png: is 40×41 pixels"):
        read(tmp_path)
    (tmp_path / "1.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    with pytest.raises(InvalidInput, match="1.png is cut off"):
        read(tmp_path)


def test_digest_is_of_the_content(tmp_path: Path) -> None:
    first = write_video(tmp_path / "first.mkv", grey_levels(2))
    second = tmp_path / "second.mkv"
    second.write_bytes(first.read_bytes())
    assert open_source(first).digest() == open_source(second).digest()
    second.write_bytes(first.read_bytes() + b"\0")
    assert open_source(first).digest() != open_source(second).digest()


def test_ffmpeg_is_ended_when_no_more_frames_are_wanted(tmp_path: Path) -> None:
    import psutil

    path = write_video(tmp_path / "film.mkv", grey_levels(24, 480, 640))
    frames = open_source(path).frames(Selection())
    next(frames)
    frames.close()  # type: ignore[attr-defined]
    running = psutil.Process().children(recursive=True)
    assert not [p for p in running if "ffmpeg" in p.name() and p.status() != psutil.STATUS_ZOMBIE]
