"""What is ordered at a bar follows from nothing later: halts and ends of symbols included."""

import numpy as np
import pandas as pd
import pytest

from tests.fixtures import tiny
from trainable.data.dataset.build import evaluation_dataset
from trainable.data.settings import DataSettings
from trainable.data.sources import market_from_frame
from trainable.prediction.positions import Positions, scale_of

HORIZON = 3
DAYS = 60


def with_holes() -> pd.DataFrame:
    """Daily bars of six symbols, one with holes and one that ends twenty days early."""
    frame = tiny.bars(DAYS)
    day = frame.groupby("symbol").cumcount()
    hole = (frame["symbol"] == "BB") & day.isin([31, 40, 41, 50])
    ended = (frame["symbol"] == "EE") & (day >= DAYS - 20)
    return frame.loc[~(hole | ended)]


def ordered(frame: pd.DataFrame, lag: int) -> pd.DataFrame:
    """Returns what is ordered, [day, symbol], where each prediction is a number of its own."""
    settings = DataSettings(lag=lag, horizon=HORIZON)
    dataset = evaluation_dataset(market_from_frame(frame, settings), settings, ("hint",), 1)
    rows = np.flatnonzero(np.isfinite(dataset.features).all(axis=1))
    values = np.sin(7.0 * dataset.time[rows] + 3.0 * dataset.symbol[rows])
    book = Positions(dataset, rows, panel=True).book([(values, scale_of(None, None))])
    days = dataset.timestamps[book.first :]
    return pd.DataFrame(book.ordered, index=days, columns=list(dataset.symbols))


@pytest.mark.parametrize("lag", [1, 2])
def test_an_order_is_the_one_that_was_given_at_its_bar_or_is_not_shown(lag: int) -> None:
    frame = with_holes()
    whole = ordered(frame, lag)
    days = sorted(frame["timestamp"].unique())
    unknown = 0
    for last in days[25:]:
        then = ordered(frame.loc[frame["timestamp"] <= last], lag).loc[pd.Timestamp(last)]
        now = whole.loc[pd.Timestamp(last)]
        known = now.notna()
        late = pd.Series({name: ended_just_before(frame, name, last) for name in now.index})
        np.testing.assert_allclose(now[known & ~late], then[known & ~late], atol=1e-12)
        assert then.notna().all()
        assert set(now.index[~known]) <= {"BB", "EE"}
        unknown += int((~known).sum())
    assert 0 < unknown <= 10 * lag
    assert whole.iloc[-1].notna().all()


def ended_just_before(frame: pd.DataFrame, name: str, day: str) -> bool:
    """Says whether a symbol's last row is one of the three days before, so that it may be late."""
    days = sorted(frame["timestamp"].unique())
    last = max(frame.loc[frame["symbol"] == name, "timestamp"])
    return 0 < days.index(day) - days.index(last) <= 3
