"""Ready targets against `data.returns`: from which bar on, and over how many bars."""

import numpy as np
import pandas as pd
import pytest

from trainable.cli.errors import UserError
from trainable.data.dataset.agreement import Comparison, agreement
from trainable.data.dataset.build import build_dataset
from trainable.data.dataset.dataset import Dataset
from trainable.data.settings import DataSettings
from trainable.data.sources import market_from_frame

BARS, SYMBOLS = 500, 6
RNG = np.random.default_rng(0)
ONE = 0.01 * (RNG.standard_t(4, (BARS, 1)) + RNG.standard_t(4, (BARS, SYMBOLS)))


def made_of(returns: np.ndarray, start: int, bars: int) -> np.ndarray:
    """The return over `bars` from `start` bars after each row on, [T, N]; NaN where unknown."""
    price = np.vstack([np.ones(returns.shape[1]), np.cumprod(1.0 + returns, axis=0)])
    found = np.full(returns.shape, np.nan)
    for t in range(len(returns)):
        if t + start >= 0 and t + start + bars < len(price):
            found[t] = price[t + start + bars] / price[t + start] - 1.0
    return found


def rank(values: np.ndarray) -> np.ndarray:
    return pd.DataFrame(values).rank(axis=1).to_numpy() - 3.5


def spread(values: np.ndarray) -> np.ndarray:
    """Divided by what its last 20 bars varied by."""
    return values / pd.DataFrame(ONE).rolling(20).std().to_numpy()


KINDS = {
    "return": lambda x: x,
    "log return": np.log1p,
    "direction": np.sign,
    "less the market": lambda x: x - x.mean(axis=1, keepdims=True),
    "rank": rank,
    "per volatility": spread,
    "winsorised": lambda x: np.clip(x, -0.02, 0.02),
}


def build(label: np.ndarray, returns: np.ndarray, lag: int, horizon: int) -> Dataset:
    frame = pd.DataFrame(
        {
            "date": np.tile(pd.bdate_range("2020-01-01", periods=BARS), SYMBOLS),
            "symbol": np.repeat([f"S{n}" for n in range(SYMBOLS)], BARS),
            "feat_a": np.random.default_rng(2).normal(size=BARS * SYMBOLS),
            "label": label.T.ravel(),
            "one": returns.T.ravel(),
        }
    )
    settings = DataSettings(
        features="feat_*", target="label", returns="one", lag=lag, horizon=horizon
    )
    return build_dataset(market_from_frame(frame, settings), settings)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("lag", "horizon"), [(0, 1), (1, 1), (2, 5)])
def test_a_target_that_is_what_the_settings_say_is_taken(kind: str, lag: int, horizon: int) -> None:
    label = KINDS[kind](made_of(ONE, lag, horizon))
    found = build(label, ONE, lag, horizon)
    np.testing.assert_allclose(found.forward_returns[: -lag or None][:400], ONE[lag:][:400])


@pytest.mark.parametrize("kind", ["return", "direction", "rank", "per volatility"])
@pytest.mark.parametrize(
    ("start", "bars", "lag", "horizon", "says"),
    [
        (1, 1, 0, 1, r"of 1 bar later\. .* begins 1 bar after .*data\.lag=1 works"),
        (0, 1, 1, 1, r"of the same row\. .* begins with the decision.*data\.lag=0 works"),
        (1, 5, 0, 1, r"of 1 bar later, compounded over 5 bars.*data\.lag=1 data\.horizon=5 works"),
        (0, 5, 0, 1, r"made of 5 bars .*data\.horizon=5 works"),
        (-1, 1, 0, 1, r"1 bar earlier: .* begins before the decision .*shift\(-1\)"),
        (-2, 1, 1, 1, r"2 bars earlier: .* begins before the decision .*shift\(-3\)"),
        (-5, 5, 0, 5, r"5 bars earlier, compounded over 5 bars: .* is known .*shift\(-5\)"),
        (-4, 8, 0, 4, r"4 bars earlier, compounded over 8 bars: .* is partly known by then"),
    ],
)
def test_a_target_of_other_bars_is_refused_with_what_it_is(
    kind: str, start: int, bars: int, lag: int, horizon: int, says: str
) -> None:
    label = KINDS[kind](made_of(ONE, start, bars))
    label[-1] = np.nan  # that the first rows are empty tells it as well, and is tested below
    with pytest.raises(UserError, match=says) as raised:
        build(label, ONE, lag, horizon)
    assert "\n" not in str(raised.value)
    assert ("works" in str(raised.value)) == (start >= 0)  # no setting mends a target of the past


def test_returns_that_are_over_on_their_row_are_refused_without_a_way_to_look_ahead() -> None:
    past = np.vstack([np.zeros((1, SYMBOLS)), ONE[:-1]])
    label = np.vstack([ONE[:-1], np.full((1, SYMBOLS), np.nan)])
    with pytest.raises(UserError, match=r"begins 1 bar after .*data\.lag=1 works") as raised:
        build(label, past, 0, 1)
    assert "horizon" not in str(raised.value)
    # What it says is right: the decision at t earns the return that begins at t.
    found = build(label, past, 1, 1)
    np.testing.assert_allclose(found.forward_returns[:400], ONE[:400])


@pytest.mark.parametrize("column", ["label", "one"])
def test_a_return_that_ends_on_its_row_is_told_by_its_empty_cells(column: str) -> None:
    past = np.vstack([np.full((1, SYMBOLS), np.nan), ONE[:-1]])
    right = np.vstack([ONE[:-1], np.full((1, SYMBOLS), np.nan)])
    columns = {"label": right, "one": right} | {column: past}
    with pytest.raises(UserError, match=rf"{column!r} is empty on the first bar .*shift\(-1\)"):
        build(columns["label"], columns["one"], 0, 1)


def beside(column: str, start: int, lag: int, close: str, *splits: tuple[int, int]) -> Dataset:
    """A dataset of returns that begin `start` bars after their row, beside a close, without gaps.

    Args:
        column: label, which serves as the returns, or one, the returns.
        start: 0 is right for returns, lag for a label.
        lag: of the settings.
        close: what the close is called.
        splits: bar and symbol from which on the close is a fifth of what it was.
    """
    price = 50.0 * np.vstack([np.ones(SYMBOLS), np.cumprod(1.0 + ONE, axis=0)])[:-1]
    for bar, symbol in splits:
        price[bar:, symbol] /= 5
    given = made_of(ONE, start, 1)
    grids = {
        close: price,
        "feat_a": np.random.default_rng(2).normal(size=ONE.shape),
        "feat_level": np.array(pd.DataFrame(price).rolling(5, min_periods=1).mean()),
        "feat_fall": price / np.maximum.accumulate(price),
        "label": given if column == "label" else np.sign(made_of(ONE, lag, 1)),
        "one": given if column == "one" else ONE,
    }
    rows = slice(3, BARS - 3)  # what is empty at the beginning or the end is dropped
    frame = pd.DataFrame({name: x[rows].T.ravel() for name, x in grids.items()})
    days = pd.bdate_range("2020-01-01", periods=BARS)[rows]
    frame = frame.assign(date=np.tile(days, SYMBOLS))
    frame = frame.assign(symbol=np.repeat([f"S{n}" for n in range(SYMBOLS)], len(days)))
    returns = None if column == "label" else "one"
    settings = DataSettings(features="feat_*", target="label", returns=returns, lag=lag)
    return build_dataset(market_from_frame(frame, settings), settings)


@pytest.mark.parametrize("close", ["close", "Adj Close", "PX_LAST"])
@pytest.mark.parametrize(("column", "lag"), [("label", 0), ("label", 1), ("one", 0)])
def test_returns_of_a_close_before_their_row_are_refused(column: str, lag: int, close: str) -> None:
    by = lag + 1
    with pytest.raises(
        UserError,
        match=rf"column '{column}' is the return of '{close}' from 1 bar before its row on: .* "
        rf"known by then; shift '{column}' back by {by} bars? .*shift\(-{by}\)",
    ):
        beside(column, -1, lag, close)


def test_a_raw_close_shows_returns_of_the_past_as_well() -> None:
    with pytest.raises(UserError, match="'label' is the return of 'close'"):
        beside("label", -1, 0, "close", (100, 0), (200, 3))


@pytest.mark.parametrize("splits", [(), ((100, 0), (200, 3), (300, 3))])
@pytest.mark.parametrize(("column", "lag"), [("label", 0), ("label", 1), ("one", 0), ("one", 2)])
def test_returns_of_a_close_from_their_row_on_are_taken(
    column: str, lag: int, splits: tuple[tuple[int, int], ...]
) -> None:
    found = beside(column, lag if column == "label" else 0, lag, "close", *splits)
    np.testing.assert_allclose(found.forward_returns[:400], ONE[lag + 3 : lag + 403])
    assert found.feature_names == ("feat_a", "feat_fall")
    (left,) = found.quality["left_out_columns"]
    assert left["column"] == "feat_level"
    assert "level of the close" in left["why"]


@pytest.mark.parametrize(
    ("column", "start", "lag", "says"),
    [
        ("label", 0, 1, r"from its row on, .* data\.lag=0 works, or shift 'label' back by 1 bar "),
        ("label", 1, 0, r"from 1 bar after its row on, .* data\.lag=1 works, or .*\.shift\(1\)$"),
        ("label", 1, 3, r"from 1 bar after its row on, .* data\.lag=1 works, or .*\.shift\(-2\)$"),
        (
            "one",
            1,
            0,
            r"from 1 bar after .* to the next; shift 'one' forward by 1 bar .*shift\(1\)$",
        ),
        ("one", 2, 1, r"from 2 bars after .* shift 'one' forward by 2 bars .*shift\(2\)$"),
    ],
)
@pytest.mark.parametrize("splits", [(), ((100, 0), (200, 3))])
def test_returns_of_a_close_after_the_bar_that_they_should_begin_at_are_refused(
    column: str, start: int, lag: int, says: str, splits: tuple[tuple[int, int], ...]
) -> None:
    with pytest.raises(UserError, match=rf"column '{column}' is the return of 'PX_LAST' {says}"):
        beside(column, start, lag, "PX_LAST", *splits)


@pytest.mark.parametrize("returns", [None, "one"])
def test_a_close_beside_smoothed_returns_shows_that_they_are_of_one_bar(
    returns: str | None,
) -> None:
    steps = np.log1p(ONE)
    steps[1:] = 0.5 * steps[1:] + 0.5 * steps[:-1]
    close = 50.0 * np.exp(np.cumsum(steps, axis=0))
    one = np.vstack([close[1:] / close[:-1] - 1.0, np.full((1, SYMBOLS), np.nan)])
    frame = pd.DataFrame({"label": one.T.ravel(), "one": one.T.ravel(), "close": close.T.ravel()})
    frame["date"] = np.tile(pd.bdate_range("2020-01-01", periods=BARS), SYMBOLS)
    frame["symbol"] = np.repeat([f"S{n}" for n in range(SYMBOLS)], BARS)
    frame["feat_a"] = np.random.default_rng(2).normal(size=len(frame))
    settings = DataSettings(features="feat_*", target="label", returns=returns)
    found = build_dataset(market_from_frame(frame, settings), settings)
    np.testing.assert_allclose(found.forward_returns[:400], one[:400])
    without = frame.drop(columns="close")
    with pytest.raises(UserError, match=r"made of 2 bars .*a close beside it shows that"):
        build_dataset(market_from_frame(without, settings), settings)


def alone(label: np.ndarray, lag: int, returns: str | None = None) -> Dataset:
    """A dataset of a target that serves as the returns, with nothing beside it."""
    frame = pd.DataFrame({"label": label.T.ravel()})
    frame["date"] = np.tile(pd.bdate_range("2020-01-01", periods=len(label)), SYMBOLS)
    frame["symbol"] = np.repeat([f"S{n}" for n in range(SYMBOLS)], len(label))
    frame["feat_a"] = np.random.default_rng(2).normal(size=len(frame))
    settings = DataSettings(features="feat_*", target="label", returns=returns, lag=lag)
    return build_dataset(market_from_frame(frame, settings), settings)


@pytest.mark.parametrize(("start", "lag"), [(0, 1), (0, 2), (1, 2)])
def test_a_target_that_begins_before_the_entry_is_told_by_its_empty_cells(
    start: int, lag: int
) -> None:
    early = made_of(ONE, start, 1)
    early[BARS - start - 1 :] = np.nan
    says = rf"'label' is empty on the last .* data\.lag={start} works, or .*shift\({start - lag}\)$"
    with pytest.raises(UserError, match=says):
        alone(early, lag)
    assert alone(early, start).lag == start
    right = made_of(ONE, lag, 1)
    right[BARS - lag - 1 :] = np.nan
    np.testing.assert_allclose(alone(right, lag).forward_returns[:400], ONE[lag : lag + 400])
    assert alone(right[: -lag - 1], lag).lag == lag  # rows without a target were dropped


def test_a_column_cannot_be_target_and_returns_where_there_is_a_lag() -> None:
    says = (
        r"data\.returns=label is the target as well.* leave out data\.returns; .* data\.lag=0 works"
    )
    for start in (0, 1):
        with pytest.raises(UserError, match=says):
            alone(made_of(ONE, start, 1), 1, "label")
    assert alone(made_of(ONE, 0, 1), 0, "label").lag == 0


@pytest.mark.parametrize(
    ("bars", "lag", "says"),
    [
        (
            1,
            0,
            r"'feat_past' is the label itself .* remove the column; or, if 'label' is a return ",
        ),
        (
            1,
            1,
            r"'feat_past' is the label itself .* remove the column; or, if 'label' is a return ",
        ),
        (2, 0, r"'feat_past' is made of the return of later bars.*; or, if 'label' is a return "),
    ],
)
def test_a_feature_of_the_past_is_not_blamed_for_a_target_of_the_past(
    bars: int, lag: int, says: str
) -> None:
    """The target ends on its row, and the rows that tell are dropped; the advice is taken."""
    grids = {"label": made_of(ONE, -1, 1), "feat_past": made_of(ONE, -bars, bars)}
    frame = pd.DataFrame({name: x[3:].T.ravel() for name, x in grids.items()})
    frame["date"] = np.tile(pd.bdate_range("2020-01-01", periods=BARS - 3), SYMBOLS)
    frame["symbol"] = np.repeat([f"S{n}" for n in range(SYMBOLS)], BARS - 3)
    frame["feat_noise"] = np.random.default_rng(2).normal(size=len(frame))
    settings = DataSettings(features="feat_*", target="label", lag=lag)
    ends = rf"that ends on its row.* groupby\(symbol\)\.shift\(-{lag + 1}\)$"
    with pytest.raises(UserError, match=says + ends):
        build_dataset(market_from_frame(frame, settings), settings)
    frame["label"] = frame.groupby("symbol")["label"].shift(-lag - 1)
    found = build_dataset(market_from_frame(frame, settings), settings)
    assert set(found.feature_names) == {"feat_past", "feat_noise"}
    np.testing.assert_allclose(found.forward_returns[:400], ONE[lag + 3 : lag + 403])


def test_a_barrier_that_is_mostly_met_earlier_is_taken() -> None:
    paths = np.stack([made_of(ONE, 0, k) for k in range(1, 11)])
    far = np.abs(paths) > 0.03
    first = np.where(far.any(axis=0), far.argmax(axis=0), 9)
    label = np.take_along_axis(paths, first[None], axis=0)[0]
    label[-10:] = np.nan
    assert build(label, ONE, 0, 10).horizon == 10


@pytest.mark.parametrize("persistence", [0.0, 0.5, 0.9, 0.99])
def test_what_has_nothing_to_do_with_the_returns_is_no_interval_of_them(persistence: float) -> None:
    rng = np.random.default_rng(1)
    label = np.zeros(2000)
    for t in range(1, 2000):
        label[t] = persistence * label[t - 1] + rng.normal()
    symbol = np.repeat(np.arange(4), 500)
    returns = rng.normal(0.0, 0.01, 2000)
    found = agreement(Comparison(label, returns, symbol, 60), 0, 1, 500)
    assert found is None or not found.clear


@pytest.mark.parametrize("persistence", [-0.4, 0.4])
def test_returns_that_depend_on_the_ones_before_are_no_longer_interval(persistence: float) -> None:
    returns = ONE.copy()
    for t in range(1, BARS):
        returns[t] += persistence * returns[t - 1]
    for start, bars in ((0, 1), (1, 3)):
        label = made_of(returns, start, bars)
        assert build(label, returns, start, bars).lag == start
