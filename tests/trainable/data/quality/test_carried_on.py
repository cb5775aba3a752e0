"""A last price that is carried on is no bar; one that merely rests is."""

import numpy as np
import pandas as pd
import pytest

from trainable.data.dataset.build import build_dataset
from trainable.data.settings import DataSettings
from trainable.data.sources import market_from_frame
from trainable.metrics.traded import ended_line

BARS, END = 400, 250
DAYS = pd.bdate_range("2020-01-01", periods=BARS)


def bars(symbol: str, seed: int) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    close = (50 * np.exp(random.normal(0, 0.02, BARS).cumsum())).round(4)
    volume = random.integers(1_000, 9_000, BARS).astype(float)
    return pd.DataFrame({"date": DAYS, "symbol": symbol, "close": close, "volume": volume})


def read(*frames: pd.DataFrame):
    return market_from_frame(pd.concat(frames, ignore_index=True), DataSettings())


def said(market) -> str:
    return "\n".join(market.quality.get("read_as", []))


@pytest.mark.parametrize("volume", [0.0, np.nan, 5_000.0])
def test_a_symbol_ends_where_its_price_is_carried_on_without_a_trade(volume):
    padded = bars("B", 2)
    padded.loc[END - 1, "volume"] = 5_000.0
    padded.loc[END:, "close"] = padded.close[END - 1]
    padded.loc[END:, "volume"] = volume
    market = read(bars("A", 1), padded)
    assert market.present[:, 0].all()
    np.testing.assert_array_equal(market.present[:, 1], np.arange(BARS) < END)
    np.testing.assert_array_equal(np.isfinite(market.fields["close"][:, 1]), np.arange(BARS) < END)
    day = str(DAYS[END - 1])[:10]
    assert f"the last price of B (since {day}, 150 bars) is carried on without a trade" in said(
        market
    )


def test_without_a_volume_the_rows_count_and_are_named():
    padded = bars("B", 2)
    padded.loc[END:, "close"] = padded.close[END - 1]
    market = read(*[frame.drop(columns="volume") for frame in (bars("A", 1), padded)])
    assert market.present.all()
    assert "the close of B (since 2020-12-15, 150 bars) does not move any more" in said(market)
    line = ended_line(build_dataset(market, DataSettings()), generated=False)
    assert line is not None
    assert "survivors" not in line
    assert "the last price of 1 symbol does not move any more" in line


def test_a_currency_without_volume_beside_stocks_is_named_only():
    pegged = bars("USDAED", 2).assign(volume=0.0)
    pegged.loc[END:, "close"] = 3.6725
    market = read(bars("A", 1), pegged)
    assert market.present.all()
    assert "the close of USDAED" in said(market)


def illiquid(frame: pd.DataFrame) -> pd.DataFrame:
    """It rested for as long before, and went on."""
    frame.loc[100:220, "close"] = frame.close[99]
    frame.loc[100:220, "volume"] = 0.0
    frame.loc[END:, "close"] = frame.close[END - 1]
    frame.loc[END:, "volume"] = 0.0
    return frame


def traded(frame: pd.DataFrame) -> pd.DataFrame:
    """A bid at a fixed price: it is traded, at one price."""
    frame.loc[END:, "close"] = frame.close[END - 1]
    return frame


def a_few_days(frame: pd.DataFrame) -> pd.DataFrame:
    frame.loc[BARS - 15 :, "close"] = frame.close[BARS - 16]
    frame.loc[BARS - 15 :, "volume"] = 0.0
    return frame


def goes_on(frame: pd.DataFrame) -> pd.DataFrame:
    frame.loc[END : BARS - 5, "close"] = frame.close[END - 1]
    frame.loc[END : BARS - 5, "volume"] = 0.0
    return frame


@pytest.mark.parametrize("change", [illiquid, traded, a_few_days, goes_on])
def test_a_price_that_rests_is_kept(change):
    market = read(bars("A", 1), change(bars("B", 2)))
    assert market.present.all()
    assert "carried_on" not in market.quality
    assert said(market) == ""


def test_one_symbol_alone_keeps_its_rows():
    padded = bars("B", 2)
    padded.loc[END:, "close"] = padded.close[END - 1]
    padded.loc[END:, "volume"] = 0.0
    market = read(padded)
    assert len(market.timestamps) == BARS
    assert "does not move any more" in said(market)


def test_quiet_minutes_at_the_end_of_a_day_are_bars():
    quiet = bars("B", 2)
    quiet.loc[END:, "close"] = quiet.close[END - 1]
    quiet.loc[END:, "volume"] = 0.0
    minutes = pd.date_range("2024-01-02 09:30", periods=BARS, freq="min")
    market = read(bars("A", 1).assign(date=minutes), quiet.assign(date=minutes))
    assert market.present.all()
    assert "carried_on" not in market.quality
