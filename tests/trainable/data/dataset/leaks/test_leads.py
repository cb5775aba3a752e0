"""Features that are returns over many bars to come, of one symbol or among several."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from tests.fixtures.markets import holes, make_market
from trainable.cli.errors import UserError
from trainable.data.dataset.leaks.leads import find_leads

MARKET = holes(make_market(bars=1000, symbols=6))
CLOSE = pd.DataFrame(MARKET.fields["close"])
END = 600
NOISE = np.random.default_rng(3).normal(size=(1000, 6))


def forward(bars: int) -> pd.DataFrame:
    """The return of each symbol's own next bars, on the grid."""
    own = [CLOSE[n].dropna() for n in CLOSE]
    return pd.concat([x.shift(-bars) / x - 1 for x in own], axis=1).reindex(CLOSE.index)


def warned(column: pd.DataFrame) -> list[str]:
    return find_leads(MARKET, {"x": column.to_numpy(np.float32)}, END)


@pytest.mark.parametrize("bars", [2, 21, 60, 252])
def test_a_forward_return_over_any_number_of_bars_is_named(bars: int) -> None:
    with pytest.raises(UserError, match=f"'x' moves as the close does {bars} bars later"):
        warned(forward(bars))
    with pytest.raises(UserError, match=f"'x' moves as the close does {bars} bars later"):
        warned(pd.DataFrame(0.002 * NOISE) - forward(bars).apply(np.log1p))
    later = (1 + forward(bars)) * CLOSE
    with pytest.raises(UserError, match=f"'x' moves as the close does {bars} bars later"):
        warned(later)


@pytest.mark.parametrize("bars", [1, 5])
def test_a_forward_return_compared_with_the_other_symbols_is_named(bars: int) -> None:
    times = "1 bar" if bars == 1 else f"{bars} bars"
    ahead = forward(bars)
    less = ahead.sub(ahead.mean(axis=1), axis=0)
    for column in (less, less.div(ahead.std(axis=1), axis=0), ahead.rank(axis=1, pct=True)):
        with pytest.raises(UserError, match=f"'x' moves as the close.* does {times} later"):
            warned(column)


def test_a_column_that_knows_a_part_is_a_warning() -> None:
    (warning,) = warned(forward(60) + 0.017 * NOISE)
    assert warning == (
        "feature 'x' moves in part as the close does 60 bars later: does it know the future?"
    )


def test_what_is_known_at_its_bar_passes() -> None:
    own = CLOSE.pct_change(fill_method=None)
    known = {
        "close": CLOSE,
        "return": own,
        "year": CLOSE / CLOSE.shift(252),
        "earlier": own.shift(1),
        "average": CLOSE / CLOSE.rolling(50).mean(),
        "rank": CLOSE.pct_change(20, fill_method=None).rank(axis=1),
        "noise": pd.DataFrame(NOISE),
        "walk": pd.DataFrame(NOISE).cumsum(),
        "index": pd.DataFrame(np.tile(NOISE[:, :1].cumsum(axis=0), (1, 6))),
        "event": (own.abs() > 0.03).astype(float),
        "constant": CLOSE * 0 + 1,
    }
    columns = {name: x.to_numpy(np.float32) for name, x in known.items()}
    for end in (END, 270, 110, 30):
        assert find_leads(MARKET, columns, end) == []


def depends(how: str, symbols: int, seed: int) -> pd.DataFrame:
    """Closes whose returns depend on the ones before: smoothed, or by this autocorrelation."""
    own = np.random.default_rng(seed).normal(size=(800, symbols))
    if how == "smoothed":
        own[1:] = 0.6 * own[1:] + 0.4 * own[:-1]
    elif how == "each its own":
        for t in range(1, 800):
            own[t] += np.linspace(-0.5, 0.6, symbols) * own[t - 1]
    else:
        for t in range(1, 800):
            own[t] += float(how) * own[t - 1]
    return pd.DataFrame(50.0 * np.exp(0.01 * own.cumsum(axis=0)))


@pytest.mark.parametrize("symbols", [1, 3, 12])
@pytest.mark.parametrize("how", ["-0.5", "0.4", "0.6", "smoothed", "each its own"])
def test_features_of_returns_that_depend_on_the_ones_before_pass_and_leads_do_not(
    how: str, symbols: int
) -> None:
    close = depends(how, symbols, symbols)
    shape = close.shape
    market = replace(
        MARKET,
        fields={"close": close.to_numpy()},
        present=np.ones(shape, bool),
        timestamps=MARKET.timestamps[: len(close)],
        symbols=tuple(f"S{n}" for n in range(symbols)),
    )
    own, past = close.pct_change(), close.rolling(20)
    rise = pd.DataFrame(own.clip(lower=0)).rolling(14).mean()
    size = pd.DataFrame(own.abs()).rolling(14).mean()
    known = {
        "z20": (close - past.mean()) / past.std(),
        "z60": (close - close.rolling(60).mean()) / close.rolling(60).std(),
        "average": close / close.rolling(50).mean(),
        "highest": close / close.rolling(60).max(),
        "strength": pd.DataFrame(rise) / pd.DataFrame(size),
        "return": own,
        "month": close.pct_change(20),
        "deviation": own.rolling(20).std(),
        "less the others": own.sub(own.mean(axis=1), axis=0),
    }
    columns = {name: x.to_numpy(np.float32) for name, x in known.items()}
    assert find_leads(market, columns, 700) == []
    noise = 0.004 * np.random.default_rng(9).normal(size=shape)
    for bars in (1, 2, 20):
        ahead = close.shift(-bars) / close - 1
        times = "1 bar" if bars == 1 else f"{bars} bars"
        for column in (ahead, ahead + noise):
            with pytest.raises(UserError, match=f"'x' moves as the close.* does {times} later"):
                find_leads(market, {"x": column.to_numpy(np.float32)}, 700)


def test_nothing_after_the_training_part_is_looked_at() -> None:
    late = forward(60)
    late.iloc[:END] = NOISE[:END]
    assert warned(late) == []
    inside = forward(60)
    inside.iloc[END:] = NOISE[END:]
    with pytest.raises(UserError, match="60 bars later"):
        warned(inside)
