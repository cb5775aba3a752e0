"""The statistics behind a verdict, each held against another way to compute it."""

from itertools import combinations
from math import ceil, sqrt
from pathlib import Path
from statistics import NormalDist

import numpy as np
import pandas as pd
import pytest

from analysis.load import Run, load_run
from analysis.ranking import rank
from analysis.statistics.snooping.luck_line import luck_line
from analysis.verdict.ensemble import Ensemble, ensemble
from analysis.verdict.figures import (
    deflated,
    effective,
    figures,
    overfitting,
    superiority,
)
from analysis.verdict.skill import skill
from tests.analysis.test_ranking import row, run_of, seed
from tests.analysis.verdict.test_luck import with_returns
from tests.analysis.verdict.test_skill import DAYS, TRIALS, found, searched
from tests.fixtures.runs import make_run


@pytest.fixture(scope="module")
def planted() -> Run:
    """A run with skill, which nobody changes."""
    return searched(2.0)


@pytest.fixture(scope="module")
def said_of_planted(planted: Run) -> dict[str, str]:
    return shown(planted)


def shown(run: Run) -> dict[str, str]:
    return dict(figures(run, rank(run).dropna(subset=["sharpe_mean"]).to_dict("records")[0]))


def book_of(run: Run) -> Ensemble:
    together = ensemble(run)
    assert together is not None
    return together


def test_every_statistic_has_a_line_with_its_figure(
    planted: Run, said_of_planted: dict[str, str]
) -> None:
    run, said = planted, said_of_planted
    result, best = found(run), int(rank(run)["number"].iloc[0])
    worth, surely, overfitted = effective(run), deflated(run, best), overfitting(run)
    tested = superiority(run, result.ensemble)
    assert worth is not None
    assert overfitted is not None
    assert tested is not None
    choice, highest = result.choice, result.best
    luck_of = f"{luck_line(worth.tries, DAYS, 252):.2f} (worth {worth.tries:.0f} independent ones)"
    assert said["luck line"] == f"{luck_line(TRIALS, DAYS, 252):.2f} ({TRIALS} tries); {luck_of}"
    assert said["cross-validated"] == (
        f"{choice.sharpe:.2f} ± {choice.error:.2f}; by luck {choice.point(0.05):.2f} in one search "
        "of twenty"
    )
    assert said[f"highest of {TRIALS} trials"].startswith(
        f"{highest.best:.2f}; by luck {highest.point(0.05):.2f} in one search of twenty (p "
    )
    assert said["provable"].startswith(f"a true ratio from {result.provable:.2f} on")
    assert said["not told apart"].startswith(f"{len(result.alike or ())} of 4 finalists")
    assert said["deflated Sharpe ratio"] == f"{surely:.2f} (trial {best})"
    assert said["backtest overfitting"].startswith(f"probability {overfitted.probability:.2f}, of")
    assert said["beyond the baselines"].startswith("p < 0.001 against no position (SPA); StepM")
    assert len(said) == 10, "and the luck line of two seeds, and the track record"


def test_a_track_record_is_as_long_as_proves_the_ensemble(
    planted: Run, said_of_planted: dict[str, str]
) -> None:
    """Of a book with these moments, so many days are beyond 0 by 1.645 standard errors."""
    returns = book_of(planted).returns
    z = (returns - returns.mean()) / returns.std()
    ratio = returns.mean() / returns.std(ddof=1)
    spread = 1 - np.mean(z**3) * ratio + (np.mean(z**4) - 1) / 4 * ratio**2
    years = (1 + spread * (NormalDist().inv_cdf(0.95) / ratio) ** 2) / 252
    assert said_of_planted["minimum track record"] == (
        f"{years:.1f} years of all finalists; there are 3.0"
    )
    flat = searched(0.05, 6)
    assert 0 < book_of(flat).sharpe < 0.1, "hardly above 0"
    assert shown(flat)["minimum track record"].startswith("more than 100 years of all")
    assert "minimum track record" not in shown(searched(-2.0)), "no length proves a loss"


def test_independent_trials_are_worth_as_many_and_copies_one() -> None:
    rng = np.random.default_rng(0)
    own = 0.01 * rng.standard_normal((8, 500))
    rows = [row(n, 0.1) for n in range(8)]
    apart = effective(with_returns(run_of(*rows), dict(enumerate(own))))
    alike = effective(with_returns(run_of(*rows), {n: own[0] for n in range(8)}))
    assert apart is not None
    assert alike is not None
    assert 7 < apart.trials <= 8
    assert alike.trials == pytest.approx(1.0, abs=0.01)
    run = with_returns(run_of(*rows), dict(enumerate(own)))
    run.run["settings"] = {"tries": {"prior": 24}}
    more = effective(run)
    assert more is not None
    assert (more.trials, more.tries) == (apart.trials, pytest.approx(4 * apart.trials))


def test_the_deflated_ratio_is_what_is_left_of_normal_returns_after_luck(planted: Run) -> None:
    """Φ((S − E[max]) ÷ error), with the error √((1 + S²/2) ÷ T) of independent normal returns."""
    run = planted
    best = int(rank(run)["number"].iloc[0])
    returns = run.curve(best)["net_return"].to_numpy()
    annual = returns.mean() / returns.std(ddof=1) * sqrt(252)
    worth = effective(run)
    assert worth is not None
    excess = annual - luck_line(worth.tries, DAYS, 252)
    expected = NormalDist().cdf(excess / sqrt((1 + annual**2 / 504) / DAYS * 252))
    assert deflated(run, best) == pytest.approx(expected, abs=0.03)
    assert deflated(run, 999) is None


def with_epochs(epochs: dict[int, np.ndarray]) -> Run:
    """A run of finalists with daily returns [epochs, days] each; the last epoch ranks."""
    days = pd.bdate_range("2020-01-01", periods=len(next(iter(epochs.values()))[0]))
    frames = [
        pd.DataFrame({"number": n, "epoch": e, "timestamp": days, "net_return": values})
        for n, each in epochs.items()
        for e, values in enumerate(each, start=1)
    ]
    run = run_of(*(row(n, 0.1) for n in epochs), row(9, 5.0, "PRUNED", "asha_rung"))
    run.__dict__["returns"] = pd.concat(frames, ignore_index=True)
    return run


def test_overfitting_chooses_among_all_epochs_of_finalists() -> None:
    """Every split computed anew, one by one: blocks of days, the best column, its rank."""
    rng = np.random.default_rng(1)
    epochs = {n: 0.01 * rng.standard_normal((2, 32)) for n in range(3)}
    found = overfitting(with_epochs(epochs))
    assert found is not None
    columns = np.concatenate([*epochs.values()]).T
    blocks = np.array_split(np.arange(32), 16)
    below = []
    for half in combinations(range(16), 8):
        inside = np.concatenate([blocks[k] for k in half])
        outside = np.setdiff1d(np.arange(32), inside)
        before, after = (
            columns[rows].mean(axis=0) / columns[rows].std(axis=0, ddof=1)
            for rows in (inside, outside)
        )
        rank_after = 1 + (after < after[before.argmax()]).sum()
        below.append(rank_after / 7 <= 0.5)
    assert len(below) == len(found.logits)
    assert found.probability == pytest.approx(np.mean(below))


def test_a_certain_finalist_is_not_overfitted_and_one_alone_says_nothing() -> None:
    rng = np.random.default_rng(2)
    noise = {n: 0.01 * rng.standard_normal((1, 64)) for n in range(4)}
    good = noise | {4: 0.01 * rng.standard_normal((1, 64)) + 0.02}
    found = overfitting(with_epochs(good))
    assert found is not None
    assert (found.probability, found.loss) == (0.0, 0.0)
    assert overfitting(with_epochs({0: noise[0]})) is None


def beside(sharpe: float, **rules: np.ndarray) -> Run:
    """A searched run with these baselines' returns beside it, on the same days."""
    run = searched(sharpe)
    rows = [
        row(-1 - n, 0.5, kind="baseline") | {"params.model/name": name}
        for n, name in enumerate(rules)
    ]
    returns = {n: run.curve(n)["net_return"].to_numpy() for n in range(TRIALS + 4)}
    run = Run(run.folder, run.run, pd.concat([pd.DataFrame(rows), run.trials], ignore_index=True))
    return with_returns(run, {-1 - n: r for n, r in enumerate(rules.values())} | returns)


def test_finalists_are_held_against_every_baseline_but_the_market() -> None:
    rng = np.random.default_rng(3)
    noise = 0.01 * rng.standard_normal(DAYS)
    strong = noise + 0.01 * 3.0 / sqrt(252)
    run = beside(3.0, momentum=noise)
    tested = superiority(run, book_of(run))
    assert tested is not None
    assert tested.p < 0.01
    assert tested.better == (0, 1, 2, 3)
    run = beside(3.0, momentum=noise, ridge=strong)
    tested = superiority(run, book_of(run))
    assert tested is not None
    assert (tested.against, tested.better) == ("ridge", ())
    assert tested.p > 0.05
    assert shown(run)["beyond the baselines"].endswith("against ridge (SPA); StepM finds none")
    market = beside(3.0, equal_weight=strong)
    market.run["data"]["symbols"] = [f"S{n}" for n in range(5)]
    tested = superiority(market, book_of(market))
    assert tested is not None
    assert tested.against == "no position", "a premium, and no bar for a neutral book"
    assert shown(market)["beside equal_weight"].startswith("trial ")
    market.run["data"]["symbols"] = ["S0"]
    tested = superiority(market, book_of(market))
    assert tested is not None
    assert tested.against == "equal_weight"


def test_what_many_tries_leave_no_room_for_is_not_shown() -> None:
    said = shown(searched(8.0, prior=5000 * TRIALS))
    assert not {"cross-validated", "provable", f"highest of {TRIALS} trials"} & {*said}
    series = shown(searched(2.0, prior=9 * TRIALS))
    assert series["cross-validated"].endswith(" in one of twenty such series")
    once = found(searched(2.0, prior=9 * TRIALS)).best.p
    assert series[f"highest of {TRIALS} trials"].endswith(f"(p = {1 - (1 - once) ** 10:.3f})")


def test_a_single_try_and_few_days_have_few_statistics() -> None:
    rng = np.random.default_rng(0)
    alone = with_returns(run_of(row(0, 1.0), periods=300), {0: 0.01 * rng.standard_normal(300)})
    assert skill(alone) is not None
    assert not {"luck line", "highest of 1 trials", "not told apart", "backtest overfitting"} & {
        *shown(alone)
    }
    assert "probabilistic Sharpe" in shown(alone), "nothing to deflate"
    few = with_returns(run_of(row(0, 1.0), seed(1, 0, 0.5), periods=10), {0: np.arange(10) / 1e3})
    assert {*shown(few)} <= {"probabilistic Sharpe", "minimum track record"}
    assert figures(run_of(row(0, 1.0)), rank(run_of(row(0, 1.0))).to_dict("records")[0]) == []


def test_a_run_folder_of_an_earlier_version_has_its_statistics(tmp_path: Path) -> None:
    run = load_run(make_run(tmp_path / "old", trials=40))
    said = shown(run)
    assert said["beyond the baselines"].startswith("p = ")
    assert ceil(float(said["luck line"].partition(" ")[0])) == 1
