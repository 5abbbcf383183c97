"""What a pickle works on, without its effects: a stack, marks, a memo, and a budget for all.

Nothing is hashed, compared or printed, so that nesting and colliding keys cost nothing, and what a
program may create is bounded by its own size.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

from pegasus_runtime.errors import InvalidInput, one_line, quoted

MAX_CONTAINERS = 1_000_000
MAX_MEMO = 1_000_000
MAX_MARKS = 10_000
"""Far above what heads have: all three end a hostile file before memory is taken for it."""
_FREE_BYTES = 64 << 20
_BYTES_PER_BYTE = 8
"""What may be created: so many bytes, and so many for each byte of the file. Less refuses heads
that are packed well, more lets a small file take more memory."""
_MAX_DIGITS = 40
"""Of one integer: longer ones take the square of it to be read."""
_HASHING = ("OrderedDict", "dict", "defaultdict", "Counter", "set", "frozenset")


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


class Machine:
    """The state of one pickle while it runs."""

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
