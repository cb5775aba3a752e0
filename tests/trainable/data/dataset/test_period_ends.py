"""Ready targets that are the return to the end of a session, day, week or month."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from trainable.cli.errors import UserError
from trainable.data.dataset.build import build_dataset
from trainable.data.dataset.dataset import Dataset
from trainable.data.settings import DataSettings
from trainable.data.sources import market_from_frame

SYMBOLS = 6
NIGHTS = pd.DatetimeIndex(
    [
        day + pd.Timedelta(minutes=15 * bar, hours=9)
        for day in pd.bdate_range("2021-03-01", periods=40)
        for bar in range(20)
    ]
)
STAMPS = {
    "session": NIGHTS,
    "day": pd.date_range("2022-01-01", periods=900, freq="h"),
    "week": pd.bdate_range("2019-01-01", periods=600),
    "month": pd.bdate_range("2019-01-01", periods=600),
}
BARS = {"session": 19, "day": 23, "week": 4, "month": 22}


def prices(period: str) -> pd.DataFrame:
    rng = np.random.default_rng(3)
    size = 0.001 if period == "day" else 0.004
    bars = len(STAMPS[period])
    steps = size * (rng.normal(size=(bars, 1)) + 2 * rng.normal(size=(bars, SYMBOLS)))
    close = pd.DataFrame(40 * np.exp(steps.cumsum(axis=0)), STAMPS[period])
    return close.set_axis([f"S{n}" for n in range(SYMBOLS)], axis=1)


def to_end(close: pd.DataFrame, period: str, lag: int) -> pd.DataFrame:
    """The return from `lag` bars after each row to the last close of its period."""
    index = pd.DatetimeIndex(close.index)
    letter = {"session": "D", "day": "D", "week": "W", "month": "M"}[period]
    group = index.to_period(letter)
    entry = close.groupby(group).shift(-lag)
    return pd.DataFrame(close.groupby(group).transform("last")) / entry - 1


def build(columns: dict[str, pd.DataFrame], **settings: Any) -> Dataset:
    parts = {name: x.to_numpy().T.ravel() for name, x in columns.items()}
    some = next(iter(columns.values()))
    frame = pd.DataFrame(parts).assign(
        date=np.tile(some.index, SYMBOLS), symbol=np.repeat(some.columns, len(some))
    )
    frame["feat_a"] = np.random.default_rng(2).normal(size=len(frame))
    chosen = DataSettings(features="feat_*", target="y", **settings)
    return build_dataset(market_from_frame(frame, chosen), chosen)


KINDS = {
    "return": lambda x: x,
    "direction": np.sign,
    "rank": lambda x: x.rank(axis=1),
    "less the others": lambda x: x.sub(x.mean(axis=1), axis=0),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("period", STAMPS)
def test_a_return_to_the_end_of_its_period_is_told_as_what_it_is(period: str, kind: str) -> None:
    close = prices(period)
    one = close.shift(-1) / close - 1
    for lag, horizon in ((0, 1), (1, 1), (0, 3)):
        label = pd.DataFrame(KINDS[kind](to_end(close, period, lag)))
        bars = BARS[period] - lag
        says = (
            rf"'y' is the return to the {period}'s end, of {bars} to 0 bars, .* no setting fits it"
        )
        with pytest.raises(UserError, match=says) as raised:
            build({"y": label, "one": one}, returns="one", lag=lag, horizon=horizon)
        assert "\n" not in str(raised.value)


@pytest.mark.parametrize("beside", [False, True])
@pytest.mark.parametrize("period", ["session", "week", "month"])
@pytest.mark.parametrize("lag", [0, 1])
def test_it_is_told_without_returns_as_well(period: str, lag: int, beside: bool) -> None:
    close = prices(period)
    columns = {"y": to_end(close, period, lag)} | ({"close": close} if beside else {})
    with pytest.raises(UserError, match=rf"'y' is the return to the {period}'s end, of .* to 0"):
        build(columns, lag=lag)


@pytest.mark.parametrize("period", ["session", "week"])
def test_returns_over_a_fixed_number_of_bars_are_taken(period: str) -> None:
    close = prices(period)
    one = close.shift(-1) / close - 1
    group = pd.DatetimeIndex(close.index).to_period("D")
    for horizon, kind in zip((1, 3, 5, 15), KINDS.values(), strict=True):
        label = close.shift(-horizon) / close - 1
        label = pd.DataFrame(kind(label))
        found = build({"y": label, "one": one}, returns="one", lag=0, horizon=horizon)
        assert found.horizon == horizon
    # Nothing over the night: empty there, or 0.
    if period == "session":
        last = pd.DatetimeIndex(close.index).hour >= 13
        for night in (np.nan, 0.0):
            inside = one.where(pd.Series(group, close.index).duplicated(keep="last"), night, axis=0)
            assert build({"y": inside}, lag=0).lag == 0
        short = (close.shift(-3) / close - 1).mask(pd.Series(last, close.index), axis=0)
        assert build({"y": short, "one": one}, returns="one", lag=0, horizon=3).horizon == 3
