"""Yields and logarithms are no prices; tickers that look like maturities are."""

import numpy as np
import pandas as pd
import pytest

from trainable.cli.errors import UserError
from trainable.data.settings import DataSettings
from trainable.data.sources import market_from_frame

BARS = 250
DAYS = pd.bdate_range("2020-01-01", periods=BARS)


def walk(seed: int, start: float) -> np.ndarray:
    return (start * np.exp(np.random.default_rng(seed).normal(0, 0.01, BARS).cumsum())).round(2)


def wide(names: list[str], start: float) -> pd.DataFrame:
    return pd.DataFrame({"date": DAYS, **{name: walk(i, start) for i, name in enumerate(names)}})


@pytest.mark.parametrize(
    "names",
    [
        ["1 Mo", "3 Mo", "2 Yr", "10 Yr"],
        ["3M", "2Y", "10Y"],
        ["6-Month", "1-Year"],
        ["DGS1MO", "DGS10"],
        ["DTB3", "GS10"],
        ["US02Y", "DE10Y"],
        ["US10YT=RR", "DE10YT=RR"],
        ["^TNX", "^IRX"],
        ["SOFR", "EURIBOR3M"],
        ["BC_1MONTH", "BC_10YEAR"],
    ],
)
def test_yields_are_no_prices(names):
    with pytest.raises(UserError, match="are yields or rates: they are no prices") as error:
        market_from_frame(wide(names, 3.0), DataSettings())
    assert "data.symbols" not in str(error.value)


def test_a_yield_beside_prices_is_left_out_by_a_setting():
    frame = wide(["SPY", "QQQ"], 300.0).assign(US10Y=walk(9, 4.0))
    with pytest.raises(UserError, match=r"US10Y \(at .*leave them out: data.symbols=QQQ,SPY$"):
        market_from_frame(frame, DataSettings())
    market = market_from_frame(frame, DataSettings(symbols=("SPY", "QQQ")))
    np.testing.assert_allclose(market.fields["close"][:, 1], frame.SPY)


@pytest.mark.parametrize(
    ("names", "start"),
    [
        (["3M", "Apple"], 20.0),  # a company
        (["1M", "2M", "3M"], 18.0),  # futures of the VIX, forwards of a currency
        (["2Y", "10Y"], 110.0),  # bond futures
        (["US10Y", "US30Y"], 130.0),
        (["TLT", "IEF"], 20.0),
        (["GS", "DGX"], 20.0),
        (["M1", "M2", "M3"], 18.0),
        (["EURUSD", "USDCNY"], 6.5),
    ],
)
def test_prices_stay_prices(names, start):
    frame = wide(names, start)
    market = market_from_frame(frame, DataSettings())
    first = market.fields["close"][:, market.symbols.index(names[0])]
    np.testing.assert_allclose(first, frame[names[0]])


@pytest.mark.parametrize(("log", "base"), [(np.log, "e"), (np.log10, "10")])
@pytest.mark.parametrize("digits", [6, 15])
def test_logarithms_of_prices_are_refused(log, base, digits):
    frame = pd.DataFrame({"date": DAYS, "close": log(walk(1, 90.0)).round(digits)})
    with pytest.raises(UserError, match=f"'close' holds logarithms: {base} to the power"):
        market_from_frame(frame, DataSettings())


@pytest.mark.parametrize("start", [0.0002, 0.9, 4.5, 12.0])
@pytest.mark.parametrize("digits", [2, 4, 6, 15])
def test_small_prices_are_no_logarithms(start, digits):
    close = start * np.exp(np.random.default_rng(5).normal(0, 0.01, BARS).cumsum())
    close = close.round(digits)
    if close.min() == close.max() or close.min() <= 0:
        return
    market = market_from_frame(pd.DataFrame({"date": DAYS, "close": close}), DataSettings())
    np.testing.assert_allclose(market.fields["close"][:, 0], close)


def test_a_stablecoin_is_no_logarithm():
    close = (1 + np.random.default_rng(6).normal(0, 3e-4, BARS)).round(6)
    frame = pd.DataFrame({"date": DAYS, "close": close})
    np.testing.assert_allclose(
        market_from_frame(frame, DataSettings()).fields["close"][:, 0], close
    )
