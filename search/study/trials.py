"""A trial as it is asked for, and as the durable study stores it."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
from optuna.trial import FrozenTrial, TrialState

from trainable.cli.errors import UserError
from trainable.run_format import STATES

SEED = "train/seed"
OWNER = "owner"  # attribute of a running trial of a shared study: the driver that trains it
ENDED = {state: TrialState[state] for state in STATES if state != "RUNNING"}


class NothingLeftError(Exception):
    """All trials of the search have been asked, by one driver or another."""


@dataclass(frozen=True)
class TrialSpec:
    """A trial to train.

    Attributes:
        number: of its row, dense from 0.
        params: all of them by `GROUP/FIELD`, constants included; `train/seed` is `seed`.
        kind: search, enqueued, seed, placebo or regret.
        seed: of its weights, batches and dropout.
        parent: the trial that this one repeats.
    """

    number: int
    params: dict[str, Any]
    kind: str
    seed: int
    parent: int | None = None


@dataclass(frozen=True)
class TrialRecord:
    """A trial as the durable study has it.

    Attributes:
        number: dense from 0.
        kind: search, enqueued, seed, placebo or regret.
        parent: the trial that this one repeats.
        params: all of them by `GROUP/FIELD`, constants included.
        seed: of its weights, batches and dropout.
        state: RUNNING, COMPLETE, PRUNED or FAIL.
        reason: the stop reason; None while RUNNING.
        evidence: what the reason was found by.
        value: the objective of a COMPLETE trial; None where undefined.
        reports: the objective by epoch; an undefined one is missing.
        facts: stop_epoch, epochs, steps, seconds, n_parameters, cohort …
        started: UTC.
        ended: UTC; None while RUNNING.
    """

    number: int
    kind: str
    parent: int | None
    params: dict[str, Any]
    seed: int
    state: str
    reason: str | None
    evidence: dict[str, Any]
    value: float | None
    reports: dict[int, float]
    facts: dict[str, Any]
    started: datetime
    ended: datetime | None


def told(
    state: str, value: float | None, reports: Mapping[int, float]
) -> tuple[TrialState, list[float] | None]:
    """Returns what Optuna is told: its COMPLETE has a value, its PRUNED the last report."""
    if state == "COMPLETE":
        return (TrialState.FAIL, None) if value is None else (TrialState.COMPLETE, [value])
    if state == "PRUNED" and reports:
        return TrialState.PRUNED, [reports[max(reports)]]
    return ENDED[state], None


def row_of(trial: FrozenTrial) -> TrialRecord:
    """Returns the row of a stored trial."""
    attrs = trial.user_attrs
    outcome = attrs["outcome"] if trial.state.is_finished() else {}
    assert trial.datetime_start is not None
    return TrialRecord(
        number=trial.number,
        kind=attrs["kind"],
        parent=attrs["parent"],
        params={**trial.params, **attrs["constants"]},
        seed=attrs["seed"],
        state=outcome.get("state", "RUNNING"),
        reason=outcome.get("reason"),
        evidence=outcome.get("evidence", {}),
        value=outcome.get("value"),
        reports=dict(sorted(trial.intermediate_values.items())),
        facts=outcome.get("facts", {}),
        started=trial.datetime_start.astimezone(UTC),
        ended=trial.datetime_complete.astimezone(UTC) if trial.datetime_complete else None,
    )


def plain(value: dict[str, Any]) -> dict[str, Any]:
    """Returns a copy as JSON gives it back.

    Raises:
        ValueError, TypeError: JSON has no such value: a NaN, an infinity, an array.
    """
    return json.loads(json.dumps(value, allow_nan=False))


def scalars(constants: Mapping[str, Any]) -> dict[str, Any]:
    """Returns a copy of constants; raises `UserError` where one is not a finite scalar."""
    for name, value in constants.items():
        if not isinstance(value, str | bool | int | float | None):
            raise UserError(
                f"{name} is {type(value).__name__}; "
                "a constant is a number, text, True, False or None"
            )
        if isinstance(value, float) and not math.isfinite(value):
            raise UserError(f"{name}={value}: a constant must be finite")
    return dict(constants)


def derive_seed(*entropy: int) -> int:
    """Returns a 31-bit seed that is well mixed from the given whole numbers, 0 or above."""
    return int(np.random.SeedSequence(entropy).generate_state(1)[0] & 0x7FFFFFFF)
