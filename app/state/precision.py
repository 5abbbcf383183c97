"""The precision that was measured to be best on a device, as the preferences keep it."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from app.state.preferences import Preferences
    from pegasus_runtime.precision import PrecisionChoice

_NAMES = ("float32", "bfloat16")


def kept_precision(preferences: Preferences, key: str) -> str | None:
    """The name chosen for a device; None where nothing was measured or it cannot be read."""
    kept = preferences.precision.get(key)
    name = kept.get("name") if isinstance(kept, dict) else None
    return name if name in _NAMES else None


def keep_precision(preferences: Preferences, key: str, choice: PrecisionChoice) -> None:
    """Remember a measurement; what was measured before on this device is replaced."""
    preferences.precision[key] = asdict(choice)
