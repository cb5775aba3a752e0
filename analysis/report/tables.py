"""Tables of the report: the ranking, what it rests on, baselines, data and settings."""

import shlex
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from analysis.rank import ROBUST
from analysis.ranking import baselines, note_sentences, sharpe_of
from analysis.report.content import (
    Block,
    Code,
    Missing,
    Ranked,
    Table,
    Words,
    is_known,
    name_of,
    of,
    value_of,
)
from analysis.report.results import interval
from analysis.robustness import YEAR, robustness
from analysis.verdict.alarms import survivor_sentences
from analysis.verdict.figures import figures

HEAD = (
    "#", "trial", "ended by", "Sharpe", "from", "to", "seeds", "spread", "luck", "IC", "rank IC",
    "val loss", "turnover", "break-even bps", "largest loss %", "epochs",
)  # fmt: skip
DIGITS = {
    "Sharpe": 2, "from": 2, "to": 2, "spread": 2, "IC": 4, "rank IC": 4, "val loss": 4,
    "turnover": 2, "break-even bps": 1, "largest loss %": 1,
}  # fmt: skip
LONGEST = 60  # entries of a list in a table of settings
Row = Mapping[str, Any]


def ranking(ranked: Ranked) -> list[Block]:
    """The ranking of all configurations, with its notes."""
    run, names = ranked.run, [name_of(column) for column in ranked.params]
    if not ranked.rows:
        return [Missing("No configuration was tried.")]
    rows = [
        [*_figures(row, ranked), *(value_of(row[column]) for column in ranked.params)]
        for row in ranked.rows
    ]
    default = f" Trial {run.default} is the default, the centre of the space." * (
        run.default is not None
    )
    table = Table(
        "Ranking of all configurations",
        (*HEAD, *names),
        rows,
        DIGITS,
        "Sharpe is the mean over the seeds of a finalist; from and to are its 95 % interval of "
        "days and seeds, which knows nothing of the choice. Of other trials it is the figure of "
        "the epoch that ranks them. IC, loss, turnover, break-even and largest loss are of the "
        f"first seed.{default}",
        sortable=True,
    )
    notes = note_sentences(run, ranked.ranking)
    return [table, *([Words(notes)] if notes else [])]


def _figures(row: Row, ranked: Ranked) -> list[Any]:
    around = interval(row) or (None, None)
    above = row["above_luck"]
    drawdown = ranked.run.row_of[int(row["number"])].get("max_drawdown")
    return [
        row["rank"] if is_known(row["rank"]) else None,
        row["number"],
        row["stop_reason"],
        sharpe_of(row),
        *around,
        row["sharpe_seeds"] or None,
        row["sharpe_sd"],
        "" if not is_known(above) else "above" if above else "below",
        row["ic"],
        row["rank_ic"],
        row["val_loss"],
        row["turnover"],
        row["break_even_bps"],
        None if not is_known(drawdown) else -100 * float(str(drawdown)),
        row["epochs"],
    ]


def robust(ranked: Ranked) -> list[Block]:
    """What the finalists' Sharpe ratios rest on."""
    found = robustness(ranked.run, ranked.ranking)
    if found.empty:
        return [Missing("No finalist has a Sharpe ratio.")]
    known = [name for name in map(str, found) if np.isfinite(found[name].to_numpy()).any()]
    names = [n for n in (*ROBUST, *(n for n in known if n.startswith(YEAR))) if n in known]
    heads = {n: ROBUST[n] if n in ROBUST else (n.removeprefix(YEAR), 2) for n in names}
    shown = {name: (title.replace("\n", " "), digits) for name, (title, digits) in heads.items()}
    table = Table(
        "What each Sharpe ratio rests on",
        ("#", "trial", *(title for title, _ in shown.values())),
        [
            [row["rank"], row["number"], *(row[name] for name in names)]
            for row in found.to_dict("records")
        ],
        dict(shown.values()),
        "Years with at least 60 validation days. "
        + (
            f"Any two finalists are {found['median_distance'].iloc[0]:.2f} apart in the median."
            if "distance" in names
            else ""
        ),
    )
    left_out = [title for name, (title, _) in ROBUST.items() if name not in names]
    missing = [title.replace("\n", " ") for title in left_out]
    return [
        table,
        *([Missing(f"Not stored or undefined: {', '.join(missing)}.")] if missing else []),
    ]


def baseline_table(ranked: Ranked) -> Block:
    """The baselines, the best first."""
    rows = baselines(ranked.run).to_dict("records")
    if not rows:
        return Missing("No baseline is stored in this run folder.")
    shown = ("sharpe", "sharpe_se", "ic", "rank_ic", "turnover", "break_even_bps")
    heads = ("Sharpe", "± se", "IC", "rank IC", "turnover", "break-even bps")
    return Table(
        "Baselines",
        ("baseline", *heads),
        [[row["name"], *(row[name] for name in shown)] for row in rows],
        DIGITS | {"± se": 2},
    )


def statistics(ranked: Ranked) -> Block:
    """The statistics behind the verdict, as `analysis.verdict.figures` says them."""
    if not ranked.finalists:
        return Missing("Without a finalist there are no statistics.")
    found = figures(ranked.run, ranked.finalists[0], ranked.tested)
    if not found:
        return Missing("Too few trials or days for statistics.")
    return Table("Statistics behind the verdict", ("what", "value"), found)


def data_quality(ranked: Ranked) -> list[Block]:
    """What is in the data, what was repaired, and what is suspicious."""
    quality = of(ranked.run.run, "data_quality")
    if not quality:
        return [Missing("The quality of the data is not stored in this run folder.")]
    survivors = survivor_sentences(ranked.run)
    rows = [[name, text] for name, text in _flat(quality, without=("features", "split"))]
    blocks: list[Block] = [Words(survivors)] if survivors else []
    blocks.append(Table("Data", ("what", "value"), rows))
    features = of(quality, "features")
    if features:
        names = ("group", "mean", "std", "max_abs_z", "winsorised_share")
        blocks.append(
            Table(
                "Features on the training part",
                ("feature", "group", "mean", "std", "largest |z|", "clipped share"),
                [[name, *(of(features, name).get(key) for key in names)] for name in features],
            )
        )
    return blocks


def settings(ranked: Ranked) -> list[Block]:
    """The command that repeats the search, its settings and versions."""
    record = ranked.run.run
    blocks: list[Block] = []
    words = record.get("arguments")
    if isinstance(words, list) and words:
        command = shlex.join(["python", "-m", "search.run", *map(str, words)])
        blocks.append(Code("The command that repeats it:", command))
    elif "arguments" in record:
        blocks.append(Missing("The search was started from Python, so no command repeats it."))
    else:
        blocks.append(Missing("The command that began the search is not stored."))
    for title, key in (("Settings", "settings"), ("Versions", "versions")):
        rows = [[name, text] for name, text in _flat(of(record, key))]
        blocks.append(
            Table(title, ("setting" if key == "settings" else "of", "value"), rows)
            if rows
            else Missing(f"{title}: not stored in this run folder.")
        )
    keys = ("git", "started", "ended", "wall_s", "device", "rungs", "repeats", "tries", "seeds")
    rows = [[n, t] for n, t in _flat({key: record[key] for key in keys if key in record})]
    if rows:
        blocks.append(Table("The run", ("what", "value"), rows))
    space = of(record, "space")
    parameters = of(space, "parameters")
    if parameters:
        rows = [[name, str(text)] for name, text in parameters.items()]
        blocks.append(Table("Searched parameters", ("parameter", "drawn from"), rows))
    if isinstance(space.get("source"), str):
        blocks.append(Code("The space:", str(space["source"])))
    return blocks


def _flat(record: Mapping[str, Any], within: str = "", without: Sequence[str] = ()
          ) -> Iterator[tuple[str, str]]:  # fmt: skip
    """Yields names and texts of what an object holds, those of inner ones by dotted names."""
    for key, value in record.items():
        name = f"{within}{key}"
        if key in without:
            continue
        if isinstance(value, Mapping) and value:
            yield from _flat(value, f"{name}.")
        else:
            yield name, _text(value)


def _text(value: object) -> str:
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, list | Mapping):
        if not value:
            return "none"
        if isinstance(value, Mapping):
            return ", ".join(f"{key} {_text(each)}" for key, each in value.items())
        more = len(value) - LONGEST
        shown = [_text(each) for each in value[:LONGEST]]
        return ", ".join([*shown, f"and {more} more"] if more > 0 else shown)
    return str(value)
