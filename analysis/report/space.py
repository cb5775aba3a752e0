"""Figures of the space: what matters, where the good trials lie, and where they blow up."""

from collections.abc import Mapping, Sequence
from math import ceil, floor, isnan, log10
from typing import Any

import numpy as np

from analysis.ranking import sharpe_of
from analysis.report.content import (
    Block,
    Figure,
    Missing,
    Ranked,
    Words,
    axis,
    failed,
    gapped,
    is_known,
    name_of,
    outcomes,
    plain,
    short,
    value_of,
)
from analysis.seeds import Row
from analysis.statistics.importance import BEST, Axis, importance
from analysis.statistics.proportion import clopper_pearson
from analysis.verdict.neighbours import Parameter, parameters_of
from trainable.cli.text import counted

MOST_SLICES = 12  # parameters that are drawn one by one
MOST_LINES = 1_500  # trials in parallel coordinates
LOGARITHMIC = 5  # a positive range this many times its low end, where no range is recorded
BINS = 6  # of a parameter, in which failures are counted
FEWEST = 5  # trials that a bin must hold to be drawn
MANY = 100  # trials, from which on lines are drawn fainter
KEY = (
    "The Sharpe ratio over each parameter, by how the trial ended: blue finished, orange pruned at "
    "a rung, pink pruned as flat, red a numeric failure, grey anything else."
)
FIFTHS = ("worst fifth", "fourth", "third", "second", "best fifth")
SCALE = ("@scale0", "@scale1", "@scale2", "@scale3", "@scale4")


def importances(ranked: Ranked) -> dict[str, float] | None:
    """Returns the importance of each parameter that varies, the largest first; None: unknown.

    Of all searched trials with a Sharpe ratio, each as the ranking shows it.
    """
    rows = [row for row in ranked.rows if not isnan(sharpe_of(row))]
    if not rows or not ranked.params:
        return None
    axes = axes_of(ranked, rows)
    return importance(np.array([sharpe_of(row) for row in rows]), axes)


def axes_of(ranked: Ranked, rows: Sequence[Row]) -> dict[str, Axis]:
    """Returns the parameters that vary, by name, with their values over some rows of the ranking.

    A range that `run.json` does not name is the one that was tried.
    """
    recorded = {each.name: each for each in parameters_of(ranked.run.run)}
    return {
        name_of(column): _axis([row[column] for row in rows], recorded.get(name_of(column)))
        for column in ranked.params
    }


def _axis(values: Sequence[object], recorded: Parameter | None) -> Axis:
    values = [value_of(value) for value in values]
    known = [value for value in values if value is not None]
    numeric = all(isinstance(v, int | float) and not isinstance(v, bool) for v in known)
    if not known or not numeric or (recorded is not None and recorded.low is None):
        return Axis(values, choices=0 if recorded is None else recorded.choices)
    numbers = [float(str(value)) for value in known]
    low, high = min(numbers), max(numbers)
    if recorded is None or recorded.low is None or recorded.high is None:
        return Axis(values, low, high, low > 0 and high / low > LOGARITHMIC)
    # What was tried by hand may lie outside.
    low, high = min(low, recorded.low), max(high, recorded.high)
    return Axis(values, low, high, recorded.log, recorded.step)


def what_matters(ranked: Ranked) -> Block:
    """Importance of each parameter."""
    found = importances(ranked)
    if found is None:
        return Missing(
            "Importance needs parameters that vary, and enough trials with a Sharpe ratio to tell "
            "the best tenth from the others."
        )
    names = list(found)[::-1]
    return Figure(
        "Importance of parameters",
        f"PED-ANOVA: how far the best {100 * BEST:.0f} % of the trials lie elsewhere on a "
        "parameter than all trials do; together 100 %. Of few trials it is noise.",
        ", ".join(f"{name} {100 * share:.0f} %" for name, share in list(found.items())[:5]) + ".",
        [{
            "type": "bar", "orientation": "h", "y": [plain(name) for name in names],
            "x": short([100 * found[name] for name in names]), "marker": {"color": "@blue"},
            "hovertemplate": "%{y}: %{x:.1f} %<extra></extra>",
        }],
        {"xaxis": axis("importance, %"), "yaxis": {"automargin": True}, "showlegend": False},
        110 + 28 * len(names),
    )  # fmt: skip


def slices(ranked: Ranked) -> list[Block]:
    """The Sharpe ratio over each parameter, a small figure each."""
    rows = [row for row in ranked.rows if not isnan(sharpe_of(row))]
    if not rows or not ranked.params:
        return [Missing("Nothing varied, or no Sharpe ratio is defined.")]
    axes = axes_of(ranked, rows)
    order = list(importances(ranked) or axes)
    figures: list[Block] = [Words([KEY])]
    figures += [_slice(name, axes[name], rows) for name in order[:MOST_SLICES]]
    if len(order) > MOST_SLICES:
        figures.append(Missing(f"Not drawn, of least importance: {', '.join(order[MOST_SLICES:])}"))
    return figures


def _slice(name: str, values: Axis, rows: Sequence[Row]) -> Figure:
    traces: list[dict[str, Any]] = []
    has = [(value, row) for value, row in zip(values.values, rows, strict=True) if is_known(value)]
    for kind, colour, mine in outcomes(has, lambda pair: pair[1]["stop_reason"]):
        x = [value for value, _ in mine]
        traces.append({
            "name": kind, "mode": "markers", "y": short([sharpe_of(r) for _, r in mine]),
            "x": [plain(v) for v in x] if values.low is None else short(x),
            "marker": {"color": colour, "size": 6, "opacity": 0.8},
            "text": [f"trial {row['number']}" for _, row in mine],
            "hovertemplate": "%{text}<br>%{x}: %{y:.2f}<extra></extra>",
        })  # fmt: skip
    best = max(has, key=lambda pair: sharpe_of(pair[1]))[0] if has else "–"
    return Figure(
        name,
        "",
        f"Sharpe ratio over {name}; the highest one has {_short(best)}.",
        traces,
        {"xaxis": _ticks(values), "yaxis": axis("Sharpe ratio"), "showlegend": False},
        240,
        small=True,
    )


def parallel(ranked: Ranked) -> Block:
    """Parallel coordinates: a line a trial over all parameters, coloured by Sharpe ratio."""
    rows = [row for row in ranked.rows if not isnan(sharpe_of(row))]
    if len(rows) < len(FIFTHS) or len(ranked.params) < 2:
        return Missing("Parallel coordinates need five trials and two parameters that vary.")
    axes = axes_of(ranked, rows)
    order = list(importances(ranked) or axes)[:MOST_SLICES]
    scores = np.array([sharpe_of(row) for row in rows])
    height = {name: _heights(axes[name]) for name in order}
    rank = scores.argsort(kind="stable").argsort(kind="stable")
    fifth = rank * len(FIFTHS) // len(rows)
    places, many = list(range(len(order))), len(rows) > MANY
    traces: list[dict[str, Any]] = []
    for k, name in enumerate(FIFTHS):
        mine = np.flatnonzero(fifth == k)[:MOST_LINES]
        traces.append({
            "name": name, "mode": "lines", "connectgaps": False,
            "x": gapped([places] * len(mine)),
            "y": gapped([short([height[n][i] for n in order], 3) for i in mine]),
            "line": {"color": SCALE[k], "width": 1 if many else 1.5},
            "opacity": 0.9 if not many else 0.6 if name == FIFTHS[-1] else 0.25,
            "hoverinfo": "skip",
        })  # fmt: skip
    notes = [
        {"x": place, "y": y, "text": plain(text), "showarrow": False, "font": {"size": 10},
         "yanchor": "bottom" if y else "top"}
        for place, name in enumerate(order)
        for y, text in zip((0, 1), _ends(axes[name]), strict=True)
    ]  # fmt: skip
    sides = [
        {"type": "line", "x0": p, "x1": p, "y0": 0, "y1": 1, "line": {"color": "@ink", "width": 1}}
        for p in places
    ]
    return Figure(
        "All parameters at once",
        "A line is a trial, the most important parameter on the left; choices and whole numbers "
        "are moved a little apart. Where the best fifth runs together, a value matters.",
        f"{len(rows)} trials over {counted(len(order), 'parameter')}: {', '.join(order)}.",
        traces,
        {
            "xaxis": {"tickvals": places, "ticktext": [_broken(name) for name in order],
                      "showgrid": False, "showline": False, "tickangle": 0,
                      "range": [-0.4, len(order) - 0.6]},
            "yaxis": {"visible": False, "range": [-0.14, 1.14]},
            "annotations": notes, "shapes": sides,
        },
        440, wide=110 * len(order),
    )  # fmt: skip


def explosions(ranked: Ranked) -> list[Block]:
    """Where in the space trials failed numerically."""
    rows = [row for row in ranked.rows if row["state"] != "RUNNING"]
    bad = np.array([failed(row) for row in rows], dtype=bool)
    if not bad.any():
        return [Missing("No trial failed numerically: nowhere in the space did one blow up.")]
    if bad.all():
        said = "Every trial failed numerically" if len(rows) > 1 else "The only trial failed"
        return [Missing(f"{said}, so the space has no border to draw.")]
    axes = {n: a for n, a in axes_of(ranked, rows).items() if a.low is not None}
    if not axes:
        return [Missing("No number varied, so there is no map of where trials failed.")]
    apart = {name: _apart(each, bad) for name, each in axes.items()}
    order = sorted(apart, key=lambda name: -apart[name])
    figures: list[Block] = []
    if len(order) > 1:
        figures.append(_map(order[0], order[1], axes, rows, bad))
    figures.append(_shares(order[0], axes[order[0]], bad))
    return figures


def _map(first: str, second: str, axes: Mapping[str, Axis], rows: Sequence[Row], bad: np.ndarray
         ) -> Figure:  # fmt: skip
    kinds = ("nan_explosion", "other numeric failure", "no numeric failure")
    marks = (
        {"color": "@red", "symbol": "x", "size": 9},
        {"color": "@brown", "symbol": "diamond-open", "size": 9},
        {"color": "@faint", "size": 7},
    )
    of_kind = [
        2 if not is_bad else 0 if row["stop_reason"] == kinds[0] else 1
        for row, is_bad in zip(rows, bad, strict=True)
    ]
    x, y = axes[first].values, axes[second].values
    traces: list[dict[str, Any]] = []
    for k in (2, 1, 0):
        mine = [
            i for i, kind in enumerate(of_kind)
            if kind == k and x[i] is not None and y[i] is not None
        ]  # fmt: skip
        if mine:
            traces.append({
                "name": f"{kinds[k]} ({len(mine)})", "mode": "markers", "marker": marks[k],
                "x": short([x[i] for i in mine]), "y": short([y[i] for i in mine]),
                "text": [f"trial {rows[i]['number']}: {plain(rows[i]['stop_reason'])}, epoch "
                         f"{rows[i]['epochs']}" for i in mine],
                "hovertemplate": "%{text}<br>%{x}, %{y}<extra></extra>",
            })  # fmt: skip
    return Figure(
        "Where trials blow up",
        "The two parameters on which failed trials differ most from the others. A corner that is "
        "full of crosses need not be searched.",
        f"{int(bad.sum())} of {len(rows)} trials failed numerically; they differ most from the "
        f"others on {first} and {second}.",
        traces,
        {"xaxis": _ticks(axes[first]) | axis(plain(first)),
         "yaxis": _ticks(axes[second]) | axis(plain(second), automargin=True)},
        420,
    )  # fmt: skip


def _shares(name: str, values: Axis, bad: np.ndarray) -> Block:
    """How often trials fail over the ranges of a parameter."""
    has = np.array([value is not None for value in values.values])
    numbers = np.array([v for v in values.values if v is not None], dtype=np.float64)
    edges = np.unique(np.quantile(numbers, np.linspace(0, 1, BINS + 1)))
    if len(edges) < 2:
        return Missing(f"Too few values of {name} to say how often trials fail over it.")
    place = np.clip(np.searchsorted(edges, numbers, side="right") - 1, 0, len(edges) - 2)
    names, shares, above, below = [], [], [], []
    for k in range(len(edges) - 1):
        count, failures = int((place == k).sum()), int(bad[has][place == k].sum())
        if count < FEWEST:
            continue
        low, high = clopper_pearson(failures, count)
        names.append(f"{edges[k]:.2g} – {edges[k + 1]:.2g}")
        shares.append(100 * failures / count)
        above.append(100 * high - shares[-1])
        below.append(shares[-1] - 100 * low)
    if not names:
        return Missing(f"Fewer than {FEWEST} trials in each range of {name}: too few for a share.")
    return Figure(
        "How often trials fail",
        f"Share of numeric failures over {name}, in ranges that hold equally many trials, with "
        "95 % intervals (Clopper and Pearson 1934).",
        f"Over {name}: " + ", ".join(f"{n}: {s:.0f} %" for n, s in zip(names, shares, strict=True)),
        [{
            "mode": "markers", "x": names, "y": short(shares),
            "marker": {"color": "@red", "size": 9},
            "error_y": {"type": "data", "array": short(above), "arrayminus": short(below),
                        "symmetric": False, "color": "@muted", "thickness": 1.3, "width": 4},
        }],
        {"xaxis": axis(plain(name), type="category"),
         "yaxis": axis("failed, %", rangemode="tozero"), "showlegend": False},
        340,
    )  # fmt: skip


def _apart(values: Axis, bad: np.ndarray) -> float:
    """Returns how far failed trials differ from the others on a parameter, 0 to 1.

    The largest distance of the two distribution functions (Smirnov 1939).
    """
    has = np.array([value is not None for value in values.values])
    numbers = np.array([v for v in values.values if v is not None], dtype=np.float64)
    one, other = np.sort(numbers[bad[has]]), np.sort(numbers[~bad[has]])
    if not len(one) or not len(other):
        return 0.0
    at = np.concatenate([one, other])
    below = [np.searchsorted(each, at, side="right") / len(each) for each in (one, other)]
    return float(np.abs(below[0] - below[1]).max())


def _heights(values: Axis) -> np.ndarray:
    """Returns where each trial lies on an axis from 0 to 1; NaN where it has it not."""
    random = np.random.default_rng(0)
    if values.low is None or values.high is None:
        names = _choices(values)
        place = {name: i / max(1, len(names) - 1) for i, name in enumerate(names)}
        found = np.array(
            [np.nan if v is None else place[str(v)] for v in values.values], dtype=np.float64
        )
        return np.clip(found + random.uniform(-0.02, 0.02, len(found)), 0, 1)
    numbers = np.array([np.nan if v is None else v for v in values.values], dtype=np.float64)
    low, high = values.low, values.high
    if values.log:
        low, high, numbers = log10(low), log10(high), np.log10(numbers)
    found = (numbers - low) / (high - low) if high > low else numbers * 0 + 0.5
    if values.step is not None:
        found = np.clip(found + random.uniform(-0.01, 0.01, len(found)), 0, 1)
    return found


def _choices(values: Axis) -> list[str]:
    """Returns the values that were chosen, as texts; numbers by size."""
    known = {str(value) for value in values.values if value is not None}
    numbers = not any(isinstance(value, str) for value in values.values)
    return sorted(known, key=float) if numbers else sorted(known)


def _ends(values: Axis) -> tuple[str, str]:
    """Returns what is written at both ends of an axis."""
    if values.low is None or values.high is None:
        names = _choices(values)
        return (names[0], names[-1]) if len(names) > 1 else ("", "")
    return f"{values.low:.3g}", f"{values.high:.3g}"


def _ticks(values: Axis) -> dict[str, Any]:
    if values.low is None:
        return {"type": "category", "categoryorder": "array",
                "categoryarray": [plain(name) for name in _choices(values)]}  # fmt: skip
    if not values.log:
        return {}
    low, high = values.low, values.high or values.low
    steps = (1, 2, 5) if high / low < 100 else (1,)
    decades = range(floor(log10(low)), ceil(log10(high)) + 1)
    every = 1 if len(decades) <= 7 else 2
    at = [step * 10.0**decade for decade in decades[::every] for step in steps]
    shown = [value for value in at if low / 1.2 <= value <= high * 1.2]
    return {"type": "log", "tickvals": shown, "ticktext": [f"{value:g}" for value in shown]}


def _broken(name: str) -> str:
    group, _, field = name.rpartition("/")
    return f"{plain(group)}/<br>{plain(field)}" if group else plain(field)


def _short(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
