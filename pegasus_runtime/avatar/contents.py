"""What an avatar file holds: tensors, each looked at before it is read or written, and a header."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from pegasus_runtime.errors import InvalidInput, quoted

FORMAT_NAME = "pegasus-avatar"
HEADER_KEY = "pegasus_avatar"

_FLOATS, _WHOLE = ("F16", "BF16", "F32", "F64"), ("I32", "I64")


class Contents:
    """The tensors of a file, each looked at in its list before it is read."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self.names = set(stream.keys())

    def tensor(self, name: str, shape: tuple[int, ...]) -> Tensor:
        """A tensor as float32, in memory of its own."""
        # A copy, since where numbers lie in memory decides on the last bit of products with them.
        values = self._listed(name, shape, _FLOATS).float().clone()
        if not bool(torch.isfinite(values).all()):
            raise InvalidInput(f"tensor {name} holds NaN or infinity; train it again.")
        return values

    def whole(self, name: str, shape: tuple[int, ...]) -> Tensor:
        """A tensor of whole numbers as int64."""
        return self._listed(name, shape, _WHOLE).long()

    def classes(self, name: str, shape: tuple[int, ...], count: int) -> Tensor:
        """A tensor of places in a table of so many names, as uint8."""
        values = self._listed(name, shape, ("U8",)).clone()
        if len(values) and int(values.max()) >= count:
            raise InvalidInput(
                f"tensor {name} names class {int(values.max())}, its header has {count}; get a "
                "fresh copy."
            )
        return values

    def _listed(self, name: str, shape: tuple[int, ...], kinds: tuple[str, ...]) -> Tensor:
        if name not in self.names:
            raise InvalidInput(f"tensor {name} is missing; its tensors do not fit its header.")
        listed = self._stream.get_slice(name)
        found, kind = tuple(listed.get_shape()), str(listed.get_dtype())
        if found != shape:
            raise InvalidInput(
                f"tensor {name} is of shape {found}, not {shape}; its tensors do not fit its "
                "header."
            )
        if kind not in kinds:
            raise InvalidInput(f"tensor {name} holds {kind}, expected {' or '.join(kinds)}.")
        values: Tensor = self._stream.get_tensor(name)
        return values

    def fill(self, module: torch.nn.Module, prefix: str) -> None:
        """Give a module that has no memory yet its parameters."""
        shapes = {name: tuple(t.shape) for name, t in module.state_dict().items()}
        extra = {n for n in self.names if n.startswith(prefix)} - {prefix + n for n in shapes}
        if extra:
            raise InvalidInput(
                f"tensor {quoted(min(extra))} is unknown; its tensors do not fit its header."
            )
        state = {name: self.tensor(prefix + name, shape) for name, shape in shapes.items()}
        module.load_state_dict(state, assign=True)


def encode_contents(tensors: Mapping[str, Tensor], header: Mapping[str, Any]) -> bytes:
    """The bytes of an avatar file.

    Raises:
        ValueError, TypeError: a tensor holds numbers that are not finite, or the header things
        that are not for JSON.
    """
    from safetensors.torch import save

    for name, tensor in tensors.items():
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            raise InvalidInput(f"{name} of the avatar holds NaN or infinity.")
    # Copies: the format has no word for tensors that are parts of one another.
    dense = torch.contiguous_format
    plain = {n: t.detach().cpu().clone(memory_format=dense) for n, t in tensors.items()}
    return save(plain, {HEADER_KEY: json.dumps({"format": FORMAT_NAME, **header})})
