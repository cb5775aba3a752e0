"""What the gate says: the Sharpe ratio of dates that nothing has seen, and the evidence in it.

The evidence is an e-value (`analysis.statistics.e_value`): what a bet of 1 has become. A second
look at the same dates, of whatever run, is worth less: one of several useless runs fares well.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from analysis.statistics.e_value import anytime_p, e_process
from analysis.verdict.confirmed import Book, book_of, ratio_text
from analysis.verdict.skill import LEVEL, p_text
from trainable.cli.text import counted, listed


@dataclass(frozen=True)
class Gate:
    """What a window of dates says, once it is opened.

    Attributes:
        window: gate or test.
        first, last: dates, ISO.
        turn: which opening of these dates this is, from 1.
        members: trainings in the book; finalists: configurations that they are of.
        book: all of them in equal shares; None where they earn nothing that varies.
        winner: number of the first-ranked trial.
        alone: its seeds alone.
        baselines: by name.
        e: e-value at the end, divided by `divisor(turn)`.
        highest: the highest it ever was, likewise.
        path: each day, ISO, and the e-value after it, likewise; none of an older version.
    """

    window: str
    first: str
    last: str
    turn: int
    members: int
    finalists: int
    book: Book | None
    winner: int
    alone: Book | None
    baselines: Mapping[str, Book | None]
    e: float
    highest: float
    path: Sequence[tuple[str, float]] = ()

    @property
    def p(self) -> float:
        """How often a worthless book would ever have got so far, at most."""
        return anytime_p(np.array([self.highest]))

    def record(self) -> dict[str, Any]:
        """Returns it as JSON has it."""
        return asdict(self)

    @classmethod
    def of(cls, record: Mapping[str, Any]) -> "Gate":
        """Returns what `record` returned."""
        books = {name: _book(record[name]) for name in ("book", "alone")}
        known = {name: _book(book) for name, book in record["baselines"].items()}
        path = tuple((str(day), float(e)) for day, e in record.get("path", ()))
        return cls(**{**record, **books, "baselines": known, "path": path})


def divisor(turn: int) -> int:
    """Returns by how much the e-value of the k-th opening of the same dates is divided.

    The first counts in full. The k-th further on is divided by k·(k − 1): 2, 6, 12 … The shares
    1 ÷ (k·(k − 1)) sum up to 1. So of however many useless runs, whoever decides when to stop, one
    after the first reaches 1/α with probability α at most, as the first does (a weighted Bonferroni
    correction of e-values; Vovk and Wang 2021).
    """
    return 1 if turn == 1 else turn * (turn - 1)


def evidence(returns: np.ndarray, deviation: float, expected: float, turn: int) -> np.ndarray:
    """Returns the e-value before the first day and after each, [T + 1], divided by `divisor`.

    Args:
        returns: [T] daily net returns of the book on the window, in their order.
        deviation: of its daily returns before the window, above 0.
        expected: Sharpe ratio per day that is expected before the window is opened.
        turn: which opening of these dates it is.
    """
    return np.append(1.0, e_process(returns, deviation, expected)) / divisor(turn)


def gate_sentences(gate: Gate) -> list[str]:
    """Returns in plain words what the window says."""
    name = "gate" if gate.window == "gate" else "sealed test"
    where = f"On the {name}, {gate.first:.10} to {gate.last:.10}, "
    if gate.book is None:
        return [f"{where}the finalists earn nothing that varies: nothing is told."]
    count, many = gate.finalists, counted(gate.members, "training")
    who = {1: "the only finalist", 2: "both finalists"}.get(count, f"all {count} of the ranking")
    named = [(f"trial {gate.winner}, ranked first, alone", gate.alone)] if count > 1 else []
    named += [(name.replace("_", " "), book) for name, book in gate.baselines.items()]
    each = [f"{what} {ratio_text(book)}" for what, book in named if book is not None]
    compared = f"; {listed(each)}" if each else ""
    times, less = divisor(gate.turn), ""
    if times > 1:
        less = f", divided by {times} since it is opening {gate.turn} of these dates"
    return [
        f"{where}{who}, {many} in equal shares, earn{'s' if count == 1 else ''} a Sharpe ratio of "
        f"{ratio_text(gate.book)} over {gate.book.days:,} days{compared}.",
        f"{'More than chance' if gate.p <= LEVEL else 'Not told from chance'} on these days alone "
        f"(p {p_text(gate.p)}): a bet of 1 on them has become {bet_text(gate.e)}, and was "
        f"{bet_text(gate.highest)} at its highest{less}; useless ones ever reach 20 in one opening "
        "of twenty at most, whenever one looks.",
    ]


def bet_text(value: float) -> str:
    """Returns what a bet has become: `0.87`, `21.50`, `1,146,786`."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.2f}"


def daily(timestamps: np.ndarray, series: Sequence[np.ndarray]) -> np.ndarray:
    """Returns net returns by day [D], the mean of several series [V] of the same periods."""
    _, day_of = np.unique(timestamps.astype("datetime64[D]"), return_inverse=True)
    return np.bincount(day_of, np.mean(series, axis=0))


def book_on(
    timestamps: np.ndarray, series: Sequence[np.ndarray], days_per_year: float
) -> Book | None:
    """Returns what several series in equal shares earn."""
    return book_of(daily(timestamps, series), days_per_year)


def _book(record: Mapping[str, Any] | None) -> Book | None:
    return None if record is None else Book(**record)
