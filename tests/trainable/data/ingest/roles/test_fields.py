"""Prices, volume and dividends under other names."""

from pathlib import Path

import numpy as np
import pytest

from tests.fixtures.tables import AT, CLOSE, DAYS, RAW, UNITS, one, read
from trainable.cli.errors import UserError


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


def test_the_newer_format_of_crsp_is_read(tmp_path: Path) -> None:
    table = one(
        PERMNO=10107, DlyCalDt=DAYS.astype(str), Ticker="MSFT", DlyPrc=CLOSE, DlyClose=CLOSE
    )
    table = table.assign(DlyOpen=CLOSE, DlyHigh=CLOSE * 1.01, DlyLow=CLOSE * 0.99, DlyVol=1000 + AT)
    for columns in (["date"], ["date", "DlyPrc"]):  # DlyClose alone is the close, too
        found = read(tmp_path, table.drop(columns=columns))
        assert found.symbols == ("MSFT",)
        assert set(found.fields) == {"open", "high", "low", "close", "volume"}
        np.testing.assert_allclose(found.fields["close"][:, 0], CLOSE)
        np.testing.assert_allclose(found.fields["high"][:, 0], CLOSE * 1.01)
        assert found.extra == {}


def test_a_name_that_may_be_the_close_is_offered(tmp_path: Path) -> None:
    for name in ("TRDPRC_1", "BidClose", "LastPx"):
        with pytest.raises(UserError, match=f"rename {name!r} to 'close' if it is one"):
            read(tmp_path, one(**{name: CLOSE, "Turnover": UNITS}))
    with pytest.raises(UserError, match="no 'close' column") as error:
        read(tmp_path, one(**{"Prev Close": CLOSE, "Turnover": UNITS}))
    assert "rename" not in str(error.value)
