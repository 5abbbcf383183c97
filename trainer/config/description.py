"""The settings of a training as data: ``python -m trainer.config.description`` prints JSON.

It holds the settings, and the kinds of training with the values of their presets. Forms are made
from it, so a setting is written down once, in its dataclass.
"""

from __future__ import annotations

import ast
import inspect
import json
import sys
import textwrap
import typing
from dataclasses import MISSING, Field, fields, is_dataclass
from typing import Any

from trainer.config.kinds import describe_kinds
from trainer.config.training import TrainingConfig


def describe(kind: type[Any] = TrainingConfig, prefix: str = "") -> list[dict[str, Any]]:
    """One entry for each setting: key, kind, default, help and what is wanted of it."""
    types_by_name = typing.get_type_hints(kind)
    body = ast.parse(textwrap.dedent(inspect.getsource(kind))).body[0]
    assert isinstance(body, ast.ClassDef)
    helps, wanted = _help_texts(body), _wanted(body)
    entries = []
    for field in fields(kind):
        value, key = types_by_name[field.name], f"{prefix}{field.name}"
        if is_dataclass(value) and isinstance(value, type):
            entries += describe(value, f"{key}.")
            continue
        entries.append(
            {
                "key": key,
                "kind": value.__name__ if value in (int, float, bool, str) else "other",
                "default": _default(field),
                "help": helps.get(field.name, ""),
                "wanted": wanted.get(key, ""),
            }
        )
    return entries


def _default(field: Field[Any]) -> Any:
    if field.default is not MISSING:
        return field.default
    return field.default_factory() if field.default_factory is not MISSING else None


def _help_texts(body: ast.ClassDef) -> dict[str, str]:
    """The string below each field, which Python itself does not keep."""
    texts = {}
    for statement, following in zip(body.body, body.body[1:], strict=False):
        if not (isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name)):
            continue
        if isinstance(following, ast.Expr) and isinstance(following.value, ast.Constant):
            texts[statement.target.id] = " ".join(str(following.value.value).split())
    return texts


def _wanted(body: ast.ClassDef) -> dict[str, str]:
    """What the checks of a dataclass ask for, in their own words."""
    calls = (node for node in ast.walk(body) if isinstance(node, ast.Call) and len(node.args) == 4)
    return {
        str(name.value): str(text.value)
        for call in calls
        for name, text in [(call.args[1], call.args[3])]
        if isinstance(name, ast.Constant) and isinstance(text, ast.Constant)
    }


if __name__ == "__main__":
    settings = describe()
    json.dump({"settings": settings, "kinds": describe_kinds(settings)}, sys.stdout)
