"""A YAML loader that makes plain values only, and the budget that a text is held to before it."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from typing import Any

import yaml

from pegasus_runtime.errors import InvalidInput, one_line, quoted

_LOADER: type[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_PLAIN = ("null", "bool", "int", "float", "str", "seq", "map")


def check_events(text: str, max_depth: int, max_items: int) -> None:
    """Refuse a text that is nested too deep or holds too much, without building anything of it.

    An alias counts as all that it stands for: nine lines can stand for a milliard of values.

    Raises:
        InvalidInput: it does, or an alias stands for itself.
        yaml.YAMLError: it is not YAML.
    """
    sizes: dict[str, int] = {}
    open_anchors: list[tuple[str | None, int]] = []
    total = 0
    for event in yaml.parse(text, Loader=_LOADER):
        if isinstance(event, yaml.AliasEvent):
            if event.anchor in (name for name, _ in open_anchors):
                raise InvalidInput(f"the alias {quoted(event.anchor)} stands for itself.")
            total += sizes.get(str(event.anchor), 1)
        elif isinstance(event, yaml.ScalarEvent):
            total += 1
            if event.anchor:
                sizes[event.anchor] = 1
        elif isinstance(event, yaml.CollectionStartEvent):
            open_anchors.append((event.anchor, total))
            total += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            anchor, before = open_anchors.pop()
            if anchor:
                sizes[anchor] = total - before
        if len(open_anchors) > max_depth:
            raise InvalidInput(f"nested more than {max_depth} levels deep; is it the right file?")
        if total > max_items:
            raise InvalidInput(f"holds more than {max_items:,} values; is it the right file?")


@cache
def make_loader(
    integer: Callable[[str], int], allow_nan: bool, as_texts: bool = False
) -> type[Any]:
    """A loader of dicts, lists, texts, numbers, truths and None.

    Args:
        integer: checks a whole number that is written in decimal digits.
        allow_nan: whether ``.nan`` and ``.inf`` are numbers.
        as_texts: leave all values texts as they were written.
    """
    not_meant: tuple[str, ...] = (":timestamp",)
    if as_texts:
        not_meant += (":null", ":bool", ":int", ":float")

    class Loader(_LOADER):  # type: ignore[misc]
        yaml_constructors = {
            f"tag:yaml.org,2002:{name}": _LOADER.yaml_constructors[f"tag:yaml.org,2002:{name}"]
            for name in _PLAIN
        } | {None: _LOADER.yaml_constructors[None]}
        # A date without quotes is meant as a name far more often than as a date.
        yaml_implicit_resolvers = {
            letter: [(tag, form) for tag, form in kinds if not tag.endswith(not_meant)]
            for letter, kinds in _LOADER.yaml_implicit_resolvers.items()
        }

        def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
            written = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
            merged = [value for value in written if value != "<<"]
            if len(set(merged)) < len(merged):
                double = next(v for i, v in enumerate(merged) if v in merged[:i])
                raise InvalidInput(f"{quoted(double)} stands twice.")
            found: dict[Any, Any] = super().construct_mapping(node, deep)
            return found

    def construct_int(loader: Any, node: Any) -> int:
        written = loader.construct_scalar(node)
        if len(written) > 64:
            return integer(written)
        return integer(str(_LOADER.construct_yaml_int(loader, node)))

    def construct_float(loader: Any, node: Any) -> float:
        value: float = _LOADER.construct_yaml_float(loader, node)
        if not allow_nan and not math.isfinite(value):
            raise InvalidInput(f"the number {one_line(str(node.value), 30)} is not finite.")
        return value

    Loader.add_constructor("tag:yaml.org,2002:int", construct_int)
    Loader.add_constructor("tag:yaml.org,2002:float", construct_float)
    return Loader
