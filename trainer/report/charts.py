"""Plots as inline SVG. Places are in percent, so that they are as wide as the window lets them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape


def dot_row(values: Sequence[tuple[str, float]], low: float, high: float, digits: int) -> str:
    """One line of dots, with a tick at their mean.

    Args:
        values: what each is called, and its number.
        low: number at the left edge.
        high: number at the right edge.
        digits: after the point, in what appears when a dot is pointed at.
    """
    dots = "".join(
        f'<circle cx="{_percent(value, low, high):.2f}%" cy="50%" r="3.5">'
        f"<title>{escape(name)}: {value:.{digits}f}</title></circle>"
        for name, value in values
    )
    mean = sum(value for _, value in values) / max(len(values), 1)
    at = f"{_percent(mean, low, high):.2f}%"
    return (
        '<svg class="dots" role="img" height="22" width="100%">'
        f"<title>mean {mean:.{digits}f} of {len(values)}</title>"
        f'<line class="base" x1="0" x2="100%" y1="50%" y2="50%"/>{dots}'
        f'<line class="mean" x1="{at}" x2="{at}" y1="2" y2="20"/></svg>'
    )


def step_plot(series: Sequence[float], high: float, unit: str) -> str:
    """Steps between neighbours as a line, with the largest marked.

    Args:
        series: one number for each step.
        high: number at the upper edge, the same for plots that are compared.
        unit: behind numbers.
    """
    count = max(len(series) - 1, 1)
    corners = " ".join(
        f"{100 * i / count:.2f},{100 - _percent(value, 0, high):.2f}"
        for i, value in enumerate(series)
    )
    at = max(range(len(series)), key=series.__getitem__)
    x, y = 100 * at / count, 100 - _percent(series[at], 0, high)
    return (
        '<svg class="steps" role="img" height="84" width="100%">'
        f"<title>largest step {series[at]:.3f}{unit}, number {at + 1} of {len(series)}</title>"
        '<line class="base" x1="0" x2="100%" y1="100%" y2="100%"/>'
        '<svg width="100%" height="100%" viewBox="0 0 100 100" preserveAspectRatio="none">'
        f'<polyline class="line" points="{corners}"/></svg>'
        f'<circle class="peak" cx="{x:.2f}%" cy="{y:.2f}%" r="4"/></svg>'
    )


def limits(values: Sequence[float]) -> tuple[float, float, list[float]]:
    """Round ends of an axis that holds all values, and numbers to write along it."""
    low, high = min(values), max(values)
    step = _round_step((high - low) / 4 or 1.0)
    first, last = math.floor(low / step), math.ceil(high / step)
    last = last if last > first else first + 1
    return first * step, last * step, [step * i for i in range(first, last + 1)]


def axis(low: float, high: float, ticks: Sequence[float]) -> str:
    """Numbers along the foot of a plot."""
    marks = "".join(
        f'<text x="{_percent(tick, low, high):.2f}%" y="14" text-anchor="{_anchor(i, ticks)}">'
        f"{tick:g}</text>"
        for i, tick in enumerate(ticks)
    )
    return f'<svg class="axis" height="18" width="100%" aria-hidden="true">{marks}</svg>'


def _anchor(index: int, ticks: Sequence[float]) -> str:
    return "start" if index == 0 else "end" if index == len(ticks) - 1 else "middle"


def _round_step(step: float) -> float:
    size = float(10.0 ** math.floor(math.log10(step)))
    return next(factor * size for factor in (1, 2, 5, 10) if factor * size >= step * 0.999)


def _percent(value: float, low: float, high: float) -> float:
    return 100 * min(max((value - low) / (high - low or 1), 0), 1)
