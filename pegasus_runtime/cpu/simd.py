"""SIMD: eight float32 numbers as one vector, for loops that numba compiles.

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
from numba.core import cgutils
from numba.extending import intrinsic, lower_builtin, models, register_model, type_callable

NUM_LANES = 8
"""What AVX2 holds: more is split there, fewer leaves half of it empty. Layouts of memory follow
it."""
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


def _splat(_typing: Any, number: Any) -> Any:
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


def _which_less(_typing: Any, low: Any, high: Any) -> Any:
    """The lanes in which low < high, as the lowest bits of a uint32."""

    def make(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        bits = builder.bitcast(builder.fcmp_ordered("<", *arguments), ir.IntType(NUM_LANES))
        return builder.zext(bits, ir.IntType(32))

    return types.uint32(_LANES, _LANES), make


def _root(_typing: Any, values: Any) -> Any:
    """The square root of each."""

    def make(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        kind = ir.FunctionType(_VECTOR, [_VECTOR])
        declare: Any = cgutils.get_or_insert_function
        return builder.call(declare(builder.module, kind, f"llvm.sqrt.v{NUM_LANES}f32"), arguments)

    return _LANES(_LANES), make


_ROUNDS = 1.5 * 2.0**23
"""added to a number and taken away again it leaves the nearest whole number"""
_FRACTION_BITS = 23
# 2^f for −1/2 ≤ f ≤ 1/2, constant first, fitted to the smallest relative error: 1e-7.
_POWER_OF_TWO = (1.0, 0.693146978, 0.240222421, 0.0555073374, 0.00967151264, 0.00132647272)


def _power_of_two(_typing: Any, exponent: Any) -> Any:
    """Two to the power of each, for exponents in −126 .. 127; others give anything."""

    def make(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        whole_numbers = ir.VectorType(ir.IntType(32), NUM_LANES)
        rounded = builder.fadd(arguments[0], _constant(_ROUNDS))
        fraction = builder.fsub(arguments[0], builder.fsub(rounded, _constant(_ROUNDS)))
        power = _constant(_POWER_OF_TWO[-1])
        for factor in reversed(_POWER_OF_TWO[:-1]):
            product = builder.fmul(power, fraction, flags=("contract",))
            power = builder.fadd(product, _constant(factor), flags=("contract",))
        # The whole part is added to the exponent's bits.
        shift = ir.Constant(whole_numbers, [_FRACTION_BITS] * NUM_LANES)
        exponent_bits = builder.shl(builder.bitcast(rounded, whole_numbers), shift)
        bits = builder.add(builder.bitcast(power, whole_numbers), exponent_bits)
        return builder.bitcast(bits, _VECTOR)

    return _LANES(_LANES), make


def _constant(number: float) -> Any:
    return ir.Constant(_VECTOR, [ir.Constant(ir.FloatType(), number)] * NUM_LANES)


def _total(_typing: Any, values: Any) -> Any:
    """The sum of the eight, halves upon halves."""

    def make(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        values = arguments[0]
        return builder.extract_element(_fold(builder, values, "fadd"), ir.IntType(32)(0))

    return types.float32(_LANES), make


def _fold(builder: Any, values: Any, instruction: str) -> Any:
    step = NUM_LANES // 2
    while step:
        other = [(lane + step) % NUM_LANES for lane in range(NUM_LANES)]
        places = ir.Constant(ir.VectorType(ir.IntType(32), NUM_LANES), other)
        moved = builder.shuffle_vector(values, _VECTOR(ir.Undefined), places)
        values = getattr(builder, instruction)(values, moved)
        step //= 2
    return values


load: Any = intrinsic(_load)
store: Any = intrinsic(_store)
splat: Any = intrinsic(_splat)
where_less: Any = intrinsic(_where_less)
any_less: Any = intrinsic(_any_less)
power_of_two: Any = intrinsic(_power_of_two)
root: Any = intrinsic(_root)
total: Any = intrinsic(_total)
which_less: Any = intrinsic(_which_less)


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
_define(operator.truediv, "fdiv")
