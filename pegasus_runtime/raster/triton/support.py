"""Whether Triton's kernels can run here, and why not; and starting them."""

from __future__ import annotations

import os
from typing import Any

import torch

_OLDEST_CAPABILITY = (7, 5)
"""Turing. Triton makes code for it; the compiler of CUDA 13 makes none for what is older."""


def is_interpreted() -> bool:
    """Whether kernels run in Triton's interpreter, on the CPU.

    Triton reads the same variable, whenever a kernel is defined.
    """
    return os.environ.get("TRITON_INTERPRET") == "1"


def require_triton() -> None:
    """Check that kernels can be made and started.

    Raises:
        ImportError: they cannot run here; the message is one line and says why.
    """
    if is_interpreted():
        import triton  # noqa: F401

        return
    if not torch.cuda.is_available():
        raise ImportError("it needs a CUDA device, and torch found none")
    if torch.version.hip is not None:
        raise ImportError("it has been tried on CUDA devices only, and this is ROCm")
    capability = torch.cuda.get_device_capability()
    if capability < _OLDEST_CAPABILITY:
        raise ImportError(f"the device's compute capability {capability} is below 7.5")
    try:
        from triton.runtime.driver import driver

        # Triton compiles the piece of C that starts kernels, once on a machine. Without
        # a C compiler that fails, and it has to fail here rather than in the first picture.
        driver.active.get_current_target()
    except ModuleNotFoundError:
        raise
    except Exception as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise ImportError(f"Triton cannot start kernels here: {reason}") from error


def launch(kernel: Any, grid: tuple[int, ...], *arguments: Any, **constants: Any) -> None:
    """Start a kernel on the device of its first argument, which need not be the current one.

    Multiplications and additions stay two operations, so that results are those of the CPU.
    """
    with torch.cuda.device_of(arguments[0]):
        kernel[grid](*arguments, **constants, enable_fp_fusion=False)


def to_device(tensor: torch.Tensor, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    """Contiguous and of a type on the CUDA device; on the CPU where kernels are interpreted."""
    if is_interpreted():
        return tensor.to("cpu", dtype).contiguous()
    return tensor.to(tensor.device if tensor.is_cuda else "cuda", dtype).contiguous()
