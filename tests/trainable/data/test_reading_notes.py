"""What a plan says of how the data were read, and of extreme moves."""

import numpy as np
import pytest

from tests.fixtures.shapes import bars, raw_bars
from trainable.data.reading_notes import extreme_line, like_a_split, reading_lines
from trainable.data.settings import DataSettings
from trainable.data.sources import market_from_frame


def test_a_market_without_anything_odd_needs_no_line():
    quality = market_from_frame(bars(), DataSettings()).quality
    assert reading_lines(quality) == []
    assert extreme_line(quality) is None


def test_guesses_and_columns_left_out_are_lines():
    table = bars().rename(columns={"close": "last"}).assign(flag=1, note="x", more=1)
    assert reading_lines(market_from_frame(table, DataSettings()).quality) == [
        "Data read as: 'last' read as close.",
        "Columns left out: 'flag', 'more' (1 throughout); 'note' (text).",
    ]


def test_a_move_like_a_split_is_named_with_what_to_do():
    close = raw_bars()["close"]
    change = close[60] / close[59] - 1
    line = extreme_line(market_from_frame(raw_bars(), DataSettings()).quality)
    assert line == (
        f"1 extreme move is no bad tick: frame 2020-03-25 {change:+.1%} (a split? use adjusted "
        "prices)"
    )


def test_a_crash_is_named_and_a_bad_tick_is_not():
    table = bars()
    table.loc[table.index >= 80, ["open", "high", "low", "close"]] *= 0.6
    line = extreme_line(market_from_frame(table, DataSettings()).quality)
    assert line is not None
    assert line.startswith("1 extreme move is no bad tick: frame 2020-04-22 -")
    assert "split" not in line
    table = bars()
    table.loc[80, ["open", "high", "low", "close"]] *= 4
    assert extreme_line(market_from_frame(table, DataSettings()).quality) is None


@pytest.mark.parametrize(
    ("change", "like"),
    [(-0.5, True), (-0.75, True), (-0.9, True), (1.0, True), (3.02, True), (-0.4, False),
     (0.5, False), (-0.518, False), (-1.0, False), (0.0, False)],
)  # fmt: skip
def test_which_returns_look_like_splits(change, like):
    assert like_a_split(change) is like
    assert not np.isnan(change)
