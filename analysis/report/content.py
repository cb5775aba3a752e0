"""What a section is made of, and a run with everything that several sections need."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from math import isfinite
from typing import Any, TypeVar

import numpy as np
import pandas as pd

from analysis.load import Run
from analysis.pictures.plot_style import outcome
from analysis.ranking import rank, varied_params
from analysis.seeds import Row, further_seeds, scored_seeds
from analysis.verdict.confirm_folder import Kept, kept_confirmation
from analysis.verdict.luck import Luck, luck
from analysis.verdict.skill import Skill, skill
from trainable.stop_reasons import NUMERIC_FAILURES, STOP_REASONS

T = TypeVar("T")
TOP = 5  # finalists that are drawn one by one

# Colours by name; the page has a value of each for its dark and its light form.
LINES = ("@blue", "@orange", "@green", "@pink", "@sky")
OUTCOMES = {
    "finished": "@blue",
    "pruned at a rung": "@orange",
    "pruned as flat": "@pink",
    "numeric failure": "@red",
    "other": "@grey",
}
REASONS = {
    "completed": "@blue",
    "converged": "@sky",
    "early_stopped": "@green",
    "asha_rung": "@orange",
    "flat_sharpe": "@pink",
    "nan_explosion": "@red",
    "collapsed": "@brown",
    "frozen_metric": "@salmon",
    "lr_stalled": "@yellow",
    "time_budget": "@steel",
    "out_of_memory": "@grey",
    "error": "@ink",
    "hung": "@muted",
    "worker_lost": "@slate",
    "interrupted": "@muted",
}


@dataclass(frozen=True)
class Figure:
    """One picture, as plotly.js takes it.

    Attributes:
        title: what it shows, a heading.
        caption: how to read it, one or two sentences.
        alt: what a person who cannot see it should know of it.
        traces: of plotly.js; a colour `@name` is one of the page's, `{"ref": name}` a shared array.
        layout: of plotly.js, merged into the page's own.
        height: in pixels.
        small: whether it stands beside others of its kind.
        wide: least width in pixels, below which it is scrolled; 0: it shrinks to any.
    """

    title: str
    caption: str
    alt: str
    traces: Sequence[Mapping[str, Any]]
    layout: Mapping[str, Any] = field(default_factory=dict)
    height: int = 380
    small: bool = False
    wide: int = 0


@dataclass(frozen=True)
class Table:
    """A table of words and numbers.

    Attributes:
        title: a caption.
        head: names of the columns.
        rows: a text or a number a column; None and NaN are undefined.
        digits: decimals of a column's numbers; None: as many as three significant ones need.
        note: what to know of it; empty for nothing.
        sortable: whether it is drawn by the page, which sorts and filters it.
    """

    title: str
    head: Sequence[str]
    rows: Sequence[Sequence[Any]]
    digits: Mapping[str, int] = field(default_factory=dict)
    note: str = ""
    sortable: bool = False


@dataclass(frozen=True)
class Words:
    """Sentences: a paragraph each."""

    sentences: Sequence[str]


@dataclass(frozen=True)
class Code:
    """What is typed, or a file's text; `title` says what it is."""

    title: str
    text: str


@dataclass(frozen=True)
class Missing:
    """Why something is not shown."""

    why: str


Block = Figure | Table | Words | Code | Missing


@dataclass(frozen=True)
class Section:
    """A part of the report under a heading of its own."""

    name: str  # of its place in the page
    title: str
    blocks: Sequence[Block]


@dataclass(frozen=True)
class Ranked:
    """A run with its ranking and what follows from it, each computed once."""

    run: Run

    @cached_property
    def ranking(self) -> pd.DataFrame:
        """`analysis.ranking.rank` of the run."""
        return rank(self.run)

    @cached_property
    def rows(self) -> Sequence[Row]:
        """The rows of the ranking."""
        return self.ranking.to_dict("records")

    @cached_property
    def finalists(self) -> Sequence[Row]:
        """Rows of the finalists with a Sharpe ratio, the best first."""
        return self.ranking.dropna(subset=["sharpe_mean"]).to_dict("records")

    @property
    def drawn(self) -> list[tuple[Row, str]]:
        """Rows of the first finalists, each with the colour that it is drawn in."""
        return list(zip(self.finalists[:TOP], LINES, strict=False))

    @property
    def goes_on(self) -> bool:
        """Whether the search has not ended."""
        record = self.run.run
        return record.get("state") == "running" or bool(record.get("interrupted"))

    @cached_property
    def tested(self) -> Skill | None:
        """Whether there is skill (`analysis.verdict.skill.skill`)."""
        return skill(self.run)

    @cached_property
    def confirmed(self) -> Kept | None:
        """The confirmation that the folder keeps."""
        return kept_confirmation(self.run)

    @cached_property
    def chance(self) -> Luck | None:
        """The luck line."""
        return luck(self.run)

    @cached_property
    def params(self) -> list[str]:
        """Columns of parameters that vary."""
        return varied_params(self.run)

    @cached_property
    def seeds(self) -> Mapping[int, list[Row]]:
        """Rows of the seeds that each ranked finalist's mean is of, by its number."""
        further = further_seeds(self.run)
        return {
            number: scored_seeds(self.run.row_of[number], further.get(number, []))[0]
            for number in (int(row["number"]) for row in self.finalists)
        }


def of(record: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    """Returns the object that `run.json` holds by a name; an empty one of an older version."""
    found = record.get(key)
    return found if isinstance(found, Mapping) else {}


def short(values: Any, digits: int = 4) -> list[float | None]:
    """Returns numbers with so many significant digits; None for those that are not finite."""
    numbers = np.asarray(values, dtype=np.float64).ravel().tolist()
    return [_rounded(value, digits) if isfinite(value) else None for value in numbers]


def _rounded(value: float, digits: int) -> float:
    rounded = float(f"{value:.{digits}g}")
    rounded = rounded if isfinite(rounded) else value  # the largest numbers have no rounder one
    return int(rounded) if abs(rounded) < 1e9 and rounded.is_integer() else rounded


def plain(text: object) -> str:
    """Returns a text that plotly.js draws as it is: it would read tags and templates in it."""
    escaped = str(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return escaped.replace("%{", "%&#123;")


def axis(title: str, **more: Any) -> dict[str, Any]:
    """Returns an axis of plotly.js with this title, of our own words."""
    return {"title": {"text": title}} | more


def gapped(series: Sequence[Sequence[Any]]) -> list[Any]:
    """Returns several lines as one, with a gap between any two."""
    joined: list[Any] = []
    for each in series:
        joined += [*each, None]
    return joined[:-1]


def name_of(param: str) -> str:
    """Returns a parameter's name without what begins its column."""
    return param.removeprefix("params.")


def is_known(value: object) -> bool:
    """Says whether a value is neither None nor NaN, as the tables write what is undefined."""
    return value is not None and value is not pd.NA and value == value


def value_of(value: object) -> int | float | str | None:
    """Returns a parameter as it is shown: a number, a text, or None where a trial has it not."""
    if not is_known(value):
        return None
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e6:
        return int(value)  # a whole number, read as a float where another trial has none
    return value if isinstance(value, int | float | str) else str(value)


def outcomes(rows: Sequence[T], reason: Callable[[T], str]) -> Iterator[tuple[str, str, list[T]]]:
    """Yields the outcomes that occur, each with its colour and the rows that ended so.

    Args:
        rows: of trials.
        reason: returns the stop reason of a row.
    """
    for name, colour in OUTCOMES.items():
        mine = [row for row in rows if outcome(reason(row)) == name]
        if mine:
            yield name, colour, mine


def failed(row: Mapping[str, Any]) -> bool:
    """Says whether a trial failed numerically."""
    return row["stop_reason"] in NUMERIC_FAILURES


def in_order(reasons: Sequence[str]) -> list[str]:
    """Returns the stop reasons that occur, in the order of `STOP_REASONS`; unknown ones last."""
    known = list(STOP_REASONS)
    return sorted(set(reasons), key=lambda name: (known.index(name) if name in known else 99, name))
