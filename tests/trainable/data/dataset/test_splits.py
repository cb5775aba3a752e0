"""The split by date and the purge at its borders."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainable.cli.errors import UserError
from trainable.data.dataset.splits import Split, rows_inside, split_by_date
from trainable.data.settings import DataSettings

DAYS = pd.date_range("2000-01-01", periods=100).to_numpy().astype("datetime64[ns]")
DEFAULT = DataSettings()


def test_default_shares() -> None:
    assert split_by_date(DAYS, DEFAULT) == Split((0, 60), (60, 75), (75, 85), (85, 100))


def test_a_date_is_the_first_of_its_part() -> None:
    settings = replace(DEFAULT, valid_from="2000-02-10", test_from="2000-04-01")
    split = split_by_date(DAYS, settings)
    assert split == Split((0, 40), (40, 75), (75, 91), (91, 100))
    assert DAYS[split.valid[0]] == np.datetime64("2000-02-10")


def test_a_date_between_bars_begins_at_the_next_bar() -> None:
    weeks = DAYS[::7]
    split = split_by_date(weeks, replace(DEFAULT, valid_from="2000-01-10"))
    assert weeks[split.valid[0]] == np.datetime64("2000-01-15")


def test_moving_the_validation_window_does_not_move_the_sealed_test() -> None:
    for date in ("2000-01-20", "2000-03-01"):
        split = split_by_date(DAYS, replace(DEFAULT, valid_from=date))
        assert (split.gate, split.test) == ((75, 85), (85, 100))


def test_zoned_dates_are_read_in_utc() -> None:
    hours = DAYS[0] + np.arange(100) * np.timedelta64(1, "h")
    split = split_by_date(hours, replace(DEFAULT, valid_from="2000-01-02T00:00-05:00"))
    assert hours[split.valid[0]] == np.datetime64("2000-01-02T05")


@pytest.mark.parametrize(
    ("key", "date", "message"),
    [
        ("valid_from", "2000-13-45", r"data\.valid_from='2000-13-45' is no date"),
        ("gate_from", "soon", r"data\.gate_from='soon' is no date"),
        ("gate_from", "NaT", r"data\.gate_from='NaT' is no date"),
        (
            "test_from",
            "2031-01-01",
            r"data\.test_from=2031-01-01 is outside the data: .*2000-04-09",
        ),
        ("test_from", "9999-01-01", r"data\.test_from=9999-01-01 is outside"),
        ("valid_from", "1999-01-01", r"data\.valid_from=1999-01-01 is outside the data"),
        ("valid_from", "2000-01-01", r"data\.valid_from=2000-01-01 leaves no bar .*the first bar"),
        ("valid_from", "2000-03-25", r"data\.gate_from \(unset: after 75% of the bars\) leaves no"),
        ("test_from", "2000-02-01", r"data\.test_from=2000-02-01 leaves no bar .*data\.gate_from"),
    ],
)
def test_impossible_dates_name_their_key(key: str, date: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        split_by_date(DAYS, replace(DEFAULT, **{key: date}))


def test_parts_of_intraday_bars_begin_with_a_session() -> None:
    bars = np.arange(26 * 10)
    stamps = np.datetime64("2024-01-01T14:30", "ns") + bars // 26 * np.timedelta64(1, "D")
    stamps = stamps + bars % 26 * np.timedelta64(15, "m")
    split = split_by_date(stamps, DEFAULT, intraday=True)
    assert (split.valid, split.gate, split.test) == ((156, 208), (208, 234), (234, 260))
    given = replace(DEFAULT, valid_from="2024-01-05T16:00")  # amid a session
    moved = split_by_date(stamps, given, intraday=True)
    assert stamps[moved.valid[0]] == np.datetime64("2024-01-06T14:30")
    assert split_by_date(stamps[:78], DEFAULT, intraday=True).valid[0] == 46  # too few sessions
    assert split_by_date(DAYS, DEFAULT, intraday=False).valid[0] == 60


@pytest.mark.parametrize("bars", [0, 1, 3])
def test_too_few_bars_to_split(bars: int) -> None:
    with pytest.raises(UserError, match=rf"the data has {bars} bars?\b"):
        split_by_date(DAYS[:bars], DEFAULT)


@given(
    borders=st.lists(st.integers(1, 60), min_size=3, max_size=3, unique=True),
    reach=st.integers(1, 25),
)
def test_system_c_purge_is_never_shorter_than_the_label(borders: list[int], reach: int) -> None:
    a, b, c = sorted(borders)
    split = Split((0, a), (a, b), (b, c), (c, 70))
    time = np.arange(70)
    owner = np.full(70 + reach, -1)
    for n, part in enumerate((split.train, split.valid, split.gate, split.test)):
        owner[part[0] : part[1]] = n
    for n, part in enumerate((split.train, split.valid, split.gate, split.test)):
        inside = rows_inside(time, time + reach, part)
        whole = [(owner[t : t + reach + 1] == n).all() for t in time]
        np.testing.assert_array_equal(inside, whole)


def test_an_unknown_part_is_a_defect() -> None:
    with pytest.raises(ValueError, match="'validation' is not a part"):
        split_by_date(DAYS, DEFAULT).part("validation")
