"""What predictions say of the labels: by year, by symbol, and of bars further ahead."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from math import isclose, isnan, sqrt
from typing import Any

import numpy as np
import pandas as pd

from analysis.load import Run
from analysis.report.content import LINES, Block, Figure, Missing, Ranked, axis, plain, short
from trainable.metrics.information_coefficient import standardise

HORIZONS = (1, 2, 3, 4, 5, 7, 10, 15, 20)  # own bars of a symbol ahead
FEWEST = 20  # lines, or bars of a symbol, that an IC must be of
NORMAL = 1.96  # standard errors of a 95 % interval
SAME = 2e-3  # by how much an IC that is computed again may differ from the search's
MOST_SYMBOLS = 60
NOT_STORED = (
    "What predictions are held against (labels.parquet) is not stored in this run folder: an older "
    "version wrote it, or the search was cut off. So the IC by year, symbol and horizon is unknown."
)
NONE_AGAIN = (
    "The stored predictions do not give the ranking's IC again, so that by year, symbol and "
    "horizon is not shown."
)
NOT_YET = "No finalist's predictions are stored, so the IC by year, symbol and horizon is unknown."


@dataclass(frozen=True)
class Scored:
    """The rows that every trial is scored on, as cells of bars and symbols.

    Attributes:
        stamps: [V] bars. symbols: N names.
        bar, symbol: [m] the cell of each row.
        labels: [V, N], NaN where there is none.
        following: [V, N], return to the symbol's own next bar, likewise.
    """

    stamps: np.ndarray
    symbols: list[str]
    bar: np.ndarray
    symbol: np.ndarray
    labels: np.ndarray
    following: np.ndarray

    @classmethod
    def of(cls, labels: pd.DataFrame) -> "Scored":
        """Returns the cells of `labels.parquet`."""
        stamps, bar = np.unique(np.asarray(labels["timestamp"]), return_inverse=True)
        names, symbol = np.unique(labels["symbol"].to_numpy(dtype=str), return_inverse=True)
        empty = np.full((len(stamps), len(names)), np.nan)
        found = cls(stamps, names.tolist(), bar, symbol, empty, empty.copy())
        found.labels[bar, symbol] = labels["label"].to_numpy(dtype=np.float64)
        found.following[bar, symbol] = labels["next_return"].to_numpy(dtype=np.float64)
        return found

    def grid(self, predictions: np.ndarray) -> np.ndarray:
        """Returns predictions [m] as cells [V, N]; NaN where there is none."""
        cells = np.full(self.labels.shape, np.nan)
        cells[self.bar, self.symbol] = predictions
        return cells

    @property
    def over_time(self) -> bool:
        """Whether there is one symbol alone, whose correlation is over time."""
        return len(self.symbols) == 1

    @cached_property
    def years(self) -> np.ndarray:
        """The calendar year of each bar, [V]."""
        return self.stamps.astype("datetime64[Y]").astype(int) + 1970

    def ahead(self, bars: int) -> np.ndarray:
        """Returns the return [V, N] of the so many-th own bar of each symbol from each bar on.

        1 is the next one. NaN where the scored rows end before.
        """
        moved = np.full_like(self.following, np.nan)
        for column, own in enumerate(self.following.T):
            rows = np.flatnonzero(np.isfinite(own))
            kept = rows[: max(0, len(rows) - bars + 1)]
            moved[kept, column] = own[rows[bars - 1 :]]
        return moved


@dataclass(frozen=True)
class Estimate:
    """A mean correlation and the standard error of it; NaN for unknown."""

    mean: float
    error: float


def correlations(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Returns the correlation of each line of x and y, [L, N] → [L]; NaN where undefined.

    Cells without both count in neither; a line on which either is constant has none.
    """
    both = np.isfinite(x) & np.isfinite(y)
    left = standardise(np.where(both, x, 0.0), both)
    right = standardise(np.where(both, y, 0.0), both)
    count = np.maximum(both.sum(axis=1), 1)
    defined = left.varies & right.varies & (both.sum(axis=1) > 1)
    return np.where(defined, (left.values * right.values).sum(axis=1) / count, np.nan)


def ic(scored: Scored, predicted: np.ndarray, against: np.ndarray, bars: np.ndarray) -> Estimate:
    """Returns the IC of some bars: the mean correlation over symbols, or that over time.

    Args:
        scored: the rows.
        predicted: [V, N] cells.
        against: likewise.
        bars: [V] bool, those that count.
    """
    unknown = Estimate(float("nan"), float("nan"))
    if scored.over_time:
        found = correlations(predicted[bars].T, against[bars].T)
        count = int((np.isfinite(predicted) & np.isfinite(against))[bars].sum())
        if count < FEWEST or not np.isfinite(found).all():
            return unknown
        return Estimate(float(found[0]), sqrt((1 - found[0] ** 2) / count))
    found = correlations(predicted[bars], against[bars])
    found = found[np.isfinite(found)]
    if len(found) < FEWEST:
        return unknown
    return Estimate(float(found.mean()), float(found.std(ddof=1) / sqrt(len(found))))


def by_year(scored: Scored, predicted: np.ndarray) -> dict[int, Estimate]:
    """Returns the IC with the labels in each calendar year; years of too few bars are left out."""
    found = {
        int(year): ic(scored, predicted, scored.labels, scored.years == year)
        for year in np.unique(scored.years)
    }
    return {year: one for year, one in found.items() if not isnan(one.mean)}


def by_symbol(scored: Scored, predicted: np.ndarray) -> dict[str, Estimate]:
    """Returns the correlation over time with the labels of each symbol that has enough of them."""
    found = correlations(predicted.T, scored.labels.T)
    counts = (np.isfinite(predicted) & np.isfinite(scored.labels)).sum(axis=0)
    return {
        name: Estimate(float(value), sqrt((1 - value**2) / count))
        for name, value, count in zip(scored.symbols, found, counts, strict=True)
        if count >= FEWEST and np.isfinite(value)
    }


def decay(scored: Scored, predicted: np.ndarray) -> dict[int, Estimate]:
    """Returns the IC with the return of the next bar alone, of the one after it, and so on."""
    every = np.ones(len(scored.stamps), bool)
    found = {bars: ic(scored, predicted, scored.ahead(bars), every) for bars in HORIZONS}
    return {bars: one for bars, one in found.items() if not isnan(one.mean)}


def predictions_of(run: Run, scored: Scored, number: int) -> np.ndarray | None:
    """Returns a trial's predictions as cells; None where they are not those of the scored rows."""
    mine = run.predictions.loc[run.predictions["number"] == number]
    labels = run.labels
    same = labels is not None and len(mine) == len(labels)
    if labels is None or not same:
        return None
    if not np.array_equal(np.asarray(mine["timestamp"]), np.asarray(labels["timestamp"])):
        return None
    if not np.array_equal(mine["symbol"].to_numpy(), labels["symbol"].to_numpy()):
        return None
    return scored.grid(mine["prediction"].to_numpy(dtype=np.float64))


def information(ranked: Ranked) -> list[Block]:
    """The IC of the first finalists by year, by symbol and over horizons."""
    if ranked.run.labels is None:
        return [Missing(NOT_STORED)]
    if not ranked.finalists:
        return [Missing("No finalist has predictions.")]
    scored = Scored.of(ranked.run.labels)
    known = list(_known(ranked, scored))
    predicted = set(ranked.run.predictions["number"])
    stored = [int(row["number"]) in predicted for row, _ in ranked.drawn]
    if not known:
        return [Missing(NONE_AGAIN if any(stored) else NOT_YET)]
    best, cells = known[0]
    whose = f"trial {best}"
    return [_years(scored, known), _symbols(scored, whose, cells), _decay(scored, known)]


def _known(ranked: Ranked, scored: Scored) -> Iterator[tuple[int, np.ndarray]]:
    """Yields finalists with their predictions, if these have the IC that the ranking shows."""
    every = np.ones(len(scored.stamps), bool)
    for row, _ in ranked.drawn:
        cells = predictions_of(ranked.run, scored, int(row["number"]))
        if cells is None:
            continue
        again = ic(scored, cells, scored.labels, every).mean
        if isclose(again, row["ic"], rel_tol=SAME, abs_tol=SAME):
            yield int(row["number"]), cells


def _years(scored: Scored, known: list[tuple[int, np.ndarray]]) -> Block:
    traces = []
    found: dict[int, dict[int, Estimate]] = {n: by_year(scored, cells) for n, cells in known}
    for i, ((number, years), colour) in enumerate(zip(found.items(), LINES, strict=False)):
        shift = 0.12 * (i - (len(found) - 1) / 2)
        traces.append(_whiskers(
            f"trial {number}", [year + shift for year in years], list(years.values()), colour,
            [str(year) for year in years],
        ))  # fmt: skip
    years = sorted({year for each in found.values() for year in each})
    if not years:
        return Missing("No calendar year has enough scored bars for an IC.")
    first = next(iter(found.values()))
    return Figure(
        "IC by year",
        "Correlation of predictions with labels, the mean over the bars of each year (of the first "
        "seed), with 95 % intervals. What holds in one year only is no rule.",
        "First finalist: " + ", ".join(f"{year} {one.mean:+.3f}" for year, one in first.items()),
        traces,
        {"xaxis": {"tickvals": years, "ticktext": [str(year) for year in years]},
         "yaxis": axis("IC", zeroline=True)},
    )  # fmt: skip


def _symbols(scored: Scored, whose: str, cells: np.ndarray) -> Block:
    found = by_symbol(scored, cells)
    if not found:
        return Missing("No symbol has enough labels for a correlation over time.")
    names = sorted(found, key=lambda name: found[name].mean)
    left = len(names) - MOST_SYMBOLS
    if left > 0:
        names = names[: MOST_SYMBOLS // 2] + names[-MOST_SYMBOLS // 2 :]
    error = [NORMAL * found[name].error for name in names]
    positive = sum(one.mean > 0 for one in found.values())
    return Figure(
        "IC by symbol",
        f"Correlation over time of the predictions of {whose} with each symbol's own labels, with "
        "95 % intervals. Of many symbols a few stand out by luck."
        + (f" The lowest and highest {MOST_SYMBOLS // 2} of {len(found)}." if left > 0 else ""),
        f"Above 0 for {positive} of {len(found)} symbols; highest {names[-1]} "
        f"{found[names[-1]].mean:+.3f}, lowest {names[0]} {found[names[0]].mean:+.3f}.",
        [{
            "mode": "markers", "y": [plain(name) for name in names],
            "x": short([found[name].mean for name in names]),
            "marker": {"color": "@blue", "size": 7},
            "error_x": {"type": "data", "array": short(error), "color": "@muted", "thickness": 1,
                        "width": 0},
        }],
        {"xaxis": axis("correlation over time", zeroline=True), "showlegend": False,
         "yaxis": {"type": "category", "automargin": True, "dtick": 1}},
        110 + 18 * len(names),
    )  # fmt: skip


def _decay(scored: Scored, known: list[tuple[int, np.ndarray]]) -> Block:
    traces, said = [], ""
    for i, ((number, cells), colour) in enumerate(zip(known, LINES, strict=False)):
        shift = 0.1 * (i - (len(known) - 1) / 2)  # so that intervals do not hide each other
        found = decay(scored, cells)
        if not found:
            continue
        said = said or ", ".join(f"bar {bars} {one.mean:+.3f}" for bars, one in found.items())
        traces.append(
            _whiskers(
                f"trial {number}",
                [bars + shift for bars in found],
                list(found.values()),
                colour,
                [f"{bars} ahead" for bars in found],
            )
            | {"mode": "lines+markers"}
        )
    if not traces:
        return Missing("Too few bars for the IC further ahead.")
    return Figure(
        "How fast the IC decays",
        "Correlation of a prediction with the return of each single bar ahead: 1 is the first bar "
        "that its position earns. What lasts may be traded slower, and cheaper.",
        f"First finalist: {said}.",
        traces,
        {"xaxis": axis("bars ahead", tickvals=list(HORIZONS)), "yaxis": axis("IC", zeroline=True)},
    )


def _whiskers(
    name: str, x: list[float], found: list[Estimate], colour: str, text: list[str] | None = None
) -> dict[str, Any]:
    error = [NORMAL * one.error for one in found]
    said = {} if text is None else {"text": text, "hovertemplate": "%{text}: %{y}<extra></extra>"}
    return said | {
        "name": name, "mode": "markers", "x": short(x, 6), "y": short([e.mean for e in found]),
        "marker": {"color": colour, "size": 8},
        "error_y": {"type": "data", "array": short(error), "thickness": 1.2, "width": 3,
                    "color": colour},
        "line": {"color": colour, "width": 1.5},
    }  # fmt: skip
