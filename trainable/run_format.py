"""The vocabulary of a run folder: states and kinds of trials, and the columns of its tables."""

from typing import Literal

State = Literal["COMPLETE", "PRUNED", "FAIL", "RUNNING"]
STATES: tuple[State, ...] = ("COMPLETE", "PRUNED", "FAIL", "RUNNING")
"""States of a trial, in the order in which a ranking lists them."""

KINDS = ("search", "enqueued", "seed", "baseline", "placebo", "regret")
SEARCHED = KINDS[:2]
"""The kinds that `trials` counts and the sampler learns from."""

PANEL_SYMBOLS = 5
"""Symbols from which on weights are relative to the mean of all, so that they sum to 0."""

MOST_PRIOR = 10**9
"""Tries made elsewhere (`tries.prior`) at most: of more a luck line has no digits left."""

METRICS = (
    "sharpe", "sharpe_se", "sharpe_exposure", "val_loss", "skill", "accuracy", "ic", "rank_ic",
    "max_drawdown", "turnover", "break_even_bps", "sharpe_clean",
)  # fmt: skip
"""The metrics that a trial has at its ranking epoch."""

FURTHER = "metric."
"""Begins the columns of further metrics, of parts of one's own."""

REPORT = "report.html"
"""The ranking and its pictures in one file."""

SO_FAR = "so_far"
"""Folder of the tables that a running search writes when it is asked to; gone when it has ended."""

ASKED = "so_far.asked"
"""File that asks it; it is removed once the tables are there."""

TRIAL_COLUMNS = {
    "number": "int64", "kind": "str", "parent": "Int64", "state": "str", "stop_reason": "str",
    "stop_epoch": "Int64", "stop_evidence": "str", "epochs": "Int64", "steps": "Int64",
    "sharpe": "Float64", "sharpe_se": "Float64", "sharpe_exposure": "Float64",
    "best_sharpe": "Float64", "best_epoch": "Int64", "val_loss": "Float64",
    "first_val_loss": "Float64", "skill": "Float64", "accuracy": "Float64", "ic": "Float64",
    "rank_ic": "Float64", "max_drawdown": "Float64", "turnover": "Float64",
    "break_even_bps": "Float64", "nan_rate": "Float64", "n_parameters": "Int64",
    "seconds": "Float64", "seed": "Int64", "cohort": None, "ranking_epoch": "Int64",
    "sharpe_clean": "Float64", "started": "datetime64[us, UTC]", "ended": "datetime64[us, UTC]",
}  # fmt: skip
"""Columns of `trials.parquet` in their order, with pandas types; None: as the values are.

`metric.*` and `params.*` follow.
"""

EPOCH_COLUMNS = (
    "number", "epoch", "steps", "train_loss", "val_loss", "sharpe", "train_sharpe", "ic",
    "train_ic", "rank_ic", "accuracy", "lr", "grad_norm", "nan_rate", "prediction_std",
    "steps_per_s", "tokens_per_s",
)  # fmt: skip
"""Columns of `epochs.parquet` that are always there, in their order."""

RETURN_COLUMNS = {
    "number": "int64", "epoch": "int64", "timestamp": "timestamp[ns]", "net_return": "double",
}  # fmt: skip
"""Columns of `returns.parquet`, with Arrow types."""

PREDICTION_COLUMNS = {
    "number": "int64", "timestamp": "timestamp[ns]", "symbol": "string", "prediction": "float",
}  # fmt: skip
"""Columns of `predictions.parquet`, with Arrow types."""

LABEL_COLUMNS = {
    "timestamp": "timestamp[ns]", "symbol": "string", "label": "float", "next_return": "float",
}  # fmt: skip
"""Columns of `labels.parquet`, with Arrow types: the rows that every trial is scored on, in the
order of their predictions.

`label` is what was to be predicted, null where unknown; `next_return` is the simple return from one
to the next of the symbol's own bars that a position decided there earns.
"""

CONFIRM_COLUMNS = {
    "number": "int64", "name": "string", "seed": "int64", "fold": "string", "kind": "string",
    "before": "bool", "sha256": "string", "epochs": "int64", "state": "string",
    "stop_reason": "string", "sharpe": "double", "ic": "double", "seconds": "double",
    "train_rows": "int64", "scored_rows": "int64", "first": "timestamp[ns]",
    "last": "timestamp[ns]",
}  # fmt: skip
"""Columns of `confirm/trainings.parquet`, with Arrow types; a baseline has number and seed −1."""

CONFIRM_RETURN_COLUMNS = {
    "number": "int64", "name": "string", "seed": "int64", "sha256": "string",
    "epochs": "int64", "day": "timestamp[ns]", "net_return": "double",
}  # fmt: skip
"""Columns of `confirm/returns.parquet`, with Arrow types; `sha256` is the fold's."""
