"""Writes the report: sections as HTML, figures as plotly.js takes them, all in one file."""

import gzip
from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import cache
from html import escape
from importlib.resources import files
from math import isnan
from pathlib import Path
from typing import Any

from plotly.offline import get_plotlyjs

from analysis.load import load_run
from analysis.report.beside import beside
from analysis.report.content import (
    Block,
    Code,
    Figure,
    Missing,
    Ranked,
    Section,
    Table,
    Words,
    is_known,
)
from analysis.report.sections import sections
from analysis.report.words import first_page, heading, key_figures
from trainable.io.atomic import json_text, write_out
from trainable.run_format import REPORT

UNDEFINED = "–"
SHARED = 40  # entries of a list, from which on it is written once however often it is used
SMALL_NUMBER, LARGE_NUMBER = 1e-4, 1e6  # beyond which a number is written with its exponent
# Nothing is fetched from anywhere: the browser itself refuses it.
POLICY = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:"
)


def write_report(folder: Path, other: Path | None = None, out: Path | None = None) -> Path:
    """Writes the report of a run; returns its path.

    Args:
        folder: of the run.
        other: of a run that is to stand beside it.
        out: where to write; None: `report.html` in the run folder.

    Raises:
        UserError: a folder is no run folder, a table is damaged, or the file cannot be written.
    """
    ranked = Ranked(load_run(folder))
    second = None if other is None else Ranked(load_run(other))
    path = folder / REPORT if out is None else out
    write_out(path, report_html(ranked, second).encode())
    return path


def report_html(ranked: Ranked, second: Ranked | None = None) -> str:
    """Returns the report of a run as one HTML document, if need be with another run beside it."""
    front = first_page(ranked)
    found = sections(ranked)
    if second is not None:
        found.insert(1, beside(ranked, second))
    page = _Page()
    body = [page.section(section) for section in found]
    name = escape(ranked.run.name)
    cards = "".join(
        f"<li><span>{escape(what)}</span><strong>{escape(value)}</strong>"
        f"<span>{escape(more)}</span></li>"
        for what, value, more in key_figures(ranked)
    )
    links = "".join(f'<li><a href="#{s.name}">{escape(s.title)}</a></li>' for s in found)
    return _DOCUMENT.format(
        title=name,
        policy=POLICY,
        css=_asset("page.css"),
        script=_asset("page.js"),
        heading=escape(heading(ranked)),
        written=f"{datetime.now(UTC):%Y-%m-%d %H:%M}",
        cards=f'<ul class="cards">{cards}</ul>' if cards else "",
        links=links,
        front="".join(_Page().section(section, front=True) for section in front),
        body="".join(body),
        data=_packed(page.payload()),
        plotly=_plotly(),
    )


class _Page:
    """Collects what the script draws while sections are made HTML."""

    def __init__(self) -> None:
        self._figures: dict[str, Any] = {}
        self._tables: dict[str, Any] = {}

    def payload(self) -> str:
        """Returns what the script draws, as JSON; lists that are used again are written once."""
        lists: dict[int, list[Any]] = {}
        again: dict[int, str] = {}
        for each in _long_lists(self._figures):
            if id(each) in lists:
                again.setdefault(id(each), f"s{len(again)}")
            lists[id(each)] = each
        shared = {name: lists[key] for key, name in again.items()}
        figures = _with_references(self._figures, again)
        return json_text({"figures": figures, "tables": self._tables, "shared": shared})

    def section(self, section: Section, front: bool = False) -> str:
        """Returns a section as HTML, its small figures side by side."""
        parts: list[str] = []
        row: list[str] = []
        for block in section.blocks:
            if isinstance(block, Figure) and block.small:
                row.append(self._figure(block, section.name))
                continue
            parts += [*_side_by_side(row), self._block(block, section.name)]
            row = []
        parts += _side_by_side(row)
        kind = f" class='{section.name if section.name == 'alarms' else 'front'}'" * front
        return (
            f'<section id="{section.name}" aria-labelledby="{section.name}-title"{kind}>'
            f'<h2 id="{section.name}-title">{escape(section.title)}</h2>{"".join(parts)}</section>'
        )

    def _block(self, block: Block, within: str) -> str:
        match block:
            case Figure():
                return self._figure(block, within)
            case Table():
                return self._table(block, within)
            case Words(sentences):
                return "".join(f"<p>{escape(sentence)}</p>" for sentence in sentences)
            case Code(title, text):
                return f"<p>{escape(title)}</p><pre tabindex='0'><code>{escape(text)}</code></pre>"
            case Missing(why):
                return f'<p class="missing">{escape(why)}</p>'

    def _figure(self, figure: Figure, within: str) -> str:
        name = f"{within}-{len(self._figures)}"
        self._figures[name] = {"data": figure.traces, "layout": figure.layout}
        level = "h4" if figure.small else "h3"
        caption = f"<figcaption>{escape(figure.caption)}</figcaption>" if figure.caption else ""
        width = f"min-width:{figure.wide}px;" if figure.wide else ""
        plot = (
            f'<div class="plot" id="{name}" role="img" aria-label="{escape(figure.alt)}" '
            f'style="{width}height:{figure.height}px"></div>'
        )
        if figure.wide:
            label = escape(f"{figure.title}, scrolled sideways")
            plot = (
                f'<div class="scroll" role="group" tabindex="0" aria-label="{label}">{plot}</div>'
            )
        numbers = "" if figure.small else _NUMBERS.format(name=name)
        return (
            f"<figure><{level}>{escape(figure.title)}</{level}>{caption}{plot}"
            f'<p class="alt">{escape(figure.alt)}</p>{numbers}</figure>'
        )

    def _table(self, table: Table, within: str) -> str:
        name = f"{within}-table-{len(self._tables)}"
        note = f'<p class="note">{escape(table.note)}</p>' if table.note else ""
        numeric = [_is_numeric(table, column) for column in range(len(table.head))]
        kinds = ['class="number"' * is_number for is_number in numeric]
        head = "".join(
            f'<th scope="col" {kind}>{escape(title)}</th>'
            for title, kind in zip(table.head, kinds, strict=True)
        )
        rows = "" if table.sortable else "".join(_row(row, table, kinds) for row in table.rows)
        known = f' id="{name}"' if table.sortable else ""
        inner = (
            f'<div class="scroll" role="region" tabindex="0" aria-label="{escape(table.title)}">'
            f"<table{known}><caption>{escape(table.title)}</caption>"
            f"<thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>"
        )
        if not table.sortable:
            return f"{inner}{note}"
        self._tables[name] = {
            "head": table.head,
            "numeric": numeric,
            "rows": [[_plain_value(value) for value in row] for row in table.rows],
            "digits": [table.digits.get(title) for title in table.head],
        }
        return f"{_FILTER.format(name=name)}{inner}{note}"


def _row(row: Sequence[Any], table: Table, kinds: Sequence[str]) -> str:
    cells = [
        cell_text(value, table.digits.get(title))
        for title, value in zip(table.head, row, strict=True)
    ]
    first, *others = zip(cells, kinds, strict=True)
    return (
        f'<tr><th scope="row" {first[1]}>{escape(first[0])}</th>'
        + "".join(f"<td {kind}>{escape(cell)}</td>" for cell, kind in others)
        + "</tr>"
    )


def cell_text(value: object, digits: int | None = None) -> str:
    """Returns what stands in a cell: a number with these decimals, or three significant digits."""
    if not is_known(value):
        return UNDEFINED
    if isinstance(value, float) and not isnan(value):
        if digits is not None:
            return f"{round(value, digits) + 0.0:.{digits}f}".replace("-", "−")
        large = abs(value) >= LARGE_NUMBER or 0 < abs(value) < SMALL_NUMBER
        return (f"{value:.2e}" if large else f"{value:.3g}").replace("-", "−")
    return str(value)


def _is_numeric(table: Table, column: int) -> bool:
    values = [row[column] for row in table.rows if is_known(row[column])]
    return bool(values) and not any(isinstance(value, str) for value in values)


def _plain_value(value: object) -> object:
    return value if is_known(value) else None


def _side_by_side(figures: Sequence[str]) -> list[str]:
    return [f'<div class="small">{"".join(figures)}</div>'] if figures else []


def _long_lists(value: object) -> Iterator[list[Any]]:
    """Yields lists of plain values that are worth writing once."""
    if isinstance(value, Mapping):
        for each in value.values():
            yield from _long_lists(each)
    elif isinstance(value, list | tuple):
        if isinstance(value, list) and _is_shared(value):
            yield value
        else:
            for each in value:
                yield from _long_lists(each)


def _is_shared(value: list[Any]) -> bool:
    return len(value) >= SHARED and not any(isinstance(v, Mapping | list) for v in value[:3])


def _with_references(value: Any, names: Mapping[int, str]) -> Any:
    if isinstance(value, Mapping):
        return {key: _with_references(each, names) for key, each in value.items()}
    if isinstance(value, list) and id(value) in names:
        return {"ref": names[id(value)]}
    if isinstance(value, list | tuple) and not (isinstance(value, list) and _is_shared(value)):
        return [_with_references(each, names) for each in value]
    return value


def _packed(text: str) -> str:
    return b64encode(gzip.compress(text.encode(), 9, mtime=0)).decode()


@cache
def _plotly() -> str:
    return _packed(get_plotlyjs())


@cache
def _asset(name: str) -> str:
    return (files("analysis.report") / name).read_text(encoding="utf-8")


_NUMBERS = '<details class="numbers" data-figure="{name}"><summary>The numbers</summary></details>'
_FILTER = (
    '<div class="filter"><label for="{name}-filter">Filter</label>'
    '<input id="{name}-filter" type="search" data-table="{name}" autocomplete="off" '
    'placeholder="completed sharpe&gt;0.5 lr&lt;1e-3" aria-describedby="{name}-count">'
    '<span id="{name}-count" role="status" aria-live="polite"></span></div>'
)
_DOCUMENT = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{title}: report of a search</title>
<link rel="icon" href="data:,">
<style>{css}</style>
</head>
<body>
<a class="skip" href="#main">To the content</a>
<header>
<div><h1>{title}</h1><p>{heading}</p></div>
<div class="buttons"><button type="button" id="theme" hidden>Dark</button>
<button type="button" id="draw" hidden
title="Draw every figure, to print the page">Draw all</button>
</div>
</header>
<div class="columns">
<nav aria-label="Sections"><details id="contents" open><summary>Sections</summary><ol>
<li><a href="#main">In plain words</a></li>{links}</ol></details></nav>
<main id="main" tabindex="-1">
<p class="missing" id="unable" hidden></p>
<noscript><p class="missing">
Figures and the ranking need JavaScript, which is off here.</p></noscript>
{cards}
<div class="front-page">{front}</div>
{body}
</main>
</div>
<footer><p>Written {written} (UTC), of the runs that were there then: what was tried since is in
the ranking of a terminal. Every figure is computed by the functions that print the ranking.
docs/report.md explains each section.</p></footer>
<script type="text/plain" id="packed-data">{data}</script>
<script type="text/plain" id="packed-plotly">{plotly}</script>
<script>{script}</script>
</body>
</html>
"""
