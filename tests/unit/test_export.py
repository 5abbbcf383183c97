"""Pictures, films and turntables on disk, with a session that draws without an avatar."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import imageio_ffmpeg
import numpy as np
import pytest
import torch

from pegasus_runtime.camera import Camera
from pegasus_runtime.errors import InvalidInput
from pegasus_runtime.export import film as film_module
from pegasus_runtime.export.backdrop import Backdrop
from pegasus_runtime.export.display import over, to_picture, to_pixels
from pegasus_runtime.export.film import film_format, open_film
from pegasus_runtime.export.image import write_image
from pegasus_runtime.export.turntable import Turntable, avatar_centre, export_turntable, turned
from pegasus_runtime.frame import Frame
from pegasus_runtime.parameters import Parameters

NUM_FRAMES = 4
FILMS = ["turn.mp4", "turn.webm", "turn.mov", "turn.gif", "turn"]


class DrawnSession:
    """Draws a disc whose colour tells the camera's yaw; as much of a session as a film needs."""

    def __init__(self) -> None:
        corner = torch.tensor([[0.5, 0.4, 0.3]])
        self.avatar: Any = SimpleNamespace(rest_points=torch.cat([corner, -corner]))
        self.views: list[Camera] = []

    def render(
        self, params: Parameters, camera: Camera, passes: Any = ("rgb",), background: Any = None
    ) -> Frame:
        self.views.append(camera)
        height, width = camera.image_size
        rows, columns = np.mgrid[:height, :width]
        distance = np.hypot(rows - height / 2, columns - width / 2) / (0.4 * min(height, width))
        alpha = np.where(distance < 1, 1.0, 0.0).astype(np.float32)[..., None]
        colour = np.broadcast_to(0.5 + 0.4 * camera.rotation[:, 2], (height, width, 3))
        rgb = colour * alpha
        if background is not None:
            rgb = rgb + (1 - alpha) * np.asarray(background)
        images = {"rgb": rgb.astype(np.float32), "alpha": alpha, "depth": alpha * 3}
        nothing = np.zeros((0, 3), np.float32)
        return Frame(images, nothing, nothing)


@pytest.fixture
def camera() -> Camera:
    return Camera.orbit((0, 0, 0), 4.0, image_size=(48, 48))


def export(out: Path, camera: Camera, **options: Any) -> tuple[bool, list[np.ndarray]]:
    pictures: list[np.ndarray] = []

    def keep(_done: int, _total: int, picture: np.ndarray) -> bool:
        pictures.append(picture.copy())
        return True

    options = {"num_frames": NUM_FRAMES, "fps": 10, "on_progress": keep, **options}
    session: Any = DrawnSession()
    return export_turntable(session, Parameters(), camera, out, **options), pictures


def decode(path: Path, channels: int = 3) -> list[np.ndarray]:
    if path.is_dir():
        files = sorted(path.iterdir())
        read = [cv2.imread(str(f), cv2.IMREAD_UNCHANGED) for f in files]
        order = [2, 1, 0, 3][:channels]
        return [picture[..., order] for picture in read]
    alpha_decoder = ["-c:v", "libvpx-vp9"] if path.suffix == ".webm" and channels == 4 else []
    reader = imageio_ffmpeg.read_frames(
        str(path),
        pix_fmt="rgba" if channels == 4 else "rgb24",
        bits_per_pixel=8 * channels,
        input_params=alpha_decoder,
    )
    width, height = next(reader)["size"]
    return [np.frombuffer(f, np.uint8).reshape(height, width, channels) for f in reader]


def test_png_keeps_straight_alpha_and_values(tmp_path: Path) -> None:
    rgb = np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    alpha = np.linspace(0, 255, 35).astype(np.uint8).reshape(5, 7, 1)
    write_image(tmp_path / "a.png", rgb, alpha)
    read = cv2.imread(str(tmp_path / "a.png"), cv2.IMREAD_UNCHANGED)
    np.testing.assert_array_equal(read, np.concatenate([rgb[..., ::-1], alpha], axis=2))


def test_values_out_of_range_and_no_numbers_become_bytes(tmp_path: Path) -> None:
    values = np.array([[np.nan, -1.0, 0.0, 0.5, 1.0, 2.0, np.inf, -np.inf]], np.float32)
    write_image(tmp_path / "a.png", values)
    read = cv2.imread(str(tmp_path / "a.png"), cv2.IMREAD_UNCHANGED)
    assert read[0, :, 0].tolist() == [0, 0, 0, 128, 255, 255, 255, 0]


def test_premultiplied_frame_becomes_straight() -> None:
    alpha = np.array([[[0.0], [0.25], [1.0]]], np.float32)
    colour = np.array([0.8, 0.4, 0.2], np.float32)
    frame = Frame({"rgb": colour * alpha, "alpha": alpha}, np.zeros((0, 3)), np.zeros((0, 3)))
    picture = to_picture(frame, backdrop=None)
    np.testing.assert_array_equal(picture[0, 1], [204, 102, 51, 64])
    np.testing.assert_array_equal(picture[0, 0], [0, 0, 0, 0])


def test_depth_picture_is_white_near_and_dark_far() -> None:
    depth = np.array([[[0.0], [2.0], [4.0]]], np.float32)
    alpha = np.array([[[0.0], [1.0], [1.0]]], np.float32)
    frame = Frame({"depth": depth, "alpha": alpha}, np.zeros((0, 3)), np.zeros((0, 3)))
    assert to_picture(frame, "depth")[0, :, 0].tolist() == [0, 255, 31]


BACKDROPS = [
    Backdrop.plain((0.2, 0.4, 0.6)),
    Backdrop((0.30, 0.32, 0.36), (0.13, 0.14, 0.16)),
    Backdrop((0.42, 0.42, 0.42), (0.34, 0.34, 0.34), 12.0),
]


@pytest.mark.parametrize("backdrop", BACKDROPS)
@pytest.mark.parametrize("name", ["rgb", "normal", "depth", "alpha", "segmentation"])
def test_a_picture_is_what_the_viewport_shows(name: str, backdrop: Backdrop) -> None:
    generator = np.random.default_rng(0)
    alpha = generator.random((40, 60, 1), np.float32).round(1)
    images = {n: generator.random((40, 60, 3), np.float32) * alpha for n in ("rgb", "normal")}
    images |= {"depth": 1 + generator.random((40, 60, 1), np.float32), "segmentation": alpha}
    frame = Frame({**images, "alpha": alpha}, np.zeros((0, 3)), np.zeros((0, 3)))
    pixels = to_pixels(frame, name)
    assert isinstance(pixels, np.ndarray)
    difference = over(pixels, backdrop).astype(int) - to_picture(frame, name, backdrop)
    assert np.abs(difference).max() <= 1


def test_backdrops_have_their_colours_where_they_belong() -> None:
    plain, studio, checker = (backdrop.rows((48, 96), 0, 48) for backdrop in BACKDROPS)
    assert plain.reshape(-1).tolist() == pytest.approx([0.2, 0.4, 0.6])
    assert studio[24, 48].tolist() == pytest.approx([0.30, 0.32, 0.36], abs=0.01)
    assert studio[0, 0].tolist() == pytest.approx([0.13, 0.14, 0.16], abs=0.001)
    # Squares are counted from the lower left corner.
    corners = checker[47, 0, 0], checker[47, 12, 0], checker[35, 0, 0], checker[35, 12, 0]
    assert corners == pytest.approx((0.42, 0.34, 0.34, 0.42))
    np.testing.assert_array_equal(BACKDROPS[1].rows((48, 96), 7, 9), studio[7:9])


@pytest.mark.parametrize(
    ("name", "with_alpha"), [("a.jpg", True), ("a.tiff", False), ("missing/a.png", False)]
)
def test_pictures_that_are_refused(tmp_path: Path, name: str, with_alpha: bool) -> None:
    rgb = np.zeros((4, 4, 3))
    with pytest.raises(InvalidInput) as refusal:
        write_image(tmp_path / name, rgb, np.ones((4, 4)) if with_alpha else None)
    assert "\n" not in str(refusal.value) and Path(name).name in str(refusal.value)
    assert list(tmp_path.iterdir()) == []


def test_turned_camera_is_the_orbit_camera() -> None:
    pivot = (0.1, 0.2, -0.3)
    front = Camera.orbit(pivot, 3.0, 0, 15)
    side = Camera.orbit(pivot, 3.0, 50, 15)
    moved = turned(front, pivot, np.radians(50))
    np.testing.assert_allclose(moved.rotation, side.rotation, atol=1e-6)
    np.testing.assert_allclose(moved.translation, side.translation, atol=1e-6)


def test_turntable_is_an_even_circle_without_the_first_view_again(camera: Camera) -> None:
    views = list(Turntable(camera, np.zeros(3, np.float32), 8).cameras())
    np.testing.assert_allclose(views[0].rotation, camera.rotation, atol=1e-7)
    circle = [*views, views[0]]
    cosines = [a.centre @ b.centre / 16 for a, b in zip(circle, circle[1:], strict=False)]
    np.testing.assert_allclose(cosines, np.cos(2 * np.pi / 8), atol=1e-5)


def test_centre_ignores_points_far_away() -> None:
    points = torch.rand(1000, 3, generator=torch.Generator().manual_seed(0))
    points[0] = 100
    avatar: Any = SimpleNamespace(rest_points=points)
    np.testing.assert_allclose(avatar_centre(avatar), 0.5, atol=0.03)


@pytest.mark.parametrize("name", FILMS)
def test_film_has_the_frames_that_were_rendered(tmp_path: Path, camera: Camera, name: str) -> None:
    finished, pictures = export(tmp_path / name, camera)
    assert finished and len(pictures) == NUM_FRAMES
    decoded = decode(tmp_path / name)
    assert len(decoded) == NUM_FRAMES
    for shown, rendered in zip(decoded, pictures, strict=True):
        # Away from the disc's edge, which codecs with halved colour cannot keep.
        error = np.abs(shown[20:28, 20:28].astype(int) - rendered[20:28, 20:28]).max()
        assert error <= (0 if name == "turn" else 6)
    assert [p.name for p in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("name", ["turn.webm", "turn.mov", "turn"])
def test_films_with_alpha(tmp_path: Path, camera: Camera, name: str) -> None:
    export(tmp_path / name, camera, backdrop=None)
    first = decode(tmp_path / name, channels=4)[0]
    assert first[24, 24, 3] >= 250 and first[1, 1, 3] <= 5
    np.testing.assert_allclose(first[24, 24, :3], 255 * (0.5 + 0.4 * camera.rotation[:, 2]), atol=7)


@pytest.mark.parametrize("name", ["turn.mp4", "turn.gif"])
def test_formats_without_alpha_say_so(tmp_path: Path, camera: Camera, name: str) -> None:
    with pytest.raises(InvalidInput, match=r"cannot carry transparency; use \.webm, \.mov"):
        export(tmp_path / name, camera, backdrop=None)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", FILMS)
def test_odd_sizes(tmp_path: Path, camera: Camera, name: str) -> None:
    export(tmp_path / name, replace(camera, image_size=(33, 47)), num_frames=2)
    height, width = decode(tmp_path / name)[0].shape[:2]
    assert (height, width) == ((34, 48) if name.endswith("mp4") else (33, 47))


@pytest.mark.parametrize("name", FILMS)
def test_cancelling_leaves_nothing(tmp_path: Path, camera: Camera, name: str) -> None:
    finished, _ = export(tmp_path / name, camera, on_progress=lambda done, _t, _p: done < 2)
    assert finished is False
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", FILMS)
def test_failing_keeps_the_film_that_was_there(tmp_path: Path, camera: Camera, name: str) -> None:
    export(tmp_path / name, camera, num_frames=2)
    before = {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}

    def fail(done: int, _total: int, _picture: object) -> bool:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        export(tmp_path / name, camera, on_progress=fail)
    assert {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()} == before


def test_a_folder_with_other_files_is_left_alone(tmp_path: Path, camera: Camera) -> None:
    (tmp_path / "letter.txt").write_text("dear")
    with pytest.raises(InvalidInput, match="holds other files"):
        export(tmp_path, camera)
    assert [p.name for p in tmp_path.iterdir()] == ["letter.txt"]


def test_a_full_disk_is_seen_before_the_first_frame(
    tmp_path: Path, camera: Camera, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = SimpleNamespace(total=10, used=9, free=1)
    monkeypatch.setattr(film_module.shutil, "disk_usage", lambda _path: full)
    frames_seen: list[int] = []
    progress: Callable[..., bool] = lambda done, _t, _p: bool(frames_seen.append(done)) or True  # noqa: E731
    with pytest.raises(InvalidInput, match="free some space"):
        export(tmp_path / "turn.mp4", camera, on_progress=progress)
    assert frames_seen == []


def test_an_encoder_that_dies_is_refused_in_one_line(tmp_path: Path) -> None:
    picture = np.zeros((48, 48, 3), np.uint8)
    broken = film_module.FilmFormat(".mp4", "mp4", "libx264", "yuv420p", options=("-crf", "x"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(film_module, "FILM_FORMATS", (broken,))
        with pytest.raises(InvalidInput) as refusal, open_film(tmp_path / "a.mp4", (48, 48)) as add:
            for _ in range(50):
                add(picture)
    assert "\n" not in str(refusal.value) and "a.mp4" in str(refusal.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("program", ["missing", "text", "fails"])
def test_an_ffmpeg_that_does_not_work_is_refused_before_any_work(
    tmp_path: Path, camera: Camera, monkeypatch: pytest.MonkeyPatch, program: str
) -> None:
    (tmp_path / "text").write_text("no program")
    fails = tmp_path / "fails"
    fails.write_text("#!/bin/sh\nexit 1\n")
    fails.chmod(0o755)
    monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", str(tmp_path / program))
    session: Any = DrawnSession()
    with pytest.raises(InvalidInput, match="films need") as refusal:
        export_turntable(session, Parameters(), camera, tmp_path / "turn.mp4", num_frames=2)
    assert "\n" not in str(refusal.value) and program in str(refusal.value)
    assert session.views == []
    export_turntable(session, Parameters(), camera, tmp_path / "pngs", num_frames=2)


def test_an_encoder_that_is_missing_is_refused_before_any_work(
    tmp_path: Path, camera: Camera, monkeypatch: pytest.MonkeyPatch
) -> None:
    missing = film_module.FilmFormat(".mp4", "mp4", "no_such_codec", "yuv420p")
    monkeypatch.setattr(film_module, "FILM_FORMATS", (missing,))
    with pytest.raises(InvalidInput, match="has no encoder no_such_codec"):
        export(tmp_path / "turn.mp4", camera)


@pytest.mark.parametrize("name", ["12:30 take.mp4", "shot_%03d.webm", "-turn.mov", "ä 'b\".gif"])
def test_names_that_mean_something_to_an_encoder(
    tmp_path: Path, camera: Camera, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    if os.name == "nt":
        pytest.skip("Windows has no such names")
    monkeypatch.chdir(tmp_path)
    export(Path(name), camera)
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert len(decode(tmp_path / name)) == NUM_FRAMES


@pytest.mark.parametrize("name", ["turn.mp4", "turn", "turn.v2", "turn.mp4/"])
def test_what_is_there_is_looked_at_before_the_first_frame(
    tmp_path: Path, camera: Camera, name: str
) -> None:
    place = tmp_path / name.rstrip("/")
    place.mkdir()
    (place / "letter.txt").write_text("dear")
    session: Any = DrawnSession()
    with pytest.raises(InvalidInput, match="folder"):
        export_turntable(session, Parameters(), camera, f"{tmp_path}/{name}", num_frames=2)
    assert session.views == [] and (place / "letter.txt").read_text() == "dear"


def test_frames_again_replace_the_old_ones(tmp_path: Path, camera: Camera) -> None:
    export(tmp_path / "turn", camera, num_frames=5)
    export(tmp_path / "turn", camera, num_frames=3)
    assert len(decode(tmp_path / "turn")) == 3


@pytest.mark.parametrize("name", ["a.avi", "a.mp4.txt"])
def test_unknown_formats(name: str) -> None:
    with pytest.raises(InvalidInput, match=r"end it in \.mp4, \.webm, \.mov, \.gif"):
        film_format(name)


@pytest.mark.parametrize("options", [{"num_frames": 0}, {"fps": 0}, {"fps": float("nan")}])
def test_numbers_that_make_no_film(tmp_path: Path, camera: Camera, options: Any) -> None:
    with pytest.raises(InvalidInput):
        export(tmp_path / "turn.mp4", camera, **options)


def test_films_can_be_written_from_a_thread(tmp_path: Path, camera: Camera) -> None:
    worker = threading.Thread(target=lambda: export(tmp_path / "turn.mp4", camera, num_frames=2))
    worker.start()
    worker.join(30)
    assert (tmp_path / "turn.mp4").stat().st_size > 0
