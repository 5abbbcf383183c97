"""A report in a few lines of a terminal."""

from __future__ import annotations

from pathlib import Path

from trainer.report.tables import COLUMNS, Report

_MOST_NOTES = 8
"""More make a text that nobody reads; the page has all."""


def describe(report: Report, out: Path) -> list[str]:
    """Notes, the means, and where the page is."""
    notes = report.notes[:_MOST_NOTES]
    more = len(report.notes) - len(notes)
    lines = [*notes, *([f"{more} more notes on the page"] if more else [])]
    for file in dict.fromkeys(report.missing.values()):
        columns = [COLUMNS[n].title for n, needed in report.missing.items() if needed == file]
        lines.append(f"{', '.join(columns)} needs {file}; see doctor")
    found = [
        f"{column.title} {report.mean[name]:.{column.digits}f}"
        for name, column in COLUMNS.items()
        if report.mean.get(name) is not None
    ]
    if found:
        lines.append(f"mean over {len(report.subjects)} subjects: {', '.join(found)}")
    return [*lines, f"report in {out / 'index.html'}"]
