"""Who gives attributes, and another person who gets them."""

from __future__ import annotations

import pytest

from pegasus_runtime.surfels.avatar import SurfelAvatar
from tests.dressed_people import NAMES, dressed_person


@pytest.fixture(scope="module")
def personal() -> SurfelAvatar:
    return dressed_person(NAMES, "anna")


@pytest.fixture(scope="module")
def target() -> SurfelAvatar:
    return dressed_person(("hair_z",), "bert", 1.5)
