"""Features computed again on data that are cut off: what changes knows later bars."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import pytest

from tests.fixtures.markets import holes, make_market
from trainable.data.features.bars import Bars
from trainable.data.features.table import FEATURES, Feature, is_possible
from trainable.data.features.truncation import first_changed


@contextmanager
def with_feature(function: Callable[[Bars], np.ndarray]) -> Iterator[None]:
    FEATURES["mine"] = Feature("mine", 0, function)
    try:
        yield
    finally:
        del FEATURES["mine"]


@pytest.mark.parametrize("intraday", [False, True])
def test_no_feature_of_ours_changes(intraday: bool) -> None:
    market = holes(make_market(bars=1500, symbols=4, intraday=intraday))
    names = [name for name, feature in FEATURES.items() if is_possible(feature, market)]
    assert len(names) > 25
    assert [first_changed(market, names, seed) for seed in range(3)] == [None] * 3


LATER = {
    "the next close": lambda bars: np.append(bars.close[1:], np.nan) / bars.close,
    "a centred mean": lambda bars: np.convolve(bars.close, np.ones(5) / 5, "same"),
    "the deviation of all": lambda bars: bars.close / bars.close.std(),
    "a rank among all": lambda bars: bars.close.argsort().argsort() / len(bars.close),
    "the way to the end": lambda bars: np.arange(len(bars.close)) / len(bars.close),
}


@pytest.mark.parametrize("kind", LATER)
def test_what_is_made_of_later_bars_changes(kind: str) -> None:
    market = make_market(bars=300, symbols=6)
    with with_feature(LATER[kind]):
        for seed in range(5):
            changed = first_changed(market, ["momentum_1", "mine"], seed)
            assert changed is not None
            assert (changed.feature, changed.random) == ("mine", False)
            assert changed.first <= changed.cut < market.timestamps[-1]


def test_the_first_date_is_that_of_the_first_value_that_changed() -> None:
    market = make_market(bars=300, symbols=2)
    with with_feature(lambda bars: np.append(bars.close[3:], [np.nan] * 3) / bars.close):
        changed = first_changed(market, ["mine"])
    assert changed is not None
    bars = np.searchsorted(market.timestamps, [changed.first, changed.cut])
    assert bars[1] - bars[0] == 2, "a value 3 bars ahead is unknown in the last 3 that are left"


def test_random_numbers_are_told_from_later_bars() -> None:
    rng = np.random.default_rng(0)
    with with_feature(lambda bars: rng.random(len(bars.close))):
        changed = first_changed(make_market(bars=300, symbols=2), ["mine"])
    assert changed is not None
    assert changed.random


def test_columns_of_the_source_cannot_be_computed_again() -> None:
    assert first_changed(make_market(bars=300), ["hint"]) is None


def next_close(bars: Bars) -> np.ndarray:
    return np.append(bars.close[1:], np.nan) / bars.close


@pytest.mark.parametrize("young", [0, 1, 10])
def test_a_symbol_with_few_bars_hides_no_feature_that_knows_later_ones(young: int) -> None:
    market = make_market(bars=300, symbols=3)
    market.present[: len(market.present) - young, 2] = False
    with with_feature(next_close):
        changed = first_changed(market, ["ma_50", "mine"])
    assert changed is not None
    assert changed.feature == "mine"


def test_contracts_that_hardly_overlap_are_looked_at_as_far_as_they_are_there() -> None:
    market = make_market(bars=300, symbols=3)
    for symbol in range(3):
        market.present[:, symbol] = False
        market.present[100 * symbol : 100 * symbol + 105, symbol] = True
    names = ["momentum_1", "ma_50"]
    assert first_changed(market, names) is None
    with with_feature(next_close):
        changed = first_changed(market, [*names, "mine"])
    assert changed is not None
    assert changed.feature == "mine"
