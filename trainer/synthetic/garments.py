"""MakeHuman's garments: meshes that hang on the head by three of its vertices each."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pegasus_runtime.errors import InvalidInput
from pegasus_runtime.head import Head
from trainer.synthetic.skull_radius_map import FloatArray, IndexArray

HEAD_UNITS_PER_M = 4.0
_BASE_MESH = "hm08"
_MAX_BYTES = 16 << 20
"""Of one file; MakeHuman's have less, more lets a wrong one be read for longer."""
_MAX_ITEMS = 50_000
"""vertices or faces of one garment; MakeHuman's have less, more only slows drawing down"""
_AXES = {"x_scale": 0, "y_scale": 1, "z_scale": 2}
_MAX_OFFSET = 10.0
"""in the garment's own decimetres: larger ones are damage, and would hang far from the body"""


@dataclass(frozen=True, eq=False)
class Garment:
    """A mesh and what it hangs on."""

    path: Path
    corners: IndexArray
    """(F, 3) vertices of triangles"""
    uv: FloatArray
    """(F, 3, 2) texture coordinates of their corners"""
    base: IndexArray
    """(N, 3) vertices of MakeHuman's base mesh"""
    weights: FloatArray
    """(N, 3)"""
    offsets: FloatArray
    """(N, 3) in decimetres of the body it was made for"""
    scales: tuple[tuple[int, int, float], ...]
    """for x, y, z: two base vertices and their distance where the offset counts as it stands"""


@dataclass(frozen=True, eq=False)
class GarmentBase:
    """What garments hang on: the head's vertices and those of the base mesh around it."""

    rows: IndexArray
    """(19158,) row of each vertex of the base mesh, -1 where there is none"""
    template: FloatArray
    """(K, 3) of what is beside the head, in head units"""
    identity_directions: FloatArray
    """(K, 3, 100)"""
    expression_directions: FloatArray
    """(K, 3, 50)"""
    skinning_weights: FloatArray
    """(K, 5)"""
    body_faces: IndexArray
    """(M, 3) rows of the shoulders' triangles, the head's own along the neck"""
    body_uv: FloatArray
    """(M, 3, 2) their texture coordinates"""
    phenotypes: FloatArray
    """(6, 100) identity of one unit of gender, age, …: see `trainer.synthetic.people.PHENOTYPES`"""


@lru_cache(maxsize=1)
def load_garment_base() -> GarmentBase:
    """The shipped table that `trainer.head_builder.garment_base` made."""
    from safetensors.numpy import load_file

    with as_file(files("resources") / "garment_base.safetensors") as path:
        tensors = load_file(path)
    numbers = tensors["numbers"].astype(np.int64)
    rows = np.full(19158, -1, np.int64)
    # The head's own come first: where a border is in both, they are meant.
    rows[numbers[::-1]] = np.arange(len(numbers))[::-1]
    metric = {
        name: tensors[name].astype(np.float32) * np.float32(HEAD_UNITS_PER_M)
        for name in ("template", "identity_directions", "expression_directions")
    }
    return GarmentBase(
        rows=rows,
        skinning_weights=tensors["skinning_weights"],
        body_faces=rows[numbers[-len(tensors["template"]) :][tensors["body_faces"]]],
        body_uv=tensors["body_uv"],
        phenotypes=tensors["phenotypes"],
        **metric,
    )


def read_garment(path: Path) -> Garment:
    """Read NAME.mhclo and the NAME.obj that it names, beside it.

    Raises:
        InvalidInput: it was made for another mesh, hangs on what the head lacks, or is damaged.
    """
    words = _lines(path)
    facts = {line[0]: line[1:] for line in words if line and not _is_number(line[0])}
    mesh = " ".join(facts.get("basemesh", ["none"]))
    if mesh != _BASE_MESH:
        raise InvalidInput(f"{path}: is for the base mesh {mesh[:40]!r}; wanted: {_BASE_MESH}.")
    start = next((i for i, line in enumerate(words) if line[0] == "verts"), len(words))
    try:
        table = _bindings(words[start + 1 :])
        scales = [_scale(facts, name) for name in _AXES]
        own = path.parent / Path(facts["obj_file"][0].replace("\\", "/")).name
    except (KeyError, ValueError, IndexError) as error:
        raise InvalidInput(f"{path}: damaged garment file ({error}).") from None
    count, corners, uv = _read_obj(own)
    if count != len(table):
        raise InvalidInput(f"{path}: hangs {len(table)} vertices, but {own.name} has {count}.")
    base = table[:, :3].astype(np.int64)
    used = np.append(base, [pair[:2] for pair in scales])
    rows = load_garment_base().rows
    if not ((used >= 0) & (used < len(rows))).all() or (rows[used.astype(np.int64)] < 0).any():
        raise InvalidInput(f"{path}: hangs on vertices that are not near the free head.")
    return Garment(path, corners, uv, base, table[:, 3:6], table[:, 6:], tuple(scales))


def _is_number(word: str) -> bool:
    return word.lstrip("-").replace(".", "", 1).isdigit()


def _lines(path: Path) -> list[list[str]]:
    """The words of each line that has some, comments left out."""
    if not path.is_file():
        raise FileNotFoundError(f"{path}: there is no such file.")
    if path.stat().st_size > _MAX_BYTES:
        raise InvalidInput(f"{path}: is larger than {_MAX_BYTES >> 20} MiB; not a garment.")
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput(f"{path}: cannot be read ({type(error).__name__}).") from None
    split = [line.split("#", 1)[0].split() for line in text.splitlines()]
    return [words for words in split if words]


def _scale(facts: dict[str, list[str]], name: str) -> tuple[int, int, float]:
    first, second, distance = facts[name]
    if not 1e-3 < float(distance) < 1e3:
        raise ValueError(f"{name} {distance}")
    return int(first), int(second), float(distance)


def _bindings(words: list[list[str]]) -> FloatArray:
    """(N, 9): three base vertices, their weights, an offset."""
    rows: list[list[float]] = []
    for line in words:
        if not _is_number(line[0]):
            if rows and line[0] in ("delete_verts", "verts"):
                break
            continue
        values = [float(word) for word in line]
        if len(values) == 1:
            values = [values[0]] * 3 + [1.0, 0.0, 0.0] + [0.0] * 3
        if len(values) != 9:
            raise ValueError(f"a line of {len(values)} numbers")
        rows.append(values)
    table = np.array(rows, np.float64).reshape(-1, 9)
    if not 3 <= len(table) <= _MAX_ITEMS:
        raise ValueError(f"{len(table)} vertices")
    if not np.isfinite(table).all() or (np.abs(table[:, 3:]) > _MAX_OFFSET).any():
        raise ValueError("numbers out of range")
    return table


def _read_obj(path: Path) -> tuple[int, IndexArray, FloatArray]:
    """Number of vertices, triangles (F, 3) and their texture coordinates (F, 3, 2)."""
    count, places, faces = 0, [], []
    try:
        for words in _lines(path):
            if words[0] == "v":
                count += 1
            elif words[0] == "vt":
                places.append([float(words[1]), float(words[2])])
            elif words[0] == "f":
                corners = [[int(n) - 1 for n in word.split("/")[:2]] for word in words[1:]]
                faces += [
                    [corners[0], corners[i], corners[i + 1]] for i in range(1, len(words) - 2)
                ]
        table = np.array(faces, np.int64).reshape(-1, 3, 2)
        uv = np.array(places, np.float32).reshape(-1, 2)
    except (ValueError, IndexError) as error:
        raise InvalidInput(f"{path}: damaged mesh ({error}).") from None
    limits = np.array([count, len(uv)])
    good = 0 < len(table) <= _MAX_ITEMS and np.isfinite(uv).all() and (np.abs(uv) < 100).all()
    if not good or (table < 0).any() or (table >= limits).any():
        raise InvalidInput(f"{path}: damaged mesh (its faces name corners that are not there).")
    distinct = np.array([len(set(face)) == 3 for face in table[..., 0].tolist()])
    return count, table[distinct][..., 0], uv[table[distinct][..., 1]]


@dataclass(frozen=True, eq=False)
class HungGarment:
    """A garment on a person, at rest."""

    vertices: FloatArray
    """(N, 3) in head units"""
    expression_directions: FloatArray
    """(N, 3, 50)"""
    pose_directions: FloatArray
    """(N, 3, 36)"""
    skinning_weights: FloatArray
    """(N, 5)"""


def hang(garment: Garment, head: Head, base: FloatArray) -> HungGarment:
    """Put a garment on a person.

    Args:
        garment: what was read.
        head: the free head, whose vertices and directions it follows.
        base: (V + K, 3) the person's head at rest, and what is beside it.
    """
    table = load_garment_base()
    rows, weights = table.rows[garment.base], garment.weights.astype(np.float32)
    ends = [(table.rows[first], table.rows[second]) for first, second, _ in garment.scales]
    scale = [
        abs(base[first, axis] - base[second, axis]) / garment.scales[axis][2]
        for axis, (first, second) in enumerate(ends)
    ]
    points = np.einsum("nk,nkc->nc", weights, base[rows]) + garment.offsets * np.array(scale)

    def mixed(of_head: Any, beside: FloatArray) -> FloatArray:
        every = np.concatenate([of_head.numpy(), beside])
        total = weights.sum(axis=1)
        share = weights / np.where(np.abs(total) > 1e-6, total, 1)[:, None]
        return np.asarray(np.einsum("nk,nk...->n...", share, every[rows]), np.float32)

    still = np.zeros((len(table.template), *head.pose_directions.shape[1:]), np.float32)
    return HungGarment(
        points.astype(np.float32),
        mixed(head.expression_directions, table.expression_directions),
        mixed(head.pose_directions, still),
        _normalised(mixed(head.skinning_weights, table.skinning_weights)),
    )


def _normalised(weights: FloatArray) -> npt.NDArray[np.float32]:
    positive = np.clip(weights, 0.0, None)
    return np.asarray(positive / positive.sum(axis=1, keepdims=True), np.float32)
