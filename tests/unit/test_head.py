"""Heads: skinning, files, and pickles that are not what they say."""

from __future__ import annotations

import io
import os
import pickle
import random
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from pegasus_runtime.errors import InvalidInput
from pegasus_runtime.head import (
    face_landmarks,
    load_free_head,
    load_head,
    load_landmarks,
    pose_head,
    write_head,
)
from pegasus_runtime.head.landmarks import contour_rows
from pegasus_runtime.head.skinning import pose_joints, rotation_matrices


class _Calls:
    """Pickles as a call of a function."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> Any:
        return self.call


def _write(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def test_rotations_are_rotations_and_smooth_at_zero() -> None:
    axis = torch.randn(20, 3, dtype=torch.float64)
    rotations = rotation_matrices(axis)
    product = rotations @ rotations.transpose(1, 2)
    assert torch.allclose(product, torch.eye(3).double().expand_as(product), atol=1e-12)
    assert torch.allclose(rotations, torch.linalg.matrix_exp(_cross(axis)), atol=1e-9)
    zero = torch.zeros(2, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(rotation_matrices, zero)


def _cross(v: torch.Tensor) -> torch.Tensor:
    x, y, z = v.unbind(1)
    o = torch.zeros_like(x)
    return torch.stack([o, -z, y, z, o, -x, -y, x, o], 1).view(-1, 3, 3)


def test_batches_broadcast() -> None:
    head = load_free_head()
    poses = torch.randn(4, 15) * 0.2
    batched = pose_head(head, torch.zeros(100), torch.zeros(50), poses)
    single = pose_head(head, torch.zeros(100), torch.zeros(50), poses[2])
    assert batched.vertices.shape == (4, head.num_vertices, 3)
    assert torch.allclose(batched.vertices[2], single.vertices, atol=1e-6)
    marks = face_landmarks(head, batched.vertices, poses)
    assert torch.allclose(marks[2], face_landmarks(head, single.vertices, poses[2]), atol=1e-6)


@pytest.mark.parametrize("scale", [0.0, 1e-5, 1e-4, 0.4, 2.5])
def test_joints_of_one_frame_equal_those_of_a_batch(scale: float) -> None:
    head, generator = load_free_head(), torch.Generator().manual_seed(3)
    shape, expression = (torch.randn(n, generator=generator) for n in (100, 50))
    pose = scale * torch.randn(15, generator=generator)
    alone = pose_joints(head, shape, expression, pose)
    together = pose_joints(head, shape[None], expression[None], pose[None])
    for value, expected in zip(alone, together, strict=True):
        assert torch.allclose(value, expected[0], atol=1e-6)
    watched = pose_joints(head, shape, expression, pose.requires_grad_())
    assert watched[1].requires_grad


def test_contour_follows_root_then_neck() -> None:
    pose = torch.zeros(1, 15)
    pose[0, 1] = np.deg2rad(20)
    assert contour_rows(pose).tolist() == [20]
    pose[0, 1] = np.deg2rad(-20)
    assert contour_rows(pose).tolist() == [59]
    pose[0, 4] = np.deg2rad(-50)
    assert contour_rows(pose).tolist() == [78]
    both = torch.zeros(1, 15)
    both[0, 0:6] = torch.tensor([0.5, 0.2, 0.1, -0.3, 0.4, 0.2])
    root, neck = rotation_matrices(both.view(5, 3)[:2])
    world = root @ neck
    yaw = torch.atan2(-world[2, 0], torch.hypot(world[0, 0], world[1, 0]))
    assert contour_rows(both).item() == round(float(torch.rad2deg(yaw)))


def test_head_file_there_and_back(tmp_path: Path) -> None:
    head = load_free_head()
    write_head(head, tmp_path / "h.head")
    again = load_head(tmp_path / "h.head")
    assert again.expression_names == head.expression_names
    assert torch.allclose(again.template, head.template, atol=1e-6)
    assert torch.allclose(again.identity_directions, head.identity_directions, atol=1e-6)
    assert again.landmarks is not None and again.parents == head.parents


def test_damaged_head_files(tmp_path: Path) -> None:
    write_head(load_free_head(), tmp_path / "h.head")
    whole = (tmp_path / "h.head").read_bytes()
    for share in (0, 0.001, 0.5, 0.999):
        with pytest.raises(InvalidInput):
            load_head(_write(tmp_path / "t.head", whole[: int(len(whole) * share)]))
    newer = whole.replace(b'\\"version\\": 1', b'\\"version\\": 9')
    assert newer != whole
    with pytest.raises(InvalidInput, match="newer"):
        load_head(_write(tmp_path / "n.head", newer))
    with pytest.raises(FileNotFoundError):
        load_head(tmp_path / "none.head")


def test_reference_heads_open(golden: Path) -> None:
    licensed = load_head(golden / "flame_licensed_style.pkl")
    assert licensed.identity_directions.shape[1:] == (3, 100)
    assert licensed.expression_names[0] == "expression 1"
    head = load_head(golden / "reference_a" / "flame" / "generic_model.pkl")
    marks = load_landmarks(golden / "reference_a" / "flame" / "landmark_embedding.npy")
    assert head.with_landmarks(marks).landmarks is marks
    with pytest.raises(InvalidInput, match="not its landmarks"):
        from dataclasses import replace

        head.with_landmarks(replace(marks, faces=marks.faces + 10**5))


@pytest.mark.parametrize("k", [0, 1, 2])
def test_reference_vertices(golden: Path, k: int) -> None:
    expected = np.load(golden / "reference_a" / "expected.npz")
    head = load_head(golden / "reference_a" / "flame" / "generic_model.pkl")
    given = [torch.from_numpy(expected[f"{k}/in/{n}"]) for n in ("shape", "expression")]
    posed = pose_head(head, *given, torch.from_numpy(expected[f"{k}/in/flame_pose"]))
    assert np.abs(posed.vertices[0].numpy() - expected[f"{k}/out/deformed_verts"]).max() < 1e-5


@pytest.mark.parametrize(
    "content",
    [
        _Calls(os.system, "touch OWNED"),
        _Calls(eval, "1+1"),
        _Calls(open, "OWNED", "w"),
        {"v_template": _Calls(np.load, "x.npy", None, True)},
        bytearray(b"x" * 10),
        [1, 2],
        {("a", "b"): 1},
        {"v_template": 3},
    ],
)
def test_foreign_pickles_are_refused_and_nothing_runs(
    content: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for protocol in (2, 5):
        path = _write(tmp_path / "evil.pkl", pickle.dumps(content, protocol))
        with pytest.raises(InvalidInput) as refusal:
            load_head(path)
        assert "\n" not in str(refusal.value)
    assert not (tmp_path / "OWNED").exists()


def _doubled(levels: int) -> bytes:
    return b"N" + b"2\x86" * levels


@pytest.mark.parametrize(
    "program",
    [
        b"\x80\x02}" + b"(" + _doubled(40) + b"K\x01u.",
        b"\x80\x02}" + b")" + b"\x85" * 300_000 + b"K\x01s.",
        b"\x80\x02c_codecs\nencode\n" + b"]" + b"2\x86" * 40 + b"\x85R.",
        b"\x80\x02c_codecs\nencode\n}X\x0c\x00\x00\x00__defaults__K\x05sb.",
        b"\x80\x05\x96" + struct.pack("<Q", 1 << 40) + b".",
        b"\x80\x02r" + struct.pack("<I", 0xFFFFFFF0) + b".",
        b"",
    ],
)
def test_programs_that_exhaust_or_alter_are_refused(program: bytes, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput):
        load_head(_write(tmp_path / "evil.pkl", program))


def test_random_changes_are_opened_or_refused(golden: Path, tmp_path: Path) -> None:
    choose = random.Random(1)
    for name in ("generic_model.pkl", "landmark_embedding.npy"):
        whole = (golden / "reference_a" / "flame" / name).read_bytes()
        load = load_head if name.endswith("pkl") else load_landmarks
        for _ in range(40):
            changed = bytearray(whole)
            for _ in range(choose.randint(1, 3)):
                changed[choose.randrange(min(len(changed), 3000))] = choose.randrange(256)
            try:
                load(_write(tmp_path / name, bytes(changed)))
            except InvalidInput as refusal:
                assert "\n" not in str(refusal)


def test_tensors_larger_than_their_storage_are_refused(tmp_path: Path) -> None:
    stream = io.BytesIO()
    torch.save(torch.zeros(1), stream)
    huge = torch.zeros(1).expand(1 << 20, 1 << 12)
    content = {"full_lmk_faces_idx": huge}
    with pytest.raises(InvalidInput):
        load_landmarks(_write(tmp_path / "l.npy", pickle.dumps(content, 2)))
