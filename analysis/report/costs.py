"""Figures of costs: what is left of a Sharpe ratio at other costs, and what is turned over."""

from math import isfinite, isnan
from typing import Any

import numpy as np

from analysis.ranking import sharpe_of
from analysis.report.content import Block, Figure, Missing, Ranked, axis, of, outcomes, plain, short
from analysis.verdict.alarms import sharpe_at_cost

POINTS = 61  # of a drawn line
FARTHEST = 50.0  # bps a unit turned over, of which no more is drawn
CAPACITY = (
    "Capacity is not stored: it follows from the money that is traded in each symbol, which this "
    "run folder does not hold. A position that is a visible part of a day's volume costs more than "
    "data.cost_bps says."
)


def costs(ranked: Ranked) -> list[Block]:
    """What finalists earn at other costs, what they turn over, and their capacity."""
    return [_over_costs(ranked), _turnover(ranked), Missing(CAPACITY)]


def sharpe_over_costs(ranked: Ranked, number: int, costs_bps: np.ndarray) -> np.ndarray | None:
    """Returns the mean Sharpe ratio of a finalist's seeds at each cost; None where undefined."""
    charged = of(ranked.run.run, "data").get("cost_bps")
    lines = [
        [sharpe_at_cost(seed, charged, float(cost)) for cost in costs_bps]
        for seed in ranked.seeds[number]
    ]
    if not lines or any(value is None for line in lines for value in line):
        return None
    return np.mean(np.array(lines, dtype=np.float64), axis=0)


def _over_costs(ranked: Ranked) -> Block:
    charged = of(ranked.run.run, "data").get("cost_bps")
    if not isinstance(charged, int | float):
        return Missing("What trading cost in this search is not stored in its run folder.")
    known = (float(row["break_even_bps"]) for row, _ in ranked.drawn)
    even = [each for each in known if isfinite(each)]
    if not even:
        return Missing("No finalist has a break-even cost.")
    most = min(FARTHEST, max(2 * charged, 1.3 * max(even), 2.0))
    at = np.linspace(0.0, most, POINTS)
    traces: list[dict[str, Any]] = []
    for row, colour in ranked.drawn:
        found = sharpe_over_costs(ranked, int(row["number"]), at)
        if found is not None:
            traces.append({
                "name": f"trial {row['number']}", "mode": "lines", "x": short(at),
                "y": short(found), "line": {"color": colour, "width": 2},
                "hovertemplate": "%{x:.1f} bps: %{y:.2f}<extra>%{fullData.name}</extra>",
            })  # fmt: skip
    if not traces:
        return Missing("What finalists earn before costs is not known.")
    paid = {"type": "line", "x0": charged, "x1": charged, "yref": "paper", "y0": 0, "y1": 1,
            "line": {"color": "@muted", "dash": "dash", "width": 1.3}}  # fmt: skip
    note = {"x": charged, "yref": "paper", "y": 1, "text": f"as searched, {charged:g} bps",
            "showarrow": False, "xanchor": "left", "yanchor": "top", "xshift": 4}  # fmt: skip
    return Figure(
        "What other costs would leave",
        "Mean over the seeds, at each cost of a unit turned over. Costs hardly change the spread "
        "of returns, so these are straight lines through the search's own cost and the break-even.",
        f"Break-even of {len(even)} finalists: {min(even):.1f} to {max(even):.1f} bps; the search "
        f"charged {charged:g}.",
        traces,
        {"xaxis": axis("cost, bps a unit turned over"), "yaxis": axis("annual Sharpe ratio"),
         "shapes": [paid], "annotations": [note]},
    )  # fmt: skip


def _turnover(ranked: Ranked) -> Block:
    rows = [r for r in ranked.rows if not (isnan(r["turnover"]) or isnan(sharpe_of(r)))]
    if not rows:
        return Missing("No trial has a turnover.")
    traces = [
        {
            "name": name, "mode": "markers", "x": short([row["turnover"] for row in mine]),
            "y": short([sharpe_of(row) for row in mine]),
            "text": [f"trial {r['number']}, break-even {plain(_bps(r))}" for r in mine],
            "marker": {"color": colour, "size": 7, "opacity": 0.8},
            "hovertemplate": "%{text}<br>%{x:.2f} a bar: %{y:.2f}<extra></extra>",
        }
        for name, colour, mine in outcomes(rows, lambda row: row["stop_reason"])
    ]  # fmt: skip
    values = [row["turnover"] for row in rows]
    return Figure(
        "Turnover",
        "How much of the book each trial turns over a bar, both ways: what costs are charged on.",
        f"Turnover of {len(rows)} trials: {min(values):.2f} to {max(values):.2f} a bar, "
        f"{float(np.median(values)):.2f} in the median.",
        traces,
        {"xaxis": axis("turned over a bar, of the book"), "yaxis": axis("annual Sharpe ratio")},
    )


def _bps(row: Any) -> str:
    even = row["break_even_bps"]
    return "unknown" if isnan(even) else f"{even:.1f} bps"
