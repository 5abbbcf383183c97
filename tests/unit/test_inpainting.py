"""Filling in a part of a picture, with a network of a user's and without."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pegasus_runtime.errors import InvalidInput
from tests.onnx_file import convolution, node, write_network, write_pixel_network
from trainer.preprocess.inpainting import inpaint

FILLED = (20, 200, 40)


@pytest.fixture(autouse=True)
def assets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PEGASUS_ASSETS", str(tmp_path / "assets"))
    (tmp_path / "assets").mkdir()
    return tmp_path / "assets"


def picture() -> np.ndarray:
    """A slope of colours, not square."""
    rows, columns = np.mgrid[:120, :200]
    return np.stack([rows, columns, 255 - columns], axis=-1).astype(np.uint8)


def hole() -> np.ndarray:
    missing = np.zeros((120, 200), bool)
    missing[50:70, 80:100] = True
    return missing


def write_inpainter(path: Path, scale: float) -> Path:
    """Gives what it sees, and one colour where something is missing."""
    mixed = np.zeros((3, 6, 1, 1))
    mixed[range(3), range(3)] = scale
    mixed[range(3), range(3, 6)] = scale
    keep = -np.ones((3, 1, 1, 1))
    colour = np.array(FILLED).reshape(3, 1, 1, 1) / 255
    nodes = [
        convolution("mask", "keep", "gone"),
        node("Add", ["image", "gone"], "lower"),
        node("Relu", ["lower"], "kept"),
        convolution("mask", "colour", "new"),
        node("Concat", ["kept", "new"], "both", axis=1),
        convolution("both", "mixed", "output"),
    ]
    return write_network(
        path,
        nodes,
        {"image": (1, 3, 512, 512), "mask": (1, 1, 512, 512)},
        {"output": (1, 3, 512, 512)},
        {"keep": keep, "colour": colour, "mixed": mixed},
    )


def test_without_a_network_gaps_follow_their_surroundings() -> None:
    before, missing = picture(), hole()
    damaged = np.where(missing[..., None], np.uint8(255), before)
    found = inpaint(damaged, missing)
    assert (found[~missing] == before[~missing]).all()
    assert np.abs(found.astype(int) - before)[missing].mean() < 12
    assert (inpaint(before, np.zeros((120, 200))) == before).all()


@pytest.mark.parametrize("scale", [1.0, 255.0], ids=["0..1", "0..255"])
def test_a_network_of_the_asset_folder_fills_gaps_and_nothing_else(
    assets: Path, scale: float
) -> None:
    write_inpainter(assets / "inpainter.onnx", scale)
    before, missing = picture(), hole()
    found = inpaint(before, missing)
    assert (found[~missing] == before[~missing]).all()
    assert np.abs(found[missing].astype(int) - FILLED).max() <= 2
    edge = missing.copy()
    edge[:, :30] = edge[110:] = True
    assert np.abs(inpaint(before, edge)[edge].astype(int) - FILLED).max() <= 2


def test_what_is_no_inpainter_is_one_line(assets: Path) -> None:
    write_pixel_network(assets / "inpainter.onnx", np.ones((3, 3)))
    with pytest.raises(InvalidInput, match=r"inpainter\.onnx: cannot be run.*right network") as one:
        inpaint(picture(), hole())
    assert "\n" not in str(one.value)
    (assets / "lama").mkdir()
    (assets / "inpainter.onnx").unlink()
    joined = [node("Concat", ["image", "mask"], "output", axis=1)]
    shapes = {"image": (1, 3, 512, 512), "mask": (1, 1, 512, 512)}, {"output": (1, 4, 512, 512)}
    write_network(assets / "lama" / "lama.onnx", joined, *shapes, {})
    with pytest.raises(InvalidInput, match=r"gives \(1, 4, 512, 512\), not a picture"):
        inpaint(picture(), hole())


@pytest.mark.parametrize(
    ("mask", "says"),
    [(np.ones((120, 200)), "all of the picture"), (np.ones((9, 9)), "do not belong together")],
)
def test_masks_that_cannot_be(mask: np.ndarray, says: str) -> None:
    with pytest.raises(InvalidInput, match=says):
        inpaint(picture(), mask)
