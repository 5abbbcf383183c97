"""Pickles taken apart without running anything in them.

A pickle is a program for a small machine, and unpickling one that somebody else made can run
anything. This machine only takes notes: what a program wants to call becomes a `Call` that says
so, and is never called. Of the names that heads are made with it knows a short list and refuses
every other. Nothing is hashed, compared or printed, so that nesting and colliding keys cost
nothing, and what a program may create is bounded by its own size.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

from pegasus_runtime.errors import InvalidInput, one_line, quoted

MAX_STEPS = 8_000_000
"""A head whose arrays are all lists of numbers has 7 million."""
MAX_CONTAINERS = 1_000_000
MAX_MEMO = 1_000_000
MAX_MARKS = 10_000
_FREE_BYTES = 64 << 20
_BYTES_PER_BYTE = 8
"""What may be created: so many bytes, and so many for each byte of the file."""
_MAX_DIGITS = 40


class Named:
    """The name of a class or function; it is never imported."""

    __slots__ = ("module", "name")

    def __init__(self, module: str, name: str) -> None:
        self.module, self.name = module, name


class Call:
    """An object as a pickle describes it: what makes it, of what, and its state."""

    __slots__ = ("arguments", "items", "maker", "pairs", "state")

    def __init__(self, maker: Named, arguments: tuple[Any, ...]) -> None:
        self.maker, self.arguments = maker, arguments
        self.state: Any = None
        self.items: list[Any] = []
        self.pairs: list[tuple[Any, Any]] = []


class Pairs:
    """A dictionary as the list of its keys and values, which hashes nothing."""

    __slots__ = ("pairs",)

    def __init__(self) -> None:
        self.pairs: list[tuple[Any, Any]] = []


class External:
    """What a pickle says is kept outside of it; only torch's storages are."""

    __slots__ = ("key",)

    def __init__(self, key: Any) -> None:
        self.key = key


def take_apart(
    raw: bytes,
    start: int,
    is_known: Callable[[str, str], bool],
    allow_external: bool = False,
) -> tuple[Any, int]:
    """Run one pickle without effects.

    Args:
        raw: holds it.
        start: where it begins.
        is_known: whether a module's name may be mentioned.
        allow_external: take references to objects outside of the pickle as `External`.

    Returns:
        What it describes (numbers, texts, bytes, lists, tuples, `Pairs`, `Call`, `Named`,
        `External`), and where it ends.

    Raises:
        InvalidInput: it mentions an unknown name, asks for what no head needs, or exceeds the
        budget. ValueError, IndexError, KeyError, struct.error, UnicodeError: it is damaged.
    """
    return _Machine(raw, start, is_known, allow_external).run()


def take_apart_for_torch(raw: bytes, start: int) -> tuple[Any, int, list[Any]]:
    """What a pickle describes, where it ends, and the keys of storages that it refers to.

    Names are not looked at, for torch has a list of its own. But torch hashes keys: only those
    that are hashed at once are let through.

    Raises:
        InvalidInput: it has other keys or sets, or exceeds the budget.
        ValueError, IndexError, KeyError, struct.error, UnicodeError: it is damaged.
    """
    machine = _Machine(raw, start, lambda module, name: True, True)
    machine.is_hashed = True
    described, end = machine.run()
    return described, end, machine.externals


class _Machine:
    def __init__(
        self, raw: bytes, start: int, is_known: Callable[[str, str], bool], allow_external: bool
    ) -> None:
        self.raw, self.at = raw, start
        self.is_known, self.allow_external = is_known, allow_external
        self.is_hashed = False
        self.externals: list[Any] = []
        self.stack: list[Any] = []
        self.marks: list[int] = []
        self.memo: dict[int, Any] = {}
        self.containers = 0
        self.left = _FREE_BYTES + _BYTES_PER_BYTE * (len(raw) - start)

    def run(self) -> tuple[Any, int]:
        raw = self.raw
        for _ in range(MAX_STEPS):
            code = raw[self.at]
            self.at += 1
            if code == _STOP:
                return self.stack[-1], self.at
            step = _STEPS.get(code)
            if step is None:
                raise ValueError(f"no operation {code}")
            step(self)
        raise InvalidInput(f"it takes more than {MAX_STEPS:,} steps")

    # Bytes of the program

    def take(self, count: int) -> bytes:
        if count < 0 or self.at + count > len(self.raw):
            raise ValueError("it ends too early")
        taken = self.raw[self.at : self.at + count]
        self.at += count
        return taken

    def number(self, form: str) -> Any:
        return struct.unpack(form, self.take(struct.calcsize(form)))[0]

    def counted(self, form: str) -> bytes:
        count = self.number(form)
        self.spend(count)
        return self.take(count)

    def line(self) -> str:
        end = self.raw.index(b"\n", self.at)
        self.spend(end - self.at)
        text = self.raw[self.at : end].decode("latin1")
        self.at = end + 1
        return text

    def spend(self, count: int) -> None:
        self.left -= max(count, 0) + 64
        if self.left < 0:
            raise InvalidInput("it creates far more than it holds")

    # What lies on the stack

    def push(self, value: Any) -> None:
        self.stack.append(value)
        self.left -= 8

    def push_made(self, value: Any) -> None:
        self.spend(64)
        self.containers += 1
        if self.containers > MAX_CONTAINERS:
            raise InvalidInput(f"it makes more than {MAX_CONTAINERS:,} lists and objects")
        self.stack.append(value)

    def since_mark(self) -> list[Any]:
        start = self.marks.pop()
        values = self.stack[start:]
        if start > len(self.stack):
            raise ValueError("a mark above the stack")
        del self.stack[start:]
        return values

    def mark(self) -> None:
        if len(self.marks) >= MAX_MARKS:
            raise InvalidInput("it is nested too deep")
        self.marks.append(len(self.stack))

    def pop(self) -> None:
        # A mark counts as a value that can be taken away.
        if self.marks and self.marks[-1] == len(self.stack):
            self.marks.pop()
        else:
            self.stack.pop()

    def remember(self, index: int) -> None:
        if len(self.memo) >= MAX_MEMO and index not in self.memo:
            raise InvalidInput(f"it remembers more than {MAX_MEMO:,} things")
        if not 0 <= index < 1 << 32:
            # Larger ones could be chosen so that all of them have one hash.
            raise InvalidInput("it remembers things by numbers that are too large")
        self.spend(64)
        self.memo[index] = self.stack[-1]

    def whole(self, text: str) -> int:
        if len(text) > _MAX_DIGITS:
            raise InvalidInput(f"it holds a number of {len(text)} digits")
        return int(text)

    # Making things

    def append(self, values: list[Any]) -> None:
        target = self.stack[-1]
        items = target.items if isinstance(target, Call) else target
        if not isinstance(items, list):
            raise ValueError("not a list")
        self.left -= 16 * len(values)
        items.extend(values)

    def add_pairs(self, values: list[Any]) -> None:
        target = self.stack[-1]
        if not isinstance(target, Call | Pairs) or len(values) % 2:
            raise ValueError("not a dictionary")
        if self.is_hashed and not all(_is_plain_key(key) for key in values[::2]):
            raise InvalidInput("it names things by what is no name")
        self.spend(96 * len(values))
        target.pairs.extend(zip(values[::2], values[1::2], strict=True))

    def name(self, module: Any, name: Any) -> None:
        if not isinstance(module, str) or not isinstance(name, str):
            raise ValueError("a name that is not a text")
        if not self.is_known(module, name):
            shown = one_line(f"{module}.{name}", 80)
            raise InvalidInput(f"it wants to use {shown}, which a head has no use for")
        self.push_made(Named(module, name))

    def call(self, maker: Any, arguments: Any) -> None:
        if not isinstance(maker, Named) or not isinstance(arguments, tuple):
            raise InvalidInput(f"it calls {quoted(type(maker).__name__)}, which is not a function")
        if maker.name in ("_reconstructor", "__newobj__") and arguments:
            # They make an empty object of the class that comes first.
            maker, arguments = arguments[0], arguments[1:]
            if not isinstance(maker, Named):
                raise ValueError("not a class")
        if self.is_hashed and maker.name in _HASHING and arguments:
            raise InvalidInput("it names things by what is no name")
        self.push_made(Call(maker, arguments))

    def build(self, state: Any) -> None:
        target = self.stack[-1]
        if not isinstance(target, Call):
            raise InvalidInput("it changes what is not an object of its own")
        target.state = state

    def external(self, key: Any) -> None:
        if not self.allow_external:
            raise InvalidInput("it refers to objects outside of it")
        self.externals.append(key)
        self.push_made(External(key))


def _is_plain_key(key: Any) -> bool:
    return isinstance(key, str) or (isinstance(key, int) and abs(key) < 1 << 61)


_STOP = ord(".")
_HASHING = ("OrderedDict", "dict", "defaultdict", "Counter", "set", "frozenset")
_EXTENSIONS = "it uses registered extensions"
_OUTSIDE = "its arrays are in another file"
_STEPS: dict[int, Callable[[_Machine], None]] = {}


def _on(codes: bytes) -> Callable[[Callable[[_Machine], None]], Callable[[_Machine], None]]:
    def register(step: Callable[[_Machine], None]) -> Callable[[_Machine], None]:
        _STEPS.update(dict.fromkeys(codes, step))
        return step

    return register


def _constant(value: Any) -> Callable[[_Machine], None]:
    return lambda m: m.push(value)


def _counted(form: str, decode: Callable[[bytes], Any]) -> Callable[[_Machine], None]:
    return lambda m: m.push(decode(m.counted(form)))


def _number(form: str) -> Callable[[_Machine], None]:
    def step(m: _Machine) -> None:
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


def _refuse(reason: str) -> Callable[[_Machine], None]:
    def step(_: _Machine) -> None:
        raise InvalidInput(reason)

    return step


_STEPS |= {
    ord("N"): _constant(None), 0x88: _constant(True), 0x89: _constant(False),
    ord("J"): _number("<i"), ord("K"): _number("<B"), ord("M"): _number("<H"),
    ord("G"): _number(">d"), 0x8A: _counted("<B", _long), 0x8B: _counted("<i", _long),
    ord("T"): _counted("<i", _latin1), ord("U"): _counted("<B", _latin1),
    ord("X"): _counted("<I", _utf8), 0x8C: _counted("<B", _utf8), 0x8D: _counted("<Q", _utf8),
    ord("B"): _counted("<I", bytes), ord("C"): _counted("<B", bytes),
    0x8E: _counted("<Q", bytes), 0x96: _counted("<Q", bytes),
    ord("F"): lambda m: m.push(float(m.line())),
    ord("L"): lambda m: m.push(m.whole(m.line().rstrip("L"))),
    ord("("): _Machine.mark, ord("0"): _Machine.pop, ord("1"): lambda m: m.since_mark().clear(),
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
def _protocol(m: _Machine) -> None:
    version = m.number("<B")
    if version > 5:
        raise InvalidInput(f"it is a pickle of protocol {version}, and 5 is the newest known")


@_on(b"\x95")
def _frame(m: _Machine) -> None:
    m.number("<Q")


@_on(b"I")
def _int_line(m: _Machine) -> None:
    text = m.line()
    m.push({"00": False, "01": True}.get(text) if text in ("00", "01") else m.whole(text))


@_on(b"S")
def _string_line(m: _Machine) -> None:
    import codecs

    text = m.line()
    if len(text) < 2 or text[0] != text[-1] or text[0] not in "'\"":
        raise ValueError("a text without quotes")
    m.push(_latin1(codecs.escape_decode(text[1:-1].encode("latin1"))[0]))


@_on(b"V")
def _unicode_line(m: _Machine) -> None:
    m.push(m.line().encode("latin1").decode("raw-unicode-escape"))


@_on(b"s")
def _set_item(m: _Machine) -> None:
    value, key = m.stack.pop(), m.stack.pop()
    m.add_pairs([key, value])


@_on(b"d")
def _dictionary(m: _Machine) -> None:
    values = m.since_mark()
    m.push_made(Pairs())
    m.add_pairs(values)


@_on(b"\x85\x86\x87")
def _short_tuple(m: _Machine) -> None:
    count = m.raw[m.at - 1] - 0x84
    if len(m.stack) < count:
        raise ValueError("too little on the stack")
    values = tuple(m.stack[-count:])
    del m.stack[-count:]
    m.push_made(values)


@_on(b"\x90")
def _add_to_set(m: _Machine) -> None:
    _refuse_hashing(m)
    m.append(m.since_mark())


@_on(b"\x91")
def _frozen_set(m: _Machine) -> None:
    _refuse_hashing(m)
    m.push_made(tuple(m.since_mark()))


def _refuse_hashing(m: _Machine) -> None:
    if m.is_hashed:
        raise InvalidInput("it holds a set, which no checkpoint of a run has")


@_on(b"\x93")
def _stack_name(m: _Machine) -> None:
    name, module = m.stack.pop(), m.stack.pop()
    m.name(module, name)


@_on(b"R\x81")
def _reduce(m: _Machine) -> None:
    arguments, maker = m.stack.pop(), m.stack.pop()
    m.call(maker, arguments)


@_on(b"\x92")
def _new_object_by_name(m: _Machine) -> None:
    m.stack.pop()
    _reduce(m)


@_on(b"o")
def _old_object(m: _Machine) -> None:
    maker, *arguments = m.since_mark()
    m.call(maker, tuple(arguments))


@_on(b"i")
def _old_instance(m: _Machine) -> None:
    m.name(m.line(), m.line())
    maker = m.stack.pop()
    m.call(maker, tuple(m.since_mark()))
