"""A trial as it is to be trained, and as the durable study stores it."""

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from optuna.trial import FrozenTrial, TrialState

from trainable.cli.errors import UserError
from trainable.run_format import STATES

SEED = "train/seed"
EPOCHS = "train/epochs"
DEFAULT = "default"  # attribute of the trial that is the centre of its space
BEST = "best"  # attribute of the study: who is best
OWNER = "owner"  # attribute of a running trial of a shared study: the driver that trains it
# Of ended trials; only a COMPLETE trial with a value is COMPLETE to Optuna, too.
ENDED = {state: TrialState[state] for state in STATES if state != "RUNNING"}


class NothingLeftError(Exception):
    """All trials of the search have been asked, by this driver or by others."""


@dataclass(frozen=True)
class TrialSpec:
    """A trial to train.

    Attributes:
        number: of the trial; trials are numbered from 0 without gaps.
        params: all of them by `GROUP/FIELD`, constants included; `train/seed` is `seed`.
        kind: search, enqueued, seed, placebo or regret.
        seed: of its weights, batches and dropout.
        parent: the trial that this one repeats.
        default: it is the default of its search, the centre of the space.
    """

    number: int
    params: dict[str, Any]
    kind: str
    seed: int
    parent: int | None = None
    default: bool = False


@dataclass(frozen=True)
class TrialRecord:
    """A trial as the durable study has it.

    Attributes:
        number: of the trial; trials are numbered from 0 without gaps.
        kind: search, enqueued, seed, placebo or regret.
        parent: the trial that this one repeats.
        params: all of them by `GROUP/FIELD`, constants included.
        seed: of its weights, batches and dropout.
        state: RUNNING, COMPLETE, PRUNED or FAIL.
        reason: the stop reason; None while RUNNING.
        evidence: the values on which the reason rests.
        value: the objective of a COMPLETE trial; None where undefined.
        reports: the objective by epoch; an undefined one is missing.
        facts: stop_epoch, epochs, train_epochs, steps, seconds, n_parameters, cohort …
        started: UTC.
        ended: UTC; None while RUNNING.
        default: it is the default of its search, the centre of the space.
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
    default: bool = False


def optuna_end(
    state: str, value: float | None, reports: Mapping[int, float], searched: bool = True
) -> tuple[TrialState, list[float] | None]:
    """Returns the state and the values that Optuna stores for an ended trial.

    Its COMPLETE needs a value; its PRUNED has the last report as its value. What repeats a searched
    trial is PRUNED, too: Optuna takes the best of a study from what is COMPLETE.
    """
    if state == "COMPLETE" and not searched:
        state = "PRUNED"
    if state == "COMPLETE":
        return (TrialState.FAIL, None) if value is None else (TrialState.COMPLETE, [value])
    if state == "PRUNED" and reports:
        return TrialState.PRUNED, [reports[max(reports)]]
    return ENDED[state], None


def row_of(trial: FrozenTrial) -> TrialRecord:
    """Returns the record of a stored trial."""
    attrs = trial.user_attrs
    outcome = attrs["outcome"] if trial.state.is_finished() else {}
    assert trial.datetime_start is not None
    return TrialRecord(
        number=trial.number,
        kind=attrs["kind"],
        parent=attrs["parent"],
        params={**trial.params, **attrs["constants"], **_length(outcome.get("facts", {}))},
        seed=attrs["seed"],
        state=outcome.get("state", "RUNNING"),
        reason=outcome.get("reason"),
        evidence=outcome.get("evidence", {}),
        value=outcome.get("value"),
        reports=dict(sorted(trial.intermediate_values.items())),
        facts=outcome.get("facts", {}),
        started=trial.datetime_start.astimezone(UTC),
        ended=trial.datetime_complete.astimezone(UTC) if trial.datetime_complete else None,
        default=attrs.get(DEFAULT, False),
    )


def default_of(rows: Iterable[TrialRecord]) -> int | None:
    """Returns the number of the default of a search; None where it has none."""
    return min((row.number for row in rows if row.default), default=None)


def _length(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Returns how long the training of an ended trial was meant to be, where that is known.

    It may have begun in a session with other `epochs`.
    """
    return {EPOCHS: facts["train_epochs"]} if "train_epochs" in facts else {}


def as_json(value: dict[str, Any]) -> dict[str, Any]:
    """Returns a copy as it is when read back from JSON.

    Raises:
        ValueError, TypeError: JSON has no such value: a NaN, an infinity, an array.
    """
    return json.loads(json.dumps(value, allow_nan=False))


def check_constants(constants: Mapping[str, Any]) -> None:
    """Raises `UserError` where a constant is not a finite scalar."""
    for name, value in constants.items():
        if not isinstance(value, str | bool | int | float | None):
            raise UserError(
                f"{name} is {type(value).__name__}; "
                "a constant is a number, text, True, False or None"
            )
        if isinstance(value, float) and not math.isfinite(value):
            raise UserError(f"{name}={value}: a constant must be finite")
