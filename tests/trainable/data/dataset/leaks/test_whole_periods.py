"""Features that hold the result of a day, week, month or quarter before it has ended."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from tests.fixtures.markets import make_market
from trainable.cli.errors import UserError
from trainable.data.dataset.leaks.leaks import ReadyColumn
from trainable.data.dataset.leaks.whole_periods import refuse_whole_periods
from trainable.data.market import Market

EACH_HOUR = np.datetime64("2024-01-01", "ns") + np.arange(1500) * np.timedelta64(1, "h")
HOURS = replace(make_market(bars=1500, symbols=2, intraday=True), timestamps=EACH_HOUR)
DAYS = make_market(bars=1500, symbols=3)
PERIODS = {"day": "D", "week": "W", "month": "M", "quarter": "Q"}


def fields(market: Market) -> dict[str, pd.DataFrame]:
    index = pd.DatetimeIndex(market.timestamps)
    return {name: pd.DataFrame(grid, index) for name, grid in market.fields.items()}


def check(market: Market, **columns: pd.DataFrame) -> None:
    grids = {name: x.to_numpy(np.float32) for name, x in columns.items()}
    refuse_whole_periods(market, grids, 1200)


def results(market: Market, period: str) -> dict[str, pd.DataFrame]:
    """What each bar's whole period brings, on the row of the bar, in the words of the refusal."""
    own = fields(market)
    close = own["close"]
    group = pd.DatetimeIndex(market.timestamps).to_period(PERIODS[period])

    def whole(name: str, what: str) -> pd.DataFrame:
        return pd.DataFrame(own[name].groupby(group).transform(what))

    last = whole("close", "last")
    return {
        "return": last / whole("open", "first") - 1,
        "return to come": last / close - 1,
        "range": whole("high", "max") / whole("low", "min") - 1,
        "mean": whole("close", "mean") / close - 1,
    }


@pytest.mark.parametrize(
    ("market", "period"), [(HOURS, "day"), (DAYS, "week"), (DAYS, "month"), (DAYS, "quarter")]
)
def test_the_result_of_a_whole_period_is_refused(market: Market, period: str) -> None:
    for what, column in results(market, period).items():
        kind = what.removesuffix(" to come")
        with pytest.raises(UserError, match=f"'x' holds the {kind} of the whole {period}"):
            check(market, x=column)


def test_the_share_of_the_days_volume_is_refused() -> None:
    volume = fields(HOURS)["volume"]
    total = volume.groupby(pd.DatetimeIndex(HOURS.timestamps).date).transform("sum")
    with pytest.raises(UserError, match="'x' holds the volume of the whole day"):
        check(HOURS, x=volume / total)


@pytest.mark.parametrize(
    ("market", "period"), [(HOURS, "day"), (DAYS, "week"), (DAYS, "month"), (DAYS, "quarter")]
)
def test_what_is_known_at_the_bar_passes(market: Market, period: str) -> None:
    own = fields(market)
    stamps = pd.DatetimeIndex(market.timestamps)
    group = stamps.to_period(PERIODS[period])
    close, volume = own["close"], own["volume"]
    shape = close.shape
    noise = pd.DataFrame(np.random.default_rng(5).normal(size=shape), stamps)
    known = {
        "so far": close / own["open"].groupby(group).transform("first") - 1,
        "range so far": own["high"].groupby(group).cummax() / own["low"].groupby(group).cummin(),
        "volume so far": volume.groupby(group).cumsum(),
        "hour": noise * 0 + np.asarray(stamps.hour)[:, None],
        "weekday": noise * 0 + np.asarray(stamps.day_of_week)[:, None],
        "month": noise * 0 + np.asarray(stamps.month)[:, None],
        "drawn once": noise.groupby(group).transform("first"),
        "average": close / close.rolling(20).mean(),
        "volume": volume.rolling(20).mean(),
        "walk": noise.cumsum(),
        "close": close,
    }
    for what, column in results(market, period).items():
        if "to come" not in what:
            ended = column.groupby(group).last().shift(1)
            known[f"{what} before"] = ended.reindex(group).set_axis(stamps)
    check(market, **known)


def ready(market: Market, how: str) -> tuple[Market, ReadyColumn]:
    """The same closes as ready returns, on the row of their bar, or of the bar before."""
    own = pd.DataFrame(market.fields["close"])
    close = own.to_numpy()
    lag = int(how == "a target that begins a bar later")
    returns = (own.shift(-lag - 1) / own.shift(-lag) - 1).to_numpy()
    if how == "less the mean of the symbols":
        returns = returns - returns.mean(axis=1, keepdims=True)
    # Nothing but the close beside shows the prices where the returns are noise.
    beside = close if how == "beside a close" else None
    returns = returns * np.nan if beside is not None else returns
    return (
        replace(market, fields={}, returns=returns, target=returns, beside=beside),
        ReadyColumn("y", lag + 1, lag),
    )


@pytest.mark.parametrize("how", ["returns", "a target that begins a bar later", "beside a close"])
@pytest.mark.parametrize(("market", "period"), [(HOURS, "day"), (DAYS, "week"), (DAYS, "month")])
def test_ready_features_that_hold_it_are_refused(market: Market, period: str, how: str) -> None:
    closes = replace(market, fields={"close": market.fields["close"]})
    given, column = ready(closes, how)
    close = fields(closes)["close"]
    group = pd.DatetimeIndex(market.timestamps).to_period(PERIODS[period])

    def whole(what: str) -> pd.DataFrame:
        return pd.DataFrame(close.groupby(group).transform(what))

    found = {
        "return": whole("last") / whole("first") - 1,
        "range": whole("max") / whole("min") - 1,
        "mean": whole("mean") / close - 1,
    }
    if period != "week":
        found["volatility"] = pd.DataFrame(close.pct_change().groupby(group).transform("std"))
    known = {
        "so_far": close / whole("first") - 1,
        "range_so_far": whole("cummax") / whole("cummin"),
        "deviation": close.pct_change().rolling(20).std(),
        "average": close / close.rolling(20).mean(),
    }
    for what, x in found.items():
        with pytest.raises(UserError, match=f"'x' holds the {what} of the whole {period}"):
            refuse_whole_periods(given, {"x": x.to_numpy(np.float32)}, 1200, column)
        ended = x.groupby(group).last().shift(1).reindex(group).set_axis(close.index)
        known[f"{what}_before"] = ended
    grids = {name: x.to_numpy(np.float32) for name, x in known.items()}
    refuse_whole_periods(given, grids, 1200, column)


def test_returns_less_the_market_show_the_return_of_a_whole_month() -> None:
    market = make_market(bars=1500, symbols=6)
    given, column = ready(market, "less the mean of the symbols")
    close = fields(market)["close"]
    whole = close.groupby(pd.DatetimeIndex(market.timestamps).to_period("M"))
    first, last = (pd.DataFrame(whole.transform(what)) for what in ("first", "last"))
    x = last / first - 1
    with pytest.raises(UserError, match="'x' holds the return of the whole month"):
        refuse_whole_periods(given, {"x": x.to_numpy(np.float32)}, 1200, column)
    so_far = (close / first - 1).to_numpy(np.float32)
    refuse_whole_periods(given, {"x": so_far}, 1200, column)


def test_nothing_after_the_training_part_is_looked_at() -> None:
    column = results(HOURS, "day")["range"].copy()
    column.iloc[:1200] = 1.0
    check(HOURS, x=column)
