"""Whether Triton's kernels can run here, and why not."""

from __future__ import annotations

import os
from functools import lru_cache

import torch

_OLDEST_CAPABILITY = (7, 5)
"""Below it current Triton makes no code (Turing is the oldest of the list in its README)."""


@lru_cache(maxsize=1)
def require_triton() -> bool:
    """Check once that kernels can be made and started.

    Returns:
        Whether they run in Triton's interpreter, on the CPU.

    Raises:
        ImportError: they cannot run here; the message is one line and says why.
    """
    # An environment variable since Triton itself reads this one, once for each kernel it defines.
    if os.environ.get("TRITON_INTERPRET") == "1":
        import triton  # noqa: F401

        return True
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
    return False
