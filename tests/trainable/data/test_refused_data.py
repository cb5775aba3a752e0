"""What looks like symbols, closes, bars or returns and is none is refused, with what it is."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from trainable.cli.errors import UserError
from trainable.data.market import Market
from trainable.data.settings import DataSettings
from trainable.data.sources import load_market

BARS = 240
RNG = np.random.default_rng(5)
CLOSE = 100.0 * np.exp(np.cumsum(RNG.normal(0.0, 0.01, BARS)))
OPEN = CLOSE * np.exp(RNG.normal(0.0, 0.003, BARS))
HIGH, LOW = np.maximum(OPEN, CLOSE) * 1.002, np.minimum(OPEN, CLOSE) * 0.998
DAYS = pd.bdate_range("2020-01-01", periods=BARS)
HOURS = pd.date_range("2021-01-04", periods=BARS, freq="h")


def read(folder: Path, frame: pd.DataFrame, **settings: str) -> Market:
    frame.to_csv(folder / "f.csv", index=False)
    return load_market(DataSettings(path=str(folder / "f.csv"), **settings))  # pyright: ignore[reportArgumentType]


def refused(folder: Path, frame: pd.DataFrame, says: str, **settings: str) -> None:
    with pytest.raises(UserError, match=says) as error:
        read(folder, frame, **settings)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "names",
    [
        ("Ultimo", "Apertura", "Massimo", "Minimo"),
        ("Cierre", "Apertura", "Maximo", "Minimo"),
        ("Mid", "Mean", "Ask", "Bid"),
    ],
)
def test_the_parts_of_one_price_are_no_symbols(names: tuple[str, ...], tmp_path: Path) -> None:
    columns = dict(zip(names, (CLOSE, OPEN, HIGH, LOW), strict=True))
    refused(tmp_path, pd.DataFrame({"date": DAYS, **columns}), "as high and low")


def test_two_symbols_of_which_one_is_always_dearer_are_two(tmp_path: Path) -> None:
    found = read(tmp_path, pd.DataFrame({"date": DAYS, "GOOG": CLOSE, "T": 0.2 * CLOSE[::-1]}))
    assert found.symbols == ("GOOG", "T")
    np.testing.assert_allclose(found.fields["close"], np.stack([CLOSE, 0.2 * CLOSE[::-1]], axis=1))


def test_hours_in_a_column_of_their_own_are_no_symbols(tmp_path: Path) -> None:
    days, close = HOURS.strftime("%Y-%m-%d"), CLOSE
    frame = pd.DataFrame({"date": days, "Hour": HOURS.strftime("H%H"), "close": close})
    refused(tmp_path, frame, "'Hour' holds times of the day; write one column 'timestamp'")
    frame = pd.DataFrame({"date": days, "hour": HOURS.hour, "minute": 30, "close": close})
    refused(tmp_path, frame, r"\('date', 'hour', 'minute'\); write one column 'timestamp'")


@pytest.mark.parametrize(
    ("texts", "what"),
    [
        (("bid", "ask"), "sides of a quote"),
        (("none", "split"), "kinds of adjustment"),
        (("Morning", "Afternoon"), "parts of a day"),
        (("open", "high", "low", "close"), "fields of a bar"),
    ],
)
def test_texts_that_name_no_symbols_are_said(
    texts: tuple[str, ...], what: str, tmp_path: Path
) -> None:
    parts = [pd.DataFrame({"date": DAYS, "kind": text, "close": CLOSE}) for text in texts]
    refused(tmp_path, pd.concat(parts), f"'kind' holds {what} .*no symbols")


def test_hours_and_minutes_with_a_dot_are_no_fraction_of_a_second(tmp_path: Path) -> None:
    when = HOURS.strftime("%Y-%m-%d %H.%M")
    refused(tmp_path, pd.DataFrame({"timestamp": when, "close": CLOSE}), "is not a date")
    when = HOURS.strftime("%Y/%m/%d %H:%M:%S.250")
    found = read(tmp_path, pd.DataFrame({"timestamp": when, "close": CLOSE}))
    expected = (HOURS + pd.Timedelta(milliseconds=250)).to_numpy()
    np.testing.assert_array_equal(found.timestamps, expected)


@pytest.mark.parametrize("name", ["split", "splits", "Split Coeff", "Stock Splits"])
def test_a_split_under_any_of_its_names_is_applied(name: str, tmp_path: Path) -> None:
    at = np.arange(BARS)
    raw = np.where(at < 100, 4.0 * CLOSE, CLOSE)
    frame = pd.DataFrame({"date": DAYS, "close": raw, name: np.where(at == 100, 4.0, 0.0)})
    np.testing.assert_allclose(read(tmp_path, frame).fields["close"][:, 0], CLOSE)


@pytest.mark.parametrize(
    ("label", "what"),
    [
        (np.where(RNG.normal(size=BARS) > 0, 1.0, 0.0), "only whole numbers"),
        (np.sign(RNG.normal(size=BARS)), "only whole numbers"),
        (RNG.uniform(0.001, 0.999, BARS), "no negative number"),
    ],
)
def test_a_ready_target_that_is_no_return_needs_the_returns(
    label: np.ndarray, what: str, tmp_path: Path
) -> None:
    frame = pd.DataFrame({"date": DAYS, "feat_a": RNG.normal(size=BARS), "label": label})
    words = {"features": "feat_*", "target": "label"}
    refused(tmp_path, frame, f"'label' holds {what}.*data.returns=COLUMN", **words)
    frame["next"] = RNG.normal(0.0, 0.01, BARS)
    found = read(tmp_path, frame, returns="next", **words)
    assert found.target is not None
    np.testing.assert_allclose(found.target[:, 0], label)


@pytest.mark.parametrize("apart", [-1, 1])
def test_a_split_that_the_close_makes_a_bar_earlier_or_later_is_not_believed(
    apart: int, tmp_path: Path
) -> None:
    at = np.arange(BARS)
    raw = np.where(at < 100 + apart, 4.0 * CLOSE, CLOSE)
    frame = pd.DataFrame({"date": DAYS, "close": raw, "split": np.where(at == 100, 4.0, 0.0)})
    refused(tmp_path, frame, "the close jumps a bar before or after")


def test_a_close_on_another_scale_than_high_and_low_is_refused(tmp_path: Path) -> None:
    bars = {"open": OPEN, "high": HIGH, "low": LOW}
    frame = pd.DataFrame({"date": DAYS, **bars, "close": 100.0 * CLOSE})
    refused(tmp_path, frame, "on 240 of 240 bars: they are on another scale")
    few = CLOSE.copy()
    few[::10] *= 1.05
    found = read(tmp_path, pd.DataFrame({"date": DAYS, **bars, "close": few}))
    assert found.quality["bar_out_of_range"] == 24


@pytest.mark.parametrize(
    ("first", "then", "says"),
    [
        ("D", "h", "24 h 0 min apart at the beginning and 60 min at the end"),
        ("h", "5min", "60 min apart at the beginning and 5 min at the end"),
    ],
)
def test_bars_of_two_lengths_are_refused(first: str, then: str, says: str, tmp_path: Path) -> None:
    early = pd.date_range("2020-01-01", periods=BARS // 2, freq=first)
    late = pd.date_range(early[-1] + pd.Timedelta(days=1), periods=BARS // 2, freq=then)
    frame = pd.DataFrame({"timestamp": [*early, *late], "close": CLOSE})
    refused(tmp_path, frame, says)
