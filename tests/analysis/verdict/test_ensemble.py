"""All finalists together: whose returns they are, what is left out, and what is said of them."""

import numpy as np
import pytest

from analysis.load import Run
from analysis.ranking import rank
from analysis.verdict.ensemble import FLATTERED, ensemble, ensemble_sentences
from tests.analysis.test_ranking import row, run_of, seed
from tests.analysis.verdict.test_luck import with_returns
from trainable.cli.text import signed

RETURNS = 0.01 * np.random.default_rng(0).standard_normal((8, 300))


def test_it_holds_every_seed_of_every_finalist_in_equal_shares() -> None:
    rows = [row(0, 1.0), row(1, 0.5), row(2, 2.0, "PRUNED", "asha_rung")]
    rows += [seed(3, 0, 0.9), seed(4, 0, 0.8), seed(5, 1, None, state="PRUNED", reason="collapsed")]
    found = ensemble(with_returns(run_of(*rows, periods=300), dict(enumerate(RETURNS[:6]))))
    assert found is not None
    assert found.members == {0: [0, 3, 4], 1: [1]}
    assert found.seeds == 4
    together = RETURNS[[0, 1, 3, 4]].mean(axis=0)
    assert found.returns == pytest.approx(together)
    assert found.books[:, 0] == pytest.approx(RETURNS[[0, 3, 4]].mean(axis=0))
    assert found.books[:, 1] == pytest.approx(RETURNS[1])
    assert found.sharpe == pytest.approx(together.mean() / together.std(ddof=1) * np.sqrt(252))
    assert found.error == pytest.approx(np.sqrt(252 / 300), rel=0.25)


def test_who_has_no_returns_is_left_out() -> None:
    run = run_of(row(0, 1.0), row(1, None), row(2, 0.3), periods=300)
    found = ensemble(with_returns(run, {0: RETURNS[0], 2: np.full(300, np.nan)}))
    assert found is not None
    assert found.members == {0: [0]}


def test_of_nothing_that_varies_there_is_none() -> None:
    assert ensemble(run_of(row(0, 1.0), periods=300)) is None
    constant = with_returns(run_of(row(0, 1.0), periods=300), {0: np.full(300, 0.01)})
    assert ensemble(constant) is None
    pruned = run_of(row(0, 1.0, "PRUNED", "asha_rung"), periods=300)
    assert ensemble(with_returns(pruned, {0: RETURNS[0]})) is None


def said(run: Run) -> list[str]:
    return ensemble_sentences(run, rank(run).to_dict("records")[0], ensemble(run))


def test_all_together_stand_beside_the_first_seed_and_the_fresh_ones_of_the_best() -> None:
    rows = [row(0, 1.4), row(1, 0.5), seed(3, 0, 0.9), seed(4, 0, 0.7)]
    run = with_returns(run_of(*rows, periods=300), {n: RETURNS[n] for n in (0, 1, 3, 4)})
    found = ensemble(run)
    assert found is not None
    assert said(run) == [
        f"Both finalists in equal shares: Sharpe ratio {signed(found.sharpe)} ± "
        f"{found.error:.2f} (4 trainings).",
        "Trial 0 ranks first: 1.40 ± 0.40 with its first seed, 0.80 with 2 fresh ones. "
        + FLATTERED,
    ]


def test_one_finalist_of_one_seed_is_no_ensemble() -> None:
    alone = with_returns(run_of(row(0, 1.0), periods=300), {0: RETURNS[0]})
    first = f"Trial 0 ranks first: Sharpe ratio 1.00 ± 0.40 with its one seed. {FLATTERED}"
    assert said(alone) == [first]
    assert said(run_of(row(0, 1.0), periods=300)) == [first], "without returns"
    seeds = with_returns(
        run_of(row(0, 1.0), seed(1, 0, 0.5), periods=300), {0: RETURNS[0], 1: RETURNS[1]}
    )
    assert said(seeds)[0].startswith("The only finalist's seeds in equal shares: Sharpe ratio ")
    assert "first seed, 0.50 with 1 fresh one." in said(seeds)[1]


def test_a_first_seed_without_a_position_has_earned_nothing_that_is_shown() -> None:
    run = with_returns(run_of(row(0, None), seed(1, 0, 0.5), periods=300), {1: RETURNS[1]})
    assert said(run) == [f"Trial 0 ranks first: Sharpe ratio 0.50 with 1 fresh one. {FLATTERED}"]
