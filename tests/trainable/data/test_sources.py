"""Named sources: what they hold, and what is true of them."""

from pathlib import Path

import numpy as np
import pytest

from trainable.cli.errors import UserError
from trainable.data.settings import DataSettings, SyntheticSettings
from trainable.data.sources import SOURCES, load_market


@pytest.fixture(scope="module")
def us20():
    return load_market(DataSettings())


@pytest.fixture(scope="module")
def sp500():
    return load_market(DataSettings(source="sp500"))


@pytest.mark.parametrize("name", SOURCES)
def test_every_source_gives_a_checked_market(name):
    market = load_market(DataSettings(source=name, fraction=0.3))
    T, N = len(market.timestamps), len(market.symbols)
    assert market.timestamps.dtype == np.dtype("datetime64[ns]")
    assert np.all(np.diff(market.timestamps) > np.timedelta64(0))
    assert list(market.symbols) == sorted(set(market.symbols))
    for grid in market.fields.values():
        assert grid.shape == (T, N)
        assert grid.dtype == np.float64
    for grid in market.extra.values():
        assert grid.shape == (T, N)
        assert grid.dtype == np.float32
    np.testing.assert_array_equal(market.present, np.isfinite(market.fields["close"]))
    assert market.bad_ticks.shape == (T, N)
    assert len(market.sha256) == 64
    assert market.periods_per_year == 252.0
    for key in ("rows", "bars", "missing_bars", "zero_returns", "extreme_moves", "bad_ticks"):
        assert key in market.quality


def test_us20(us20):
    assert (len(us20.timestamps), len(us20.symbols)) == (8313, 20)
    assert list(us20.fields) == ["close"]
    assert us20.quality["rows"] == 166_260
    rrc = us20.fields["close"][:, us20.symbols.index("RRC")]
    assert 0.12 < np.mean(np.diff(rrc) == 0) < 0.14


def test_us20_rrc_1990_is_a_bad_tick_and_the_crashes_of_pg_and_bac_are_real(us20):
    marked = np.argwhere(us20.bad_ticks)
    assert [(str(us20.timestamps[t])[:10], us20.symbols[n]) for t, n in marked] == [
        ("1990-04-10", "RRC")
    ]
    moves = us20.quality["extreme_moves"]
    named = {(move["timestamp"], move["symbol"]): move["bad_tick"] for move in moves["largest"]}
    assert len(named) == 20 < moves["count"] < 40
    assert named["1990-04-10", "RRC"] == "stale"
    assert named["2000-03-07", "PG"] is None
    assert named["2009-01-20", "BAC"] is None  # 79 % came back the next day, and it was real


def test_sp500_is_one_symbol_with_the_vix_known_at_each_close(sp500):
    assert sp500.symbols == ("SP500",)
    assert list(sp500.fields) == ["open", "high", "low", "close", "volume"]
    vix = sp500.extra["vix"][:, 0]
    days = sp500.timestamps.astype("datetime64[D]")
    begins = days >= np.datetime64("2014-01-03")
    assert np.isnan(vix[~begins]).all()
    assert np.isfinite(vix[begins]).all()
    from arch.data import vix as source

    known = source.load()["vix"].dropna()
    when, level = known.index.to_numpy(), known.to_numpy()
    for k in np.flatnonzero(begins)[::97]:
        assert vix[k] == np.float32(level[when <= days[k]][-1])


def test_the_same_source_has_the_same_hash(us20):
    assert load_market(DataSettings()).sha256 == us20.sha256


def test_choices_apply_to_named_sources(us20):
    market = load_market(
        DataSettings(symbols=("KO", "AAPL", "PG"), fraction=0.1, periods_per_year=250.0)
    )
    assert market.symbols == ("AAPL", "KO", "PG")
    columns = [us20.symbols.index(name) for name in market.symbols]
    np.testing.assert_array_equal(
        market.fields["close"], us20.fields["close"][-len(market.timestamps) :, columns]
    )
    assert len(market.timestamps) == 832
    assert market.periods_per_year == 250.0
    held = load_market(DataSettings(holdout_symbols=0.3))
    assert sorted((*held.symbols, *held.quality["held_out_symbols"])) == list(us20.symbols)


def test_synthetic_is_narrowed_with_its_expectation():
    small = SyntheticSettings(symbols=6, bars=600, bad_ticks=3)
    whole = load_market(DataSettings(source="synthetic", synthetic=small))
    assert whole.bad_ticks.sum() == 3
    assert whole.quality["bad_ticks"]["reverted"] == 3
    chosen = whole.symbols[2:4]
    part = load_market(
        DataSettings(source="synthetic", synthetic=small, symbols=chosen, fraction=0.5)
    )
    assert part.symbols == chosen
    assert part.expected is not None
    assert whole.expected is not None
    np.testing.assert_array_equal(part.expected, whole.expected[-300:, 2:4])


@pytest.mark.parametrize(
    ("keys", "says"),
    [
        ({"source": "us2"}, "unknown data source 'us2'; did you mean 'us20'"),
        ({"symbols": ("AAPL", "MSTF")}, "unknown symbol 'MSTF'; did you mean 'MSFT'"),
        ({"features": "feat_*", "target": "y"}, "need data.path"),
        ({"fraction": -1.0}, "data.fraction=-1"),
    ],
)
def test_wrong_settings_are_named(keys, says):
    with pytest.raises(UserError, match=says):
        load_market(DataSettings(**keys))


def test_a_file_is_named_after_itself(tmp_path: Path, monkeypatch):
    monkeypatch.setenv("ASHARPE_CACHE", str(tmp_path / "cache"))
    path = tmp_path / "ES 2024.csv"
    path.write_text("Date,Close\n2024-01-02,10\n2024-01-03,11\n2024-01-04,10.5\n")
    market = load_market(DataSettings(path=str(path)))
    assert market.name == "ES 2024.csv"
    assert market.symbols == ("ES 2024",)
