"""What the tables of a run folder say about a trial: pure functions from rows to rows."""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import pandas as pd
import pyarrow as pa

from trainable.io.atomic import json_text
from trainable.run_format import EPOCH_COLUMNS, FURTHER, METRICS, STATES, TRIAL_COLUMNS

BOOK_KEEPING = ("seconds", "batch", "stop_reason", "stop_evidence", "predicted")
RECORDED = ("epoch", "steps", "seconds", "nan_rate", *METRICS)
"""What `trial_record` reads of an epoch, besides further metrics."""
FACTS = ("stop_epoch", "epochs", "steps", "seconds", "n_parameters", "cohort")


class Row(Protocol):
    """One trial of the study."""

    @property
    def number(self) -> int: ...  # noqa: D102
    @property
    def kind(self) -> str: ...  # noqa: D102
    @property
    def parent(self) -> int | None: ...  # noqa: D102
    @property
    def params(self) -> Mapping[str, Any]: ...  # noqa: D102
    @property
    def seed(self) -> int | None: ...  # noqa: D102
    @property
    def state(self) -> str: ...  # noqa: D102
    @property
    def reason(self) -> str | None: ...  # noqa: D102
    @property
    def evidence(self) -> Mapping[str, Any]: ...  # noqa: D102
    @property
    def facts(self) -> Mapping[str, Any]: ...  # noqa: D102
    @property
    def started(self) -> Any: ...  # noqa: D102
    @property
    def ended(self) -> Any: ...  # noqa: D102


class BaselineRow(Protocol):
    """A rule without parameters, scored as a trial is."""

    @property
    def name(self) -> str: ...  # noqa: D102
    @property
    def values(self) -> Mapping[str, float | None]: ...  # noqa: D102
    @property
    def net_returns(self) -> np.ndarray | None: ...  # noqa: D102


def final(row: Row) -> tuple[str, str]:
    """Returns state and stop reason of a row; one that still runs was `interrupted`.

    Raises:
        ValueError: a defect: an unknown state, or an end without a reason.
    """
    if row.state not in STATES:
        raise ValueError(f"trial {row.number} has the unknown state {row.state!r}")
    if row.state == "RUNNING":
        return row.state, "interrupted"
    if not row.reason:
        raise ValueError(f"trial {row.number} is {row.state} without a reason")
    return row.state, row.reason


def is_recorded(column: str) -> bool:
    """Says whether `trial_record` reads a column of `epochs.parquet`."""
    return column in RECORDED or column.startswith(FURTHER)


def is_finalist(row: Row) -> bool:
    """Says whether a trial reached the end of its training."""
    return row.state == "COMPLETE"


def ranking_epoch(epochs: Sequence[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """Returns the epoch of lowest validation loss, the earliest of equals; None without any."""
    scored = [e for e in epochs if e.get("val_loss") is not None]
    return min(scored, key=lambda e: (e["val_loss"], e["epoch"]), default=None)


def trial_record(row: Row, epochs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Returns a trial's row of `trials.parquet`, None where undefined.

    The metrics are those of the ranking epoch; a trial without any validation loss has none.
    `nan_rate` is that of the worst epoch. `best_sharpe` is for display.

    Args:
        row: the trial as the study knows it; what its `facts` lack is taken from the epochs.
        epochs: its rows of `epochs.parquet`, in any order.
    """
    state, reason = final(row)
    epochs = sorted(epochs, key=lambda e: e["epoch"])
    ranked = ranking_epoch(epochs)
    last = epochs[-1] if epochs else {}
    first = epochs[0] if epochs and epochs[0]["epoch"] == 1 else {}
    sharpes = [e for e in epochs if e.get("sharpe") is not None]
    best = max(sharpes, key=lambda e: (e["sharpe"], -e["epoch"]), default={})
    record = dict.fromkeys(TRIAL_COLUMNS) | {
        "number": row.number,
        "kind": row.kind,
        "parent": row.parent,
        "state": state,
        "stop_reason": reason,
        "stop_epoch": None if state == "RUNNING" else last.get("epoch"),
        "stop_evidence": json_text(dict(row.evidence)),
        "epochs": last.get("epoch", 0),
        "steps": last.get("steps", 0),
        "seconds": math.fsum(e.get("seconds") or 0.0 for e in epochs),
        "nan_rate": max(
            (e["nan_rate"] for e in epochs if e.get("nan_rate") is not None), default=None
        ),
        "first_val_loss": first.get("val_loss"),
        "best_sharpe": best.get("sharpe"),
        "best_epoch": best.get("epoch"),
        "seed": row.seed,
        "started": row.started,
        "ended": row.ended,
    }
    if ranked is not None:
        record |= {name: ranked.get(name) for name in METRICS}
        record |= {name: value for name, value in ranked.items() if name.startswith(FURTHER)}
        record["ranking_epoch"] = ranked["epoch"]
    record |= {name: row.facts[name] for name in FACTS if row.facts.get(name) is not None}
    return record | {f"params.{name}": value for name, value in row.params.items()}


def baseline_record(number: int, baseline: BaselineRow) -> dict[str, Any]:
    """Returns a baseline's row of `trials.parquet`; it trains nothing, so its epoch is 0."""
    record = dict.fromkeys(TRIAL_COLUMNS) | {
        "number": number,
        "kind": "baseline",
        "state": "COMPLETE",
        "stop_reason": "completed",
        "stop_evidence": "{}",
        "epochs": 0,
        "steps": 0,
        "seconds": 0.0,
        "ranking_epoch": 0,
        "params.model/name": baseline.name,
    }
    return record | {name: baseline.values.get(name) for name in METRICS}


def trials_frame(records: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """Returns `trials.parquet`: all columns always, then `metric.*` and `params.*`; by number.

    Raises:
        ValueError: a defect: a number has two rows.
    """
    twice = [n for n, count in Counter(r["number"] for r in records).items() if count > 1]
    if twice:
        raise ValueError(f"trials with more than one row: {sorted(twice)}")
    records = sorted(records, key=lambda r: r["number"])
    named = {name for r in records for name in r}
    further = sorted(name for name in named if name.startswith(FURTHER))
    params = sorted(name for name in named if name.startswith("params."))
    types = TRIAL_COLUMNS | dict.fromkeys(further, "Float64") | dict.fromkeys(params)
    columns = {name: _column([r.get(name) for r in records], kind) for name, kind in types.items()}
    return pd.DataFrame(columns)


def order_epochs(epochs: pa.Table) -> pa.Table:
    """Returns `epochs.parquet`, sorted by number and epoch: its named columns always.

    `grad_norm.*` stands beside `grad_norm`; all other metrics and the book-keeping come last.
    """
    for name in EPOCH_COLUMNS:
        if name not in epochs.column_names:
            epochs = epochs.append_column(name, pa.nulls(len(epochs), pa.float64()))
    others = sorted(set(epochs.column_names) - set(EPOCH_COLUMNS) - set(BOOK_KEEPING))
    parts = [name for name in others if name.startswith("grad_norm.")]
    after = EPOCH_COLUMNS.index("grad_norm") + 1
    named = [*EPOCH_COLUMNS[:after], *parts, *EPOCH_COLUMNS[after:]]
    rest = [name for name in others if name not in parts]
    ordered = epochs.select([*named, *rest, *BOOK_KEEPING])
    return ordered.sort_by([("number", "ascending"), ("epoch", "ascending")])


def counts(rows: Iterable[Row]) -> dict[str, dict[str, int]]:
    """Returns how many trials there are `by_state`, `by_reason` and `by_kind`."""
    rows = list(rows)
    finals = [final(row) for row in rows]
    return {
        "by_state": dict(Counter(state for state, _ in finals).most_common()),
        "by_reason": dict(Counter(reason for _, reason in finals).most_common()),
        "by_kind": dict(Counter(row.kind for row in rows).most_common()),
    }


def seconds_by_reason(records: Iterable[Mapping[str, Any]]) -> dict[str, float]:
    """Returns the training seconds that went into trials of each stop reason, the most first."""
    sums: dict[str, float] = {}
    for record in records:
        if record["kind"] != "baseline":
            reason = record["stop_reason"]
            sums[reason] = sums.get(reason, 0.0) + record["seconds"]
    ordered = sorted(sums.items(), key=lambda item: -item[1])
    return {reason: round(seconds, 3) for reason, seconds in ordered}


def _column(values: list[Any], kind: str | None) -> pd.Series:
    if kind is None:
        kind = _kind([v for v in values if v is not None])
        if kind == "str":
            values = [None if v is None else str(v) for v in values]
    if kind.startswith("datetime"):
        return pd.Series(pd.to_datetime(pd.Series(values, dtype="object"), utc=True)).astype(kind)
    return pd.Series(values, dtype=kind)


def _kind(values: list[Any]) -> str:
    """Returns the narrowest type that holds all values of a parameter over trials."""
    if not values or all(isinstance(v, bool) for v in values):
        return "boolean" if values else "Int64"
    if any(isinstance(v, bool) or not isinstance(v, (int, float, np.number)) for v in values):
        return "str"
    whole = all(isinstance(v, (int, np.integer)) for v in values)
    return "Int64" if whole else "Float64"
