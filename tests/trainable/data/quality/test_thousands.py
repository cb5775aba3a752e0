"""Dots between thousands that some cells lack are refused; other prices and volumes are not."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from trainable.cli.errors import UserError
from trainable.data.market import Market
from trainable.data.settings import DataSettings
from trainable.data.sources import load_market

BARS = 200
RNG = np.random.default_rng(3)
MOVES = RNG.normal(0.0, 0.005, BARS)
MOVES[0] = 0.0
AROUND_1000 = 1000.0 * np.exp(0.02 * np.sin(np.arange(BARS) / 5) + 0.1 * MOVES)
WALK = 100_000.0 * np.exp(np.cumsum(MOVES))
DAYS = pd.bdate_range("2020-01-01", periods=BARS)


def dotted(value: float) -> str:
    return f"{value:,.0f}".replace(",", ".")


def read(folder: Path, **columns: object) -> Market:
    pd.DataFrame({"date": DAYS, **columns}).to_csv(folder / "f.csv", index=False)
    return load_market(DataSettings(path=str(folder / "f.csv")))


def refused(folder: Path, says: str, **columns: object) -> None:
    with pytest.raises(UserError, match=says) as error:
        read(folder, **columns)
    assert "\n" not in str(error.value)


def test_a_dot_between_thousands_that_only_some_prices_have_is_refused(tmp_path: Path) -> None:
    close = [dotted(price) for price in AROUND_1000]
    assert close[0] == "1.000"
    first = next(i for i in range(1, BARS) if ("." in close[i]) != ("." in close[i - 1]))
    says = rf"data row {first + 1} .*'close' goes from .* digits throughout: dots between thousands"
    refused(tmp_path, says, close=close)
    # The high alone crosses 1,000, and twice.
    high = [dotted(998 if i not in (50, 120) else 1004) for i in range(BARS)]
    refused(
        tmp_path, "'high' goes from 998 to 1.004", close=np.full(BARS, 997) - DAYS.day, high=high
    )


@pytest.mark.parametrize("every", [2, 40])
def test_a_dot_that_was_dropped_in_some_cells_is_refused(every: int, tmp_path: Path) -> None:
    close = [f"{p:.0f}" if i % every == 0 else dotted(p) for i, p in enumerate(WALK)]
    refused(tmp_path, "data row 2 .*goes from 100000 to .*dots between thousands", close=close)
    points = [f"{p / 1e3:.2f}" for p in WALK]
    points[9::40] = [point.replace(".", "") for point in points[9::40]]
    refused(tmp_path, "2 digits throughout: a decimal point that is missing", close=points)


def test_a_volume_with_dots_between_thousands_is_refused(tmp_path: Path) -> None:
    volume = RNG.integers(100, 9000, BARS)
    says = "'volume' holds .* among whole numbers, .* dots between thousands"
    refused(tmp_path, says, close=WALK, volume=[dotted(v) for v in volume])
    mixed = [str(v) if i % 4 else dotted(v) for i, v in enumerate(volume + 1000)]
    refused(tmp_path, says, close=WALK, volume=mixed)


@pytest.mark.parametrize(
    "close",
    [
        WALK / 1e5 * 3,  # a penny stock
        np.round(AROUND_1000 * 8) / 8,  # eighths
        np.round(WALK / 1e3, 3),  # three digits throughout
        np.round(np.exp(np.linspace(0, 8, BARS) + 0.1 * MOVES), 3),  # grows by 3,000
        np.where(np.arange(BARS) < 100, np.round(WALK), np.round(WALK / 1e3, 2)),  # redenominated
        np.where(np.arange(BARS) < 100, np.round(WALK / 1e3), np.round(WALK / 1e6, 3)),  # collapsed
        np.where(np.arange(BARS) == 100, 1e3, 1.0) * np.round(WALK / 1e3, 4),  # a bad tick
    ],
)
def test_prices_of_other_kinds_are_read_as_they_are(close: np.ndarray, tmp_path: Path) -> None:
    np.testing.assert_allclose(read(tmp_path, close=close).fields["close"][:, 0], close)


@pytest.mark.parametrize(
    "volume",
    [
        np.round(RNG.lognormal(3, 1, BARS), 3),
        RNG.integers(1, 2000, BARS),
        np.where(np.arange(BARS) % 3, RNG.integers(1, 40, BARS), np.round(RNG.random(BARS), 3)),
        np.round(RNG.lognormal(9, 1, BARS) / 1e3, 1),
    ],
)
def test_volumes_of_other_kinds_are_read_as_they_are(volume: np.ndarray, tmp_path: Path) -> None:
    found = read(tmp_path, close=WALK, volume=volume)
    np.testing.assert_allclose(found.fields["volume"][:, 0], volume)


def test_a_large_reverse_split_is_no_lost_dot(tmp_path: Path) -> None:
    at = np.arange(BARS)
    raw = np.where(at < 100, np.round(WALK / 1e3, 3), np.round(WALK))
    found = read(tmp_path, close=raw, split=np.where(at == 100, 0.001, 0.0))
    np.testing.assert_allclose(found.fields["close"][:, 0], WALK, rtol=1e-4)
