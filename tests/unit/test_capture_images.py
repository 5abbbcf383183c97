"""Pictures of captures: what other programs write is read, or refused alike by all who look."""

from __future__ import annotations

import shutil
import struct
import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from pegasus_runtime.errors import InvalidInput
from tests.factories import SIDE, write_plain_subject
from trainer.config.training import DataConfig, TrainingConfig
from trainer.data.dataset import load_capture
from trainer.data.image_file import PictureFile
from trainer.data.preflight import preflight

Picture = np.ndarray
Change = Callable[[Path], None]


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_plain_subject(tmp_path_factory.mktemp("p") / "capture" / "source", 4).parent


@pytest.fixture
def folder(pristine: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(pristine, tmp_path / "capture"))


def encode(pixels: Picture, ending: str = ".png") -> bytes:
    done, raw = cv2.imencode(ending, pixels)
    assert done
    return raw.tobytes()


def decode(path: Path) -> Picture:
    pixels = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_UNCHANGED)
    assert pixels is not None
    return pixels


def chunk(kind: bytes, content: bytes) -> bytes:
    checksum = zlib.crc32(kind + content)
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", checksum)


def png(width: int, height: int, depth: int, colours: int, rows: bytes, *before: bytes) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, depth, colours, 0, 0, 0)
    parts = [chunk(b"IHDR", header), *before, chunk(b"IDAT", zlib.compress(rows))]
    return b"".join([b"\x89PNG\r\n\x1a\n", *parts, chunk(b"IEND", b"")])


def with_palette(pixels: Picture) -> bytes:
    """Of a matte, with the palette the other way round."""
    grey = (pixels if pixels.ndim == 2 else pixels[:, :, 0]) < 128
    rows = b"".join(b"\0" + row.astype(np.uint8).tobytes() for row in grey)
    return png(SIDE, SIDE, 8, 3, rows, chunk(b"PLTE", bytes([255] * 3 + [0] * 3)))


def animated(pixels: Picture) -> bytes:
    raw = encode(pixels)
    return raw[:33] + chunk(b"acTL", struct.pack(">II", 2, 0)) + raw[33:]


def lying(pixels: Picture) -> bytes:
    """A JPEG whose camera lay on its side, as its EXIF says."""
    turned = encode(cv2.rotate(pixels, cv2.ROTATE_90_COUNTERCLOCKWISE), ".jpg")
    exif = b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"
    return turned[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + turned[2:]


def change(kind: str, write: Callable[[Picture], bytes], names: str = "*") -> Change:
    def apply(folder: Path) -> None:
        for path in sorted((folder / "source" / kind).glob(f"{names}.png")):
            path.write_bytes(write(decode(path)))

    return apply


def into_alpha(pixels: Picture) -> bytes:
    matte = cv2.inRange(pixels, (0, 0, 0), (200, 200, 200))
    return encode(np.dstack([pixels, matte]))


def alpha_alone(folder: Path) -> None:
    change("image", into_alpha)(folder)
    shutil.rmtree(folder / "source" / "mask")


def clear(pixels: Picture) -> bytes:
    """White all over, with the matte in alpha."""
    return encode(np.dstack([np.full((*pixels.shape, 3), 255, np.uint8), pixels]))


def jpegs_by_name(folder: Path) -> None:
    change("image", lambda p: encode(p, ".jpg"))(folder)
    for path in (folder / "source" / "image").iterdir():
        path.rename(path.with_suffix(".JPG"))


TAKEN: dict[str, Change] = {
    "as it is": lambda _: None,
    "jpeg": change("image", lambda p: encode(p, ".jpg")),
    "jpeg by name": jpegs_by_name,
    "grey": change("image", lambda p: encode(p[:, :, 0])),
    "16 bit": change("image", lambda p: encode(p.astype(np.uint16) * 257)),
    "padded": change("image", lambda p: encode(p) + bytes(7)),
    "animated": change("image", animated),
    "lying jpeg": change("image", lying),
    "alpha": change("image", into_alpha),
    "matte in the image's alpha": alpha_alone,
    "matte in the mask's alpha": change("mask", clear),
    "jpeg mask": change("mask", lambda p: encode(p, ".jpg")),
    "colour mask": change("mask", lambda p: encode(np.dstack([p] * 3))),
    "16 bit mask": change("mask", lambda p: encode(p.astype(np.uint16) * 257)),
    "8 of 16 bits": change("mask", lambda p: encode(p.astype(np.uint16))),
    "0 and 1": change("mask", lambda p: encode(p // 255)),
    "palette": change("mask", with_palette),
    "half as large": change("mask", lambda p: encode(cv2.resize(p, (SIDE // 2, SIDE // 2)))),
    "twice as large": change("mask", lambda p: encode(cv2.resize(p, (SIDE * 2, SIDE * 2)))),
}
REFUSED: dict[str, tuple[Change, str]] = {
    "empty": (change("image", lambda _: b""), "image/1.png is empty"),
    "text": (change("image", lambda _: b"GIF89a"), "image/1.png is not a PNG or JPEG"),
    "cut off": (change("image", lambda p: encode(p)[:-40]), "image/1.png is cut off"),
    "cut jpeg": (change("image", lambda p: encode(p, ".jpg")[:-40]), "image/1.png is cut off"),
    "header alone": (change("mask", lambda p: encode(p)[:24]), "mask/1.png is cut off"),
    "damaged": (
        change("image", lambda p: encode(p)[:80] + b"\0\0\0\0" + encode(p)[84:]),
        "image/1.png is damaged",
    ),
    "no stream": (
        change("image", lambda _: png(SIDE, SIDE, 8, 2, b"")),
        "image/1.png cannot be decoded",
    ),
    "bomb": (change("image", lambda _: png(100_000, 100_000, 8, 2, b"")), "100,000×100,000"),
    "no pixels": (change("image", lambda _: png(0, 0, 8, 2, b"")), "image/1.png has no pixels"),
    "wide mask": (change("mask", lambda p: encode(p[: SIDE // 2])), "mask/1.png is .*not square"),
    "black": (change("mask", lambda p: encode(p * 0)), "mask/1.png shows nothing"),
    "inverted": (change("mask", lambda p: encode(255 - p)), "is the mask inverted"),
    "no masks": (lambda f: shutil.rmtree(f / "source" / "mask"), "mask/1.png is missing"),
    "no images": (lambda f: shutil.rmtree(f / "source" / "image"), "image/1.png is missing"),
}


def answers(folder: Path, tmp_path: Path) -> set[str]:
    """What the training, the one with little memory, and the look-over say of frames."""
    config = DataConfig(folder=str(folder), image_size=SIDE, held_out_every=0)
    said = set()
    for memory_gb in (0.0, 1e-9):
        try:
            said.add(str(load_capture(replace(config, memory_gb=memory_gb)).num_training))
        except InvalidInput as error:
            said.add(str(error))
    report = preflight(TrainingConfig(data=config), tmp_path / "run")
    about_frames = [p["text"] for p in report.problems if "frames are bad" in p["text"]]
    return said | set(about_frames or [report.facts["Frames"].partition(" ")[0]])


@pytest.mark.parametrize("name", TAKEN)
def test_pictures_of_other_programs_are_taken_alike(
    folder: Path, tmp_path: Path, name: str
) -> None:
    config = DataConfig(folder=str(folder), image_size=SIDE, held_out_every=0)
    before = load_capture(config).training["source"][0].pictures
    TAKEN[name](folder)
    assert answers(folder, tmp_path) == {"4"}
    after = load_capture(config).training["source"][0].pictures
    # Compression and resizing move the outline's pixels.
    assert ((before.mask > 127) == (after.mask > 127)).mean() > 0.97
    shown = before.mask > 127
    assert np.abs(before.image[shown].astype(int) - after.image[shown]).mean() < 6


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_used_is_refused_alike(
    folder: Path, tmp_path: Path, name: str, capfd: pytest.CaptureFixture[str]
) -> None:
    damage, says = REFUSED[name]
    damage(folder)
    said = answers(folder, tmp_path)
    assert len(said) == 1
    pytest.raises(InvalidInput, _raise, said.pop()).match(says)


def _raise(text: str) -> None:
    raise InvalidInput(text)


def test_one_picture_among_many_is_left_out_and_named(tmp_path: Path) -> None:
    folder = write_plain_subject(tmp_path / "capture" / "source", 12).parent
    change("mask", lambda p: encode(255 - p), names="7")(folder)
    capture = load_capture(DataConfig(folder=str(folder), image_size=SIDE, held_out_every=0))
    assert (capture.num_training, capture.num_bad) == (11, 1)
    assert "inverted" in capture.bad["source/7"]


def test_masks_without_an_outline_are_told(folder: Path) -> None:
    change("mask", lambda p: encode(p * 0 + 255))(folder)
    capture = load_capture(DataConfig(folder=str(folder), image_size=SIDE, held_out_every=0))
    assert "the masks of 4 frames cover the whole picture" in capture.notes[0]


def test_classes_are_numbers_not_colours(tmp_path: Path) -> None:
    path = tmp_path / "1.png"
    labels = np.arange(16, dtype=np.uint8).reshape(4, 4)
    path.write_bytes(encode(np.dstack([labels] * 3)))
    assert (PictureFile.read(path).classes(4) == labels).all()
    path.write_bytes(encode(labels.astype(np.uint16)))
    assert (PictureFile.read(path).classes(4) == labels).all()
    path.write_bytes(encode(np.dstack([labels, labels, 255 - labels])))
    with pytest.raises(ValueError, match="save the classes' numbers as grey"):
        PictureFile.read(path).classes(4)


@pytest.mark.parametrize("damage", [Path.unlink, lambda path: path.write_bytes(b"")])
def test_a_picture_lost_while_training_is_named(
    folder: Path, damage: Callable[[Path], object]
) -> None:
    config = DataConfig(folder=str(folder), image_size=SIDE, held_out_every=0, memory_gb=1e-9)
    frame = load_capture(config).training["source"][0]
    damage(folder / "source" / "image" / f"{frame.record.name}.png")
    with pytest.raises(InvalidInput, match=r"image/1.png is .*list frame 1 in skip.json"):
        _ = frame.pictures
