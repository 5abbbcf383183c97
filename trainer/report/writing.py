"""A report on the disk: JSON and CSV for programs, one page for people."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pegasus_runtime.files import replace_file
from trainer.report.page import make_page
from trainer.report.tables import COLUMNS, Report, Values

FILES = ("report.json", "frames.csv", "summary.csv", "index.html")
_FORMAT = 1
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""what a spreadsheet would take for a formula at the beginning of a name"""


def write_report(out: Path, report: Report) -> None:
    """Write all files; each appears whole or stays as it was.

    Raises:
        InvalidInput: the disk is full or the folder cannot be written.
    """
    contents = (_to_json(report), _frames(report), _summary(report), make_page(report))
    for name, text in zip(FILES, contents, strict=True):
        with replace_file(out / name) as partial:
            partial.write_text(text, "utf-8", newline="")


def _to_json(report: Report) -> str:
    content: dict[str, Any] = {
        "format": _FORMAT,
        **report.facts,
        "needs": report.missing,
        "notes": report.notes,
        "sections": list(report.sections),
        "mean": report.mean,
        "subjects": report.subjects,
        "pairs": {
            name: {**values, "above_singles": report.above[name]}
            for name, values in report.pairs.items()
        },
        "results": [
            {
                **{name: record[name] for name in ("section", "group", "name", "values")},
                **({"series": record["series"]} if record["series"] else {}),
            }
            for record in report.records
        ],
    }
    return json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def _frames(report: Report) -> str:
    names = [name for name in COLUMNS if name != "fid"]
    rows = [
        [_text(record["group"]), _text(record["name"].rpartition("/")[2])]
        + _numbers(record["values"], names)
        for record in report.of("frames")
    ]
    return _csv(["subject", "frame", *names], rows)


def _summary(report: Report) -> str:
    names = list(COLUMNS)
    rows = [
        [_text(name), *_numbers(values, names, report.missing)]
        for name, values in (*report.subjects.items(), *report.pairs.items())
    ]
    if rows:
        rows.append(["mean over subjects", *_numbers(report.mean, names, report.missing)])
    return _csv(["subject", *names], rows)


def _numbers(values: Values, names: list[str], missing: dict[str, str] | None = None) -> list[str]:
    needs = missing or {}
    return [
        f"needs {needs[name]}"
        if name in needs
        else ("" if values.get(name) is None else f"{values[name]:.6g}")
        for name in names
    ]


def _text(name: str) -> str:
    return f"'{name}" if name.startswith(_FORMULA) else name


def _csv(header: list[str], rows: Iterable[list[str]]) -> str:
    stream = io.StringIO()
    csv.writer(stream, lineterminator="\n").writerows([header, *rows])
    return stream.getvalue()
