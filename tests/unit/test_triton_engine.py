"""What is special about the CUDA engine: when it is there, and that its kernels compile."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from pegasus_runtime import raster
from pegasus_runtime.errors import InvalidInput
from pegasus_runtime.raster.engine import choose_engine
from pegasus_runtime.raster.triton.support import require_triton

ENGINE = "pegasus_runtime.raster.triton.engine"
ROOT = Path(__file__).resolve().parents[2]

# Makes machine code of all kernels for one generation of GPUs, which takes no GPU.
COMPILE = """
import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from pegasus_runtime.raster.triton import binning, kernels
from pegasus_runtime.raster.triton import surfel_kernels

TYPES = {
    "index": "*i32", "order": "*i64", "starts": "*i64", "keys": "*i64", "visible": "*u8",
    "weight_bits": "*i32",
}
FLOATS = {"span_x", "span_y", "radius2", "min_weight", "pixels_per_unit", "reach"}
WHOLE = {
    "height", "width", "num_kept", "bin_side", "bins_across", "num_pixels", "num_points", "side",
    "down", "across",
}
DRAWING = {"NUM_KEPT": 10, "NUM_CHANNELS": 6, "FROM_POINTS": True, "PIXELS": 128, "CHANNELS": 8}
FINDING = {"NUM_SLOTS": 4, "SIDE": 16, "CHUNK": 16, "INDEX_ONLY": False}
SURFELS = {"NUM_CHANNELS": 3, "CHANNELS": 4, "SIDE": 16, "AT_ONCE": 16}
BINNING = {"SLOTS_DOWN": 2, "SLOTS_ACROSS": 2, "POINTS": 256}
ARGUMENTS = {
    binning.write_keys: BINNING,
    kernels.find_nearest: FINDING,
    kernels.blend: DRAWING,
    kernels.blend_gradients: DRAWING,
    kernels.scatter_distances: DRAWING,
    kernels.mark_visible: DRAWING,
    surfel_kernels.draw: SURFELS,
    surfel_kernels.draw_gradients: SURFELS,
    surfel_kernels.weigh: SURFELS,
}


def type_of(name):
    if name in FLOATS:
        return "fp32"
    return "i32" if name in WHOLE else TYPES.get(name, "*fp32")


for kernel, constants in ARGUMENTS.items():
    names = kernel.arg_names
    signature = {name: "constexpr" if name in constants else type_of(name) for name in names}
    values = {(i,): constants[name] for i, name in enumerate(names) if name in constants}
    compiled = triton.compile(
        ASTSource(kernel, signature, values),
        target=GPUTarget("cuda", 80, 32),
        options={"enable_fp_fusion": False},
    )
    assert "fma." not in compiled.asm["ptx"], kernel
    print(kernel.__name__, len(compiled.asm["cubin"]))
"""


@pytest.mark.slow
def test_all_kernels_compile_without_fused_arithmetic(tmp_path: Path) -> None:
    # The interpreter runs Python that the compiler refuses.
    pytest.importorskip("triton")
    environment = {**os.environ, "TRITON_CACHE_DIR": str(tmp_path), "PYTHONPATH": str(ROOT)}
    environment.pop("TRITON_INTERPRET", None)
    # The compiler reads the source of the kernels from files, so that it starts from one here too.
    program = tmp_path / "compile.py"
    program.write_text(COMPILE, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, program], env=environment, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 9


def test_without_a_cuda_device_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TRITON_INTERPRET", raising=False)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.delitem(sys.modules, ENGINE, raising=False)
    with pytest.raises(InvalidInput, match="engine 'triton': .* needs a CUDA device"):
        raster.rasterize(torch.zeros(1, 3), (2, 2), 0.1, engine="triton")
    assert "triton" not in raster.available_engines()
    assert "CUDA" in raster.missing_engines()["triton"]


def test_an_old_device_is_left_to_other_engines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TRITON_INTERPRET", raising=False)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: (6, 1))
    with pytest.raises(ImportError, match="below 7.5"):
        require_triton()


def test_a_machine_that_cannot_start_kernels_is_told_why(monkeypatch: pytest.MonkeyPatch) -> None:
    driver = pytest.importorskip("triton.runtime.driver").driver

    class NoCompiler:
        def get_current_target(self) -> None:
            raise RuntimeError("Failed to find C compiler.\nMore about it.")

    monkeypatch.delenv("TRITON_INTERPRET", raising=False)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: (9, 0))
    monkeypatch.setattr(type(driver), "active", NoCompiler())
    with pytest.raises(ImportError, match="Failed to find C compiler.$"):
        require_triton()


def test_it_is_the_first_choice_for_cuda_and_never_for_the_cpu() -> None:
    if "triton" in raster.missing_engines():
        pytest.skip(raster.missing_engines()["triton"])
    assert choose_engine("auto", torch.device("cuda")) == "triton"
    assert choose_engine("auto", torch.device("cpu")) == "numba"


def test_many_channels_and_none_are_drawn() -> None:
    if "triton" in raster.missing_engines():
        pytest.skip(raster.missing_engines()["triton"])
    torch.manual_seed(4)
    points = torch.rand(30, 3) - 0.5
    for num_channels in (0, 1, 19):
        features = torch.rand(30, num_channels)
        found, expected = [], []
        for engine, results in (("triton", found), ("torch", expected)):
            leaves = points.clone().requires_grad_(), features.clone().requires_grad_()
            image = raster.render_points(*leaves, image_size=(9, 21), radius=0.3, engine=engine)
            results += [image, *torch.autograd.grad((image * image).sum(), leaves)]
        for one, other in zip(found, expected, strict=True):
            torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-4)
