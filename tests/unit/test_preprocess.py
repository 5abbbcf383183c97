"""From a video to a capture, on the demo avatar as it is filmed."""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest

from pegasus_runtime.errors import InvalidInput
from tests.fake_fit import fit_still_head
from tests.talking_demo import BLINKS, SIDE, filmed_demo, filmed_portrait, put_beside
from tests.videos import grey_levels, write_video
from trainer.cli import main
from trainer.config.training import DataConfig
from trainer.data.capture_folder import read_subject
from trainer.preprocess.crop import Crop
from trainer.preprocess.face_track import Track
from trainer.preprocess.frame_filter import COVERED, NO_FACE, read_reasons
from trainer.preprocess.frames import open_source
from trainer.preprocess.linked_files import link
from trainer.preprocess.many_videos import preprocess_videos
from trainer.preprocess.smoothing import smooth_landmarks
from trainer.preprocess.steps import Options, Workspace
from trainer.preprocess.video import Summary, preprocess_video, subject_name, usual_steps

COUNT = 14
SMALL = Options(size=128)
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def no_assets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PEGASUS_ASSETS", str(tmp_path / "assets"))


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_video(tmp_path_factory.mktemp("film") / "my take.mkv", filmed_demo(COUNT), rate=25)


def make(video: Path, out: Path, options: Options = SMALL) -> Summary:
    return preprocess_video(video, out, options, steps=usual_steps(fit_still_head))


@pytest.fixture(scope="module")
def made(film: Path, tmp_path_factory: pytest.TempPathFactory) -> Summary:
    """What is made of the film; not to be changed."""
    return make(film, tmp_path_factory.mktemp("made"))


def copy_of(made: Summary, out: Path) -> Path:
    """The same in a folder of a test's own."""
    return Path(shutil.copytree(made.folder, out / made.folder.name))


def workspace(summary: Summary, video: Path, options: Options = SMALL) -> Workspace:
    return Workspace(open_source(video), summary.folder, options)


def states(folder: Path) -> dict[str, tuple[int, int]]:
    """Of all files, what changes when one is written anew."""
    found = {p: p.stat() for p in folder.rglob("*") if p.is_file()}
    return {
        str(p.relative_to(folder)): (f.st_mtime_ns, f.st_ino)
        for p, f in found.items()
        if p.name != "manifest.json"
    }


@pytest.mark.slow
def test_a_video_becomes_a_subject_that_trainings_read(film: Path, made: Summary) -> None:
    summary = made
    assert summary.folder.name == "my_take" and summary.num_frames == COUNT
    subject = read_subject(summary.folder, 128, 0.1)
    assert len(subject.frames) == COUNT - summary.num_left_out >= COUNT - 2
    files = dict(subject.frames[3].files)
    assert {"image", "mask", "semantic"} <= set(files)
    mask = cv2.imread(str(files["mask"]), cv2.IMREAD_UNCHANGED)
    parts = cv2.imread(str(files["semantic"]), cv2.IMREAD_UNCHANGED)
    names = json.loads((summary.folder / "semantic_names.json").read_text())
    track, crop = Track.read(workspace(summary, film)), Crop.read(workspace(summary, film))
    assert track.present.all() and track.landmarks.shape == (COUNT, 478, 3)
    nose = crop.to_picture(track.landmarks)[3, 4, :2].astype(int)
    assert mask[nose[1], nose[0]] == 255 and mask[2, 2] == 0
    assert names[parts[nose[1], nose[0]]] == "nose" and names[parts[2, 2]] == "background"
    seen = {names[k] for k in np.unique(parts)}
    assert {"skin", "lips", "eyes", "eyebrows", "hair", "background"} <= seen
    for name in ("contact_sheet.png", "mesh_over_frames.png"):
        assert cv2.imread(str(summary.folder / name)).shape[0] > 100
    # Blinks are not smoothed away.
    opening = np.linalg.norm(track.landmarks[:, 159, :2] - track.landmarks[:, 145, :2], axis=1)
    assert opening[list(BLINKS)].max() < 0.6 * np.median(opening)


def test_mattes_are_where_the_person_is(tmp_path: Path) -> None:
    frames, truths = filmed_portrait(5)
    video = write_video(tmp_path / "portrait.mkv", frames, rate=25)
    summary = make(video, tmp_path / "capture", Options(size=SIDE))
    crop = Crop.read(workspace(summary, video))
    place = np.array([[1, 0, -crop.left], [0, 1, -crop.top]]) * crop.scale
    found = []
    for number, truth in enumerate(truths, start=1):
        file = summary.folder / "preprocess" / "matte" / f"{number}.png"
        # Beside the frame the crop repeats its edge, which is never learned.
        matte = (cv2.imread(str(file), cv2.IMREAD_UNCHANGED) > 127) & crop.inside()
        drawn = cv2.warpAffine(truth.astype(np.float32), place, (crop.size, crop.size)) > 0.5
        found.append((matte & drawn).sum() / (matte | drawn).sum())
    assert np.mean(found) >= 0.95


@pytest.mark.slow
def test_what_is_done_stays_and_what_it_depends_on_is_seen(
    film: Path, made: Summary, tmp_path: Path
) -> None:
    video = tmp_path / film.name
    shutil.copy(film, video)
    out = tmp_path / "capture"
    folder = copy_of(made, out)
    before = states(folder)
    make(video, out)
    assert states(folder) == before
    # Pictures that are gone are made again, and nothing else.
    (folder / "image" / "4.png").unlink()
    make(video, out)
    after = states(folder)
    changed = {n for n in before if before[n] != after[n]}
    again = {f"{kind}/4.png" for kind in ("image", "mask", "semantic")}
    assert "image/4.png" in changed and changed <= again | {"semantic_names.json"}
    # Another size: cut out anew, but faces are not looked for again.
    make(video, out, Options(size=160))
    after = states(folder)
    assert after["preprocess/scan.npz"] == before["preprocess/scan.npz"]
    assert after["image/1.png"] != before["image/1.png"]
    assert cv2.imread(str(folder / "image" / "1.png")).shape[0] == 160
    # The video itself: all anew.
    write_video(video, filmed_demo(COUNT)[:8], rate=25)
    assert make(video, out, Options(size=160)).num_frames == 8
    assert len(list((folder / "image").iterdir())) == 8
    other = tmp_path / "other" / film.name
    other.parent.mkdir()
    write_video(other, filmed_demo(COUNT)[:7], rate=25)
    with pytest.raises(InvalidInput, match="capture of another video"):
        make(other, out)


def links(folder: Path, kind: str) -> set[tuple[int, int]]:
    # A file system gives the number of a file that is gone to the next one.
    found = [path.stat() for path in (folder / kind).iterdir()]
    return {(file.st_ino, file.st_mtime_ns) for file in found}


@pytest.mark.slow
def test_more_frames_of_the_same_video_take_over_what_was_made(
    film: Path, made: Summary, tmp_path: Path
) -> None:
    out = tmp_path / "capture"
    folder = make(film, out, Options(every=2, size=128)).folder
    first = Track.read(workspace(summary_of(folder), film))
    before = {kind: links(folder, f"preprocess/{kind}") for kind in ("crop", "matte")}
    kept_crop = (folder / "preprocess" / "crop.json").read_text()
    summary = make(film, out)
    assert summary.num_frames == COUNT
    whole = Track.read(workspace(summary, film))
    shared = np.isin(whole.index, first.index)
    assert (whole.index[shared] == first.index).all() and shared.sum() == COUNT // 2
    assert (whole.places[shared] == first.places).all()
    assert (folder / "preprocess" / "crop.json").read_text() == kept_crop
    for kind, files in before.items():
        assert files < links(folder, f"preprocess/{kind}"), kind
    assert not (folder / "preprocess" / "earlier").exists()
    # What is taken over is what would be made, but for neighbours in time.
    fresh = Track.read(workspace(made, film))
    assert np.abs(whole.places - fresh.places).max() < 4
    # Another size is cut out anew, of landmarks that are known.
    make(film, out, Options(every=2, size=160))
    assert not links(folder, "preprocess/crop") & before["crop"]
    again = Track.read(workspace(summary, film))
    assert (again.places == first.places).all()


def summary_of(folder: Path) -> Summary:
    return Summary(folder, 0, 0, ())


@pytest.mark.slow
def test_what_another_run_has_made_of_the_video_is_shared(
    film: Path, made: Summary, tmp_path: Path
) -> None:
    video = tmp_path / "renamed.mkv"
    shutil.copy(film, video)
    first = copy_of(made, tmp_path / "quick" / "capture")
    others = [tmp_path / "none", first]
    told: list[str] = []
    shared = preprocess_video(
        video, tmp_path / "good" / "capture", SMALL, lambda step, _: told.append(step),
        usual_steps(_refuse), others,
    )  # fmt: skip
    assert shared.folder.name == "renamed" and shared.num_frames == COUNT
    assert "what was made of it" in " ".join(shared.notes) and str(first) in shared.notes[0]
    for kind in ("image", "mask", "preprocess/matte"):
        assert links(shared.folder, kind) == links(first, kind)
    # One goes on without the other.
    shutil.rmtree(first)
    assert read_subject(shared.folder, 128, 0.1).frames
    other = write_video(tmp_path / "other.mkv", filmed_demo(COUNT)[:6], rate=25)
    fresh = preprocess_video(
        other, tmp_path / "o", SMALL, steps=usual_steps(fit_still_head), elsewhere=[shared.folder]
    )
    assert "what was made of it" not in " ".join(fresh.notes) and fresh.num_frames == 6


def _refuse(*_: object) -> None:
    raise AssertionError("it was fitted already")


@pytest.mark.slow
def test_killed_anywhere_it_goes_on(film: Path, made: Summary, tmp_path: Path) -> None:
    whole = states(made.folder)
    program = (
        "import sys; from pathlib import Path; from trainer.preprocess.video import *;"
        "from tests.fake_fit import fit_still_head; from trainer.preprocess.steps import Options;"
        "preprocess_video(Path(sys.argv[1]), Path(sys.argv[2]), Options(size=128),"
        "steps=usual_steps(fit_still_head))"
    )
    out = tmp_path / "broken"
    watched = [out / "my_take" / name for name in ("preprocess/matte/3.png", "mask/5.png")]
    for path in watched:
        running = subprocess.Popen(
            [sys.executable, "-c", program, str(film), str(out)],
            cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)},
        )  # fmt: skip
        while not path.is_file() and running.poll() is None:
            time.sleep(0.005)
        running.send_signal(getattr(signal, "SIGKILL", signal.SIGTERM))
        running.wait()
        kept = {
            n: s for n, s in states(out / "my_take").items() if n.startswith("preprocess/crop/")
        }
        assert len(kept) == COUNT
    folder = make(film, out).folder
    assert {n: s for n, s in states(folder).items() if n in kept} == kept
    assert set(states(folder)) == set(whole)
    for name in ("mask/5.png", "flame_params.json", "skip.json"):
        assert (folder / name).read_bytes() == (made.folder / name).read_bytes()


def _sideways(folder: Path) -> Path:
    return write_video(folder / "v.mkv", [np.rot90(f).copy() for f in filmed_demo(8)], rate=25)


def _pictures(folder: Path) -> Path:
    (folder / "v").mkdir()
    for number, frame in enumerate(filmed_demo(8)):
        cv2.imwrite(str(folder / "v" / f"{number}.png"), frame[..., ::-1])
    return folder / "v"


def _leaves(folder: Path) -> Path:
    empty = [np.full((SIDE, SIDE, 3), 128, np.uint8)] * 4
    return write_video(folder / "v.mkv", [*filmed_demo(8), *empty], rate=25)


def _two(folder: Path) -> Path:
    return write_video(folder / "v.mkv", put_beside(filmed_demo(8), 0.6), rate=25)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("film_it", "says"),
    [
        (_sideways, "turned upright"),
        (_pictures, ""),
        (_leaves, "takes|no face was found"),
        (_two, "2 faces; number 1"),
    ],
)
def test_videos_that_are_not_as_they_should_be(tmp_path: Path, film_it, says) -> None:  # type: ignore[no-untyped-def]
    video = film_it(tmp_path)
    summary = make(video, tmp_path / "out")
    assert bool(summary.notes) == bool(says)
    if says:
        import re

        assert re.search(says, " ".join(summary.notes))
    track = Track.read(workspace(summary, video))
    places = track.landmarks[track.present]
    # Upright: eyes above the mouth; the larger face.
    assert (places[:, 13, 1] > places[:, 168, 1] + 10).all()
    assert np.ptp(places[:, :468, 0], axis=1).min() > 0.3 * SIDE


@pytest.mark.slow
def test_another_face_and_another_take(tmp_path: Path) -> None:
    video = _two(tmp_path)
    summary = make(video, tmp_path / "out", Options(size=128, face=2))
    track = Track.read(workspace(summary, video))
    assert track.landmarks[track.present][:, :, 0].min() > SIDE
    with pytest.raises(InvalidInput, match="2 faces in the take; --face 3"):
        make(video, tmp_path / "out", Options(size=128, face=3))
    frames = [f for f in filmed_demo(8)]
    darker = [(255 - f // 3).astype(np.uint8)[:, ::-1] for f in grey_levels(5, SIDE, SIDE)]
    cut = write_video(tmp_path / "cut.mkv", [*frames[:3], *darker, *frames], rate=25)
    summary = make(cut, tmp_path / "out")
    assert summary.num_frames == 8 and "3 takes; number 3" in summary.notes[0]
    assert make(cut, tmp_path / "out", Options(size=128, take=1)).num_frames == 3
    with pytest.raises(InvalidInput, match="has 3 takes; --take 4 is none"):
        make(cut, tmp_path / "out", Options(size=128, take=4))
    with pytest.raises(InvalidInput, match="no face was found in take 2"):
        make(cut, tmp_path / "out", Options(size=128, take=2))


@pytest.mark.slow
def test_something_before_the_face_is_told(tmp_path: Path) -> None:
    frames = [frame.copy() for frame in filmed_demo(COUNT)]
    for frame in frames[10:12]:
        frame[90:170, 70:190] = (40, 30, 180)
    video = write_video(tmp_path / "v.mkv", frames, rate=25)
    summary = make(video, tmp_path / "out")
    reasons = read_reasons(workspace(summary, video))
    assert {reasons.get(11), reasons.get(12)} <= {COVERED, NO_FACE}
    assert len(reasons) <= 3


def test_smoothing_keeps_motions_and_calms_noise() -> None:
    random = np.random.default_rng(0)
    still = random.uniform(0, 300, (478, 3)).astype(np.float32)
    time_s = np.arange(40) / 25
    moving = still[None] + 30 * np.sin(4 * time_s)[:, None, None].astype(np.float32)
    noisy = (moving + random.normal(0, 0.5, moving.shape)).astype(np.float32)
    present = np.ones(40, bool)
    present[20] = False
    noisy[20] = 0
    smooth = smooth_landmarks(noisy, present, 25.0)
    # Frames that lie far apart are other poses.
    assert np.allclose(smooth_landmarks(noisy, present, 4.0), noisy, atol=1e-3)
    assert (smooth[20] == 0).all()
    away = np.abs(smooth - moving)[present][4:-4, :, :2]
    assert away.mean() < 0.75 * np.abs(noisy - moving)[present].mean()
    # No lag: what is left over does not depend on which way it moves.
    signs = np.sign(np.gradient(moving[:, 0, 0]))[:, None, None]
    assert abs(float(((smooth - moving) * signs)[present].mean())) < 0.05


@pytest.mark.parametrize(
    ("stem", "name"),
    [
        ("12:30 take", "12_30_take"),
        ("-x", "-x"),
        ("a+b", "a_b"),
        ("..", "avatar"),
        ("CON", "avatar"),
    ]
    + [("me", "me")],
)
def test_names_of_videos_become_no_paths(tmp_path: Path, stem: str, name: str) -> None:
    assert subject_name(tmp_path / f"{stem}.mp4") == name


def exit_status(arguments: list[str]) -> object:
    try:
        return main(arguments)
    except SystemExit as end:
        return end.code


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("none.mp4", "--out", "{out}"), "none.mp4: no such file"),
        (("{text}", "--out", "{out}"), "no video that ffmpeg can read"),
        (("{grey}", "--out", "{out}"), "no face was found"),
        (("{grey}", "--out", "{text}"), "is a file"),
        (("{grey}", "--out", "{out}", "--every", "0"), "use a whole number from 1"),
        (("{grey}", "--out", "{out}", "--focal", "nan"), "use a number from 0.3"),
        (("{grey}", "{grey2}", "--out", "{out}"), "both would be grey"),
    ],
)
def test_mistakes_end_in_one_line(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], arguments: tuple[str, ...], says: str
) -> None:
    (tmp_path / "text.mp4").write_text("hello")
    (tmp_path / "two").mkdir()
    places = {"out": tmp_path / "out", "text": tmp_path / "text.mp4"}
    for name, folder in (("grey", tmp_path), ("grey2", tmp_path / "two")):
        places[name] = write_video(folder / "grey.mkv", grey_levels(6))
    assert exit_status(["preprocess", *(word.format(**places) for word in arguments)]) == 2
    said = capfd.readouterr().err
    wrong = [line for line in said.splitlines() if line.startswith("trainer:")]
    assert len(wrong) == 1 and says in wrong[0] and "Traceback" not in said


@pytest.mark.slow
def test_several_videos_side_by_side(film: Path, tmp_path: Path) -> None:
    bad = write_video(tmp_path / "grey.mkv", grey_levels(6))
    told = []
    outcomes = {
        outcome.place: outcome
        for outcome in preprocess_videos(
            [film, bad], tmp_path / "out", SMALL, 2, lambda *message: told.append(message)
        )
    }
    assert "no face was found" in outcomes[bad].failure
    summary = outcomes[film].summary
    assert summary is not None and summary.num_frames == COUNT, outcomes[film].failure
    shares = [share for video, _, share in told if video == film]
    assert shares == sorted(shares) and shares[-1] == pytest.approx(1.0)
    assert DataConfig(folder=str(tmp_path / "out")).folder


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write anywhere")
def test_no_permission(film: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir(mode=0o500)
    with pytest.raises(InvalidInput, match="cannot be"):
        make(film, out)


def test_a_copy_for_which_there_is_no_room_is_not_there(tmp_path, monkeypatch) -> None:
    def full(source: Path, target: Path) -> None:
        target.write_bytes(source.read_bytes()[:2])
        raise OSError(errno.ENOSPC, "No space left on device")

    def other_disk(*_: object) -> None:
        raise OSError(errno.EXDEV, "Invalid cross-device link")

    (tmp_path / "1.png").write_bytes(b"picture")
    monkeypatch.setattr("os.link", other_disk)
    monkeypatch.setattr("shutil.copy2", full)
    with pytest.raises(InvalidInput, match="No space left on device.; free some space"):
        link(tmp_path / "1.png", tmp_path / "out" / "1.png")
    assert not list((tmp_path / "out").iterdir())
