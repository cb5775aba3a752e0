"""Prices, volume and dividends under other names."""

from pathlib import Path

import numpy as np
import pytest

from tests.fixtures.tables import AT, CLOSE, RAW, UNITS, one, read


@pytest.mark.parametrize(
    "adjusted",
    [
        ("AdjustmentOpen", "AdjustmentClose", "AdjustmentVolume"),
        ("Adjustment_Open", "Adjustment_Close", "Adjustment_Volume"),
        ("AdjO", "AdjC", "AdjVo"),
    ],
)
def test_prices_called_after_their_adjustment_are_used(
    adjusted: tuple[str, str, str], tmp_path: Path
) -> None:
    open_, close, volume = adjusted
    raw = {"open": 0.999 * RAW, "close": RAW, "volume": UNITS}
    table = one(**raw, **{open_: 0.999 * CLOSE, close: CLOSE, volume: UNITS * RAW / CLOSE})
    found = read(tmp_path, table)
    np.testing.assert_allclose(found.fields["open"][:, 0], 0.999 * CLOSE)
    np.testing.assert_allclose(found.fields["close"][:, 0], CLOSE)
    np.testing.assert_allclose(found.fields["volume"][:, 0], UNITS * RAW / CLOSE)
    assert not found.extra


@pytest.mark.parametrize("name", ["Ex-Dividend", "DIVAMT", "ex_div", "Dividends"])
def test_dividends_are_no_feature(name: str, tmp_path: Path) -> None:
    found = read(tmp_path, one(close=CLOSE, **{name: np.where(AT == 60, 0.5, 0)}))
    assert not found.extra
    assert name in [left["column"] for left in found.quality["left_out_columns"]]
