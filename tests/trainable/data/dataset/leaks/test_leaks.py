"""Features that know the label."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import rankdata

from tests.fixtures.markets import holes, make_market
from trainable.cli.errors import UserError
from trainable.data.dataset.leaks.leaks import find_later_prices, find_leaks, ranks

RNG = np.random.default_rng(0)
LABEL = (RNG.standard_t(4, 4000) * 0.01).astype(np.float32)
NOISE = RNG.normal(size=4000).astype(np.float32)


def test_an_honest_feature_raises_no_warning() -> None:
    weak = (0.1 * LABEL / LABEL.std() + NOISE).astype(np.float32)
    assert find_leaks(np.stack([NOISE, weak]), LABEL, ("noise", "weak"), "made") == []


@pytest.mark.parametrize(
    "leak",
    [
        LABEL,
        -3.0 * LABEL,
        1e4 * LABEL + 7.0,
        LABEL + 1e-5 * NOISE,
        np.arcsinh(1e4 * LABEL),
        LABEL.argsort().argsort().astype(np.float32),
    ],
    ids=["itself", "negative", "scaled", "rounded", "squashed", "ranked"],
)
def test_system_c5_a_feature_that_is_the_label_is_refused(leak: np.ndarray) -> None:
    with pytest.raises(UserError, match="made: feature 'leak' is the label itself"):
        find_leaks(np.stack([NOISE, leak]), LABEL, ("noise", "leak"), "made")


def test_a_correlation_above_a_fifth_is_a_warning_that_names_it() -> None:
    strong = (0.4 * LABEL / LABEL.std() + NOISE).astype(np.float32)
    # Known by its ranks only: a few huge values hide it from the plain correlation.
    hidden = strong.copy()
    hidden[:20] = 1e6 * NOISE[:20]
    found = find_leaks(np.stack([strong, hidden]), LABEL, ("strong", "hidden"), "made")
    assert len(found) == 2
    assert "'strong'" in found[0]
    assert "'hidden' has rank correlation 0.3" in found[1]
    assert "4000 training rows" in found[1]


def test_one_outlier_that_a_feature_shares_with_the_label_is_suspicious_and_no_more() -> None:
    label, shared = LABEL.copy(), NOISE.copy()
    label[5], shared[5] = 100.0, 1e4
    (warning,) = find_leaks(shared[None], label, ("shared",), "made")
    assert "'shared' has correlation 1.00" in warning


def test_a_large_sample_is_judged_alike() -> None:
    rng = np.random.default_rng(1)
    label = rng.normal(size=150_000).astype(np.float32)
    strong = (0.25 * label + rng.normal(size=150_000)).astype(np.float32)
    assert len(find_leaks(strong[None], label, ("strong",), "made")) == 1


def test_a_constant_correlates_with_nothing() -> None:
    assert find_leaks(np.ones((1, 4000), np.float32), LABEL, ("one",), "made") == []


@pytest.mark.parametrize("values", [1, 2, 30, 10**6])
def test_ranks_are_scipys(values: int) -> None:
    x = np.random.default_rng(values).integers(0, values, 2000).astype(np.float32)
    np.testing.assert_array_equal(ranks(x), rankdata(x))
    np.testing.assert_array_equal(ranks(x[:1]), [1.0])


@pytest.mark.parametrize("kinds", [1, 4])
def test_the_class_of_the_label_is_refused(kinds: int) -> None:
    classes = np.digitize(LABEL, np.linspace(-0.01, 0.01, kinds)).astype(np.float32)
    with pytest.raises(UserError, match="'leak' is the label's class"):
        find_leaks((-classes)[None], LABEL, ("leak",), "made")
    classes[7] = -1.0  # an exception: suspicious, and no more
    assert len(find_leaks(classes[None], LABEL, ("near",), "made")) == 1


MARKET = holes(make_market(bars=1000, symbols=3))
CLOSE, OPEN, VOLUME = (pd.DataFrame(MARKET.fields[name]) for name in ("close", "open", "volume"))
END = 600
SMOOTH = np.convolve(NOISE.cumsum(), np.ones(60), "valid")
SLOW = np.interp(np.arange(4000), np.arange(0, 4000, 63), NOISE[:64].cumsum())  # by quarter


def each_own(change) -> np.ndarray:
    """What `change` makes of each symbol's own bars, on the grid."""
    return CLOSE.apply(lambda x: change(x.dropna()).reindex(x.index)).to_numpy(np.float32)


LATER = {
    "close": lambda x: x.shift(-1),
    "close 10 bars later": lambda x: x.shift(-10),
    "return": lambda x: x.pct_change().shift(-4),
    "return over 5 bars": lambda x: x.shift(-5) / x - 1,
    "log return": lambda x: np.log(x).diff().shift(-2),
    "centred mean": lambda x: x.rolling(11, center=True).mean() / x,
    "mean that reaches one bar too far": lambda x: x.rolling(10).mean().shift(-1),
    "mean of the next bars": lambda x: x.rolling(10).mean().shift(-10),
    "mean of the next 50 bars": lambda x: x.rolling(50).mean().shift(-50),
    "return beside noise": lambda x: x.pct_change().shift(-1) + NOISE[: len(x)] * 0.004,
}


@pytest.mark.parametrize("kind", LATER)
def test_what_is_made_of_later_closes_is_refused(kind: str) -> None:
    with pytest.raises(UserError, match=r"feature 'x' (moves as the|is made of the) .* later"):
        find_later_prices(MARKET, {"x": each_own(LATER[kind])}, END)


@pytest.mark.parametrize("bars", [1, 3])
def test_an_open_or_close_of_a_later_bar_is_named(bars: int) -> None:
    times = "1 bar" if bars == 1 else f"{bars} bars"
    for name, price in (("close", CLOSE), ("open", OPEN), ("volume", VOLUME)):
        later = price.apply(lambda x: x.dropna().shift(-bars).reindex(x.index))
        with pytest.raises(UserError, match=f"'x' moves as the {name} does {times} later"):
            find_later_prices(MARKET, {"x": later.to_numpy(np.float32)}, END)


def test_what_is_made_of_closes_up_to_the_bar_is_not() -> None:
    past = {
        "return": lambda x: x.pct_change(),
        "close": lambda x: x,
        "earlier close": lambda x: x.shift(5),
        "mean": lambda x: x.rolling(50).mean(),
        "deviation": lambda x: x.pct_change().rolling(20).std(),
        "highest": lambda x: x / x.rolling(20).max(),
        "noise": lambda x: pd.Series(NOISE[: len(x)], x.index),
        "sparse": lambda x: (x.pct_change() > 0.02).astype(float),
    }
    past |= {
        "counter": lambda x: pd.Series(np.arange(len(x)) % 251.0, x.index),
        "slow": lambda x: pd.Series(SLOW[: len(x)], x.index),
        "smooth": lambda x: pd.Series(SMOOTH[: len(x)], x.index),
    }
    columns = {name: each_own(change) for name, change in past.items()}
    columns |= {name: grid.astype(np.float32) for name, grid in MARKET.fields.items()}
    assert find_later_prices(MARKET, columns, END) == []
    assert find_later_prices(MARKET, {"short": columns["return"]}, 30) == []


def test_a_column_half_of_which_comes_later_is_a_warning() -> None:
    half = each_own(lambda x: x.pct_change().shift(-1) + NOISE[: len(x)] * 0.015)
    (warning,) = find_later_prices(MARKET, {"half": half}, END)
    assert "'half': the close of later bars explains" in warning


def test_nothing_after_the_training_part_is_looked_at() -> None:
    late = each_own(lambda x: x.pct_change()).copy()
    late[END:] = each_own(lambda x: x.pct_change().shift(-1))[END:]
    assert find_later_prices(MARKET, {"x": late}, END) == []
