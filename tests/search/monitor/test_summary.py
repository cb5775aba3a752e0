"""The summary: of a made-up run folder, and of one that `ReportStore` wrote."""

import io
import re
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from analysis.load import load_run
from search.monitor.summary import summary
from search.run_folder.folder import RunFolder
from search.run_folder.long_tables import ScoredRows
from search.run_folder.reports import ReportStore
from search.study.study import TrialRecord
from tests.fixtures.runs import make_run
from tests.fixtures.searches import table
from tests.search.run_folder.test_reports import Rule
from trainable.report import Report, Stop


def said(path: Path, width: int = 100, resume: str | None = None) -> str:
    out = io.StringIO()
    Console(file=out, width=width, highlight=False).print(
        summary(load_run(path), 50, resume, width)
    )
    return out.getvalue()


def test_the_best_the_pruned_the_baselines_and_the_next_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)  # a path of any length would not fit the line
    shown = said(make_run(Path("run"), 48))
    assert "Luck alone is expected to bring the best of 48 tries to 1." in shown
    assert re.search(r"stopped at a rung +asha_rung", shown)
    (saved,) = re.findall(r"saved by stopping early: (\d+)% \(([\d,]+) of ([\d,]+) epochs", shown)
    rows = table(Path("run"), "trials").query("kind != 'baseline'")
    chosen = ["completed", "converged", "early_stopped", "asha_rung", "flat_sharpe"]
    trained, judged = rows["epochs"].sum(), rows["stop_reason"].isin(chosen)
    possible = 50 * judged.sum() + rows["epochs"][~judged].sum()  # what failed was not saved
    assert set(rows["kind"]) == {"search", "enqueued", "seed"}
    assert saved == (f"{100 - 100 * trained / possible:.0f}", f"{trained:,}", f"{possible:,}")
    assert "equal_weight 0.94" in shown
    assert shown.rstrip().endswith("next  python -m analysis.rank run")
    best = shown[shown.index("trial  Sharpe") : shown.index("how they ended")]
    assert best.count("dropout") == 5


@pytest.mark.parametrize("width", [20, 40, 69, 80, 200])
@pytest.mark.parametrize("survivors", [True, False])
def test_any_width_will_do(tmp_path: Path, width: int, survivors: bool):
    shown = said(make_run(tmp_path / "run", 24, survivors=survivors), width)
    assert max(len(line) for line in shown.splitlines()) <= width


def test_a_best_below_the_luck_line_is_said_plainly(tmp_path: Path):
    shown = said(make_run(tmp_path / "run", 24, edge=-1.0))
    assert "Not told from chance (p = " in shown


def test_when_nothing_survived_it_says_so(tmp_path: Path):
    shown = said(make_run(tmp_path / "run", 24, survivors=False))
    assert "No trial survived" in shown
    assert "Compute saved" not in shown
    assert "configuration\n" not in shown


def test_each_trial_saves_what_its_own_length_leaves(tmp_path: Path):
    """Two of twenty epochs, one of fifty: as a run that went on with other `epochs` has them."""
    path = make_run(tmp_path / "run", 24)
    rows = table(path, "trials")
    ended = rows[rows["stop_reason"] == "asha_rung"].index[:3]
    rows = rows.loc[ended].assign(**{"params.train/epochs": [20, 20, 50], "epochs": [5, 10, 5]})
    rows.to_parquet(path / "trials.parquet")
    assert "Compute saved by stopping early: 78% (20 of 90 epochs trained" in said(path, 200)
    assert "2 trials for at most 20 epochs, 1 trial for at most 50 epochs" in said(path, 200)


def test_an_interrupted_search_ends_with_the_command_that_goes_on(tmp_path: Path):
    command = "python -m search.run space=quick_test name=run resume=true"
    shown = said(make_run(tmp_path / "run", 24, interrupted=4), resume=command)
    assert "4 unfinished" in shown
    assert shown.rstrip().endswith(f"next  {command}")


def test_what_results_write_is_what_analysis_reads(tmp_path: Path):
    random = np.random.default_rng(0)
    days = np.arange("2020-01-01", "2021-01-01", dtype="datetime64[D]").astype("datetime64[ns]")
    scored = ScoredRows(days, days, np.full(len(days), "A", dtype=object))
    ends = {
        0: ("COMPLETE", "completed", "search", None),
        1: ("PRUNED", "asha_rung", "search", None),
        2: ("PRUNED", "nan_explosion", "enqueued", None),
        3: ("FAIL", "worker_lost", "search", None),
        4: ("COMPLETE", "completed", "seed", 0),
        5: ("RUNNING", None, "search", None),
    }
    with RunFolder.create(tmp_path, "run") as folder:
        results = ReportStore(folder, scored)
        for number in (0, 1, 4):
            values: dict[str, float | None] = {
                "val_loss": 0.9,
                "sharpe": 1.0 + number,
                "sharpe_se": 0.4,
                "ic": 0.02,
            }
            net = random.normal(0, 0.01, len(days))
            stop = Stop("completed") if number != 1 else None
            results.add([Report(number, 1, 10, values, net_returns=net, stop=stop)])
        results.add([Report(2, 1, 10, {"val_loss": None, "nan_rate": 1.0})])
        rows = [_row(number, *end) for number, end in ends.items()]
        rules = [Rule("zero", {"sharpe": None}, None), Rule("ridge", {"sharpe": 0.5}, net)]
        results.finish(rows, rules, {"data": {"periods_per_year": 365.0}})
        shown = said(folder.path)
        run = load_run(folder.path)
    assert "Trial 0 ranks first: 1.00 ± 0.40 with its first seed, 5.00 with 1 fresh one." in shown
    assert "5 configurations tried: 1 finished, 2 pruned, 1 failed, 1 unfinished." in shown
    assert "ridge 0.50" in shown
    assert len(run.curve(0)) == len(run.curve(-2)) == len(days)
    assert run.periods == len(days)


def _row(number: int, state: str, reason: str | None, kind: str, parent: int | None) -> TrialRecord:
    return TrialRecord(
        number=number,
        kind=kind,
        parent=parent,
        params={"model/hidden_dims": "64-32", "optimizer/lr": 1e-4 * (number + 1)},
        seed=number,
        state=state,
        reason=reason,
        evidence={},
        value=None,
        reports={},
        facts={},
        started=datetime(2026, 1, 1, tzinfo=UTC),
        ended=None,
    )
