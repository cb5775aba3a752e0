"""Dates whose month and day a spreadsheet swapped are refused; weekends and disorder are not."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from trainable.cli.errors import UserError
from trainable.data.market import Market
from trainable.data.settings import DataSettings
from trainable.data.sources import market_from_frame

STOCKS = pd.bdate_range("2016-01-04", "2019-12-31")
CRYPTO = pd.date_range("2016-01-01", "2018-12-31")
SUNDAYS = CRYPTO[~CRYPTO.day_of_week.isin([4, 5])]  # Sunday to Thursday
FRIDAYS = pd.date_range("2000-01-07", "2023-12-29", freq="W-FRI")
HOURS = pd.DatetimeIndex([d + pd.Timedelta(hours=h) for d in STOCKS[:500] for h in range(9, 17)])
RNG = np.random.default_rng(4)


def swapped(times: pd.DatetimeIndex) -> pd.DatetimeIndex:
    """As a spreadsheet reads days and months in the other order, where it can."""
    clock = times - times.normalize()
    turned = [pd.Timestamp(t.year, t.day, t.month) if t.day <= 12 else t for t in times.normalize()]
    return pd.DatetimeIndex(turned) + clock


def frame(times: pd.DatetimeIndex) -> pd.DataFrame:
    close = 100 * np.exp(np.cumsum(RNG.normal(0.0, 0.01, len(times))))
    return pd.DataFrame({"timestamp": times, "close": close})


def read(table: pd.DataFrame) -> Market:
    return market_from_frame(table, DataSettings())


@pytest.mark.parametrize(
    "times",
    [STOCKS, SUNDAYS, FRIDAYS, HOURS],
    ids=["stocks", "Tel Aviv", "weekly", "hourly"],
)
@pytest.mark.parametrize("order", [list, sorted, lambda times: list(times)[::-1]])
def test_days_that_only_early_dates_lie_on_show_it(
    times: pd.DatetimeIndex, order: Callable[..., list]
) -> None:
    with pytest.raises(UserError, match=r"lies on a \w+day, as only dates up to the 12th"):
        read(frame(pd.DatetimeIndex(order(swapped(times)))))


def test_the_order_of_the_rows_shows_it_where_all_days_have_bars() -> None:
    with pytest.raises(UserError, match=r"2016-02-01 is out of order.* \(it was 2016-01-02\)"):
        read(frame(swapped(CRYPTO)))
    with pytest.raises(UserError, match="in order with month and day swapped"):
        read(frame(swapped(CRYPTO)[::-1]))
    both = pd.concat([frame(swapped(CRYPTO)).assign(symbol=name) for name in "AB"])
    with pytest.raises(UserError, match=r"data row \d+ \(A\).*in order with month"):
        read(both)


SATURDAYS = pd.DatetimeIndex(["2016-03-05", "2017-02-04", "2018-11-10", "2019-10-26", "2019-01-12"])


@pytest.mark.parametrize(
    "times",
    [
        STOCKS,
        STOCKS.append(SATURDAYS),
        RNG.permutation(STOCKS),
        RNG.permutation(CRYPTO),
        CRYPTO[::-1],
        SUNDAYS,
        FRIDAYS,
        HOURS,
        pd.date_range("1950-01-01", "2019-12-01", freq="MS"),
        pd.date_range("1990-01-01", "2019-12-01", freq="SMS"),
        pd.date_range("1950-01-01", "2019-12-01", freq="BMS"),
        STOCKS.append(pd.date_range("2020-01-01", "2020-12-31")),
    ],
)
def test_other_files_are_read(times: pd.DatetimeIndex) -> None:
    found = read(frame(pd.DatetimeIndex(times)))
    np.testing.assert_array_equal(found.timestamps, np.sort(np.asarray(times, "datetime64[ns]")))
