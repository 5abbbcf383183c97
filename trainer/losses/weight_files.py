"""Weights of trained image networks: files that a user may put into the asset folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from pegasus_runtime.assets import asset_folder
from pegasus_runtime.errors import InvalidInput

VGG_FILES = ("vgg19-dcbb9e9d.pth", "vgg19.safetensors")
ALEXNET_FILES = ("alexnet-owt-7be5be79.pth", "alexnet.safetensors")
LPIPS_FILES = ("lpips_alex.pth", "lpips_alex.safetensors")


def find_weights(names: Sequence[str]) -> tuple[Path, dict[str, Tensor]] | None:
    """The first of the files that is there, read without running anything in it.

    Raises:
        InvalidInput: it is there and cannot be read.
    """
    folder = asset_folder()
    path = next((folder / name for name in names if (folder / name).is_file()), None)
    if path is None:
        return None
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            return path, dict(load_file(path))
        return path, dict(torch.load(path, map_location="cpu", weights_only=True))
    except Exception as error:
        raise InvalidInput(
            f"{path}: cannot be read ({type(error).__name__}); fetch it again."
        ) from None
