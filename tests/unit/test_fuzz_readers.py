"""Files damaged at random, in their bytes and in their structure: opened, or refused in one line.

`--fuzz-seeds N` makes more of them than CI does.
"""

from __future__ import annotations

import json
import pickle
import random
import shutil
import struct
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

import pegasus_runtime as pr
from pegasus_runtime.avatar_file import read_header
from pegasus_runtime.head import load_head, load_landmarks, write_head
from pegasus_runtime.head.head_file import HEADER_KEY
from tests.factories import published_avatar

pytestmark = pytest.mark.slow

MAX_SECONDS = 30.0
"""Of one file, on a machine that does much else."""
MAX_GROWTH = 1 << 30
_ODD: tuple[Any, ...] = (
    None, True, -1, 0, 10**30, 1e308, float("nan"), "", "x" * 5000, "../a", "a\n\0", [], {}, [[]],
    [1, "a", None], {"a": {"b": []}},
)  # fmt: skip
_ODD_TENSORS = (
    lambda t: t.flatten(), lambda t: t[:0], lambda t: t[..., :1], lambda t: t[None],
    lambda t: t.double(), lambda t: t.to(torch.int32), lambda t: t.bool(), lambda t: t * 1e30,
    lambda t: t * float("nan"), lambda t: t.half(), lambda t: torch.tensor(3.0),
)  # fmt: skip


def _damage_bytes(raw: bytes, choose: random.Random) -> bytes:
    """A few bytes changed, a piece cut out, doubled or put elsewhere, or a large length put in."""
    changed = bytearray(raw)
    # Headers and pickles begin the files; what comes behind are numbers.
    reach = len(changed) if choose.random() < 0.3 else min(len(changed), 4000)
    for _ in range(choose.randint(1, 4)):
        at = choose.randrange(max(reach, 1))
        piece = bytes(changed[at : at + choose.randint(1, 60)])
        kind = choose.randrange(5)
        if kind == 0:
            changed[at : at + 1] = bytes([choose.randrange(256)])
        elif kind == 1:
            del changed[at : at + len(piece)]
        elif kind == 2:
            changed[at:at] = piece * choose.randint(1, 50)
        elif kind == 3:
            changed[at : at + 8] = struct.pack("<Q", choose.choice([2**31, 2**40, 2**63, 255]))
        else:
            del changed[at:]
        reach = min(reach, len(changed))
    return bytes(changed)


def _damage_value(value: Any, choose: random.Random) -> Any:
    """One value somewhere in it replaced by an odd one."""
    if isinstance(value, dict) and value and choose.random() < 0.9:
        name = choose.choice(list(value))
        if choose.random() < 0.1:
            return {key: kept for key, kept in value.items() if key != name}
        return {**value, name: _damage_value(value[name], choose)}
    if isinstance(value, list) and value and choose.random() < 0.7:
        index = choose.randrange(len(value))
        return [*value[:index], _damage_value(value[index], choose), *value[index + 1 :]]
    return choose.choice(_ODD)


def _damage_tensors(
    tensors: dict[str, torch.Tensor], choose: random.Random
) -> dict[str, torch.Tensor]:
    name = choose.choice(sorted(tensors))
    kept = {key: value for key, value in tensors.items() if key != name}
    if choose.random() < 0.2:
        return kept
    odd = choose.choice(_ODD_TENSORS)
    try:
        return {**kept, name: odd(tensors[name]).contiguous().clone()}
    except (IndexError, RuntimeError):
        return kept


def _global_state() -> tuple[Any, ...]:
    """What a file could have changed for the whole process."""
    return (
        torch.get_default_dtype(), torch.get_num_threads(), torch.is_grad_enabled(),
        torch.get_rng_state().sum().item(), torch.get_default_device(), np.geterr(),
        torch._utils._rebuild_tensor_v2.__defaults__, torch.Tensor.__repr__,
        torch.serialization.get_safe_globals(),
    )  # fmt: skip


def _resident() -> int:
    import psutil

    return int(psutil.Process().memory_info().rss)


def _try(read: Callable[[], Any], seed: int) -> bool:
    """Whether it was opened; a refusal is one line, and nothing else comes out of it."""
    started = time.perf_counter()
    try:
        read()
    except (pr.InvalidInput, FileNotFoundError) as refusal:
        message = str(refusal)
        assert message.isprintable() and 0 < len(message) <= 2000, seed
        return False
    finally:
        assert time.perf_counter() - started < MAX_SECONDS, seed
    return True


@pytest.fixture(scope="module")
def avatar(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("fuzz") / "a.avatar"
    published_avatar(["hair_a", "hat_b"], every=99).save(path)
    return path


def _fuzz(make: Callable[[random.Random], Any], read: Callable[[], Any], seeds: range) -> None:
    read()
    before, memory = _global_state(), _resident()
    opened = 0
    for seed in seeds:
        make(random.Random(seed))
        opened += _try(read, seed)
        assert _resident() - memory < MAX_GROWTH, seed
    assert opened < len(seeds)
    after = _global_state()
    assert all(a is b or a == b for a, b in zip(before, after, strict=True))


def _make_safetensors(path: Path, key: str, header: Any) -> Callable[[random.Random], None]:
    whole, tensors = path.read_bytes(), load_file(path)

    def make(choose: random.Random) -> None:
        kind = choose.randrange(3)
        path.unlink()
        if kind == 0:
            path.write_bytes(_damage_bytes(whole, choose))
        elif kind == 1:
            save_file(tensors, path, {key: json.dumps(_damage_value(header, choose))})
        else:
            save_file(_damage_tensors(tensors, choose), path, {key: json.dumps(header)})

    return make


def test_avatars(avatar: Path, fuzz_seeds: range, tmp_path: Path) -> None:
    path = Path(shutil.copy(avatar, tmp_path / "a.avatar"))
    make = _make_safetensors(path, "pegasus_avatar", read_header(path))
    _fuzz(make, lambda: pr.load_avatar(path, pr.load_free_head()), fuzz_seeds)


def test_heads_of_our_own(fuzz_seeds: range, tmp_path: Path) -> None:
    from safetensors import safe_open

    path = tmp_path / "h.head"
    write_head(pr.load_free_head(), path)
    with safe_open(path, "pt") as stream:
        header = json.loads(stream.metadata()[HEADER_KEY])
    _fuzz(_make_safetensors(path, HEADER_KEY, header), lambda: load_head(path), fuzz_seeds[::4])


def _make_pickle(path: Path, content: dict[str, Any]) -> Callable[[random.Random], None]:
    def make(choose: random.Random) -> None:
        protocol = choose.randrange(6)
        if choose.random() < 0.7:
            path.write_bytes(_damage_bytes(pickle.dumps(content, protocol), choose))
        else:
            path.write_bytes(pickle.dumps(_damage_value(content, choose), protocol))

    return make


def _plain_head(head: pr.Head) -> dict[str, Any]:
    directions = np.zeros((head.num_vertices, 3, 400), np.float32)
    return {
        "v_template": head.template.numpy() / 4,
        "f": head.faces.numpy(),
        "shapedirs": directions,
        "posedirs": head.pose_directions.numpy(),
        "J_regressor": torch.tensor(head.joint_regressor.numpy()),
        "weights": head.skinning_weights.tolist(),
        "kintree_table": np.array([[2**32 - 1, *head.parents[1:]], range(5)], np.uint32),
    }


def test_pickled_heads(golden: Path, fuzz_seeds: range, tmp_path: Path) -> None:
    head = load_head(golden / "reference_a" / "flame" / "generic_model.pkl")
    path, content = tmp_path / "h.pkl", _plain_head(head)
    path.write_bytes(pickle.dumps(content))
    _fuzz(_make_pickle(path, content), lambda: load_head(path), fuzz_seeds)


def test_landmarks(golden: Path, fuzz_seeds: range, tmp_path: Path) -> None:
    whole = (golden / "reference_a" / "flame" / "landmark_embedding.npy").read_bytes()
    path = tmp_path / "l.npy"
    path.write_bytes(whole)
    _fuzz(
        lambda choose: path.write_bytes(_damage_bytes(whole, choose)),
        lambda: load_landmarks(path),
        fuzz_seeds,
    )


def test_checkpoints(golden: Path, fuzz_seeds: range, tmp_path: Path) -> None:
    run, reference = tmp_path / "run", golden / "reference_a"
    shutil.copytree(reference / "checkpoints", run, copy_function=shutil.copy)
    path = run / "ModelParameters" / "latest.pth"
    content = torch.load(path, weights_only=True)
    head = load_head(reference / "flame" / "generic_model.pkl")

    def make(choose: random.Random) -> None:
        path.unlink()
        is_zip = choose.random() < 0.6
        if choose.random() < 0.5:
            torch.save(content, path, _use_new_zipfile_serialization=is_zip)
            path.write_bytes(_damage_bytes(path.read_bytes(), choose))
        elif choose.random() < 0.5:
            torch.save(_damage_value(content, choose), path)
        else:
            state = _damage_tensors(content["model_state_dict"], choose)
            torch.save({**content, "model_state_dict": state}, path)

    _fuzz(
        make,
        lambda: pr.import_reference(run, head=head, meta=reference / "meta.json"),
        fuzz_seeds[::4],
    )
