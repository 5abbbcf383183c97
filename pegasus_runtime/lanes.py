"""Eight float32 numbers as one, for loops that numba compiles.

A processor adds eight numbers as quickly as one, if the compiler finds eight in a row. Whether it
does is up to its rules for each processor: with AVX-512 it missed them where it mattered most.
Here nothing has to be found.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic, lower_builtin, models, register_model, type_callable

NUM_LANES = 8
_VECTOR = ir.VectorType(ir.FloatType(), NUM_LANES)
_NUMBER_BYTES = 4


class _Lanes(types.Type):
    """numba's type of them."""


@register_model(_Lanes)
class _Model(models.PrimitiveModel):
    def __init__(self, manager: Any, numba_type: Any) -> None:
        super().__init__(manager, numba_type, _VECTOR)  # type: ignore[no-untyped-call]


_LANES: Any = _Lanes("Lanes")


def _first_lane(context: Any, builder: Any, array_type: Any, array: Any, place: Any) -> Any:
    data = context.make_array(array_type)(context, builder, array).data
    return builder.bitcast(builder.gep(data, [place]), _VECTOR.as_pointer())


def _spread(builder: Any, number: Any) -> Any:
    first = builder.insert_element(_VECTOR(ir.Undefined), number, ir.IntType(32)(0))
    everywhere = ir.Constant(ir.VectorType(ir.IntType(32), NUM_LANES), [0] * NUM_LANES)
    return builder.shuffle_vector(first, _VECTOR(ir.Undefined), everywhere)


def _load(_typing: Any, array: Any, place: Any) -> Any:
    """The eight numbers of a contiguous array (N,) from a place on (uint64)."""

    def make(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        at = _first_lane(context, builder, signature.args[0], *arguments)
        return builder.load(at, align=_NUMBER_BYTES)

    return _LANES(array, types.uint64), make


def _store(_typing: Any, array: Any, place: Any, values: Any) -> Any:
    """Write eight numbers into a contiguous array (N,) from a place on (uint64)."""

    def make(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        at = _first_lane(context, builder, signature.args[0], *arguments[:2])
        builder.store(arguments[2], at, align=_NUMBER_BYTES)
        return context.get_dummy_value()

    return types.void(array, types.uint64, _LANES), make


def _eight(_typing: Any, number: Any) -> Any:
    """One number eight times."""
    return _LANES(types.float32), lambda _, builder, __, arguments: _spread(builder, arguments[0])


def _where_less(_typing: Any, low: Any, high: Any, then: Any, otherwise: Any) -> Any:
    """Lane by lane ``then`` where low < high, else ``otherwise``."""

    def make(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        is_less = builder.fcmp_ordered("<", *arguments[:2])
        return builder.select(is_less, *arguments[2:])

    return _LANES(*[_LANES] * 4), make


def _any_less(_typing: Any, low: Any, high: Any) -> Any:
    """Whether low < high in any lane."""

    def make(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        bits = builder.bitcast(builder.fcmp_ordered("<", *arguments), ir.IntType(NUM_LANES))
        return builder.icmp_unsigned("!=", bits, bits.type(0))

    return types.boolean(_LANES, _LANES), make


load: Any = intrinsic(_load)
store: Any = intrinsic(_store)
eight: Any = intrinsic(_eight)
where_less: Any = intrinsic(_where_less)
any_less: Any = intrinsic(_any_less)


def _define(operation: Callable[[Any, Any], Any], instruction: str) -> None:
    """Let an operator take lanes; products and sums are joined as the loop's options say."""

    def find_type(_typing: Any) -> Any:
        return lambda one, other: _LANES if one is _LANES and other is _LANES else None

    def make(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return getattr(builder, instruction)(*arguments)

    type_callable(operation)(find_type)
    lower_builtin(operation, _LANES, _LANES)(make)  # type: ignore[no-untyped-call]


_define(operator.add, "fadd")
_define(operator.sub, "fsub")
_define(operator.mul, "fmul")
