"""Numbers as people of any language type them."""

from __future__ import annotations

import math

import pytest

from app.state.number_text import read_number
from pegasus_runtime.errors import InvalidInput


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("0.5", 0.5), ("0,5", 0.5), (",5", 0.5), (".5", 0.5), ("5.", 5), ("-0,25", -0.25),
        ("\u22120,25", -0.25), ("+1", 1), ("- 1", -1), (" 7 ", 7), ("1e-4", 1e-4), ("1,5E3", 1500),
        ("10 000,5", 10000.5), ("10\u202f000", 10000), ("10\u00a0000.5", 10000.5),
        ("١٢٫٥", 12.5), ("\u061c-١٢", -12), ("０．５", 0.5), ("९", 9),
        ("12°", 12), ("12 °", 12), ("12,5 deg", 12.5), ("12 Degrees", 12), ("12°°", 12),
        ("1.000", 1), ("\u200e0,5\u200f", 0.5), ("0,5\n", 0.5), ("\t0.5", 0.5),
    ],
)  # fmt: skip
def test_both_decimal_signs_all_digits_and_the_unit_are_read(text: str, number: float) -> None:
    assert read_number(text, ("°",)) == number


@pytest.mark.parametrize(
    "text",
    ["", " ", "-", ".", ",", "1.000,5", "1,000.5", "1.000.000", "1,000,000", "1'000.5", "1'000",
     "0,,5", "0..5", "1 2", "1 00", "0x10", "nan", "inf", "1_000", "half", "1/2", "1e", "--1",
     "50 %", "12 px", "²", "0.5;", "5" * 401, "1\u066c000", "0 5 0", "1;2", "5m"],
)  # fmt: skip
def test_what_is_no_number_or_two_is_refused_in_one_line(text: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        read_number(text, ("°",))
    assert "\n" not in str(refused.value) and len(str(refused.value)) < 120


@pytest.mark.parametrize("text", ["1.000", "40,000", "1.5", "0,5"])
def test_a_whole_number_is_not_guessed(text: str) -> None:
    with pytest.raises(InvalidInput):
        read_number(text, is_whole=True)


def test_whole_numbers_and_numbers_too_large() -> None:
    assert read_number("40 000", is_whole=True) == 40_000
    assert read_number("40,0", is_whole=True) == 40
    assert read_number("768 pixels", (" px",), is_whole=True) == 768
    assert math.isinf(read_number("9" * 390, is_whole=True))
