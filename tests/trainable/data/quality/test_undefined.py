"""A number that marks an undefined price is refused; a high price is none."""

import numpy as np
import pandas as pd
import pytest

from trainable.cli.errors import UserError
from trainable.data.settings import DataSettings
from trainable.data.sources import market_from_frame

BARS = 300
CLOSE = 50 * np.exp(np.random.default_rng(3).normal(0, 0.02, BARS).cumsum())
DAYS = pd.bdate_range("2020-01-01", periods=BARS)


def read(**columns):
    return market_from_frame(pd.DataFrame({"date": DAYS, **columns}), DataSettings())


@pytest.mark.parametrize(
    ("mark", "scale", "said"),
    [
        (9223372036854775807.0, 1e9, "9223372036854775807"),
        (9223372036.854775807, 1, "9223372036.85477"),
        (9223372036.85, 1, "9223372036.85"),
        (2147483647.0, 1, "2147483647"),
        (214748.3647, 1, "214748.3647"),
        (18446744073709551615.0, 1, "18446744073709551615"),
        (3.4028234663852886e38, 1, "3.4028"),
        (1.7976931348623157e308, 1, "1.7976"),
        (99999.0, 1, "99999"),
        (9999.99, 1, "9999.99"),
    ],
)
@pytest.mark.parametrize("rows", [[40], [40, 41, 200], list(range(200, BARS))])
def test_a_mark_of_an_undefined_price_is_refused(mark, scale, said, rows):
    close = CLOSE * scale
    close[rows] = mark
    with pytest.raises(UserError, match=rf"data row {rows[0] + 1} .*'close' is {said}") as error:
        read(close=close)
    assert f"undefined value ({len(rows)} such cells); empty them" in str(error.value)


def test_a_mark_in_a_volume_or_a_feature_is_refused():
    volume = np.full(BARS, 5_000.0) + np.arange(BARS)
    for name in ("volume", "interest"):
        marked = volume.copy()
        marked[7] = 4294967295.0
        with pytest.raises(UserError, match=rf"data row 8 .*'{name}' is 429496729"):
            read(close=CLOSE, **{name: marked})


def test_prices_that_grow_to_nines_are_prices():
    close = np.geomspace(1.0, 9999.0, BARS)
    np.testing.assert_allclose(read(close=close).fields["close"][:, 0], close)
    fixed = (CLOSE * 1e9).round()
    np.testing.assert_allclose(read(close=fixed).fields["close"][:, 0], fixed)
    split = CLOSE.copy()
    split[100:] *= 30  # unadjusted
    split[150] = 999.9
    assert np.isfinite(read(close=split).fields["close"]).all()


def test_a_large_volume_is_a_volume():
    volume = np.random.default_rng(4).lognormal(20, 2, BARS).round()
    volume[5] = 99_999.0
    volume[9] = 2_147_483_646.0 * 3
    np.testing.assert_allclose(read(close=CLOSE, volume=volume).fields["volume"][:, 0], volume)
