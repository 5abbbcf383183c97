"""The page of a report: one file, with its pictures in it, that asks no network for anything."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from importlib.resources import files

from trainer.report.charts import axis, dot_row, limits, step_plot
from trainer.report.request import SECTIONS
from trainer.report.results import Record
from trainer.report.tables import COLUMNS, Report, Values

_TILES = ("psnr_head", "psnr_frame", "ssim", "mask_iou", "lpips", "identity", "fid", "region_iou")
_NONE = "–"
_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'"
"""A browser loads nothing, whatever a name may hold."""


def make_page(report: Report) -> str:
    """The whole page."""
    makers = {
        "rendering": _rendering,
        "masks": _masks,
        "pairs": _pairs,
        "views": _views,
        "reenactment": _reenactment,
        "interpolation": _interpolation,
        "compositions": _compositions,
        "samples": _samples,
    }
    parts = {name: makers[name](report) for name in SECTIONS if name in report.sections}
    shown = {name: part for name, part in parts.items() if part}
    sections = "".join(
        f'<section id="{name}"><h2>{SECTIONS[name]}</h2>{part}</section>'
        for name, part in shown.items()
    )
    links = "".join(f'<a href="#{name}">{SECTIONS[name]}</a>' for name in shown)
    title = f"{escape(str(report.facts['avatar']))}: evaluation"
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark">'
        f'<title>{title}</title><link rel="icon" href="data:,">'
        f"<style>{_resource('page.css')}</style></head><body>"
        f"<header><h1>{escape(str(report.facts['avatar']))}</h1>{_facts(report)}</header>"
        f'<nav aria-label="Sections"><div>{links}</div></nav><main>{_tiles(report)}{_notes(report)}'
        f"{sections}</main><script>{_resource('page.js')}</script></body></html>\n"
    )


def _resource(name: str) -> str:
    return (files("trainer.report") / name).read_text("utf-8")


def _facts(report: Report) -> str:
    facts = report.facts
    compared = f"Compared with {facts['frames']:,} frames of {escape(str(facts['data']))} at "
    drawn = f"{compared if facts['frames'] else 'Drawn at '}{facts['size']}²"
    return (
        f"<p>{escape(str(facts['avatar_file']))}, {facts['num_points']:,} points, "
        f"{len(facts['attributes'])} attributes, {escape(str(facts['head']))}. {drawn}, "
        f"{escape(str(facts['date']))}.</p>"
    )


def _tiles(report: Report) -> str:
    tiles = "".join(
        f'<div class="tile" title="{escape(COLUMNS[name].help)}"><span>{COLUMNS[name].title}'
        f"</span><b>{_number(report.mean.get(name), name)}</b></div>"
        for name in _TILES
        if report.mean.get(name) is not None
    )
    return f'<div class="tiles">{tiles}</div>' if tiles else ""


def _notes(report: Report) -> str:
    needs: dict[str, list[str]] = {}
    for name, file in report.missing.items():
        needs.setdefault(file, []).append(COLUMNS[name].title)
    lines = [
        f"{', '.join(columns)}: needs {file} in the asset folder; "
        "<code>python main.py doctor</code> says where it comes from."
        for file, columns in ((escape(f), c) for f, c in needs.items())
    ]
    lines += [escape(note) for note in report.notes]
    items = "".join(f"<li>{line}</li>" for line in lines)
    return f'<ul class="notes">{items}</ul>' if items else ""


def _rendering(report: Report) -> str:
    if not report.subjects:
        return ""
    table = _table("subject", {**report.subjects}, report, report.mean)
    records = [r for r in report.of("frames") if r["group"] in report.subjects]
    return (
        f"<p>Means of each subject's frames. Click a heading to sort.</p>{table}"
        f"{_dots(records, report.subjects)}{_frame_pictures(records)}{_all_frames(report)}"
    )


def _dots(records: list[Record], subjects: Iterable[str]) -> str:
    name = next(
        (n for n in ("psnr_head", "psnr_frame") if any(r["values"].get(n) for r in records)), ""
    )
    if not name:
        return ""
    values = [float(r["values"][name]) for r in records if r["values"].get(name) is not None]
    low, high, ticks = limits(values)
    rows = []
    for subject in subjects:
        own = [
            (r["name"].rpartition("/")[2], float(r["values"][name]))
            for r in records
            if r["group"] == subject and r["values"].get(name) is not None
        ]
        row = dot_row(own, low, high, COLUMNS[name].digits)
        rows.append(f'<span class="label">{escape(subject)}</span>{row}')
    title = f"{COLUMNS[name].title} of each frame, in dB; the tick is the mean"
    return (
        f'<figure class="chart"><figcaption>{title}</figcaption><div class="rows">'
        f"{''.join(rows)}<span></span>{axis(low, high, ticks)}</div></figure>"
    )


def _frame_pictures(records: list[Record]) -> str:
    shown = [record for record in records if record["pictures"]]
    cards = "".join(
        _card(f"{record['group']} · frame {record['name'].rpartition('/')[2]}", record)
        for record in shown
    )
    return f'<div class="cards">{cards}</div>' if cards else ""


def _all_frames(report: Report) -> str:
    rows = {r["name"]: r["values"] for r in report.of("frames")}
    table = _table("frame", rows, report, None, without=("fid",))
    return f"<details><summary>All {len(rows):,} frames</summary>{table}</details>"


def _masks(report: Report) -> str:
    rows = {
        name: {"region_iou": values["region_iou"], "outside": values.get("outside")}
        for name, values in {**report.subjects, **report.pairs}.items()
        if values.get("region_iou") is not None
    }
    if not rows:
        return ""
    table = _table("subject", rows, report, None, only=("region_iou", "outside"))
    legend = (
        '<p class="legend"><span class="swatch both"></span>both '
        '<span class="swatch taken"></span>only in the mask '
        '<span class="swatch drawn"></span>only in the avatar</p>'
    )
    tiles = "".join(
        _picture(escape(record["group"]), data, f"region of {record['group']}")
        for record in report.of("frames")
        for caption, data in record["pictures"]
        if caption == "region"
    )
    return (
        "<p>Where the avatar says the attribute is, against its mask; frames that show nothing of "
        f'it do not count.</p>{table}{legend}<div class="strip wrap">{tiles}</div>'
    )


def _pairs(report: Report) -> str:
    if not report.pairs:
        return ""
    table = _table("worn together", {**report.pairs}, report, None)
    lines = "".join(
        f"<li>{escape(name)}: {_signed(above.get('psnr_head'))} dB in the mask, "
        f"{_signed(above.get('psnr_frame'))} dB in the frame</li>"
        for name, above in report.above.items()
        if above
    )
    compared = f"<p>Against the mean of the two alone:</p><ul>{lines}</ul>" if lines else ""
    records = [r for r in report.of("frames") if r["group"] in report.pairs]
    return f"{table}{compared}{_frame_pictures(records)}"


def _views(report: Report) -> str:
    records = report.of("views")
    if not records:
        return ""
    strips = "".join(
        _strip(f"{r['name']} · holes up to {100 * (r['values'].get('holes') or 0):.1f} %", r)
        for r in records
    )
    return (
        "<p>Turned by yaw, then by pitch. Holes are what is seen through inside the outline, in "
        f"the worst view.</p>{strips}"
    )


def _reenactment(report: Report) -> str:
    records = report.of("reenactment")
    cards = "".join(
        _card(f"frame {r['name']}" + _likeness(r["values"].get("identity")), r) for r in records
    )
    return f'<div class="cards small">{cards}</div>' if cards else ""


def _likeness(value: float | None) -> str:
    return "" if value is None else f" · identity {value:.3f}"


def _interpolation(report: Report) -> str:
    records = report.of("interpolation")
    if not records:
        return ""
    high = 255 * max(max(r["series"]) for r in records)
    worst = max(records, key=lambda r: float(r["values"]["largest_step"]))
    blocks = "".join(_interpolated(record, high) for record in records)
    largest = 255 * float(worst["values"]["largest_step"])
    return (
        f"<p>{len(records[0]['series'])} steps from one code to the next. A step is the mean "
        f"absolute difference of neighbours in 255ths; all plots have the same height. The largest "
        f"is <b>{largest:.3f}</b>, from {escape(worst['name'])}.</p>"
        f'<div class="cards">{blocks}</div>'
    )


def _interpolated(record: Record, high: float) -> str:
    values = record["values"]
    said = (
        f"largest {255 * values['largest_step']:.3f} (step {values['largest_at']:.0f}), "
        f"mean {255 * values['mean_step']:.3f}"
    )
    plot = step_plot([255 * value for value in record["series"]], high, "/255")
    return _card(record["name"], record, f"{plot}<p>{said}</p>")


def _compositions(report: Report) -> str:
    tiles = "".join(_single(r, r["name"]) for r in report.of("compositions"))
    return f'<div class="strip wrap wide">{tiles}</div>' if tiles else ""


def _samples(report: Report) -> str:
    groups: dict[str, list[Record]] = {}
    for record in report.of("samples"):
        groups.setdefault(record["group"], []).append(record)
    strips = "".join(
        f'<div class="group"><h3>{escape(name)}</h3><div class="strip wrap">'
        f"{''.join(_single(r, '') for r in records)}</div></div>"
        for name, records in groups.items()
    )
    intro = "<p>Codes from the Gaussian of those that were trained.</p>"
    return f'{intro}<div class="groups">{strips}</div>' if strips else ""


def _single(record: Record, caption: str) -> str:
    return _picture(escape(caption), record["pictures"][0][1], record["name"])


def _card(title: str, record: Record, more: str = "") -> str:
    return f'<article class="card"><h3>{escape(title)}</h3>{_pictures(record)}{more}</article>'


def _strip(title: str, record: Record) -> str:
    return f'<div class="group"><h3>{escape(title)}</h3>{_pictures(record)}</div>'


def _pictures(record: Record) -> str:
    tiles = "".join(
        _picture(escape(caption), data, f"{record['name']}, {caption}")
        for caption, data in record["pictures"]
    )
    return f'<div class="strip">{tiles}</div>'


def _picture(caption: str, data: str, said: str) -> str:
    text = f"<figcaption>{caption}</figcaption>" if caption else ""
    return f'<figure><img src="data:image/jpeg;base64,{data}" alt="{escape(said)}">{text}</figure>'


def _table(
    first: str,
    rows: dict[str, Values],
    report: Report,
    mean: Values | None,
    *,
    only: tuple[str, ...] = (),
    without: tuple[str, ...] = (),
) -> str:
    names = [
        name
        for name in only or COLUMNS
        if name not in without
        and (name in report.missing or any(v.get(name) is not None for v in rows.values()))
    ]
    heads = "".join(_head(name, report) for name in names)
    body = "".join(_row(escape(name), values, names) for name, values in rows.items())
    foot = f"<tfoot>{_row('mean over subjects', mean, names)}</tfoot>" if mean else ""
    return (
        f'<div class="scroll"><table><thead><tr><th scope="col"><button type="button">{first}'
        f"</button></th>{heads}</tr></thead><tbody>{body}</tbody>{foot}</table></div>"
    )


def _head(name: str, report: Report) -> str:
    column, file = COLUMNS[name], report.missing.get(name)
    needs = f"<small>needs {escape(file)}</small>" if file else ""
    arrow = {"up": " ↑", "down": " ↓"}[column.better]
    return (
        f'<th scope="col" title="{escape(column.help)}"><button type="button">{column.title}'
        f"{arrow}</button>{needs}</th>"
    )


def _row(name: str, values: Values, names: list[str]) -> str:
    cells = "".join(f"<td>{_number(values.get(n), n)}</td>" for n in names)
    return f'<tr><th scope="row">{name}</th>{cells}</tr>'


def _number(value: float | None, name: str) -> str:
    return _NONE if value is None else f"{value:.{COLUMNS[name].digits}f}"


def _signed(value: float | None) -> str:
    return _NONE if value is None else f"{value:+.2f}"
