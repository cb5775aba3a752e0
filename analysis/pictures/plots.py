"""Pictures of a run: each function takes a `Run` and returns a matplotlib `Figure`."""

from collections.abc import Mapping
from math import isnan, sqrt
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from analysis.load import Run
from analysis.pictures import plot_style as style
from analysis.ranking import baselines, rank, sharpe_of, varied_params
from analysis.verdict.luck import luck
from trainable.cli.text import signed
from trainable.io.json_file import loads

Row = Mapping[str, Any]

TOP = 5
PANELS = 9


def sharpe_sorted(run: Run) -> Figure:
    """All configurations by Sharpe ratio, beside the luck line and the baselines.

    Finalists stand at the mean over their seeds, with each seed as a small dot; all others at the
    Sharpe ratio of their epoch of lowest validation loss, of fewer epochs.
    """
    figure = style.canvas("Sharpe ratio of every configuration")
    rows = [(sharpe_of(row), row) for row in rank(run).to_dict("records")]
    shown = sorted(((v, r) for v, r in rows if not isnan(v)), key=lambda pair: -pair[0])
    if not shown:
        return style.nothing(figure, "no configuration has a defined Sharpe ratio")
    axes = figure.add_subplot()
    colours = [style.OUTCOMES[style.outcome(row["stop_reason"])] for _, row in shown]
    faces = [
        "white" if row["failed_seeds"] else colour
        for colour, (_, row) in zip(colours, shown, strict=True)
    ]
    places = range(1, len(shown) + 1)
    axes.scatter(places, [v for v, _ in shown], s=34, c=faces, edgecolors=colours, zorder=3)
    for place, (_, row) in zip(places, shown, strict=True):
        if row["sharpe_seeds"] > 1:
            seeds = _seed_sharpes(run, row)
            axes.scatter([place] * len(seeds), seeds, s=9, color=style.SKY, zorder=2)
    undefined = len(rows) - len(shown)
    left_out = f" ({undefined} more have no Sharpe ratio)" if undefined else ""
    style.dress(
        axes, f"configurations, the best first{left_out}", "annual Sharpe ratio", whole=True
    )
    axes.set_xlim(0.2, len(shown) + 0.8)
    _reference_lines(run, axes, max(row["sharpe_seeds"] for _, row in shown))
    extra = {}
    if any(row["sharpe_seeds"] > 1 for _, row in shown):
        extra["one seed"] = Line2D([], [], color=style.SKY, marker=".", ls="")
    if any(row["failed_seeds"] for _, row in shown):
        extra["a seed failed"] = Line2D([], [], color=style.BLUE, marker="o", mfc="white", ls="")
    style.key(figure, (style.outcome(row["stop_reason"]) for _, row in shown), extra)
    return figure


def learning_curves(run: Run) -> Figure:
    """Validation loss and Sharpe ratio over epochs, coloured by how the trial ended."""
    figure = style.canvas("Learning curves by how the trial ended")
    reasons = {row["number"]: row["stop_reason"] for row in run.searched_rows}
    known = run.epochs.query("number in @reasons")
    groups = [curve for _, curve in known.groupby("number")]
    curves = [(int(np.asarray(curve["number"])[0]), curve) for curve in groups]
    if not curves:
        return style.nothing(figure, "no trial has finished an epoch")
    # Finished trials are drawn last, above the others.
    curves.sort(key=lambda item: style.outcome(reasons[item[0]]) == "finished")
    left, right = figure.subplots(1, 2)
    for number, curve in curves:
        colour = style.OUTCOMES[style.outcome(reasons[number])]
        marker = "o" if len(curve) == 1 else ""
        for axes, column in ((left, "val_loss"), (right, "sharpe")):
            values = np.asarray(curve[column], float)
            axes.plot(curve["epoch"], values, color=colour, marker=marker, ms=3, lw=1, alpha=0.7)
    for axes, name in ((left, "validation loss"), (right, "annual Sharpe ratio, validation")):
        style.dress(axes, "epoch", name, whole=True)
        axes.set_xlim(0, max(known["epoch"]) + 1)
    _robust_limits(left, np.concatenate([np.asarray(c["val_loss"], float) for _, c in curves]))
    style.key(figure, (style.outcome(reasons[number]) for number, _ in curves))
    return figure


def equity_curves(run: Run) -> Figure:
    """Summed net returns of the five best and the baselines, at equal volatility.

    Each is scaled to 10 % volatility a year over the whole validation part, so that its slope is
    its Sharpe ratio and a long-only baseline compares with a dollar-neutral portfolio.
    """
    figure = style.canvas("Net returns on the validation part, summed, at 10 % volatility a year")
    axes = figure.add_subplot()
    labels: dict[str, tuple[float, str]] = {}
    finalists = rank(run).query("sharpe_mean == sharpe_mean").to_dict("records")[:TOP]
    for row, colour in zip(finalists, style.LINES, strict=False):
        _equity(run, axes, labels, row["number"], f"trial {row['number']}", colour, "-")
    dashes = (":", "--", "-.")
    for i, row in enumerate(baselines(run).to_dict("records")):
        _equity(run, axes, labels, row["number"], row["name"], style.GREY, dashes[i % len(dashes)])
    if not labels:
        axes.remove()
        return style.nothing(figure, "no finalist and no baseline has returns")
    style.dress(axes, "", "summed net return, %")
    axes.axhline(0, color="#BBBBBB", lw=0.8)
    axes.margins(x=0)
    axes.tick_params(axis="x", rotation=0)
    style.label_right(axes, labels)
    return figure


def parameters(run: Run) -> Figure:
    """The Sharpe ratio of every configuration over each searched parameter."""
    rows = [row for row in rank(run).to_dict("records") if not isnan(sharpe_of(row))]
    varied = varied_params(run)
    names = varied[:PANELS]
    if not rows or not names:
        figure = style.canvas("Searched parameters and the Sharpe ratio")
        return style.nothing(figure, "nothing varied, or no Sharpe ratio is defined")
    lines = -(-len(names) // 3)
    some = f" (the first {PANELS} of {len(varied)})" if len(varied) > PANELS else ""
    title = f"Searched parameters{some} and the Sharpe ratio"
    figure = style.canvas(title, height=1.3 + 2.5 * lines)
    panels = figure.subplots(lines, 3, squeeze=False, sharey=True).ravel()
    for axes, name in zip(panels, names, strict=False):
        _parameter(axes, name, rows)
    for axes in panels[len(names) :]:
        axes.set_axis_off()
    for axes in panels[: len(names) : 3]:
        axes.set_ylabel("annual Sharpe ratio", fontsize=10, color=style.BLACK)
    style.key(figure, (style.outcome(row["stop_reason"]) for row in rows))
    return figure


def _rung(row: Row) -> int:
    """Returns the rung that stopped a trial, which may have trained on before it could judge."""
    level = loads(row["stop_evidence"] or "{}").get("level")
    return int(row["stop_epoch"] if level is None else level)


def pruned(run: Run) -> Figure:
    """When configurations were stopped, and why: counts by stop reason and rung reached."""
    figure = style.canvas("Trials stopped before their end")
    rows = run.searched.query("state in ('PRUNED', 'FAIL')").to_dict("records")
    if not rows:
        return style.nothing(figure, "no trial was pruned and none failed")
    rungs = sorted({_rung(row) for row in rows if row["stop_reason"] == "asha_rung"})
    last = max([int(r["epochs"]) for r in rows if not isnan(r["epochs"])] + [1])
    edges = rungs if rungs and rungs[-1] >= last else [*rungs, last]
    axes = figure.add_subplot()
    base = np.zeros(len(edges))
    reasons = [str(row["stop_reason"]) for row in rows]
    for reason in sorted(set(reasons), key=lambda name: (-reasons.count(name), name)):
        ends = [
            0 if isnan(r["epochs"]) else r["epochs"] for r in rows if r["stop_reason"] == reason
        ]
        counts = np.bincount(np.searchsorted(edges, ends), minlength=len(edges))
        colour = style.REASONS.get(reason, style.GREY)
        label = f"{reason} ({len(ends)})"
        axes.bar(
            range(len(edges)),
            counts,
            bottom=base,
            color=colour,
            width=0.65,
            ec="white",
            label=label,
        )
        base = base + counts
    starts = [1, *(edge + 1 for edge in edges[:-1])]
    names = [f"{a}" if a == b else f"{a} – {b}" for a, b in zip(starts, edges, strict=True)]
    axes.set_xticks(range(len(edges)), names)
    style.dress(axes, "last epoch, up to each rung", "trials stopped")
    axes.set_xlim(-0.6, max(len(edges), 4) - 0.4)
    axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    axes.legend(frameon=False, fontsize=9, loc="center left", bbox_to_anchor=(1.0, 0.5))
    return figure


PLOTS = {
    "sharpe": sharpe_sorted,
    "learning": learning_curves,
    "equity": equity_curves,
    "parameters": parameters,
    "pruned": pruned,
}


def _seed_sharpes(run: Run, row: Row) -> list[float]:
    number = row["number"]  # noqa: F841 (the query reads it)
    seeds = run.trials.query("kind == 'seed' and parent == @number and state == 'COMPLETE'")
    return [row["sharpe"], *(float(s) for s in seeds["sharpe"])]


def _reference_lines(run: Run, axes: Axes, seeds: int) -> None:
    """Draws the baselines, and the luck lines of one seed and of means of so many."""
    labels: dict[str, tuple[float, str]] = {}
    for row in baselines(run).to_dict("records"):
        if not isnan(row["sharpe"]):
            axes.axhline(row["sharpe"], color="#BBBBBB", lw=1, zorder=1)
            labels[f"{row['name']} {signed(row['sharpe'])}"] = (row["sharpe"], "#666666")
    chance = luck(run)
    lines = {}
    if chance is not None:
        lines["luck line"] = chance.one_seed
        if seeds > 1:
            lines[f"luck line, {seeds} seeds"] = chance.line(seeds)
    for name, line in lines.items():
        axes.axhline(line, color=style.BLACK, lw=1.4, ls=(0, (5, 3)), zorder=1)
        labels[f"{name} {line:.2f}"] = (line, style.BLACK)
    style.label_right(axes, labels)


def _equity(run: Run, axes: Axes, labels: dict[str, tuple[float, str]], number: int, name: str,
            colour: str, dash: str) -> None:  # fmt: skip
    curve = run.curve(number)
    returns = np.asarray(curve["net_return"], float)
    if len(returns) < 2 or not returns.std(ddof=1) > 0:
        return
    scale = 0.10 / (returns.std(ddof=1) * sqrt(run.periods_per_year))
    summed = 100 * scale * returns.cumsum()
    axes.plot(curve["timestamp"], summed, color=colour, ls=dash, lw=1.5 if dash == "-" else 1.2)
    labels[name] = (float(summed[-1]), colour if dash == "-" else "#666666")


def _parameter(axes: Axes, name: str, rows: list[dict[str, Any]]) -> None:
    rows = [row for row in rows if row[name] is not None and row[name] == row[name]]
    values = [row[name] for row in rows]
    numeric = all(isinstance(v, int | float) and not isinstance(v, bool) for v in values)
    if numeric:
        x = np.asarray(values, float)
    else:
        names = sorted({str(v) for v in values})
        jitter = np.random.default_rng(0).uniform(-0.12, 0.12, len(values))
        x = np.array([names.index(str(v)) for v in values], float) + jitter
        axes.set_xticks(range(len(names)), names)
        axes.set_xlim(-0.5, len(names) - 0.5)
    colours = [style.OUTCOMES[style.outcome(row["stop_reason"])] for row in rows]
    axes.scatter(x, [sharpe_of(row) for row in rows], s=20, c=colours, alpha=0.85, linewidths=0)
    style.dress(axes, name.removeprefix("params."), "")
    if numeric and x.min() > 0 and x.max() / x.min() > 5:
        axes.set_xlim(x.min() / 1.15, x.max() * 1.15)
        style.logarithmic(axes)


def _robust_limits(axes: Axes, values: np.ndarray) -> None:
    """Keeps one exploding curve from flattening all others: 98 % of the values are in view."""
    values = values[np.isfinite(values)]
    if len(values) < 3:
        return
    low, high = np.percentile(values, [0, 98])
    if high > low:
        margin = 0.06 * (high - low)
        axes.set_ylim(low - margin, high + margin)
