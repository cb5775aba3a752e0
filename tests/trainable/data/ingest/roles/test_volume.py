"""Of several volumes the one in shares or coins counts."""

from pathlib import Path

import numpy as np
import pytest

from tests.fixtures.tables import CLOSE, KINDS, UNITS, one, read

BARS_OF = {
    "open": CLOSE * 0.999,
    "high": CLOSE * 1.01,
    "low": CLOSE * 0.99,
    "close": CLOSE,
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("units", "money"),
    [
        ("Volume BTC", "Volume USDT"),
        ("Volume AAVE", "Volume EUR"),
        ("Stuecke", "Volumen"),
        ("Stück", "Volumen"),
        ("Shares traded", "Vol"),
        ("qty", "value"),
        ("Traded Quantity", "Turnover (Lacs)"),
        ("units", "notional"),
    ],
)
@pytest.mark.parametrize("swapped", [False, True])
def test_of_two_volumes_the_one_in_shares_counts(
    swapped: bool, units: str, money: str, kind: str, tmp_path: Path
) -> None:
    cells = {units: UNITS, money: UNITS * CLOSE * 1.002}
    if swapped:
        cells = dict(reversed(cells.items()))
    found = read(tmp_path, one(**BARS_OF, **cells), kind)
    np.testing.assert_array_equal(found.fields["volume"][:, 0], UNITS)
    np.testing.assert_allclose(found.extra[money][:, 0], UNITS * CLOSE * 1.002, rtol=1e-6)
    assert f"'{units}' read as volume: '{money}' ÷ it is a price" in str(found.quality["read_as"])


def test_volumes_that_do_not_show_which_is_which_are_named(tmp_path: Path) -> None:
    cells = {"Volume BTC": UNITS, "Volume USDT": UNITS[::-1] * CLOSE}
    found = read(tmp_path, one(**BARS_OF, **cells))
    assert "volume" not in found.fields
    line = "no volume: call 'Volume BTC' or 'Volume USDT' 'volume' if it is in shares or coins"
    assert line in found.quality["read_as"]


@pytest.mark.parametrize(
    ("units", "money"),
    [("shares_outstanding", "market_value"), ("shares held", "position value"), ("qty", "x")],
)
def test_shares_that_are_not_traded_are_no_volume(units: str, money: str, tmp_path: Path) -> None:
    found = read(tmp_path, one(**BARS_OF, **{units: UNITS, money: UNITS * CLOSE}))
    assert "volume" not in found.fields
