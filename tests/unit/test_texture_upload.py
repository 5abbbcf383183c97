"""How pixels come into a texture: the choice, the calls, and what happens when one fails."""

from __future__ import annotations

import enum
import logging
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from app.rendering import texture_upload
from app.rendering.request import on_host
from app.rendering.texture_upload import CudaInterop, InteropError, TextureUpload
from pegasus_runtime.export.display import to_pixels
from pegasus_runtime.frame import Frame

STREAM = 77


class Error(enum.IntEnum):
    cudaSuccess = 0  # noqa: N815
    cudaErrorUnknown = 999  # noqa: N815


class FakeRuntime:
    """Records the calls in the order they come; the one in ``failing`` says so."""

    constants = {
        "cudaGraphicsRegisterFlags": SimpleNamespace(cudaGraphicsRegisterFlagsWriteDiscard=2),
        "cudaMemcpyKind": SimpleNamespace(cudaMemcpyDeviceToDevice=3),
    }
    results = {
        "cudaGraphicsGLRegisterImage": ("resource",),
        "cudaGraphicsSubResourceGetMappedArray": ("array",),
    }

    def __init__(self, failing: str = "") -> None:
        self.failing = failing
        self.calls: list[tuple[Any, ...]] = []

    def __getattr__(self, name: str) -> Any:
        if name in self.constants:
            return self.constants[name]
        if not name.startswith("cuda"):
            raise AttributeError(name)

        def call(*arguments: Any) -> tuple[Any, ...]:
            self.calls.append((name, *arguments))
            if name == self.failing:
                return Error.cudaErrorUnknown, None
            return Error.cudaSuccess, *self.results.get(name, ())

        return call

    @property
    def names(self) -> list[str]:
        return [name.removeprefix("cuda").removeprefix("Graphics") for name, *_ in self.calls]


class FakeTexture:
    glo = 5

    def __init__(self) -> None:
        self.written: list[bytes] = []

    def write(self, data: bytes) -> None:
        self.written.append(data)


WRITE = [
    "SetDevice",
    "MapResources",
    "SubResourceGetMappedArray",
    "Memcpy2DToArrayAsync",
    "UnmapResources",
]


@pytest.fixture
def pixels(monkeypatch: pytest.MonkeyPatch) -> torch.Tensor:
    """Stands for pixels on a device: anything but an array is taken for that."""
    monkeypatch.setattr(texture_upload, "stream_of", lambda _: STREAM)
    return torch.arange(2 * 3 * 4, dtype=torch.uint8).reshape(2, 3, 4)


def _with(runtime: Any, monkeypatch: pytest.MonkeyPatch) -> TextureUpload:
    monkeypatch.setattr(texture_upload, "cuda_runtime", lambda: runtime)
    return TextureUpload()


def test_arrays_are_copied_and_cuda_is_not_even_looked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(texture_upload, "cuda_runtime", lambda: pytest.fail("looked for"))
    texture, array = FakeTexture(), np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
    TextureUpload().write(texture, array)
    assert texture.written == [array.tobytes()]


def test_device_pixels_go_straight_into_the_texture(
    pixels: torch.Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    runtime, texture = FakeRuntime(), FakeTexture()
    upload = _with(runtime, monkeypatch)
    upload.write(texture, pixels)
    assert runtime.names == [WRITE[0], "GLRegisterImage", *WRITE[1:]]
    calls = {name: arguments for name, *arguments in runtime.calls}
    assert calls["cudaGraphicsGLRegisterImage"] == [5, 0x0DE1, 2]
    assert calls["cudaGraphicsMapResources"] == [1, "resource", STREAM]
    assert calls["cudaMemcpy2DToArrayAsync"] == [
        *("array", 0, 0, pixels.data_ptr(), 12, 12, 2, 3, STREAM)
    ]
    assert calls["cudaGraphicsUnmapResources"] == [1, "resource", STREAM]
    assert texture.written == []


def test_a_texture_is_registered_once_and_given_back_before_the_next(
    pixels: torch.Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    runtime = FakeRuntime()
    upload = _with(runtime, monkeypatch)
    for _ in range(2):
        upload.write(FakeTexture(), pixels)
    upload.release()
    upload.release()
    upload.write(FakeTexture(), pixels)
    first = [WRITE[0], "GLRegisterImage", *WRITE[1:]]
    assert runtime.names == [*first, *WRITE, "UnregisterResource", *first]


def test_without_the_bindings_pixels_are_copied(
    pixels: torch.Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    texture = FakeTexture()
    upload = _with(None, monkeypatch)
    upload.write(texture, pixels)
    upload.release()
    assert texture.written == [pixels.numpy().tobytes()]


@pytest.mark.parametrize(
    "failing",
    [
        "cudaSetDevice",
        "cudaGraphicsGLRegisterImage",
        "cudaGraphicsMapResources",
        "cudaGraphicsSubResourceGetMappedArray",
        "cudaMemcpy2DToArrayAsync",
        "cudaGraphicsUnmapResources",
    ],
)
def test_a_call_that_fails_is_told_once_and_pixels_are_copied_from_then_on(
    failing: str,
    pixels: torch.Tensor,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    runtime, texture = FakeRuntime(failing), FakeTexture()
    upload = _with(runtime, monkeypatch)
    with caplog.at_level(logging.WARNING):
        upload.write(texture, pixels)
        num_calls = len(runtime.calls)
        upload.write(texture, pixels)
    assert texture.written == [pixels.numpy().tobytes()] * 2
    assert len(runtime.calls) == num_calls
    assert [record.getMessage() for record in caplog.records] == [
        f"Pictures go through host memory: {failing}: cudaErrorUnknown"
    ]
    # What is mapped is unmapped and what is registered is given back, whatever happens.
    mapped = [name for name in runtime.names if name.endswith("apResources")]
    assert len(mapped) in (0, 2) or failing == "cudaGraphicsMapResources"
    registered = failing not in ("cudaSetDevice", "cudaGraphicsGLRegisterImage")
    assert ("UnregisterResource" in runtime.names) == registered


def test_a_texture_that_cannot_be_given_back_is_no_failure(
    pixels: torch.Tensor, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    upload = _with(FakeRuntime("cudaGraphicsUnregisterResource"), monkeypatch)
    upload.write(FakeTexture(), pixels)
    upload.release()
    assert "cudaGraphicsUnregisterResource" in caplog.text


def test_the_real_bindings_refuse_without_a_driver(pixels: torch.Tensor) -> None:
    runtime = texture_upload.cuda_runtime()
    if runtime is None:
        pytest.skip("cuda-bindings is not installed")
    if torch.cuda.is_available():
        pytest.skip("there is a driver")
    with pytest.raises((InteropError, RuntimeError)):
        CudaInterop(runtime).write(FakeTexture(), pixels)


def test_doctor_says_which_way_pictures_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert "drawn on the CPU" in texture_upload.describe_upload()
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(texture_upload, "cuda_runtime", lambda: None)
    assert "cuda-bindings is missing" in texture_upload.describe_upload()
    monkeypatch.setattr(texture_upload, "cuda_runtime", FakeRuntime)
    monkeypatch.setattr(texture_upload, "try_interop", lambda _: None)
    assert "interop" in texture_upload.describe_upload()

    def fail(_: object) -> None:
        raise InteropError("cudaGraphicsGLRegisterImage: cudaErrorOperatingSystem")

    monkeypatch.setattr(texture_upload, "try_interop", fail)
    assert texture_upload.describe_upload() == (
        "through host memory: cudaGraphicsGLRegisterImage: cudaErrorOperatingSystem"
    )


def test_a_frame_leaves_its_tensors_where_they_are() -> None:
    image, points = torch.rand(2, 3, 3), torch.zeros(5, 3)
    frame = Frame({"rgb": image}, points, points)
    assert frame.tensor("rgb") is image
    assert frame.num_points == 5
    assert isinstance(frame["rgb"], np.ndarray) and isinstance(frame.points, np.ndarray)
    assert torch.equal(frame.tensor("rgb"), image)


def test_colour_and_alpha_make_the_same_pixels_wherever_they_lie() -> None:
    drawn = torch.rand(5, 7, 4, generator=torch.Generator().manual_seed(0))
    colour, alpha = drawn.split([3, 1], dim=2)
    nothing = np.zeros((0, 3))
    frames = (
        Frame({"rgb": colour, "alpha": alpha}, nothing, nothing),
        Frame({"rgb": colour.clone(), "alpha": alpha.clone()}, nothing, nothing),
        Frame({"rgb": drawn[..., [1, 2, 3]], "alpha": drawn[..., :1]}, nothing, nothing),
    )
    pixels = [to_pixels(frame, "rgb") for frame in frames]
    expected = (drawn * 255 + 0.5).byte().numpy()
    assert np.array_equal(pixels[0], expected) and np.array_equal(pixels[1], expected)
    assert np.array_equal(pixels[2], expected[..., [1, 2, 3, 0]])


@pytest.mark.parametrize("name", ["rgb", "alpha", "depth", "segmentation"])
def test_pixels_are_rounded_and_premultiplied(name: str) -> None:
    channels = 3 if name == "rgb" else 1
    alpha = np.array([[[1.0], [0.5], [0.0]]], np.float32)
    image = np.array([[[2.0], [0.501], [0.0]]], np.float32).repeat(channels, 2)
    images = {"alpha": alpha} if name == "alpha" else {name: image, "alpha": alpha}
    pixels = to_pixels(Frame(images, np.zeros((0, 3)), np.zeros((0, 3))), name)
    assert isinstance(pixels, np.ndarray) and pixels.shape == (1, 3, 4)
    if name == "alpha":
        assert pixels[0].tolist() == [[255] * 4, [128, 128, 128, 255], [0, 0, 0, 255]]
    elif name == "depth":
        # One pixel is surely seen: it is the farthest, which is drawn in 12 % of white.
        assert pixels[0].tolist() == [[31, 31, 31, 255], [128, 128, 128, 255], [0, 0, 0, 255]]
    elif name == "segmentation":
        assert pixels[0].tolist() == [[255] * 4, [128, 128, 128, 255], [0, 0, 0, 255]]
    else:
        assert pixels[0].tolist() == [[255] * 4, [128, 128, 128, 128], [0, 0, 0, 0]]


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_a_cuda_picture_arrives_in_a_real_texture(caplog: pytest.LogCaptureFixture) -> None:
    if "interop" not in texture_upload.describe_upload():
        pytest.skip(texture_upload.describe_upload())
    moderngl = pytest.importorskip("moderngl")
    context = moderngl.create_context(standalone=True, backend="egl")
    upload = TextureUpload()
    for height, width in ((3, 5), (64, 48)):
        texture = context.texture((width, height), 4)
        for _ in range(2):
            pixels = torch.randint(0, 256, (height, width, 4), dtype=torch.uint8, device="cuda")
            upload.write(texture, pixels)
            assert texture.read() == pixels.cpu().numpy().tobytes()
        upload.release()
        texture.release()
    context.release()
    assert not caplog.records


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_a_cuda_frame_becomes_pixels_on_the_device() -> None:
    images = {"rgb": torch.rand(4, 5, 3), "alpha": torch.rand(4, 5, 1)}
    on_device = {name: image.cuda() for name, image in images.items()}
    nothing = torch.zeros(0, 3)
    expected = to_pixels(Frame(images, nothing, nothing), "rgb")
    found = to_pixels(Frame(on_device, nothing.cuda(), nothing.cuda()), "rgb")
    assert not isinstance(found, np.ndarray) and found.is_cuda
    assert np.array_equal(on_host(found), expected)
