"""What others than the search's own dates say: finalists on folds, what was opened, placebos."""

from collections.abc import Mapping, Sequence
from itertools import groupby
from math import log10
from typing import Any

from analysis.confirmation_table import DIGITS, LEAST, PLACES, dated, figures_of
from analysis.report.content import (
    LINES,
    Block,
    Figure,
    Missing,
    Ranked,
    Table,
    Words,
    axis,
    plain,
    short,
)
from analysis.tries import is_placebo
from analysis.verdict.alarms import too_good
from analysis.verdict.confirm_folder import (
    NONE,
    TRAININGS,
    Kept,
    confirm_command,
    kept_sentences,
    windows,
)
from analysis.verdict.confirmed import Confirmation
from analysis.verdict.gate import Gate, bet_text, gate_sentences
from analysis.verdict.placebo import (
    USUAL,
    Placebos,
    nature_sentences,
    placebo_command,
    placebo_sentences,
    placebos,
    reaching,
)
from trainable.cli.text import counted, listed, signed

KINDS = {"walk": "walk-forward", "groups": "combinatorial", "symbols": "held-out symbols"}
SHAPES = {"ridge": "x-thin-open", "equal_weight": "line-ew-open"}  # of baselines
EVIDENT = 20.0  # an e-value, whose p is 0.05
WIDE = 12  # folds, from which on a narrow screen scrolls the picture
LEGEND = {"orientation": "h", "x": 0, "y": 1.07, "yanchor": "bottom", "itemsizing": "constant"}
NAMES = {"gate": "gate", "test": "sealed test"}


def confirmation(ranked: Ranked) -> list[Block]:
    """What finalists earn on folds that did not choose them, and on dates that were opened."""
    return [*_folds(ranked), *_windows(ranked)]


def _folds(ranked: Ranked) -> list[Block]:
    kept, run = ranked.confirmed, ranked.run
    if kept is None:
        return [Missing(_why_not(ranked))]
    good = too_good(run, ranked.finalists)
    said: list[Block] = [Words(kept_sentences(kept, ranked.ranking, good))]
    if kept.found is None:
        return said if kept.asked.folds else [Missing("Nothing was trained on folds.")]
    left_out = (
        [Missing(f"Left out: {'; '.join(kept.asked.left_out)}.")] if kept.asked.left_out else []
    )
    return [*said, *left_out, _finalists(kept.found), *_places(kept.found), _by_fold(kept)]


def _why_not(ranked: Ranked) -> str:
    run = ranked.run
    if nature := nature_sentences(run):
        return f"{nature[0]} There is nothing to confirm."
    if ranked.goes_on:
        return "Not confirmed: finalists are trained again once the search has ended."
    if not ranked.finalists:
        return "No finalist has a Sharpe ratio, so there is nothing to confirm."
    command = confirm_command(run)
    if (run.folder / TRAININGS).is_file():
        return (
            "What confirm/ holds was written by an older version, which did not store what was "
            f"asked for: {command} says it again, without training what is there."
        )
    return (
        f"Not confirmed: {command} trains the finalists again, with new seeds, on folds that did "
        "not choose them."
    )


def _finalists(found: Confirmation) -> Table:
    rows = figures_of(found)
    names = list(rows[0])
    heads = ["> 0, %" if name == "> 0" else name for name in names]
    return Table(
        "The finalists, trained again",
        heads,
        [[_cell(name, row.get(name)) for name in names] for row in rows],
        dict.fromkeys(heads, 2) | DIGITS | {"> 0, %": 0},
        f"{counted(found.seeds, 'new seed')} each. ranking: Sharpe ratio of the search, on the "
        "validation dates. before: walk-forward before these, all seeds in equal shares, with its "
        "standard error, and p of all that were looked at. valid: the same on the validation "
        "dates, which flatter. median, spread and > 0 are over seeds and all folds of dates; "
        "symbols is the mean on held-out symbols.",
    )


def _cell(name: str, value: str | float | None) -> str | float | None:
    if name == "trial":
        return str(value)
    if name == "p" and isinstance(value, float) and value < LEAST:
        return f"< {LEAST}"
    return 100.0 * value if name == "> 0" and isinstance(value, float) else value


def _places(found: Confirmation) -> list[Block]:
    """The order of the finalists on each walk-forward fold."""
    folds = list(found.finalists[0].ranks)
    if len(found.finalists) < 2 or not folds:
        return []
    return [
        Table(
            PLACES,
            ("trial", *_labels(found, folds).values()),
            [[str(one.number), *(one.ranks[fold] for fold in folds)] for one in found.finalists],
            note="1 is the highest mean over the seeds; – has no Sharpe ratio there.",
        )
    ]


def _labels(found: Confirmation, folds: Sequence[str]) -> dict[str, str]:
    """Returns how each fold is named beneath a picture; by its own name where that is not clear."""
    labels = {fold: _label(found, fold) for fold in folds}
    return labels if len(set(labels.values())) == len(folds) else {fold: fold for fold in folds}


def _label(found: Confirmation, fold: str) -> str:
    kind, before, *_ = found.folds[fold]
    if kind == "walk":
        return dated(found, fold) if before else "validation"
    parts = fold.split("-")[1:]
    return f"groups {listed(parts)}" if kind == "groups" else f"half {parts[0]}"


def _by_fold(kept: Kept) -> Block:
    """The Sharpe ratio of each finalist on each fold, mean and range over its seeds."""
    found = kept.found
    known = kept.trainings.dropna(subset=["sharpe"])
    if found is None or known.empty:
        return Missing("No training has a Sharpe ratio on its fold.")
    folds = [fold for fold in found.folds if fold in set(known["fold"])]
    labels = _labels(found, folds)
    spread = known.groupby(["number", "name", "fold"], sort=False)["sharpe"].agg(
        ["mean", "min", "max"]
    )
    traces = []
    for one, colour in zip(found.finalists, LINES, strict=False):
        mine = [fold for fold in folds if (one.number, "trial", fold) in spread.index]
        if mine:
            at = spread.loc[[(one.number, "trial", fold) for fold in mine]]
            trace = _dots(
                f"trial {one.number}", [labels[fold] for fold in mine], at["mean"], colour
            )
            ends = {
                "array": short(at["max"] - at["mean"]), "arrayminus": short(at["mean"] - at["min"]),
            }  # fmt: skip
            trace["error_y"] = {"type": "data", "symmetric": False, "thickness": 1.2, "width": 0,
                                "color": colour} | ends  # fmt: skip
            traces.append(trace)
    for name in found.baselines:
        mine = [fold for fold in folds if (NONE, name, fold) in spread.index]
        if mine:
            at = spread.loc[[(NONE, name, fold) for fold in mine]]
            trace = _dots(
                name.replace("_", " "), [labels[fold] for fold in mine], at["mean"], "@muted"
            )
            trace["marker"] |= {"symbol": SHAPES.get(name, "cross-thin-open")}
            traces.append(trace)
    walked = [fold for fold in folds if found.folds[fold][:2] == ("walk", True)]
    trials = known[(known["number"] != NONE) & known["fold"].isin(walked)]["sharpe"]
    shown = len(found.finalists[: len(LINES)])
    more = f" The first {shown} of {len(found.finalists)} are drawn." * (
        shown < len(found.finalists)
    )
    lines, notes = _kinds([found.folds[fold][0] for fold in folds])
    return Figure(
        "Sharpe ratio by fold",
        "A dot is the mean over the new seeds of a finalist, a line their range. Walk-forward "
        "folds stand at the month in which they begin; only those before the validation part "
        f"judge. Combinatorial folds overlap each other.{more}",
        f"{counted(len(folds), 'fold')}. " + (
            f"Walk-forward before the validation part {(trials > 0).sum()} of "
            f"{counted(len(trials), 'training')} earn more than nothing; "
            f"{signed(trials.min())} to {signed(trials.max())}." if len(trials) else ""
        ),
        traces,
        {
            "scattermode": "group", "scattergap": 0.3,
            "xaxis": axis("", type="category", categoryorder="array", tickangle=-60,
                          categoryarray=[labels[fold] for fold in folds],
                          range=[-0.6, len(folds) - 0.4]),
            "yaxis": axis("annual Sharpe ratio"),
            "shapes": lines, "annotations": notes, "legend": LEGEND,
        },
        460,
        wide=30 * len(folds) + 70 if len(folds) >= WIDE else 0,
    )  # fmt: skip


def _dots(name: str, x: Sequence[str], y: Any, colour: str) -> dict[str, Any]:
    return {
        "name": plain(name), "mode": "markers", "x": list(x), "y": short(y),
        "marker": {"color": colour, "size": 7},
        "hovertemplate": "%{x}: %{y:.2f}<extra>%{fullData.name}</extra>",
    }  # fmt: skip


def _kinds(kinds: Sequence[str]) -> tuple[list[Any], list[Any]]:
    """Returns lines between the kinds of folds, and the name of each above its own.

    Args:
        kinds: of each fold, those of one kind beside each other.
    """
    lines, notes, begin = [], [], 0
    for kind, several in groupby(kinds):
        end = begin + len(list(several))
        last = begin > 0 and end == len(kinds)  # its name may be wider than its folds
        notes.append({
            "x": (end if last else begin) - 0.5, "xanchor": "right" if last else "left",
            "yref": "paper", "y": 1, "yanchor": "bottom", "text": KINDS.get(kind, plain(kind)),
            "showarrow": False, "font": {"size": 11},
        })  # fmt: skip
        if begin:
            lines.append({
                "type": "line", "x0": begin - 0.5, "x1": begin - 0.5, "yref": "paper", "y0": 0,
                "y1": 1, "line": {"color": "@faint", "width": 1.2},
            })  # fmt: skip
        begin = end
    return lines, notes


def _windows(ranked: Ranked) -> list[Block]:
    """What the gate said, and the sealed test; who opens the gate where it is shut."""
    opened = windows(ranked.run)
    kept, blocks = ranked.confirmed, []
    for kind, gate in opened.items():
        if gate is None:
            blocks.append(Missing(
                f"The {NAMES[kind]} was opened for other finalists, before the search went on. It "
                f"is no fresh one any more; what it said is in confirm/{kind}.json."
            ))  # fmt: skip
        else:
            blocks += [Words(gate_sentences(gate)), *_gate(gate)]
    if "gate" not in opened and kept is not None and kept.whole:
        words = [word for word in kept.asked.words if word != "gate=false"]
        command = confirm_command(ranked.run, words)
        blocks.append(Missing(f"The gate is shut: {command} opens it, once and for all."))
    return blocks


def _gate(gate: Gate) -> list[Block]:
    if gate.book is None:
        return []
    name = NAMES[gate.window]
    books = {"all finalists": gate.book, f"trial {gate.winner}, ranked first": gate.alone}
    books |= {each.replace("_", " "): book for each, book in gate.baselines.items()}
    table = Table(
        f"On the {name}, {gate.first:.10} to {gate.last:.10}",
        ("what", "Sharpe", "± se", "days"),
        [
            [what, *((None, None, None) if book is None else (book.sharpe, book.error, book.days))]
            for what, book in books.items()
        ],
        {"Sharpe": 2, "± se": 2},
    )
    return [table, _evidence(gate, name)]


def _evidence(gate: Gate, name: str) -> Block:
    if not gate.path:
        return Missing(
            f"What the bet on the {name} was worth day by day is not stored: an older version "
            "opened it."
        )
    days, values = zip(*gate.path, strict=True)
    lost = next((day for day, value in gate.path if value <= 0), None)
    level = {"type": "line", "xref": "paper", "x0": 0, "x1": 1, "y0": EVIDENT, "y1": EVIDENT,
             "line": {"color": "@muted", "dash": "dash", "width": 1.3}}  # fmt: skip
    note = {"xref": "paper", "x": 0, "xanchor": "left", "y": log10(EVIDENT), "yanchor": "bottom",
            "text": "20: p = 0.05", "showarrow": False, "font": {"size": 11}}  # fmt: skip
    low, high = min([1.0, *(v for v in values if v > 0)]), max(EVIDENT, *values)
    return Figure(
        f"The bet on the {name}",
        "What 1 has become that was bet on all finalists, after each day (an e-value). Of useless "
        "ones it ever reaches 20 in one opening of twenty at most, whenever one looks."
        + (f" Nothing was left on {lost}." if lost else ""),
        f"From 1 to {bet_text(values[-1])} over {len(days)} days; {bet_text(gate.highest)} at the "
        "highest.",
        [{"name": "e-value", "mode": "lines", "x": list(days), "y": short(values),
          "line": {"color": "@blue", "width": 2}}],
        {"xaxis": {"type": "date"}, "showlegend": False, "shapes": [level], "annotations": [note],
         "yaxis": axis("e-value", type="log", dtick=1,
                       range=[log10(low) - 0.1, log10(high) + 0.2])},
        320,
    )  # fmt: skip


def against_placebos(ranked: Ranked) -> list[Block]:
    """The search beside searches of moved labels."""
    run = ranked.run
    if is_placebo(run.run):
        return [Missing(nature_sentences(run)[0])]
    if ranked.goes_on:
        return [Missing("No placebo: they are held against what a search has found in the end.")]
    found = placebos(run, ranked.ranking)
    if found is None:
        return [Missing(
            f"No placebo: {placebo_command(run, USUAL)} searches moved labels, to see what luck "
            "finds."
        )]  # fmt: skip
    drawn = [_strip(found)] if found.found and found.real.best is not None else []
    return [Words(placebo_sentences(run, ranked.ranking)), *drawn]


def _strip(found: Placebos) -> Figure:
    """The winners of placebos on a line, and that of the search; likewise of what is chosen."""
    real, rows = found.real, {"the winner, shrunk": ("best", found.p_best)}
    if real.choice is not None and real.choice > 0:
        rows["what is chosen, on other days"] = ("choice", found.p_choice)
    placebo: list[tuple[float, str]] = []
    own: list[tuple[float, str]] = []
    for title, (name, p) in rows.items():
        label = f"{title}<br>p = {p:.2f}"
        values = [getattr(one, name) for one in found.found]
        placebo += [(value, label) for value in values if value is not None]
        own.append((getattr(real, name), label))
    none = sum(one.best is None for one in found.found)
    count, reached = len(found.found), reaching(real.best, [one.best for one in found.found])
    marks: Mapping[str, tuple[list[tuple[float, str]], dict[str, Any]]] = {
        "a placebo": (placebo, {"color": "@muted", "size": 16, "symbol": "line-ns-open",
                                "line": {"width": 2}}),
        "this search": (own, {"color": "@orange", "size": 13, "symbol": "diamond"}),
    }  # fmt: skip
    return Figure(
        "The search among its placebos",
        f"A line is what one of {counted(count, 'search', 'searches')} of moved labels has found. "
        "p is the share of all, this one included, that found as much."
        + (f" {counted(none, 'placebo')} had no winner." if none else ""),
        f"The winner has {signed(real.best or 0.0)}, and {reached} of "
        f"{counted(count, 'placebo')} as much (p = {found.p_best:.2f}).",
        [
            {"name": name, "mode": "markers", "x": short([x for x, _ in dots]),
             "y": [y for _, y in dots], "marker": marker,
             "hovertemplate": "%{x:.2f}<extra>%{fullData.name}</extra>"}
            for name, (dots, marker) in marks.items() if dots
        ],
        {"xaxis": axis("annual Sharpe ratio", zeroline=True),
         "yaxis": {"type": "category", "autorange": "reversed", "automargin": True}},
        140 + 70 * len(rows),
    )  # fmt: skip
