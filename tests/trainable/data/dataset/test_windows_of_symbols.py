"""A window ends at its row and holds the rows of its own symbol before it, and no other."""

import numpy as np
import pandas as pd
import pytest

from tests.fixtures import tiny
from tests.fixtures.members import seen_through
from trainable.config import DataConfig
from trainable.data.dataset.build import build_dataset
from trainable.data.dataset.dataset import Dataset
from trainable.data.settings import DataSettings
from trainable.data.sources import market_from_frame

DAYS, LATE = 240, 20  # and by how much the last symbol begins later
VALIDATION = 150  # a day within it, on which the symbol before that begins


def made(window: int) -> Dataset:
    """Ready features that say which symbol and which of its rows they are of."""
    frame = tiny.ready()
    day = frame.groupby("symbol").cumcount()
    symbol = frame["symbol"].map(tiny.SYMBOLS.index)
    frame = frame.assign(feat_a=100.0 * symbol, feat_b=day.astype(float))
    gone = (symbol == 5) & (day < LATE) | (symbol == 2) & (day % 40 == 7)
    gone |= (symbol == 4) & (day < VALIDATION)
    settings = DataSettings(features="feat_*", target="label")
    return build_dataset(market_from_frame(frame.loc[~gone], settings), settings, window)


@pytest.mark.parametrize("window", [1, 2, 5, 12])
def test_windows_never_cross_symbols(window: int) -> None:
    dataset = made(window)
    data = DataConfig(window=window, winsorise=0.0, scaler="standard")
    for rows, x in seen_through(dataset, data):
        assert x.shape[1:] == (window, 2)
        symbol, day = np.rint(x[..., 0] / 100), np.rint(x[..., 1])
        own = dataset.symbol[rows]
        np.testing.assert_array_equal(symbol, np.repeat(own[:, None], window, axis=1))
        last = dataset.timestamps[dataset.time[rows]]
        wanted = pd.bdate_range("2020-01-01", periods=DAYS).get_indexer(pd.DatetimeIndex(last))
        np.testing.assert_array_equal(day[:, -1], wanted)
        steps = np.diff(day, axis=1)
        full = own != 2  # who has no holes
        assert (steps[full] == 1).all()
        assert (steps[~full] >= 1).all()


@pytest.mark.parametrize("window", [1, 5, 12])
def test_a_symbols_first_rows_are_too_young_for_a_window(window: int) -> None:
    dataset = made(window)
    for symbol, start in ((0, 0), (1, 0), (5, LATE)):
        mine = dataset.train_rows[dataset.symbol[dataset.train_rows] == symbol]
        first = int(dataset.time[mine].min())
        assert first == start + window - 1
        last = int(dataset.time[mine].max())
        assert last == int(0.6 * DAYS) - 2  # its label ends within the training part


@pytest.mark.parametrize("window", [1, 5, 12])
def test_a_symbol_that_begins_in_the_validation_is_scored_once_its_window_is_full(
    window: int,
) -> None:
    dataset = made(window)
    start, stop = dataset.split.valid
    assert start < VALIDATION < stop - 13
    mine = dataset.valid_rows[dataset.symbol[dataset.valid_rows] == 4]
    assert dataset.time[mine].min() == VALIDATION + window - 1


def test_a_window_longer_than_the_data_were_made_for_is_a_defect() -> None:
    with pytest.raises(ValueError, match="reach into the symbol before"):
        seen_through(made(5), DataConfig(window=6))
