"""The collection of human assets: skins, eyes, hair, brows, lashes and hats in the asset folder.

None of them is shipped. They are MakeHuman's, which its community released as CC0; a folder
``people`` in the asset folder holds them as MakeHuman lays them out.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from pathlib import Path

from pegasus_runtime.assets import asset_folder
from pegasus_runtime.errors import InvalidInput

FOLDER_NAME = "people"
SOURCE = "MakeHuman's asset repository (makehumancommunity/makehuman-assets)"
LICENSE = "CC0-1.0"
KINDS = ("skins", "eyes", "hair", "eyebrows", "eyelashes", "clothes", "teeth")
_NEEDED = ("skins", "eyes", "hair", "eyebrows", "eyelashes")
_TEXTURES = ("skins", "eyes")


@dataclass(frozen=True)
class HumanAssets:
    """What lies in one folder of assets."""

    folder: Path

    def names(self, kind: str) -> tuple[str, ...]:
        """The names of all assets of a kind (see `KINDS`), sorted."""
        return tuple(sorted(self._files(kind)))

    def find(self, kind: str, name: str) -> Path:
        """The file of an asset: a picture of skins and eyes, else the .mhclo of a garment.

        Raises:
            InvalidInput: there is none of that name; the nearest one is named.
        """
        found = self._files(kind)
        if name in found:
            return found[name]
        near = difflib.get_close_matches(name, found, n=1, cutoff=0.4)
        known = f"did you mean {near[0]}?" if near else f"known are {', '.join(sorted(found))}."
        raise InvalidInput(f"{self.folder / kind}: has no {name[:60]!r}; {known}")

    def detail_skin(self) -> Path | None:
        """The finest skin, whose pores and hairs the coarser ones borrow."""
        fine = [path for path in self._files("skins").values() if path.stem.endswith("_2048")]
        return fine[0] if fine else None

    def _files(self, kind: str) -> dict[str, Path]:
        pattern = f"{kind}/*.png" if kind in _TEXTURES else f"{kind}/*/*.mhclo"
        paths = sorted(self.folder.glob(pattern))
        return {_name(path): path for path in paths}


def _name(path: Path) -> str:
    """``young_male_diffuse2`` becomes ``young_male2``, and ``brown_eye`` brown."""
    return path.stem.replace("_diffuse", "").replace("_eye", "")


def find_human_assets() -> HumanAssets | None:
    """The collection in the asset folder; None where there is none to make a person of."""
    found = HumanAssets(asset_folder() / FOLDER_NAME)
    return found if all(found.names(kind) for kind in _NEEDED) else None


def describe_human_assets() -> tuple[bool, str]:
    """Whether a collection was found, and what it holds, in a line."""
    folder = asset_folder() / FOLDER_NAME
    found = find_human_assets()
    if found is None:
        return (
            False,
            f"people of synthetic captures; {SOURCE}, {LICENSE} → {folder}",
        )
    counts = ", ".join(f"{len(found.names(kind))} {kind}" for kind in KINDS)
    return True, f"{counts}; {SOURCE}, {LICENSE}; {folder}"
