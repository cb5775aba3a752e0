"""Symbols whose bars do not stand at the same times."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from trainable.cli.errors import UserError
from trainable.data.market import Market
from trainable.data.settings import DataSettings
from trainable.data.sources import market_from_frame

DAYS: Any = pd.bdate_range("2024-01-01", periods=120)
ALL_DAYS = pd.date_range("2024-01-01", periods=120)
HOURS = pd.date_range("2024-01-01", periods=900, freq="h")


def market(times: dict[str, pd.DatetimeIndex], **keys) -> Market:
    rng = np.random.default_rng(0)
    parts = [
        pd.DataFrame({"timestamp": when, "symbol": name, "close": 50 + rng.random(len(when))})
        for name, when in times.items()
    ]
    return market_from_frame(pd.concat(parts, ignore_index=True), DataSettings(**keys), "p.csv")


def later(hours: float) -> Any:
    return pd.Timedelta(minutes=round(60 * hours))


def test_daily_bars_of_several_midnights_are_read_as_dates():
    found = market({"EUR": DAYS, "ES": DAYS + later(5), "NK": DAYS + later(6.5)})
    assert list(found.timestamps) == list(DAYS.to_numpy())
    assert found.present.all()
    assert (found.intraday, found.periods_per_year) == (False, 252)
    assert found.quality["read_as"] == [
        "daily bars stamped at 00:00, 05:00, 06:30 read as their dates"
    ]


def test_summer_time_of_one_exchange_only():
    new_york = pd.DatetimeIndex([t + later(21 if t.month < 3 else 20) for t in DAYS])
    found = market({"AAA": DAYS + later(21), "BBB": new_york})
    assert list(found.timestamps) == list(DAYS.to_numpy())
    assert found.present.all()


def test_one_hour_for_all_stays_as_it_is():
    found = market({"AAA": DAYS + later(21), "BBB": DAYS[:50] + later(21)})
    assert found.timestamps[0] == (DAYS[0] + later(21)).to_datetime64()
    assert "read_as" not in found.quality


@pytest.mark.parametrize(
    "times",
    [
        {"AAA": DAYS, "BBB": DAYS, "CCC": DAYS - later(3)},  # CCC: the evening before
        {"AAA": DAYS, "BBB": DAYS, "CCC": ALL_DAYS + later(16)},
        {"AAA": ALL_DAYS, "BBB": ALL_DAYS, "CCC": ALL_DAYS + later(8)},
    ],
)
def test_hours_that_could_mean_another_day_are_refused(times):
    with pytest.raises(
        UserError, match=r"stamped at different hours .*data.symbols=AAA,BBB"
    ) as error:
        market(times)
    assert str(error.value).startswith("p.csv: daily bars")
    assert market(times, symbols=("AAA", "BBB")).present.all()


@pytest.mark.parametrize(
    "times",
    [
        {"AAA": HOURS, "BBB": HOURS + later(0.5)},
        {"AAA": DAYS[DAYS.day_of_week == 4], "BBB": DAYS[DAYS.day_of_week == 2]},
        {"AAA": HOURS + later(0.5), "BBB": DAYS},
    ],
)
def test_symbols_without_a_common_time_are_refused(times):
    with pytest.raises(UserError, match=r"p\.csv: AAA and BBB share almost no timestamp"):
        market(times)


def test_symbols_that_share_some_times_or_never_lived_together_are_kept():
    rare = DAYS[np.random.default_rng(1).random(len(DAYS)) < 0.3]
    found = market({"AAA": DAYS, "BBB": rare, "OLD": DAYS[:40], "NEW": DAYS[60:]})
    assert found.present.sum() == len(DAYS) + len(rare) + 40 + 60
