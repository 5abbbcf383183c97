"""How pixels come into a texture: straight from the CUDA device, or through host memory."""

from __future__ import annotations

import importlib
import logging
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from app.rendering.request import AnyPixels, on_host

_GL_TEXTURE_2D = 0x0DE1
_BYTES_PER_PIXEL = 4
_log = logging.getLogger(__name__)


class Texture(Protocol):
    """What of `moderngl.Texture` is used here; RGBA, 8 bits each."""

    @property
    def glo(self) -> int:
        """OpenGL's own name of it."""

    def write(self, data: Any) -> None:
        """Replace what it shows with bytes."""


class InteropError(RuntimeError):
    """CUDA cannot write into this texture; the message says which call failed and how."""


class HostCopy:
    """Any pixels into any texture: what lies on a device is copied to the host first."""

    def write(self, texture: Texture, pixels: AnyPixels) -> None:
        """Replace what the texture shows with pixels (H, W, 4) of its size."""
        texture.write(on_host(pixels).tobytes())


class CudaInterop:
    """Pixels on a CUDA device into a texture of the same card, without leaving it.

    Made for one texture at a time; the GL context of the texture must be current. The calls are
    those of the CUDA runtime's chapter "OpenGL Interoperability".
    """

    def __init__(self, runtime: Any) -> None:
        """Take the module that has the calls: `cuda.bindings.runtime`."""
        self._runtime = runtime
        self._resource: Any = None

    def write(self, texture: Texture, pixels: Tensor) -> None:
        """Replace what the texture shows with pixels (H, W, 4), uint8, of its size.

        Raises:
            InteropError: a call failed. GL drives another card, or there is no driver for this.
        """
        pixels = pixels.contiguous()
        height, width = pixels.shape[:2]
        stream = stream_of(pixels)
        # This runtime is not torch's own, and starts on the first device.
        self._call("cudaSetDevice", pixels.device.index or 0)
        if self._resource is None:
            flags = self._runtime.cudaGraphicsRegisterFlags.cudaGraphicsRegisterFlagsWriteDiscard
            self._resource = self._call(
                "cudaGraphicsGLRegisterImage", texture.glo, _GL_TEXTURE_2D, flags
            )
        # Between these two GL may not touch the texture. Both wait in the stream, not here.
        self._call("cudaGraphicsMapResources", 1, self._resource, stream)
        try:
            array = self._call("cudaGraphicsSubResourceGetMappedArray", self._resource, 0, 0)
            pitch = width * _BYTES_PER_PIXEL
            kind = self._runtime.cudaMemcpyKind.cudaMemcpyDeviceToDevice
            self._call(
                "cudaMemcpy2DToArrayAsync",
                *(array, 0, 0, pixels.data_ptr(), pitch, pitch, height, kind, stream),
            )
        finally:
            self._call("cudaGraphicsUnmapResources", 1, self._resource, stream)

    def release(self) -> None:
        """Let go of the texture, before it is deleted.

        Raises:
            InteropError: it was deleted already, or the driver has gone.
        """
        resource, self._resource = self._resource, None
        if resource is not None:
            self._call("cudaGraphicsUnregisterResource", resource)

    def _call(self, name: str, *arguments: Any) -> Any:
        error, *results = getattr(self._runtime, name)(*arguments)
        if int(error) != 0:
            raise InteropError(f"{name}: {getattr(error, 'name', error)}")
        return results[0] if results else None


class TextureUpload:
    """The quickest way that works, found with the first pixels that lie on a device."""

    def __init__(self) -> None:
        self._host = HostCopy()
        self._interop: CudaInterop | None = None
        self._tried = False

    def write(self, texture: Texture, pixels: AnyPixels) -> None:
        """Replace what the texture shows with pixels (H, W, 4) of its size."""
        if not isinstance(pixels, np.ndarray) and self._write_directly(texture, pixels):
            return
        self._host.write(texture, pixels)

    def _write_directly(self, texture: Texture, pixels: Tensor) -> bool:
        if not self._tried:
            self._tried = True
            runtime = cuda_runtime()
            self._interop = None if runtime is None else CudaInterop(runtime)
        if self._interop is None:
            return False
        try:
            self._interop.write(texture, pixels)
        except RuntimeError as error:
            _log.warning("Pictures go through host memory: %s", error)
            self.release()
            self._interop = None
            return False
        return True

    def release(self) -> None:
        """Let go of the texture, before it is deleted; another may follow."""
        if self._interop is None:
            return
        try:
            self._interop.release()
        except RuntimeError as error:
            _log.warning("A texture was not given back: %s", error)


def stream_of(pixels: Tensor) -> int:
    """The stream on which torch works with the device of these pixels."""

    return int(torch.cuda.current_stream(pixels.device).cuda_stream)


def cuda_runtime() -> Any:
    """The module of CUDA's calls, or None where it is not installed or does not load."""
    try:
        return importlib.import_module("cuda.bindings.runtime")
    except (ImportError, OSError, RuntimeError):
        return None


def describe_upload() -> str:
    """Which way pictures would take here, and why, in one line."""
    if not torch.cuda.is_available():
        return "through host memory: pictures are drawn on the CPU"
    runtime = cuda_runtime()
    if runtime is None:
        return "through host memory: cuda-bindings is missing; pip install 'pegasus-editor[gpu]'"
    try:
        try_interop(runtime)
    except Exception as error:
        return f"through host memory: {error}"
    return "CUDA–OpenGL interop: pictures stay on the device"


def try_interop(runtime: Any) -> None:
    """Bring a picture to a texture without a window, or raise what stands in the way."""
    import platform

    import moderngl

    backend = {"backend": "egl"} if platform.system() == "Linux" else {}
    context = moderngl.create_context(standalone=True, **backend)  # type: ignore[arg-type]
    try:
        interop = CudaInterop(runtime)
        interop.write(
            context.texture((4, 4), 4), torch.zeros(4, 4, 4, dtype=torch.uint8, device="cuda")
        )
        interop.release()
    finally:
        context.release()
