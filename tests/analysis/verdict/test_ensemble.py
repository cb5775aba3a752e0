"""All finalists together: whose returns they are, and what is left out."""

import numpy as np
import pytest

from analysis.verdict.ensemble import ensemble
from tests.analysis.test_ranking import row, run_of, seed
from tests.analysis.verdict.test_luck import with_returns

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
