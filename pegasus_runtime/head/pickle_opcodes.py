"""The operations that a pickle may use, each as a step of the machine."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pegasus_runtime.errors import InvalidInput
from pegasus_runtime.head.pickle_machine import Machine, Pairs

_EXTENSIONS = "it uses registered extensions"
_OUTSIDE = "its arrays are in another file"
STEPS: dict[int, Callable[[Machine], None]] = {}


def _on(codes: bytes) -> Callable[[Callable[[Machine], None]], Callable[[Machine], None]]:
    def register(step: Callable[[Machine], None]) -> Callable[[Machine], None]:
        STEPS.update(dict.fromkeys(codes, step))
        return step

    return register


def _constant(value: Any) -> Callable[[Machine], None]:
    return lambda m: m.push(value)


def _counted(form: str, decode: Callable[[bytes], Any]) -> Callable[[Machine], None]:
    return lambda m: m.push(decode(m.counted(form)))


def _number(form: str) -> Callable[[Machine], None]:
    def step(m: Machine) -> None:
        m.left -= 24
        m.push(m.number(form))

    return step


def _latin1(raw: bytes) -> str:
    # Texts of Python 2 are bytes; arrays of numbers among them come back from latin1 as they were.
    return raw.decode("latin1")


def _utf8(raw: bytes) -> str:
    return raw.decode("utf-8", "surrogatepass")


def _long(raw: bytes) -> int:
    if len(raw) > 32:
        raise InvalidInput(f"it holds a number of {len(raw)} bytes")
    return int.from_bytes(raw, "little", signed=True)


def _refuse(reason: str) -> Callable[[Machine], None]:
    def step(_: Machine) -> None:
        raise InvalidInput(reason)

    return step


STEPS |= {
    ord("N"): _constant(None), 0x88: _constant(True), 0x89: _constant(False),
    ord("J"): _number("<i"), ord("K"): _number("<B"), ord("M"): _number("<H"),
    ord("G"): _number(">d"), 0x8A: _counted("<B", _long), 0x8B: _counted("<i", _long),
    ord("T"): _counted("<i", _latin1), ord("U"): _counted("<B", _latin1),
    ord("X"): _counted("<I", _utf8), 0x8C: _counted("<B", _utf8), 0x8D: _counted("<Q", _utf8),
    ord("B"): _counted("<I", bytes), ord("C"): _counted("<B", bytes),
    0x8E: _counted("<Q", bytes), 0x96: _counted("<Q", bytes),
    ord("F"): lambda m: m.push(float(m.line())),
    ord("L"): lambda m: m.push(m.whole(m.line().rstrip("L"))),
    ord("("): Machine.mark, ord("0"): Machine.pop, ord("1"): lambda m: m.since_mark().clear(),
    ord("2"): lambda m: m.push(m.stack[-1]),
    ord("]"): lambda m: m.push_made([]), 0x8F: lambda m: m.push_made([]),
    ord("l"): lambda m: m.push_made(m.since_mark()),
    ord("a"): lambda m: m.append([m.stack.pop()]),
    ord("e"): lambda m: m.append(m.since_mark()),
    ord(")"): lambda m: m.push_made(()),
    ord("t"): lambda m: m.push_made(tuple(m.since_mark())),
    ord("}"): lambda m: m.push_made(Pairs()),
    ord("u"): lambda m: m.add_pairs(m.since_mark()),
    ord("p"): lambda m: m.remember(m.whole(m.line())),
    ord("q"): lambda m: m.remember(m.number("<B")), ord("r"): lambda m: m.remember(m.number("<I")),
    0x94: lambda m: m.remember(len(m.memo)),
    ord("g"): lambda m: m.push(m.memo[m.whole(m.line())]),
    ord("h"): lambda m: m.push(m.memo[m.number("<B")]),
    ord("j"): lambda m: m.push(m.memo[m.number("<I")]),
    ord("c"): lambda m: m.name(m.line(), m.line()),
    ord("b"): lambda m: m.build(m.stack.pop()),
    ord("P"): lambda m: m.external(m.line()), ord("Q"): lambda m: m.external(m.stack.pop()),
    0x82: _refuse(_EXTENSIONS), 0x83: _refuse(_EXTENSIONS), 0x84: _refuse(_EXTENSIONS),
    0x97: _refuse(_OUTSIDE), 0x98: _refuse(_OUTSIDE),
}  # fmt: skip


@_on(b"\x80")
def _protocol(m: Machine) -> None:
    version = m.number("<B")
    if version > 5:
        raise InvalidInput(f"it is a pickle of protocol {version}, and 5 is the newest known")


@_on(b"\x95")
def _frame(m: Machine) -> None:
    m.number("<Q")


@_on(b"I")
def _int_line(m: Machine) -> None:
    text = m.line()
    m.push({"00": False, "01": True}.get(text) if text in ("00", "01") else m.whole(text))


@_on(b"S")
def _string_line(m: Machine) -> None:
    import codecs

    text = m.line()
    if len(text) < 2 or text[0] != text[-1] or text[0] not in "'\"":
        raise ValueError("a text without quotes")
    m.push(_latin1(codecs.escape_decode(text[1:-1].encode("latin1"))[0]))


@_on(b"V")
def _unicode_line(m: Machine) -> None:
    m.push(m.line().encode("latin1").decode("raw-unicode-escape"))


@_on(b"s")
def _set_item(m: Machine) -> None:
    value, key = m.stack.pop(), m.stack.pop()
    m.add_pairs([key, value])


@_on(b"d")
def _dictionary(m: Machine) -> None:
    values = m.since_mark()
    m.push_made(Pairs())
    m.add_pairs(values)


@_on(b"\x85\x86\x87")
def _short_tuple(m: Machine) -> None:
    count = m.raw[m.at - 1] - 0x84
    if len(m.stack) < count:
        raise ValueError("too little on the stack")
    values = tuple(m.stack[-count:])
    del m.stack[-count:]
    m.push_made(values)


@_on(b"\x90")
def _add_to_set(m: Machine) -> None:
    _refuse_hashing(m)
    m.append(m.since_mark())


@_on(b"\x91")
def _frozen_set(m: Machine) -> None:
    _refuse_hashing(m)
    m.push_made(tuple(m.since_mark()))


def _refuse_hashing(m: Machine) -> None:
    if m.is_hashed:
        raise InvalidInput("it holds a set, which no checkpoint of a run has")


@_on(b"\x93")
def _stack_name(m: Machine) -> None:
    name, module = m.stack.pop(), m.stack.pop()
    m.name(module, name)


@_on(b"R\x81")
def _reduce(m: Machine) -> None:
    arguments, maker = m.stack.pop(), m.stack.pop()
    m.call(maker, arguments)


@_on(b"\x92")
def _new_object_by_name(m: Machine) -> None:
    m.stack.pop()
    _reduce(m)


@_on(b"o")
def _old_object(m: Machine) -> None:
    maker, *arguments = m.since_mark()
    m.call(maker, tuple(arguments))


@_on(b"i")
def _old_instance(m: Machine) -> None:
    m.name(m.line(), m.line())
    maker = m.stack.pop()
    m.call(maker, tuple(m.since_mark()))
