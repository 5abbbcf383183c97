"""JIT compilation: numba, begun without what no loop here needs; compiled modules take it from
here.

With its first compiled function numba asks scipy for a BLAS, which no loop here calls. Importing
that takes a tenth of the time in which a face should be on the screen, so it is told that there is
none, for as long as the question takes.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from functools import wraps
from importlib import import_module
from typing import Any, TypeVar, cast, overload

from llvmlite import ir
from numba import njit as plain_njit
from numba import prange, types
from numba.extending import intrinsic

from pegasus_runtime.cpu.deferred_signals import defer_signals_while_compiling
from pegasus_runtime.cpu.loop_cache import keep_compiled

__all__ = ["FASTMATH", "device_function", "lowest_bit", "njit", "parallel_kernel", "prange"]

Loop = TypeVar("Loop", bound=Callable[..., Any])
FASTMATH = {"contract", "nsz"}
"""``fastmath`` of loops in which products and sums may be joined; NaN stays NaN."""
_BLAS = "scipy.linalg.cython_blas"
_POOL = threading.Lock()


@overload
def njit(loop: Loop) -> Loop: ...
@overload
def njit(*, cache: bool = False, **options: Any) -> Callable[[Loop], Loop]: ...
def njit(loop: Any = None, *, cache: bool = False, **options: Any) -> Any:
    """numba's decorator; what it compiles is kept by `loop_cache`, which no bad file stops."""
    if loop is None:
        return lambda loop: _compiled(loop, cache, options)
    return _compiled(loop, cache, options)


def _compiled(loop: Any, cache: bool, options: dict[str, Any]) -> Any:
    compiled = plain_njit(**options)(loop)
    if cache:
        keep_compiled(compiled)
    return compiled


def device_function(**options: Any) -> Callable[[Loop], Loop]:
    """`njit` for loops that only other loops call: they compile in two thirds of the time."""
    decorate: Callable[[Loop], Loop] = njit(
        cache=True, nogil=True, no_cpython_wrapper=True, no_cfunc_wrapper=True, **options
    )
    return decorate


def parallel_kernel(**options: Any) -> Callable[[Loop], Loop]:
    """`njit` for loops with a `prange`; one thread at a time runs such a loop, others wait.

    numba's plain pool of threads, which it has where a system brings no OpenMP, ends the program
    when two threads enter it, as a film beside the live view would. Where two may, they would only
    fight for the same cores. Other compiled loops cannot call these.
    """
    decorate = njit(cache=True, nogil=True, parallel=True, **options)

    def guard(loop: Loop) -> Loop:
        compiled = decorate(loop)

        @wraps(loop)
        def run(*arguments: Any) -> Any:
            with _POOL:
                return compiled(*arguments)

        guarded: Any = run
        guarded.compiled = compiled
        return cast(Loop, guarded)

    return guard


def _lowest_bit(_context: Any, bits: Any) -> Any:
    """Number of a uint32's lowest bit that is set; of zero it must not be asked.

    One instruction of the processor, which numba has no name for.
    """

    def instruction(_target: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        zero_is_not_asked = ir.Constant(ir.IntType(1), 1)
        return builder.cttz(arguments[0], zero_is_not_asked)

    return types.uint32(bits), instruction


# Its types are those of a call from a compiled loop, without the first of the parameters.
lowest_bit: Any = intrinsic(_lowest_bit)


def _ask_without_blas() -> None:
    if _BLAS in sys.modules:
        return
    sys.modules[_BLAS] = None  # type: ignore[assignment]
    try:
        import_module("numba.np.arraymath")
    finally:
        del sys.modules[_BLAS]


_ask_without_blas()
defer_signals_while_compiling()
