"""Figures of how trials were trained and stopped: curves, rungs, compute."""

from collections import Counter
from math import isnan
from typing import Any

import numpy as np
import pandas as pd

from analysis.pictures.plot_style import outcome
from analysis.report.content import (
    REASONS,
    Block,
    Figure,
    Missing,
    Ranked,
    axis,
    gapped,
    in_order,
    is_known,
    outcomes,
    plain,
    short,
)
from trainable.cli.text import counted, duration, signed

MOST_CURVES = 1_500  # trials whose curves are drawn
DIAGONAL = {"color": "@faint", "width": 1, "dash": "dash"}
BOTH_ROWS = {"xaxis": "x", "yaxis": "y"}, {"xaxis": "x2", "yaxis": "y2"}


def train_and_validation(ranked: Ranked) -> list[Block]:
    """Training against validation: a dot a trial, and curves of the first finalists."""
    epochs = ranked.run.epochs
    if "train_sharpe" not in epochs or not len(epochs["train_sharpe"].dropna()):
        return [Missing("Sharpe ratios on the training part are not stored in this run folder.")]
    return [_overfitting(ranked), *_curves_of_finalists(ranked)]


def _overfitting(ranked: Ranked) -> Block:
    """Sharpe ratios on both parts, of each trial at the epoch that ranks it."""
    columns = ["number", "epoch", "train_sharpe", "sharpe"]
    epochs = ranked.run.epochs[columns].dropna().to_numpy(dtype=np.float64)
    at = {(int(number), int(epoch)): (train, valid) for number, epoch, train, valid in epochs}
    known = [
        (str(row["stop_reason"]), int(row["number"]), *at[place])
        for row in ranked.run.searched_rows
        if is_known(row["ranking_epoch"])
        and (place := (int(row["number"]), int(row["ranking_epoch"]))) in at
    ]
    if not known:
        return Missing("No trial has a Sharpe ratio on both parts.")
    traces = [
        {
            "name": name, "mode": "markers", "x": short([train for *_, train, _ in mine]),
            "y": short([valid for *_, valid in mine]),
            "marker": {"color": colour, "size": 7, "opacity": 0.8},
            "text": [f"trial {number}" for _, number, *_ in mine],
            "hovertemplate": "%{text}<br>training %{x:.2f}, validation %{y:.2f}<extra></extra>",
        }
        for name, colour, mine in outcomes(known, lambda one: one[0])
    ]  # fmt: skip
    values = np.array([one[2:] for one in known], dtype=np.float64)
    low, high = float(values.min()), float(values.max())
    gap = float(np.median(values[:, 0] - values[:, 1]))
    line = {"type": "line", "x0": low, "y0": low, "x1": high, "y1": high, "line": DIAGONAL}
    return Figure(
        "Each trial on both parts",
        "Each trial at the epoch that ranks it. On the dashed line both parts earn the same; far "
        "to the right of it a network has learnt its training dates by heart.",
        f"Of {len(known)} trials the Sharpe ratio is {signed(gap)} higher on the training "
        "part, in the median.",
        traces,
        {"xaxis": axis("Sharpe ratio, training"), "yaxis": axis("Sharpe ratio, validation"),
         "shapes": [line]},
        420,
    )  # fmt: skip


def _curves_of_finalists(ranked: Ranked) -> list[Block]:
    traces: list[dict[str, Any]] = []
    for row, colour in ranked.drawn:
        mine = ranked.run.epochs.query("number == @row['number']")
        for column, dash, what, shown in (
            ("train_sharpe", "dot", "training", False), ("sharpe", "solid", "validation", True),
        ):  # fmt: skip
            name = f"trial {row['number']}"
            traces.append({
                "name": name, "legendgroup": name, "showlegend": shown, "mode": "lines",
                "x": mine["epoch"].tolist(), "y": short(mine[column]),
                "line": {"color": colour, "dash": dash, "width": 1.8},
                "hovertemplate": f"{name}, {what}: %{{y:.2f}}<extra></extra>",
            })  # fmt: skip
    if not traces:
        return []
    return [
        Figure(
            "The first finalists over their training",
            "Solid: validation; dotted: training. Where the dotted line goes on rising alone, what "
            "is learnt is no longer about other dates.",
            f"Sharpe ratios by epoch of {counted(len(traces) // 2, 'finalist')}, both parts.",
            traces,
            {"xaxis": axis("epoch"), "yaxis": axis("annual Sharpe ratio")},
        )
    ]


def learning_curves(ranked: Ranked) -> Block:
    """Validation loss and Sharpe ratio over epochs, by stop reason."""
    run = ranked.run
    reasons = {int(row["number"]): str(row["stop_reason"]) for row in run.searched_rows}
    known = run.epochs.loc[run.epochs["number"].isin(list(reasons))]
    if known.empty:
        return Missing("No trial has finished an epoch.")
    shown = list(dict.fromkeys(known["number"].tolist()))
    some = ""
    if len(shown) > MOST_CURVES:
        some = f" The first {MOST_CURVES:,} of {len(shown):,} trials."
        known = known.loc[known["number"].isin(shown[:MOST_CURVES])]
    lines: dict[str, list[pd.DataFrame]] = {}
    for number, curve in known.groupby("number"):
        lines.setdefault(reasons[int(str(number))], []).append(curve)
    traces: list[dict[str, Any]] = []
    order = in_order(list(lines))
    for reason in sorted(order, key=lambda name: outcome(name) == "finished"):
        curves = lines[reason]
        x = gapped([curve["epoch"].tolist() for curve in curves])
        text = gapped([[f"trial {n}" for n in curve["number"]] for curve in curves])
        for column, where in zip(("val_loss", "sharpe"), BOTH_ROWS, strict=True):
            traces.append(where | {
                "name": f"{plain(reason)} ({len(curves)})", "legendgroup": plain(reason),
                "showlegend": column == "sharpe", "mode": "lines+markers", "x": x,
                "y": gapped([short(curve[column], 6) for curve in curves]), "text": text,
                "line": {"color": REASONS.get(reason, "@grey"), "width": 1}, "opacity": 0.65,
                "marker": {"size": 3}, "connectgaps": False,
                "hovertemplate": "%{text}, epoch %{x}: %{y}<extra></extra>",
            })  # fmt: skip
    losses = _most(known["val_loss"].to_numpy(dtype=float))
    ratios = _most(known["sharpe"].to_numpy(dtype=float))
    counts = Counter(reasons[number] for number in shown[:MOST_CURVES])
    said = ", ".join(f"{reason} {count}" for reason, count in counts.most_common())
    return Figure(
        "By stop reason",
        "Above the validation loss, which chooses each trial's epoch; below the Sharpe ratio. 98 % "
        f"of the values are in view. A click on a reason hides its trials.{some}",
        f"Curves of {min(len(shown), MOST_CURVES)} trials: {said}.",
        traces,
        {
            "xaxis": {"anchor": "y", "matches": "x2", "showticklabels": False},
            "xaxis2": axis("epoch", anchor="y2"),
            "yaxis": axis("validation loss", domain=[0.54, 1], range=losses),
            "yaxis2": axis("Sharpe ratio", domain=[0, 0.46], range=ratios),
        },
        580,
    )


def rungs(ranked: Ranked) -> Block:
    """How many trials came to each rung, and what became of them until the next."""
    rows = [row for row in ranked.run.searched_rows if row["state"] != "RUNNING"]
    levels = [int(level) for level in ranked.run.run.get("rungs") or []]
    if not levels:
        return Missing("The rungs of this run are not stored in its folder.")
    if not rows:
        return Missing("No trial has ended.")
    last = [0 if isnan(row["epochs"]) else int(row["epochs"]) for row in rows]
    levels = levels if max(last) <= levels[-1] else [*levels, max(last)]
    starts = [1, *(level + 1 for level in levels[:-1])]
    names = [f"{a}" if a == b else f"{a}–{b}" for a, b in zip(starts, levels, strict=True)]
    place = np.searchsorted(levels, last)
    gone_on = [int((place > i).sum()) for i in range(len(levels))]
    reasons = in_order([str(row["stop_reason"]) for row in rows])
    traces: list[dict[str, Any]] = [
        {"type": "bar", "name": "went on", "x": names, "y": gone_on,
         "marker": {"color": "@faint"}}
    ]  # fmt: skip
    for reason in reasons:
        mine = [p for p, row in zip(place, rows, strict=True) if row["stop_reason"] == reason]
        counts = np.bincount(mine, minlength=len(levels)).tolist()
        traces.append({
            "type": "bar", "name": f"{plain(reason)} ({len(mine)})", "x": names, "y": counts,
            "marker": {"color": REASONS.get(reason, "@grey")},
        })  # fmt: skip
    reached = [len(rows) - int((place < i).sum()) for i in range(len(levels))]
    return Figure(
        "From rung to rung",
        "A bar is the epochs up to a rung: the trials that trained in them, and how they ended "
        "there. Grey ones went on to the next.",
        "Trials that trained up to each rung: "
        + ", ".join(f"epochs {n}: {count}" for n, count in zip(names, reached, strict=True)),
        traces,
        {"barmode": "stack", "bargap": 0.25,
         "xaxis": axis("epochs, up to each rung", type="category"), "yaxis": axis("trials")},
    )  # fmt: skip


def compute(ranked: Ranked) -> Block:
    """Seconds of training by stop reason, of all trials and seeds."""
    trained = ranked.run.trials.loc[ranked.run.trials["kind"] != "baseline"]
    if "seconds" not in trained or not trained["seconds"].sum() > 0:
        return Missing("Training times are not stored in this run folder.")
    sums: dict[str, float] = {}
    for row in trained.to_dict("records"):
        if not isnan(row["seconds"]):
            what = "further seeds" if row["kind"] == "seed" else str(row["stop_reason"])
            what = "finished on the side" if row["kind"] == "regret" else what
            sums[what] = sums.get(what, 0.0) + float(row["seconds"])
    order = sorted(sums, key=lambda what: sums[what])
    total = sum(sums.values())
    return Figure(
        "Compute by reason",
        f"{duration(total)} of training in all, by how the trial ended. What went into trials that "
        "a rule stopped was the price of finding the finalists.",
        ", ".join(f"{what} {_share(sums[what] / total)}" for what in reversed(order)) + ".",
        [{
            "type": "bar", "orientation": "h", "y": [plain(what) for what in order],
            "x": short([sums[what] for what in order]),
            "text": [_share(sums[what] / total) for what in order], "textposition": "auto",
            "marker": {"color": [REASONS.get(what, "@steel") for what in order]},
            "hovertemplate": "%{y}: %{x:.4g} s<extra></extra>",
        }],
        {"xaxis": axis("seconds of training"), "yaxis": {"automargin": True},
         "showlegend": False},
        120 + 34 * len(order),
    )  # fmt: skip


def _share(value: float) -> str:
    return "< 1 %" if value < 0.005 else f"{100 * value:.0f} %"


def _most(values: np.ndarray) -> list[float] | None:
    """Returns limits with 98 % of the values: one that explodes does not flatten all others."""
    values = values[np.isfinite(values)]
    if len(values) < 3:
        return None
    low, high = np.percentile(values, [1, 99])
    if not high > low:
        return None
    margin = 0.06 * (high - low)
    return [float(low - margin), float(high + margin)]
