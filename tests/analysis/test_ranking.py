from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from analysis.load import Run, load_run
from analysis.ranking import (
    SHOWN,
    baselines,
    note_sentences,
    outcome,
    rank,
    stop_reasons,
    summary_sentences,
)
from analysis.statistics.snooping.luck_line import luck_line
from analysis.verdict.ensemble import FLATTERED
from analysis.verdict.luck import luck
from tests.fixtures.runs import make_run


def row(
    number: int,
    sharpe: float | None,
    state: str = "COMPLETE",
    reason: str = "completed",
    kind: str = "search",
    parent: int | None = None,
    epochs: int = 50,
) -> dict[str, Any]:
    """One row of `trials.parquet`, as `load_run` gives it."""
    nan = float("nan")
    return dict.fromkeys(SHOWN, nan) | {
        "number": number, "kind": kind, "parent": nan if parent is None else float(parent),
        "state": state, "stop_reason": reason, "epochs": float(epochs), "sharpe_se": 0.4,
        "sharpe": nan if sharpe is None else sharpe, "params.optimizer/lr": number * 1e-3,
        "params.model/name": "mlp", "params.train/seed": number,
    }  # fmt: skip


def seed(number: int, parent: int, sharpe: float | None, **other: Any) -> dict[str, Any]:
    return row(number, sharpe, kind="seed", parent=parent, **other)


def run_of(*rows: dict[str, Any], periods: int = 1247) -> Run:
    run = Run(Path("runs/hand"), {"data": {"periods_per_year": 252}}, pd.DataFrame(rows))
    nobody = {"number": -1, "epoch": 1, "timestamp": range(periods), "net_return": 0.0}
    run.__dict__["returns"] = pd.DataFrame(nobody)
    return run


def numbers(run: Run) -> list[int]:
    return rank(run)["number"].to_list()


def test_finalists_rank_by_the_mean_over_their_seeds() -> None:
    run = run_of(row(0, 1.5), row(1, 1.2), seed(2, 0, 0.5), seed(3, 0, 0.4), seed(4, 1, 1.1))
    ranking = rank(run)
    assert numbers(run) == [1, 0]
    assert ranking["rank"].to_list() == [1, 2]
    assert ranking["sharpe_mean"].to_list() == pytest.approx([1.15, 0.8])
    assert ranking["sharpe_seeds"].to_list() == [2, 3]
    assert ranking["sharpe_sd"].iloc[1] == pytest.approx(pd.Series([1.5, 0.5, 0.4]).std())
    assert ranking["sharpe"].to_list() == [1.2, 1.5]


@pytest.mark.parametrize("reason", ["nan_explosion", "collapsed"])
def test_exploded_seed_puts_a_configuration_below_those_without(reason: str) -> None:
    failed = seed(2, 0, 3.0, state="PRUNED", reason=reason)
    run = run_of(row(0, 2.0), row(1, -0.5), failed, seed(3, 0, 2.2))
    assert numbers(run) == [1, 0]
    last = rank(run).iloc[1]
    assert (last["failed_seeds"], last["sharpe_seeds"]) == (1, 2)
    assert last["sharpe_mean"] == pytest.approx(2.1)
    assert "seed failed or took no position: trial 0." in note_sentences(run)[0]


def test_a_mean_of_few_seeds_is_shrunk_further() -> None:
    """One lucky seed of 1.46 stands behind three of 1.45; alone, the highest mean comes first."""
    three = [row(0, 1.4), seed(10, 0, 1.45), seed(11, 0, 1.5)]
    others = [row(2, 0.1), row(3, 0.2), row(4, 0.3)]
    ranking = rank(run_of(*three, row(1, 1.46), *others))
    assert ranking["number"].to_list() == [0, 1, 4, 3, 2]
    assert ranking["sharpe_mean"].to_list()[:2] == pytest.approx([1.45, 1.46])
    first, second = (float(value) for value in ranking["sharpe_shrunk"].to_list()[:2])
    assert 0.3 < second < first < 1.45
    (said,) = note_sentences(run_of(*three, row(1, 1.46), *others))
    assert said.startswith("Trial 1 (1.46 of 1 seed) stands behind trial 0: the fewer seeds")
    assert note_sentences(run_of(*three, *others)) == []
    alike = rank(run_of(row(0, 0.50), row(1, 0.51), row(2, 0.505)))
    assert alike["number"].to_list() == [1, 2, 0], "shrunk to one value: by the mean"
    assert len(set(alike["sharpe_shrunk"])) == 1


def test_seed_without_position_counts_as_failed() -> None:
    run = run_of(row(0, 2.0), row(1, 0.1), seed(2, 0, None))
    assert numbers(run) == [1, 0]


def test_seed_lost_with_its_worker_or_unfinished_does_not_count() -> None:
    lost = seed(2, 0, None, state="FAIL", reason="worker_lost")
    running = seed(3, 0, 0.2, state="RUNNING", reason="interrupted")
    ranking = rank(run_of(row(0, 2.0), row(1, 0.1), lost, running))
    assert ranking["number"].to_list() == [0, 1]
    assert ranking["failed_seeds"].to_list() == [0, 0]
    assert ranking["sharpe_mean"].iloc[0] == 2.0
    assert pd.isna(ranking["sharpe_sd"].iloc[0])


def test_undefined_sharpe_is_last_of_the_finalists_not_zero() -> None:
    assert numbers(run_of(row(0, None), row(1, -1.0), row(2, 0.5))) == [2, 1, 0]


def test_pruned_follow_by_how_far_they_came_then_failed_then_unfinished() -> None:
    run = run_of(
        row(0, 9.0, "RUNNING", "interrupted", epochs=40),
        row(1, 9.0, "FAIL", "error", epochs=40),
        row(2, 9.0, "PRUNED", "asha_rung", epochs=2),
        row(3, 0.1, "PRUNED", "asha_rung", epochs=8),
        row(4, 0.2, "PRUNED", "flat_sharpe", epochs=8),
        row(5, None, "PRUNED", "collapsed", epochs=8),
        row(6, -2.0),
    )
    assert numbers(run) == [6, 4, 3, 5, 2, 1, 0]
    assert rank(run)["rank"].isna().to_list() == [False, *[True] * 6]


def test_trial_that_failed_before_its_first_epoch_is_ranked() -> None:
    dead = row(0, None, "FAIL", "error") | {"epochs": float("nan")}
    assert rank(run_of(dead))["epochs"].to_list() == [0]


def test_luck_counts_every_tried_configuration_and_nothing_else() -> None:
    rows = [row(i, 0.1, "PRUNED", "asha_rung") for i in range(62)]
    rows += [row(62, 1.2), row(63, 1.0, kind="enqueued"), seed(64, 62, 1.2)]
    rows += [row(-1, 0.9, kind="baseline"), row(65, 0.1, kind="placebo")]
    run = run_of(*rows)
    chance = luck(run)
    assert chance is not None
    assert chance.one_seed == luck_line(64, 1247, 252)
    assert list(rank(run)["above_luck"])[:3] == [True, False, pd.NA]


def test_baselines_stand_beside_the_ranking() -> None:
    better = row(-1, 1.4, kind="baseline") | {"params.model/name": "equal_weight"}
    none = row(-2, None, kind="baseline") | {"params.model/name": "zero"}
    run = run_of(none, better, row(0, 0.4), row(1, 0.3))
    assert numbers(run) == [0, 1]
    assert baselines(run)["name"].to_list() == ["equal_weight", "zero"]
    assert "These baselines are at least as good: equal_weight (1.40)." in summary_sentences(run)


def test_a_long_only_baseline_is_said_to_be_the_market() -> None:
    market = row(-1, 1.4, kind="baseline") | {"params.model/name": "equal_weight"}
    momentum = row(-2, 0.1, kind="baseline") | {"params.model/name": "momentum"}
    (said,) = note_sentences(run_of(market, momentum, row(0, 0.4)))
    assert said.startswith("equal_weight is long only: its Sharpe ratio is the market's own.")
    assert "compare them with momentum (0.10) and the luck line" in said
    assert note_sentences(run_of(market, momentum, row(0, 1.5))) == []


def test_only_parameters_that_vary_are_columns() -> None:
    ranking = rank(run_of(row(0, 1.0), row(1, 0.5)))
    assert [c for c in ranking if c.startswith("params.")] == ["params.optimizer/lr"]


def test_summary_says_plainly_when_nothing_is_better_than_luck() -> None:
    run = run_of(*(row(i, 0.01 * i) for i in range(64)))
    assert outcome(run) == "64 configurations tried: 64 finished, 0 pruned, 0 failed."
    assert summary_sentences(run) == [
        "The best is below the luck line: nothing here is better than luck.",
        f"Trial 63 ranks first: Sharpe ratio 0.63 ± 0.40 with its one seed. {FLATTERED}",
        "Luck alone is expected to bring the best of 64 tries to 1.07.",
    ]


def test_summary_of_runs_without_a_ranking() -> None:
    exploded = [row(i, None, "PRUNED", "nan_explosion", epochs=1) for i in range(3)]
    assert summary_sentences(run_of(*exploded))[0].startswith("No trial survived (nan_explosion 3)")
    assert "took a position" in summary_sentences(run_of(row(0, None)))[0]
    running = row(0, 0.3, "RUNNING", "interrupted")
    assert "1 unfinished" in outcome(run_of(running))
    assert "No trial has finished yet" in summary_sentences(run_of(running))[0]


def test_empty_run_has_an_empty_ranking() -> None:
    run = run_of(row(-1, 0.2, kind="baseline"), periods=0)
    assert rank(run).empty
    assert luck(run) is None


def test_every_configuration_of_a_folder_is_ranked_once(tmp_path: Path) -> None:
    run = load_run(make_run(tmp_path / "demo", trials=40, interrupted=4))
    ranking = rank(run)
    assert sorted(ranking["number"]) == list(range(40))
    assert sum(stop_reasons(run).values()) == 40
    places = list(ranking["rank"].dropna())
    assert places == list(range(1, len(places) + 1))
