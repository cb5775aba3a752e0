"""What a search says at its end: the best, what was stopped and why, and what to type next."""

import shlex
from collections.abc import Mapping, Sequence
from math import isnan
from typing import Any

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from analysis.load import Run
from analysis.ranking import (
    LONG_ONLY,
    baselines,
    note_sentences,
    outcome,
    rank,
    stop_reasons,
    summary_sentences,
    varied_params,
)
from analysis.regret import regret_sentences
from analysis.verdict.winner_minus_default import MARK, MEANING
from trainable.cli.started import as_started
from trainable.cli.text import counted
from trainable.stop_reasons import BY_RULE, KEEPS_MODEL, STOP_REASONS

TOP = 5
WIDE = ("trial", "Sharpe", "± se", "seeds", "IC", "val loss", "epochs")
SAVING = (*KEEPS_MODEL, *BY_RULE)  # ends that a rule or the training chose
NARROW = ("trial", "Sharpe", "± se", "epochs")
# A value that speaks for itself needs no name.
NAMELESS = ("model/hidden_dims", "loss/name", "schedule/name", "optimizer/name")


def summary(run: Run, epochs: int, resume: str | None = None, width: int = 100) -> RenderableType:
    """Returns the end of a search as text and tables.

    The ranking, its sentences and the luck line are those of `analysis`, so that the search and
    `python -m analysis.rank` never disagree.

    Args:
        run: the run folder, its tables written.
        epochs: length of a full training, of trials that do not say it themselves.
        resume: the command that goes on with an interrupted search.
        width: columns of the console; a narrow one gets fewer columns of the table.
    """
    title = Text.assemble((run.name, "bold"), f": {outcome(run)}")
    parts: list[RenderableType] = [Text(""), title]
    ranking = rank(run)
    parts += [Text(sentence) for sentence in summary_sentences(run, ranking)]
    finalists = ranking.dropna(subset=["sharpe_mean"]).to_dict("records")
    if finalists:
        parts.append(_finalists(finalists[:TOP], varied_params(run), width, run.default))
    parts += [Text(sentence) for sentence in note_sentences(run, ranking)]
    reasons = stop_reasons(run)
    if reasons:
        parts.append(_reasons(reasons))
    saved = "" if resume else _saved(run, epochs)  # what an interruption left out is not saved
    lines = [saved, *regret_sentences(run), _baselines(run)]
    parts += [Text(line) for line in lines if line]
    for command in (f"python -m analysis.rank {shlex.quote(str(run.folder))}", resume):
        if command:
            parts.append(Text.assemble(("next  ", "dim"), (as_started(command), "bold")))
    return Group(*parts)


def _finalists(
    finalists: Sequence[Mapping[str, Any]], params: Sequence[str], width: int, default: int | None
) -> Table:
    table = _table()
    columns = NARROW if width < 70 else WIDE
    for name in columns:
        table.add_column(name, justify="right", no_wrap=True)
    if columns is WIDE:
        table.add_column("configuration", overflow="fold")
    for row in finalists:
        seeds = row["sharpe_seeds"] + row["failed_seeds"]
        cells = {
            "trial": f"{row['number']}{MARK if row['number'] == default else ''}",
            "Sharpe": _number(row["sharpe_mean"]),
            "± se": _number(row["sharpe_mean_se"]),
            "seeds": f"{row['sharpe_seeds']} of {seeds}" if row["failed_seeds"] else str(seeds),
            "IC": _number(row["ic"], 3),
            "val loss": _number(row["val_loss"], 4),
            "epochs": str(row["epochs"]),
        }
        configuration = {name.removeprefix("params."): row[name] for name in params}
        more = [_configuration(configuration)] if columns is WIDE else []
        table.add_row(*(cells[name] for name in columns), *more)
    if any(row["number"] == default for row in finalists):
        table.caption, table.caption_justify = MEANING, "left"
    return table


def _reasons(reasons: Mapping[str, int]) -> Table:
    table = _table()
    table.add_column("trials", justify="right")
    table.add_column("share", justify="right")
    table.add_column("how they ended")
    table.add_column("stop reason", style="dim")
    total = sum(reasons.values())
    for reason, count in reasons.items():
        words = STOP_REASONS[reason].words
        table.add_row(str(count), f"{count / total:.0%}", words, reason)
    return table


def _saved(run: Run, epochs: int) -> str:
    """Returns what the rules that stop trials have saved, of searched trials and seeds alike.

    A trial that failed, or ran out of time, was not stopped to save anything: it counts with the
    epochs that it was trained. Nothing is said where no trial ended in another way. What was
    finished on the side is left out: to measure costs what it costs, and saves nothing.
    """
    trained = possible = judged = 0
    for row in run.rows:
        if row["kind"] in ("baseline", "regret") or row["state"] == "RUNNING":
            continue
        done = 0 if isnan(row["epochs"]) else int(row["epochs"])
        trained += done
        if row["stop_reason"] in SAVING:
            length = row.get("params.train/epochs", epochs)
            possible += max(done, epochs if isnan(length) else int(length))
            judged += 1
        else:
            possible += done
    if not judged:
        return ""
    without = ", what was finished on the side not" if "regret" in set(run.trials["kind"]) else ""
    return (
        f"Compute saved by stopping early: {1 - trained / possible:.0%} ({trained:,} of "
        f"{counted(possible, 'epoch')} trained, the seeds of finalists included{without})."
    )


def _baselines(run: Run) -> str:
    known = [
        f"{b['name']} {_number(b['sharpe'])}" + (" (the market)" if b["name"] == LONG_ONLY else "")
        for b in baselines(run).to_dict("records")
    ]
    return f"Baselines, Sharpe: {', '.join(known)}." if known else ""


def _configuration(params: Mapping[str, Any]) -> str:
    said = []
    for name, value in params.items():
        missing = value is None or (isinstance(value, float) and isnan(value))
        if missing:  # a conditional parameter that this trial does not have
            continue
        text = _value(value)
        label = "" if name in NAMELESS else name.rpartition("/")[2]
        said.append(f"{label} {text}".strip())
    return ", ".join(said)


def _value(value: Any) -> str:
    if not isinstance(value, float):
        return str(value)
    return f"{value:.0f}" if value.is_integer() else f"{value:.3g}"


def _number(value: float, digits: int = 2) -> str:
    return "–" if isnan(value) else f"{value:.{digits}f}".replace("-", "−")


def _table() -> Table:
    return Table(box=box.SIMPLE_HEAD, header_style="bold", pad_edge=False, collapse_padding=True)
