"""Pickled heads: as any Python, numpy, scipy or torch saves them, and as nobody should."""

from __future__ import annotations

import pickle
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse
import torch

from pegasus_runtime.errors import InvalidInput
from pegasus_runtime.head import load_free_head, load_head
from pegasus_runtime.head.pickled_arrays import as_array, read_pickle

_SPARSE = ("csc", "csr", "coo", "bsr", "dia", "dok", "lil")
_NUMBERS = np.random.default_rng(0).random((6, 40)) * (np.arange(40) % 5 == 0)


def _saved(path: Path, content: Any, protocol: int) -> Path:
    raw = pickle.dumps(content, protocol)
    path.write_bytes(raw)
    return path


def _variants() -> dict[str, Any]:
    read_only = np.arange(6.0).reshape(2, 3)
    read_only.flags.writeable = False
    sparse = {
        f"{kind}_{container}": getattr(scipy.sparse, f"{kind}_{container}")(_NUMBERS)
        for kind in _SPARSE
        for container in ("matrix", "array")
    }
    return sparse | {
        "float64": _NUMBERS,
        "column order": np.asfortranarray(_NUMBERS),
        "big endian": _NUMBERS.astype(">f4"),
        "unsigned": np.arange(5, dtype=np.uint32),
        "truths": np.array([True, False]),
        "read-only": read_only,
        "empty": np.zeros((0, 3)),
        "matrix": np.matrix(_NUMBERS),
        "lists": _NUMBERS.tolist(),
        "tuples": ((1, 2), (3, 4)),
        "objects": np.array([[1, 2], [3, 4]], object),
        "rows": list(_NUMBERS),
        "scalars": [np.float32(1), np.float32(2)],
        "scalar": np.int64(3),
        "tensor": torch.from_numpy(_NUMBERS),
        "turned tensor": torch.from_numpy(_NUMBERS).T,
        "half": torch.ones(3, 2).half(),
        "parameter": torch.nn.Parameter(torch.ones(2)),
    }


@pytest.mark.filterwarnings("ignore:the matrix subclass")
@pytest.mark.parametrize("spelling", ["numpy.core", "numpy._core"])
@pytest.mark.parametrize("protocol", range(6))
def test_arrays_of_every_protocol_and_library(protocol: int, spelling: str, tmp_path: Path) -> None:
    variants = _variants()
    raw = pickle.dumps(variants, protocol)
    if protocol < 4:
        # From protocol 4 on names are framed by their lengths.
        raw = raw.replace(b"cnumpy._core.", f"c{spelling}.".encode())
    path = tmp_path / "all.pkl"
    path.write_bytes(raw)
    content = read_pickle(path)
    for name, value in variants.items():
        wanted = value.toarray() if scipy.sparse.issparse(value) else value
        wanted = wanted.detach().numpy() if isinstance(wanted, torch.Tensor) else np.array(wanted)
        found = as_array(content[name])
        assert np.array_equal(found, wanted.astype(found.dtype)), name


@pytest.mark.parametrize("protocol", [0, 2, 5])
@pytest.mark.parametrize(
    ("num_directions", "says"), [(400, ""), (350, ""), (300, r"\(162, 3, 300\), expected")]
)
def test_heads_saved_again(
    golden: Path, num_directions: int, says: str, protocol: int, tmp_path: Path
) -> None:
    head = load_head(golden / "reference_a" / "flame" / "generic_model.pkl")
    directions = np.zeros((head.num_vertices, 3, num_directions))
    directions[:, :, :100] = head.identity_directions / 4
    content = {
        "v_template": torch.from_numpy(head.template.numpy() / 4.0),
        "f": head.faces.numpy().astype(np.float64),
        "shapedirs": directions,
        "posedirs": head.pose_directions.numpy() / 4.0,
        "J_regressor": scipy.sparse.coo_array(head.joint_regressor.numpy()),
        "weights": head.skinning_weights.tolist(),
        "kintree_table": np.array([[2**32 - 1, *head.parents[1:]], range(5)], np.uint32),
        "bs_type": "lrotmin",
        "extra": {"names": {"a", "b"}, "frozen": frozenset("ab")},
    }
    path = _saved(tmp_path / "h.pkl", content, protocol)
    if says:
        with pytest.raises(InvalidInput, match=says):
            load_head(path)
        return
    again = load_head(path)
    assert torch.allclose(again.template, head.template)
    assert torch.equal(again.joint_regressor, head.joint_regressor)
    for wrong in ({"kintree_table": np.zeros((2, 55), int)}, {"v_template": np.full((9, 3), 1e30)}):
        with pytest.raises(InvalidInput):
            load_head(_saved(path, content | wrong, protocol))


def _array(shape: bytes, data: bytes, item: bytes = b"f8") -> bytes:
    """A program that pushes an array of a shape, both as they are given."""
    return (
        b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(K\0tC\x01btR(K\x01"
        + shape
        + b"cnumpy\ndtype\n(U"
        + bytes([len(item)])
        + item
        + b"K\0K\x01tR(K\x03U\x01<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\0tb\x89"
        + data
        + b"tb"
    )


def _sparse(kind: bytes, *parts: bytes) -> bytes:
    return b"cscipy.sparse\n" + kind + b"_matrix\n)\x81}(" + b"".join(parts) + b"ub"


def _number(value: int) -> bytes:
    raw = value.to_bytes(30, "little", signed=True)
    return b"\x8a" + bytes([len(raw)]) + raw


def _keyed(program: bytes) -> bytes:
    return b"\x80\x02}(U\x09shapedirs" + program + b"u."


_STORAGE = pickle.dumps(0x1950A86A20F9469CFC6C, 2) + pickle.dumps(1001, 2) + pickle.dumps({}, 2)
_EVIL = b"\x80\x02ctorch\ntensor\n}U\x0c__defaults__K\x05sb."
_TENSOR = (
    b"ctorch._utils\n_rebuild_tensor_v2\n(ctorch.storage\n_load_from_bytes\nT"
    + struct.pack("<i", len(_STORAGE + _EVIL))
    + _STORAGE
    + _EVIL
    + b"\x85RK\0K\x01\x85K\x01\x85\x89NtR"
)
_BOMBS = {
    "a doubled tuple as a key": b"\x80\x02}(N" + b"2\x86" * 200 + b"K\x01u.",
    "a doubled tuple in a set": b"\x80\x04\x8f(N" + b"2\x86" * 200 + b"\x90.",
    "a doubled tuple in a frozenset": b"\x80\x04(N" + b"2\x86" * 200 + b"\x91.",
    "nested tuples": b"\x80\x02)" + b"\x85" * 900_000 + b".",
    "more nested tuples": b"\x80\x02)" + b"\x85" * 1_100_000 + b".",
    "nested tuples as a key": b"\x80\x02})" + b"\x85" * 900_000 + b"K\x01s.",
    "nested lists": b"\x80\x02" + b"]" * 900_000 + b"a" * 899_999 + b".",
    "nested dictionaries": b"\x80\x02" + b"}N" * 300_000 + b"N" + b"s" * 299_999 + b".",
    "nested objects": b"\x80\x02cchumpy\nCh\n"
    + b"q\x01)R"
    + b"q\x020h\x01h\x02\x85R" * 300_000
    + b".",
    "nested frozensets": b"\x80\x04)" + b"\x85(0" * 300_000 + b"\x91.",
    "marks": b"\x80\x02" + b"(" * 1_000_000 + b".",
    "many lists": b"\x80\x02" + b"]" * 2_000_000 + b".",
    "colliding keys": b"\x80\x02}("
    + b"".join(_number(k * (2**61 - 1)) + b"N" for k in range(100_000))
    + b"u.",
    "colliding memos": b"\x80\x02N"
    + b"".join(b"p%d\n" % (k * (2**61 - 1)) for k in range(100_000))
    + b".",
    "one text encoded often": b"\x80\x02c_codecs\nencode\nq\x010X"
    + struct.pack("<I", 1 << 20)
    + b"x" * (1 << 20)
    + b"q\x020("
    + b"h\x01h\x02\x85R" * 100_000
    + b"t.",
    "a number of 20 MB": b"\x80\x02\x8b"
    + struct.pack("<i", 20 << 20)
    + b"\xff" * (20 << 20)
    + b".",
    "a number of many digits": b"L" + b"9" * 1_000_000 + b"L\n.",
    "a promised text": b"\x80\x04\x8d" + struct.pack("<Q", 1 << 50) + b".",
    "promised bytes": b"\x80\x05\x96" + struct.pack("<Q", 1 << 40) + b".",
    "a promised frame": b"\x80\x04\x95" + struct.pack("<Q", 1 << 60) + b".",
    "a memo far away": b"\x80\x02Nr" + struct.pack("<I", 0xFFFFFFF0) + b".",
    "a huge shape": _keyed(_array(_number(1 << 60) + b"\x85", b"U\0")),
    "a huge empty shape": _keyed(_array(_number(1 << 30) + b"2K\0\x87", b"U\0")),
    "a negative shape": _keyed(_array(b"J\xff\xff\xff\xff\x85", b"U\0")),
    "a shape of objects": _keyed(
        _array(_array(b"K\x01\x85", b"U\x08" + bytes(8)) + b"\x85", b"U\0")
    ),
    "a huge item": _keyed(_array(b"K\x01\x85", b"U\0", b"V9999999")),
    "a doubled list": _keyed(b"](N" + b"2\x86" * 60 + b"e"),
    "a sparse giant": _keyed(_sparse(b"csr", b"U\x06_shape", _number(1 << 40) + b"2\x86")),
    "a sparse block of nothing": _keyed(
        _sparse(
            b"bsr",
            b"U\x06_shapeK\x05K\x05\x86U\x06indptr](K\0K\0eU\x07indices]U\x04data",
            _array(b"K\0" + _number(1 << 20) + b"2\x87", b"U\0"),
        )
    ),
    "a sparse matrix of itself": _keyed(
        b"cscipy.sparse\ncsr_matrix\n)\x81q\x01}(U\x06_shapeK\x05K\x05\x86U\x06indptrh\x01"
        b"U\x07indicesh\x01U\x04datah\x01ub"
    ),
    "a chumpy of itself": _keyed(b"cchumpy.ch\nCh\n)\x81q\x01}U\x01xh\x01sb"),
    "a tensor that alters a function": _keyed(_TENSOR),
    "a function's state": b"\x80\x02c_codecs\nencode\n}U\x0c__defaults__K\x05sb.",
    "a call of a call": b"\x80\x02c_codecs\nencode\n)R)R.",
    "a foreign name": b"\x80\x02cos\n" + b"x" * 200_000 + b"\n.",
    "a name of lines": b"\x80\x04X\x04\0\0\0o\ns\rX\x06\0\0\0\x1b[31mx\x93.",
}

_CHILD = """
import sys
from pathlib import Path
import numpy, torch
from pegasus_runtime.errors import InvalidInput
from pegasus_runtime.head import load_head
before = torch.tensor.__doc__, torch.Tensor.sum.__doc__
try:
    import resource
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + (1200 << 20),) * 2)
    resource.setrlimit(resource.RLIMIT_CPU, (100, 100))
except (ImportError, OSError):
    pass
for path in sorted(Path(sys.argv[1]).iterdir()):
    print(path.name, flush=True)
    try:
        load_head(path)
    except InvalidInput as refusal:
        assert str(refusal).isprintable() and len(str(refusal)) < 600, path
        assert str(path) in str(refusal), refusal
    else:
        raise AssertionError(path)
print("all refused")
"""


@pytest.mark.slow
def test_bombs_are_refused_within_a_budget(tmp_path: Path) -> None:
    """In a process of their own, with little memory and time, for they would end this one."""
    for name, program in _BOMBS.items():
        (tmp_path / f"{name}.pkl").write_bytes(program)
    done = subprocess.run(
        [sys.executable, "-c", _CHILD, str(tmp_path)], capture_output=True, text=True, timeout=200
    )
    assert done.stdout.endswith("all refused\n"), done.stdout[-100:] + done.stderr[-2000:]


def test_what_a_pickle_names_is_never_called(tmp_path: Path) -> None:
    """Even calls of known names with nonsense leave nothing but notes."""
    names = ["c_codecs\nencode\n", "ctorch.storage\n_load_from_bytes\n", "cchumpy\nsystem\n"]
    for name in names:
        path = tmp_path / "x.pkl"
        path.write_bytes(b"\x80\x02}U\x01a" + name.encode() + b"U\x04evil\x85Rs.")
        assert set(read_pickle(path)) == {"a"}
    assert load_free_head().num_vertices > 0
