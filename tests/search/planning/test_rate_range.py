"""The learning-rate range test: what it proposes of hand-made curves, and of a real cohort."""

from dataclasses import replace

import numpy as np
import pytest

from search.planning.rate_range import (
    LOWEST,
    commonest,
    propose,
    range_test,
    rates_between,
)
from tests.fixtures.trainings import config, narrow
from trainable.losses.weighted import WeightedConfig

RATES = rates_between(13, 1e-6, 1.0)  # two a decade


def valley(floor: float = 0.8) -> np.ndarray:
    """Still up to 1e-5, falls to its floor at 1e-3, rises from 1e-2, and fails from 0.1 on."""
    at = [1e-6, 1e-5, 1e-3, 1e-2, 1e-1]
    loss = np.interp(np.log(RATES), np.log(at), [1.0, 1.0, floor, floor, 1.2])
    loss[RATES > 0.09] = np.nan
    return loss


def test_the_range_begins_where_half_is_gained_and_ends_before_the_loss_rises() -> None:
    found = propose(RATES, valley())
    assert found.low == pytest.approx(1e-4, rel=0.01)
    assert found.high == pytest.approx(1e-2, rel=0.01)
    assert found.fall == pytest.approx(0.2)


def test_a_rate_that_fails_amid_the_others_ends_the_range() -> None:
    loss = valley()
    loss[np.argmin(np.abs(RATES - 3e-3))] = np.nan
    found = propose(RATES, loss)
    assert found.high == pytest.approx(1e-3, rel=0.01)


def test_a_lucky_rate_beyond_those_that_fail_is_not_proposed() -> None:
    loss = valley()
    loss[-1] = 0.85
    assert propose(RATES, loss).high == pytest.approx(1e-2, rel=0.01)


def test_nothing_is_proposed_where_no_rate_learns_or_nearly_all_fail() -> None:
    assert propose(RATES, valley(floor=0.999)).low is None
    few = np.full(13, np.nan)
    few[:3] = 1.0, 0.9, 0.8
    assert propose(RATES, few).low is None


def test_a_real_cohort_learns_at_the_rates_between_and_blows_up_alone() -> None:
    each = config(model__hidden_dims="16", model__norm=False, optimizer__name="sgd")
    test = range_test(each, narrow(), rates_between(16, LOWEST, 1e4), steps=120)
    assert test.steps == 120
    assert test.failed[-1] in ("nan_explosion", "collapsed")
    assert not any(test.failed[:8])
    assert np.isfinite(test.loss[:8]).all()
    assert np.isnan(test.loss[-1])
    found = propose(test.rates, test.loss)
    assert found.low is not None
    assert found.high is not None
    assert LOWEST < found.low < found.high < 1e3
    best = float(np.nanmin(test.loss))
    chosen = (test.rates >= found.low) & (test.rates <= found.high)
    assert best in test.loss[chosen]


def test_a_model_that_trains_alone_is_tested_rate_by_rate() -> None:
    each = config(model__hidden_dims="4")
    rates = rates_between(3, 1e-4, 1e-2)
    together = range_test(each, narrow(), rates, steps=16)
    alone = [range_test(each, narrow(), rates[[k]], steps=16).loss[0] for k in range(3)]
    assert together.loss == pytest.approx(alone, rel=1e-5)


def test_the_commonest_shape_is_tested() -> None:
    wide, small = config(model__hidden_dims="32"), config(model__hidden_dims="8")
    assert commonest([wide, small, config(model__hidden_dims="8", optimizer__lr=0.1)]) == small


def test_a_loss_around_zero_is_told_by_its_size() -> None:
    found = propose(RATES, valley() - 1)  # from 0 to −0.2
    assert (found.still, found.fall) == pytest.approx((0.0, 0.2))
    assert found.low == pytest.approx(1e-4, rel=0.01)
    assert propose(RATES, np.where(RATES[8] == RATES, -0.001, 0.0)).low is None


def test_the_last_phase_of_a_sum_is_tested_with_its_horizons_alone() -> None:
    phases = '{"0": {"huber": 1}, "2": {"huber@1": 1}}'
    each = config(loss__name="weighted", loss__phases=phases, loss__horizons="1-2", train__epochs=4)
    found = range_test(each, narrow(), np.array([1e-3]), 8)
    assert isinstance(each.loss, WeightedConfig)
    assert found.config.loss == replace(each.loss, phases='{"0": {"huber@1": 1.0}}', horizons="1")
    assert np.isfinite(found.loss).all()
