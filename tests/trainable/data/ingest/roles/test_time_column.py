"""The column of timestamps under an alias, and tables that have none."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.fixtures.tables import AT, BARS, CLOSE, DAYS, KINDS, one, read
from trainable.cli.errors import UserError
from trainable.data.settings import DataSettings
from trainable.data.sources import load_market, market_from_frame

PAIRS = (
    "several columns of dates .*: pairs of columns, a date and a value for each symbol; give one"
)


@pytest.mark.parametrize(
    "names",
    [
        ("Date", "AEM US Equity", "Date", "BILL US Equity"),
        ("Date", "AEM US Equity", "Date.1", "BILL US Equity"),
        ("DateA", "AEM", "DateB", "BILL", "Date", "CVNA"),
        ("Dates", "AEM", "Dates_2", "BILL"),
    ],
)
def test_pairs_of_dates_and_values_are_refused_as_such(
    names: tuple[str, ...], tmp_path: Path
) -> None:
    cells = [DAYS if i % 2 == 0 else CLOSE for i in range(len(names))]
    lines = [",".join(names)]
    lines += [",".join(str(column[row])[:10] for column in cells) for row in range(BARS)]
    (tmp_path / "f.csv").write_text("\n".join(lines))
    with pytest.raises(UserError, match=PAIRS):
        load_market(DataSettings(path=str(tmp_path / "f.csv")))


def test_a_second_date_beside_the_columns_of_a_bar_is_no_pair(tmp_path: Path) -> None:
    later = DAYS + pd.Timedelta(days=30)
    found = read(tmp_path, one(price=CLOSE, expiry=later, rate=np.sin(AT)))
    np.testing.assert_allclose(found.fields["close"][:, 0], CLOSE)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("first", ["symbol", "Firm", "", "Instrument"])
def test_a_table_on_its_side_is_refused_as_such(first: str, kind: str, tmp_path: Path) -> None:
    cells = {day: [1.0 + i, 2.0 + i] for i, day in enumerate(DAYS.strftime("%Y-%m-%d"))}
    table = pd.DataFrame({first: ["AAA", "BBB"], **cells})
    with pytest.raises(UserError, match=r"the header holds dates .*: the table lies on its side"):
        read(tmp_path, table, kind)


@pytest.mark.parametrize("name", ["caldt", "Month End", "trade_date", "ds"])
@pytest.mark.parametrize(("form", "step"), [("%Y%m", "MS"), ("%Y%m%d", "B")])
@pytest.mark.parametrize("kind", [str, int, float])
def test_a_time_under_an_alias_may_hold_digits(
    name: str, form: str, step: str, kind: type, tmp_path: Path
) -> None:
    days = pd.date_range("1990-01-01", periods=BARS, freq=step)
    digits = [kind(text) for text in days.strftime(form)]
    table = pd.DataFrame({name: digits, "close": CLOSE})
    for found in (read(tmp_path, table), market_from_frame(table, DataSettings())):
        np.testing.assert_array_equal(found.timestamps, days.to_numpy())


@pytest.mark.parametrize("first", ["1969-01-02", "1970-01-02", "1950-01-02"])
def test_a_time_under_an_alias_may_hold_epochs_before_and_across_1970(
    first: str, tmp_path: Path
) -> None:
    days = pd.bdate_range(first, periods=BARS)
    epochs = days.astype("datetime64[ms]").astype("int64")
    table = pd.DataFrame({"ts": epochs, "close": CLOSE})
    for found in (read(tmp_path, table), market_from_frame(table, DataSettings())):
        np.testing.assert_array_equal(found.timestamps, days.to_numpy())
