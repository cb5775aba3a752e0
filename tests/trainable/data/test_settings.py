"""The checks of `data.*`: each value by itself, with the same words whoever asks."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from tests.fixtures.markets import make_market
from trainable.cli.errors import UserError
from trainable.data.dataset.build import build_dataset, evaluation_dataset
from trainable.data.settings import (
    DataSettings,
    SyntheticSettings,
    check_data_settings,
    check_synthetic_settings,
    expand_source,
)
from trainable.data.sources import load_market, market_from_frame
from trainable.data.synthetic.market import generate

NAN, INF = float("nan"), float("inf")
REFUSED = [
    ({"horizon": 0}, "data.horizon=0 must be at least 1; data.horizon=1 works"),
    ({"lag": -1}, "data.lag=-1 must be at least 0; data.lag=0 works"),
    ({"cost_bps": -0.5}, "data.cost_bps=-0.5 must be at least 0; data.cost_bps=1.0 works"),
    ({"cost_bps": NAN}, "data.cost_bps=nan must be at least 0"),
    ({"cost_bps": INF}, "data.cost_bps=inf must be at least 0"),
    (
        {"delisting_return": -1.5},
        "data.delisting_return=-1.5 must be from -1 to 0, a decimal return",
    ),
    ({"delisting_return": 0.6}, "data.delisting_return=0.6 must be from -1 to 0"),
    ({"delisting_return": NAN}, "data.delisting_return=nan must be from -1 to 0"),
    ({"overnight": "holt"}, "unknown data.overnight 'holt'; did you mean 'hold'?"),
    ({"periods_per_year": 0.0}, "data.periods_per_year=0.0 must be above 0"),
    ({"periods_per_year": INF}, "data.periods_per_year=inf must be above 0"),
    ({"fraction": 0.0}, "data.fraction=0.0 must be above 0 and at most 1"),
    ({"fraction": 1.01}, "data.fraction=1.01 must be above 0 and at most 1"),
    ({"holdout_symbols": -0.1}, "data.holdout_symbols=-0.1 must be at least 0 and below 1"),
    ({"holdout_symbols": 1.0}, "data.holdout_symbols=1.0 must be at least 0 and below 1"),
    ({"source": "prices.CSV"}, "data=prices.CSV names no source; a file is data.path=prices.CSV"),
]
NOT_GENERATED = [
    ({"signal": -0.1}, "data.synthetic.signal=-0.1 must be at least 0 and below 1"),
    ({"signal": 1.0}, "data.synthetic.signal=1.0 must be at least 0 and below 1"),
    ({"symbols": 0}, "data.synthetic.symbols=0 must be at least 1"),
    ({"bars": 49}, "data.synthetic.bars=49 must be at least 50; data.synthetic.bars=8000 works"),
    ({"frequency": "hour"}, "unknown frequency 'hour'. Available: day, minute"),
    ({"seed": -1}, "data.synthetic.seed=-1 must be at least 0"),
    ({"bad_ticks": -1}, "data.synthetic.bad_ticks=-1 must be at least 0"),
]


@pytest.mark.parametrize(("values", "message"), REFUSED)
def test_a_value_out_of_its_range_is_refused(values: dict[str, object], message: str) -> None:
    with pytest.raises(UserError) as raised:
        check_data_settings(DataSettings(**values))  # type: ignore[arg-type]
    assert str(raised.value).startswith(message)


@pytest.mark.parametrize(("values", "message"), NOT_GENERATED)
def test_a_market_that_cannot_be_generated_is_refused(
    values: dict[str, object], message: str
) -> None:
    synthetic = SyntheticSettings(**values)  # type: ignore[arg-type]
    for check in (
        lambda: check_synthetic_settings(synthetic),
        lambda: check_data_settings(DataSettings(synthetic=synthetic)),
        lambda: generate(synthetic),
    ):
        with pytest.raises(UserError) as raised:
            check()
        assert str(raised.value).startswith(message)


def test_the_bounds_themselves_are_accepted() -> None:
    synthetic = SyntheticSettings(signal=0.0, symbols=1, bars=50, bad_ticks=0)
    lowest = DataSettings(horizon=1, lag=0, cost_bps=0.0, fraction=1.0, synthetic=synthetic)
    check_data_settings(lowest)
    check_data_settings(replace(lowest, holdout_symbols=0.99, fraction=1e-9, periods_per_year=1e-9))


def test_every_way_to_a_dataset_asks_the_same_check() -> None:
    wrong, market = DataSettings(horizon=0), make_market(bars=1000)
    dates = pd.bdate_range("2020-01-01", periods=5)
    frame = pd.DataFrame({"close": np.arange(1.0, 6.0)}, index=dates)
    for build in (
        lambda: load_market(wrong),
        lambda: market_from_frame(frame, wrong),
        lambda: build_dataset(market, wrong),
        lambda: evaluation_dataset(market, wrong, ["momentum_1"]),
    ):
        with pytest.raises(UserError, match=r"data\.horizon=0 must be at least 1"):
            build()


def test_data_is_short_for_the_source() -> None:
    assert expand_source(["data=us20", "data.lag=1"]) == ["data.source=us20", "data.lag=1"]
    for tokens in (["data=us20", "data.path=x"], ["data.source=us20", "data.path=x"]):
        with pytest.raises(UserError, match=r"and data\.path= name two sources"):
            expand_source(tokens)
    with pytest.raises(UserError, match="are the same key"):
        expand_source(["data=us20", "data.source=sp500"])
