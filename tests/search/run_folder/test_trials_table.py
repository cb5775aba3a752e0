"""A trial's row: which epoch speaks for it, and what is undefined."""

from typing import Any

import pandas as pd
import pytest

from search.run_folder.trials_table import (
    baseline_record,
    counts,
    ranking_epoch,
    seconds_by_reason,
    trial_record,
    trials_frame,
)
from tests.search.run_folder.test_reports import Rule, Trial
from trainable.run_format import METRICS, TRIAL_COLUMNS


def epoch(number: int, loss: float | None, sharpe: float | None, **more: Any) -> dict[str, Any]:
    row = {"epoch": number, "steps": 100 * number, "seconds": 0.25, "nan_rate": number / 100}
    return row | {"val_loss": loss, "sharpe": sharpe} | more


def test_the_epoch_of_lowest_loss_ranks_and_the_highest_sharpe_is_for_display():
    epochs = [
        epoch(3, 0.8, 1.5),
        epoch(1, 1.0, 0.2),
        epoch(2, 0.7, 0.4, ic=0.01, sharpe_se=0.5, skill=0.1),
        epoch(4, 0.7, 1.5),
    ]
    record = trial_record(Trial(5, "COMPLETE", "completed", facts={"cohort": 2}), epochs)
    assert record["ranking_epoch"] == 2
    assert (record["sharpe"], record["val_loss"], record["ic"]) == (0.4, 0.7, 0.01)
    assert record["nan_rate"] == 0.04  # of the worst epoch
    assert (record["best_sharpe"], record["best_epoch"]) == (1.5, 3)
    assert record["first_val_loss"] == 1.0
    assert (record["stop_epoch"], record["epochs"], record["steps"]) == (4, 4, 400)
    assert record["seconds"] == 1.0
    assert record["turnover"] is None
    assert record["cohort"] == 2
    assert record["params.optimizer/lr"] == 1e-4


def test_what_the_study_knows_is_preferred_to_what_the_reports_say():
    facts = {"stop_epoch": 9, "epochs": 8, "steps": 850, "seconds": 3.5, "n_parameters": 12}
    record = trial_record(Trial(0, "PRUNED", "collapsed", facts=facts), [epoch(1, 1.0, None)])
    assert {name: record[name] for name in facts} == facts


def test_without_a_validation_loss_nothing_ranks_but_the_nan_rate_is_told():
    record = trial_record(Trial(0, "PRUNED", "nan_explosion"), [epoch(1, None, 0.3)])
    assert [name for name in METRICS if record[name] is not None] == []
    assert record["nan_rate"] is not None
    assert record["ranking_epoch"] is None
    assert record["best_sharpe"] == 0.3


def test_without_epochs_a_row_is_still_a_row():
    record = trial_record(Trial(0, "FAIL", "worker_lost"), [])
    assert (record["epochs"], record["steps"], record["seconds"]) == (0, 0, 0.0)
    assert record["first_val_loss"] is None
    assert set(TRIAL_COLUMNS) <= set(record)


def test_the_first_loss_is_that_of_epoch_1_or_unknown():
    record = trial_record(Trial(0), [epoch(2, 0.9, None)])
    assert record["first_val_loss"] is None


def test_ties_go_to_the_earliest_epoch():
    ranked = ranking_epoch([epoch(2, 0.5, 1.0), epoch(1, 0.5, 0.0), epoch(3, 0.6, 2.0)])
    assert ranked is not None
    assert ranked["epoch"] == 1


def test_an_end_without_a_reason_is_a_defect():
    with pytest.raises(ValueError, match="trial 3 is PRUNED without a reason"):
        trial_record(Trial(3, "PRUNED"), [])
    with pytest.raises(ValueError, match="unknown state 'DONE'"):
        trial_record(Trial(3, "DONE", "completed"), [])


def test_every_column_is_there_whatever_the_rows():
    for records in ([], [trial_record(Trial(0, params={}), [])]):
        frame = trials_frame(records)
        assert list(frame) == list(TRIAL_COLUMNS)
        assert str(frame["parent"].dtype) == "Int64"
        assert str(frame["sharpe"].dtype) == "Float64"


def test_parameters_have_the_narrowest_type_that_holds_them_all():
    params = [
        {"a": 1, "b": 1, "c": "64-32", "d": True},
        {"a": 2, "b": 0.5, "c": 64, "e": 1e-4},
    ]
    rows = [Trial(i, params=p) for i, p in enumerate(params)]
    frame = trials_frame([trial_record(row, []) for row in rows])
    types = {name: str(frame[f"params.{name}"].dtype) for name in "abcde"}
    assert types == {"a": "Int64", "b": "Float64", "c": "str", "d": "boolean", "e": "Float64"}
    assert list(frame["params.c"]) == ["64-32", "64"]
    assert pd.isna(frame["params.e"].iloc[0])


def test_baselines_are_rows_with_their_metrics():
    record = baseline_record(-1, Rule("ridge", {"sharpe": 0.5, "ic": None}, None))
    assert (record["kind"], record["state"], record["stop_reason"]) == (
        "baseline",
        "COMPLETE",
        "completed",
    )
    assert record["sharpe"] == 0.5
    assert record["params.model/name"] == "ridge"


def test_counts_by_state_reason_and_kind():
    rows = [
        Trial(0, "PRUNED", "asha_rung"),
        Trial(1, "PRUNED", "asha_rung"),
        Trial(2),
        Trial(3, "COMPLETE", "completed", kind="seed"),
    ]
    assert counts(rows) == {
        "by_state": {"PRUNED": 2, "RUNNING": 1, "COMPLETE": 1},
        "by_reason": {"asha_rung": 2, "interrupted": 1, "completed": 1},
        "by_kind": {"search": 3, "seed": 1},
    }
    records = [trial_record(row, [epoch(1, 1.0, None)]) for row in rows]
    records.append(baseline_record(-1, Rule("zero", {}, None)))
    assert seconds_by_reason(records) == {"asha_rung": 0.5, "completed": 0.25, "interrupted": 0.25}
