"""Rows of totals, of text and of nothing after the data are no bars."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.fixtures.tables import BARS, CLOSE, UNITS, one
from trainable.cli.errors import UserError
from trainable.data.market import Market
from trainable.data.settings import DataSettings
from trainable.data.sources import load_market


def read(folder: Path, frame: pd.DataFrame, *footer: str) -> Market:
    file = folder / "f.csv"
    file.write_text(frame.to_csv(index=False) + "\n".join(footer) + "\n")
    return load_market(DataSettings(path=str(file)))


@pytest.mark.parametrize(
    "footer",
    [
        ["Total,,209202.72,55"],
        ["Average,,99.5,10"],
        ["TOTAL:,,,55", "Mean,,99.5,10", "Max,,120,20"],
        ["Summe,,,55"],
        ["合计,,,55"],
    ],
)
def test_rows_of_totals_are_skipped_and_said(tmp_path: Path, footer: list[str]) -> None:
    frame = one(open=CLOSE, close=CLOSE, volume=UNITS)
    found = read(tmp_path, frame, *footer)
    assert len(found.timestamps) == BARS
    np.testing.assert_allclose(found.fields["close"][:, 0], CLOSE)
    said = found.quality["read_as"][0]
    assert "after the data skipped: " in said
    assert repr(footer[0].partition(",")[0]) in said


@pytest.mark.parametrize(
    ("footer", "shown"),
    [
        (["Source: Exchange,,,"], "'Source: Exchange'"),
        (['"Data provided by X, as is",,,'], "'Data provided by X, as is'"),
        (["Downloaded on 2023-01-02,,,"], "'Downloaded on 2023-01-02'"),
        (["Notes,,,"], "'Notes'"),
        ([",,,", "End of file,,,"], "'End of file'"),
        ([",,,", ",,,"], "nothing"),
    ],
)
def test_a_footer_that_a_spreadsheet_filled_up_is_skipped(
    tmp_path: Path, footer: list[str], shown: str
) -> None:
    frame = one(open=CLOSE, close=CLOSE, volume=UNITS)
    found = read(tmp_path, frame, *footer)
    assert len(found.timestamps) == BARS
    (said,) = [line for line in found.quality["read_as"] if "after the data skipped: " in line]
    assert shown in said


def test_a_last_bar_without_a_date_is_no_footer(tmp_path: Path) -> None:
    frame = one(open=CLOSE, close=CLOSE, volume=UNITS)
    with pytest.raises(UserError, match="cell is empty; every bar needs its timestamp"):
        read(tmp_path, frame, ",1,1,1")


def test_another_word_in_place_of_a_date_is_refused(tmp_path: Path) -> None:
    frame = one(open=CLOSE, close=CLOSE, volume=UNITS)
    with pytest.raises(UserError, match="'Tomorrow' in column 'date' is not a date"):
        read(tmp_path, frame, "Tomorrow,,99.5,10")
    with pytest.raises(UserError, match="'Total' in column 'date' is not a date"):
        read(tmp_path, frame, "Total,,99.5,10", "2030-01-01,1,1,1")


def test_symbols_that_differ_in_blanks_are_named(tmp_path: Path) -> None:
    frames = [one(symbol=name, close=CLOSE) for name in ("AAPL ", "AAPL")]
    with pytest.raises(UserError, match=r"their 'symbol' cells are 'AAPL ' and 'AAPL', which dif"):
        read(tmp_path, pd.concat(frames))
