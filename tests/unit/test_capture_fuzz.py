"""Captures damaged at random: read, or refused in one line, whatever is in them."""

from __future__ import annotations

import json
import shutil
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pegasus_runtime.errors import InvalidInput
from tests.factories import SIDE, write_plain_subject
from trainer.config.training import DataConfig
from trainer.data.dataset import Capture, load_capture

HOSTILE: tuple[Any, ...] = (
    None, True, -1, 0, 1e308, -1e-320, 2**63, 10**30, float("nan"), float("inf"), "", "\0", "../..",
    "x" * 3000, [], {}, [[]], [None], {"": {}}, [0.0] * 50, [1e38] * 100, [[1e20] * 4] * 4,
    [[[0.0] * 3] * 3] * 5, ["1"] * 15, "./image/2", "[red]\n", 1,
)  # fmt: skip


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = write_plain_subject(tmp_path_factory.mktemp("f") / "c" / "source", 4)
    for kind in ("mask_object", "semantic"):
        shutil.copytree(folder / "mask", folder / kind)
    shutil.copytree(folder / "image", folder / "normal_rendering")
    (folder / "skip.json").write_text('{"4": "blurred"}', "utf-8")
    (folder / "semantic_names.json").write_text('["skin", "hair"]', "utf-8")
    return folder.parent


def change_value(value: Any, random: np.random.Generator) -> Any:
    """The value with something in it replaced, left out or doubled."""
    if not isinstance(value, dict | list) or not value or random.random() < 0.1:
        return HOSTILE[int(random.integers(len(HOSTILE)))]
    if isinstance(value, list):
        index = int(random.integers(len(value)))
        how = random.random()
        if how < 0.15:
            return value[:index] + value[index + 1 :]
        if how < 0.3:
            return [*value, value[index]]
        return [*value[:index], change_value(value[index], random), *value[index + 1 :]]
    key = list(value)[int(random.integers(len(value)))]
    if random.random() < 0.1:
        return {name: kept for name, kept in value.items() if name != key}
    return {**value, key: change_value(value[key], random)}


def damage_json(path: Path, random: np.random.Generator) -> None:
    if random.random() < 0.2:
        damage_bytes(path, random)
        return
    content = json.loads(path.read_text("utf-8"))
    for _ in range(int(random.integers(1, 4))):
        content = change_value(content, random)
    path.write_text(json.dumps(content), "utf-8")


def damage_bytes(path: Path, random: np.random.Generator) -> None:
    raw = bytearray(path.read_bytes())
    for _ in range(int(random.integers(1, 6))):
        raw[int(random.integers(len(raw)))] = int(random.integers(256))
    if random.random() < 0.3:
        raw = raw[: int(random.integers(len(raw) + 1))]
    path.write_bytes(bytes(raw))


def damage_picture(path: Path, random: np.random.Generator) -> None:
    """Damage bytes, and then perhaps mend all checksums."""
    damage_bytes(path, random)
    raw, position, parts = path.read_bytes(), 8, []
    if random.random() < 0.3:
        return
    while position + 12 <= len(raw):
        length, kind = struct.unpack(">I4s", raw[position : position + 8])
        content = raw[position + 8 : position + 8 + min(length, len(raw))]
        parts.append(struct.pack(">I", len(content)) + kind + content)
        parts.append(struct.pack(">I", zlib.crc32(kind + content)))
        position += 12 + len(content)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(parts))


def damage(folder: Path, random: np.random.Generator) -> None:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    parameters = folder / "source" / "flame_params.json"
    chosen = {files[int(random.integers(len(files)))]}
    if random.random() < 0.5:
        chosen.add(parameters)
    for path in sorted(chosen):
        (damage_json if path.suffix == ".json" else damage_picture)(path, random)


def check_whole(capture: Capture) -> None:
    assert capture.num_training > 0
    assert bool(capture.mean_expression.isfinite().all()) and bool(capture.shape.isfinite().all())
    assert float(capture.mean_expression.abs().max()) <= 50
    for frame in capture.training["source"]:
        pictures = frame.pictures
        assert pictures.image.shape == (SIDE, SIDE, 3) and pictures.mask.shape == (SIDE, SIDE)
    for name, reason in capture.bad.items():
        InvalidInput(f"{name}: {reason}")
        assert len(name) < 300 and len(reason) < 1000


@pytest.mark.slow
def test_damaged_captures_are_read_or_refused(
    pristine: Path, tmp_path: Path, fuzz_seeds: range
) -> None:
    outcomes = set()
    for seed in fuzz_seeds:
        folder = Path(shutil.copytree(pristine, tmp_path / str(seed)))
        damage(folder, np.random.default_rng(seed))
        config = DataConfig(
            folder=str(folder), image_size=SIDE, held_out_every=0, max_bad_share=0.7
        )
        try:
            capture = load_capture(config)
            check_whole(capture)
            outcomes.add("left out" if capture.num_bad else "taken")
        except InvalidInput as error:
            assert str(error).isprintable() and len(str(error)) < 2000, seed
            outcomes.add("refused")
        except Exception as error:
            raise AssertionError(f"seed {seed}: {error!r}") from error
        shutil.rmtree(folder)
    assert outcomes == {"taken", "left out", "refused"}
