"""An undefined Sharpe ratio is never a number: last wherever trials are ordered, before no other.

0 would stand above every negative one, and below the positive ones.
"""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from analysis.load import Run
from analysis.ranking import SHOWN, baselines, rank, summary_sentences

NAN = float("nan")
SHARPES = [-2.0, None, -0.5, 1.0, None, 0.3]  # by number
ORDER = [3, 5, 2, 0, 1, 4]


def row(number: int, sharpe: float | None, **more: Any) -> dict[str, Any]:
    """One row of `trials.parquet`, as it is loaded."""
    return dict.fromkeys(SHOWN, NAN) | {
        "number": number, "kind": "search", "parent": NAN, "state": "COMPLETE",
        "stop_reason": "completed", "epochs": 9.0, "sharpe_se": 0.4,
        "sharpe": NAN if sharpe is None else sharpe, "params.model/name": "mlp",
    } | more  # fmt: skip


def run_of(rows: list[dict[str, Any]]) -> Run:
    run = Run(Path("runs/hand"), {"data": {"periods_per_year": 252}}, pd.DataFrame(rows))
    nobody = {"number": -1, "epoch": 1, "timestamp": range(500), "net_return": 0.0}
    run.__dict__["returns"] = pd.DataFrame(nobody)
    return run


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        ("COMPLETE", "completed"),
        ("PRUNED", "asha_rung"),
        ("FAIL", "error"),
        ("RUNNING", "interrupted"),
    ],
)
def test_it_is_last_among_those_of_its_state(state: str, reason: str) -> None:
    rows = [row(n, s, state=state, stop_reason=reason) for n, s in enumerate(SHARPES)]
    ranking = rank(run_of(rows))
    assert ranking["number"].tolist() == ORDER
    assert ranking["sharpe"].isna().tolist() == [False] * 4 + [True] * 2


def test_it_has_no_mean_and_is_not_compared_with_luck() -> None:
    ranking = rank(run_of([row(0, None), row(1, -3.0)])).set_index("number")
    assert pd.isna(ranking.loc[0, "sharpe_mean"])
    assert ranking.loc[0, "above_luck"] is pd.NA
    assert (ranking.loc[1, "sharpe_mean"], ranking.loc[1, "above_luck"]) == (-3.0, False)


def test_a_seed_without_one_is_not_part_of_the_mean() -> None:
    seeds = [row(2, None, kind="seed", parent=0.0), row(3, -1.0, kind="seed", parent=0.0)]
    ranking = rank(run_of([row(0, -3.0), row(1, -4.0), *seeds])).set_index("number")
    assert ranking.loc[0, "sharpe_mean"] == -2.0
    assert (ranking.loc[0, "sharpe_seeds"], ranking.loc[0, "failed_seeds"]) == (2, 1)
    assert ranking.index.tolist() == [1, 0]


def test_it_is_last_among_the_baselines_and_as_good_as_nobody() -> None:
    rows = [row(-1 - n, s, kind="baseline") for n, s in enumerate(SHARPES)]
    run = run_of([*rows, row(0, -1.0)])
    assert baselines(run)["number"].tolist() == [-1 - n for n in ORDER]
    better = next(s for s in summary_sentences(run) if "at least as good" in s)
    assert better.count("(") == 3


def test_the_best_is_never_one_without() -> None:
    run = run_of([row(0, None), row(1, -1.5)])
    assert "Trial 1 ranks first: Sharpe ratio −1.50" in " ".join(summary_sentences(run))
    assert "No finalist has a defined Sharpe" in summary_sentences(run_of([row(0, None)]))[0]
