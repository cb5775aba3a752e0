"""Figures of what was earned: every configuration, its seeds, equity and drawdown."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isnan, sqrt
from typing import Any

import numpy as np

from analysis.load import Run
from analysis.pictures.plot_style import spread
from analysis.ranking import baselines, sharpe_of
from analysis.report.content import Block, Figure, Missing, Ranked, axis, outcomes, plain, short
from analysis.seeds import Row
from trainable.cli.text import signed

NORMAL = 1.96  # standard errors of a 95 % interval
MOST_POINTS = 1_000  # of a drawn series
MOST_ROWS = 20  # finalists whose seeds are drawn
LABEL = 0.055  # height of a label, as a share of the figure's
VOLATILITY = 0.10  # a year, to which curves are scaled that are to be compared
SHARPE = "annual Sharpe ratio, validation"
Trace = dict[str, Any]


def interval(row: Row) -> tuple[float, float] | None:
    """Returns the 95 % interval of a finalist's mean Sharpe ratio; None where undefined.

    It is of the days and seeds alone: that the finalist was chosen on these days is not in it.
    """
    error = float(row["sharpe_mean_se"])
    if isnan(error):
        return None
    return row["sharpe_mean"] - NORMAL * error, row["sharpe_mean"] + NORMAL * error


def book(run: Run, numbers: Sequence[int]) -> tuple[np.ndarray, np.ndarray] | None:
    """Returns timestamps [V] and the mean net returns [V] of some trials, in equal shares.

    None where one has no returns, or not those of the same periods.
    """
    curves = [run.curve(number) for number in numbers]
    if not curves or any(curve.empty for curve in curves):
        return None
    stamps = np.asarray(curves[0]["timestamp"])
    if not all(np.array_equal(stamps, np.asarray(curve["timestamp"])) for curve in curves[1:]):
        return None
    returns = np.mean([np.asarray(curve["net_return"], np.float64) for curve in curves], axis=0)
    return (stamps, returns) if np.isfinite(returns).all() else None


def wealth_of(returns: np.ndarray) -> np.ndarray:
    """Returns the compounded return [V] since the beginning, decimal."""
    return np.cumprod(1.0 + returns) - 1.0


def drawdown_of(returns: np.ndarray) -> np.ndarray:
    """Returns the loss [V] from the highest wealth so far; its minimum is `max_drawdown`."""
    wealth = np.concatenate([[1.0], 1.0 + wealth_of(returns)])
    return np.maximum(wealth / np.maximum.accumulate(wealth) - 1.0, -1.0)[1:]


def every_configuration(ranked: Ranked) -> Block:
    """All configurations by Sharpe ratio, with intervals, seeds, luck line and baselines."""
    rows = [row for row in ranked.rows if not isnan(sharpe_of(row))]
    if not rows:
        return Missing("No configuration has a defined Sharpe ratio.")
    rows.sort(key=lambda row: -sharpe_of(row))
    traces: list[Trace] = []
    places = list(enumerate(rows, 1))
    for name, colour, mine in outcomes(places, lambda place: place[1]["stop_reason"]):
        trace = _dots(name, colour, [i for i, _ in mine], [sharpe_of(r) for _, r in mine])
        trace["text"] = [_hover(row) for _, row in mine]
        trace["hoverinfo"] = "text"
        if name == "finished":
            around = [interval(row) for _, row in mine]
            half = [None if a is None else (a[1] - a[0]) / 2 for a in around]
            trace["error_y"] = {
                "type": "data", "array": short(_floats(half)), "thickness": 1, "width": 0,
                "color": "@faint",
            }  # fmt: skip
        traces.append(trace)
    dots = [
        (place, float(seed["sharpe"]))
        for place, row in places
        for seed in ranked.seeds.get(int(row["number"]), ())
        if row["sharpe_seeds"] > 1
    ]
    if dots:
        one = _dots("one seed", "@sky", [x for x, _ in dots], [y for _, y in dots], 4)
        traces.insert(0, one | {"hoverinfo": "skip"})
    high, low = sharpe_of(rows[0]), sharpe_of(rows[-1])
    ends = [end for row in rows for end in interval(row) or (high, low)]
    lines, notes, view = _levels(
        ranked, max(int(row["sharpe_seeds"]) for row in rows), [*ends, *(y for _, y in dots)]
    )
    best = rows[0]
    undefined = len(ranked.rows) - len(rows)
    return Figure(
        "Every configuration",
        "A dot is a configuration, the best on the left; a finalist stands at the mean over its "
        "seeds, with the 95 % interval of days and seeds. Above the dashed line luck alone is not "
        "expected to reach." + (f" {undefined} more have no Sharpe ratio." if undefined else ""),
        f"Sharpe ratios of {len(rows)} configurations, from {signed(sharpe_of(rows[-1]))} to "
        f"{signed(sharpe_of(best))} (trial {best['number']}).",
        traces,
        {
            "xaxis": axis("configurations, the best first", rangemode="tozero"),
            "yaxis": axis(SHARPE, range=view),
            "shapes": lines,
            "annotations": notes,
        },
        430,
    )


def seeds_spread(ranked: Ranked) -> Block:
    """The Sharpe ratio of each seed of the finalists."""
    rows = [row for row in ranked.finalists if row["sharpe_seeds"] > 1][:MOST_ROWS]
    if not rows:
        return Missing("No finalist has a second seed, so nothing is known of their spread.")
    names = [f"trial {row['number']}" for row in rows]
    first: list[tuple[float, str]] = []
    fresh: list[tuple[float, str]] = []
    for name, row in zip(names, rows, strict=True):
        for seed in ranked.seeds[int(row["number"])]:
            where = first if seed["number"] == row["number"] else fresh
            where.append((float(seed["sharpe"]), name))
    drawn = (
        ("first seed, which was chosen", first, {"color": "@orange", "size": 9}),
        ("a fresh seed", fresh, {"color": "@blue", "size": 9}),
        ("mean", list(zip([row["sharpe_mean"] for row in rows], names, strict=True)),
         {"color": "@ink", "size": 16, "symbol": "line-ns-open"}),
    )  # fmt: skip
    traces = [
        {"name": name, "mode": "markers", "x": short([x for x, _ in dots]),
         "y": [y for _, y in dots], "marker": marker}
        for name, dots, marker in drawn
    ]  # fmt: skip
    spread = [row["sharpe_sd"] for row in rows]
    return Figure(
        "Spread of the seeds",
        "The same configuration, trained from other random first weights. Where the fresh seeds "
        "are worse than the first, the choice was of a lucky one.",
        f"Sharpe ratios by seed of {len(rows)} finalists; their standard deviation over seeds is "
        f"{min(spread):.2f} to {max(spread):.2f}.",
        traces,
        {
            "xaxis": axis(SHARPE),
            "yaxis": {"autorange": "reversed", "type": "category", "automargin": True},
        },
        150 + 26 * len(rows),
    )


@dataclass(frozen=True)
class Curve:
    """A series of net returns that is drawn.

    Attributes:
        name: of it.
        returns: [V], decimal.
        colour: of the line. dash: its kind.
    """

    name: str
    returns: np.ndarray
    colour: str
    dash: str = "solid"


def equity(ranked: Ranked) -> list[Block]:
    """Equity and drawdown of the finalists against the baselines, as traded and at one risk."""
    found = _curves(ranked)
    if found is None:
        return [Missing("No finalist and no baseline has returns, so there is no equity to draw.")]
    stamps, curves = found
    ends = _bins(len(stamps))
    dates = [str(stamp)[:10] if _daily(stamps) else str(stamp)[:16] for stamp in stamps[ends]]
    traces: list[Trace] = []
    for curve in curves:
        wealth, fall = wealth_of(curve.returns), drawdown_of(curve.returns)
        both = {"name": plain(curve.name), "legendgroup": plain(curve.name), "mode": "lines"}
        line = {"color": curve.colour, "width": 1.6, "dash": curve.dash}
        lowest = np.minimum.reduceat(fall, np.concatenate([[0], ends[:-1] + 1]))
        traces += [
            both | {"x": dates, "y": short(100 * wealth[ends]), "line": line},
            both | {"x": dates, "y": short(100 * lowest), "line": line, "yaxis": "y2",
                    "showlegend": False},
        ]  # fmt: skip
    best = curves[0]
    alt = (
        f"{best.name}: {100 * wealth_of(best.returns)[-1]:.1f} % in all, largest loss "
        f"{-100 * drawdown_of(best.returns).min():.1f} %."
    )
    as_traded = Figure(
        "As traded",
        "Compounded net returns on the validation part, above, and the loss from the highest point "
        "so far, below; each finalist is the mean of its seeds. A click on a name hides it.",
        alt,
        traces,
        {
            "xaxis": {"anchor": "y2", "type": "date"},
            "yaxis": axis("return, %", domain=[0.4, 1]),
            "yaxis2": axis("drawdown, %", domain=[0, 0.32]),
            "hovermode": "x",
        },
        560,
    )
    year = ranked.run.periods_per_year
    scaled = [
        {
            "name": plain(c.name), "mode": "lines", "x": dates,
            "y": short(100 * VOLATILITY / (deviation * sqrt(year)) * np.cumsum(c.returns)[ends]),
            "line": {"color": c.colour, "width": 1.6, "dash": c.dash},
        }
        for c in curves
        if (deviation := c.returns.std(ddof=1)) > 0
    ]  # fmt: skip
    percent = f"{100 * VOLATILITY:.0f}"
    same_risk = Figure(
        "At one risk",
        f"Summed net returns, each scaled to {percent} % volatility a year over all days: the "
        "slope is the Sharpe ratio, so a long-only baseline compares with a neutral book.",
        f"{len(scaled)} curves at {percent} % volatility.",
        scaled,
        {"xaxis": {"type": "date"}, "yaxis": axis("summed return, %"), "hovermode": "x"},
        420,
    )
    return [as_traded, same_risk]


def _curves(ranked: Ranked) -> tuple[np.ndarray, list[Curve]] | None:
    """Returns timestamps and the curves to draw: finalists, all of them together, baselines."""
    run = ranked.run
    if not run.periods:
        return None
    books = [
        (f"trial {row['number']}", [int(s["number"]) for s in ranked.seeds[int(row["number"])]],
         colour, "solid")
        for row, colour in ranked.drawn
    ]  # fmt: skip
    everyone = [int(seed["number"]) for seeds in ranked.seeds.values() for seed in seeds]
    if len(everyone) > 1:
        books.append(("all finalists", everyone, "@ink", "solid"))
    dashes = ("dot", "dash", "dashdot", "longdash")
    for i, row in enumerate(baselines(run).to_dict("records")):
        books.append((str(row["name"]), [int(row["number"])], "@grey", dashes[i % len(dashes)]))
    stamps, curves = None, []
    for name, numbers, colour, dash in books:
        found = book(run, numbers)
        if found is None or (stamps is not None and not np.array_equal(stamps, found[0])):
            continue
        stamps = found[0]
        curves.append(Curve(name, found[1], colour, dash))
    return None if stamps is None else (stamps, curves)


def _bins(count: int) -> np.ndarray:
    """Returns the last places of at most `MOST_POINTS` equal stretches of a series."""
    edges = np.linspace(0, count, min(count, MOST_POINTS) + 1).round().astype(int)
    return edges[1:] - 1


def _daily(stamps: np.ndarray) -> bool:
    return bool((stamps == stamps.astype("datetime64[D]")).all())


def _levels(
    ranked: Ranked, seeds: int, values: Sequence[float]
) -> tuple[list[Trace], list[Trace], list[float]]:
    """Returns luck lines and baselines as lines, their names, moved apart, and what is in view.

    Args:
        ranked: the run.
        seeds: the most that a mean is of.
        values: what else must be in view.
    """
    levels: list[tuple[str, float, str, str]] = []
    for row in baselines(ranked.run).to_dict("records"):
        if not isnan(row["sharpe"]):
            levels.append((str(row["name"]), float(row["sharpe"]), "@faint", "solid"))
    if ranked.chance is not None:
        levels.append(("luck line", ranked.chance.one_seed, "@ink", "dash"))
        if seeds > 1:
            mean = ranked.chance.line(seeds)
            levels.append((f"luck line, {seeds} seeds", mean, "@ink", "dot"))
    shapes = [
        {"type": "line", "xref": "paper", "x0": 0, "x1": 1, "y0": y, "y1": y, "layer": "below",
         "line": {"color": colour, "width": 1.3, "dash": dash}}
        for _, y, colour, dash in levels
    ]  # fmt: skip
    low, high = (
        min([*values, *(y for _, y, _, _ in levels)]),
        max([*values, *(y for _, y, _, _ in levels)]),
    )
    margin = 0.05 * (high - low) or 0.1
    low, high = low - margin, high + margin
    levels.sort(key=lambda level: level[1])
    heights = spread([(y - low) / (high - low) for _, y, _, _ in levels], LABEL)
    notes = [
        {"xref": "paper", "x": 1, "xanchor": "right", "yref": "paper", "y": height,
         "yanchor": "bottom", "text": f"{plain(name)} {signed(y)}", "showarrow": False,
         "font": {"size": 11}, "bgcolor": "@ground", "borderpad": 1, "opacity": 0.9}
        for (name, y, _, _), height in zip(levels, heights, strict=True)
    ]  # fmt: skip
    return shapes, notes, [low, high]


def _hover(row: Mapping[str, Any]) -> str:
    said = f"trial {row['number']}: {signed(sharpe_of(row))}"
    if row["sharpe_seeds"] > 1:
        said += f", mean of {row['sharpe_seeds']} seeds"
    return f"{said}<br>{plain(row['stop_reason'])}, epoch {row['epochs']}"


def _dots(name: str, colour: str, x: Sequence[int], y: Sequence[float], size: int = 7) -> Trace:
    return {
        "name": plain(name),
        "mode": "markers",
        "x": list(x),
        "y": short(y),
        "marker": {"color": colour, "size": size},
    }


def _floats(values: Sequence[float | None]) -> list[float]:
    return [float("nan") if value is None else value for value in values]
