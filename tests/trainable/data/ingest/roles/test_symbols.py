"""The column of symbols: identities beside tickers, and texts that are no symbols."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.fixtures.tables import AT, BARS, CLOSE, DAYS, one, read
from trainable.cli.errors import UserError


def crsp(tickers: dict[int, str]) -> pd.DataFrame:
    parts = [
        one(PERMNO=number, TICKER=ticker, PRC=CLOSE * (1 + 0.1 * np.sin(AT / number)))
        for number, ticker in tickers.items()
    ]
    return pd.concat(parts)


def test_a_permno_beside_tickers_that_say_the_same_is_no_feature(tmp_path: Path) -> None:
    found = read(tmp_path, crsp({10107: "MSFT", 14593: "AAPL"}))
    assert found.symbols == ("AAPL", "MSFT")
    assert found.extra == {}
    said = "symbols stand in 'TICKER'; 'PERMNO' not used beside it"
    assert said in found.quality["read_as"]
    other = crsp({10107: "MSFT", 14593: "AAPL"}).rename(
        columns={"PERMNO": "gvkey", "TICKER": "tic"}
    )
    assert read(tmp_path, other).extra == {}


def test_the_permno_is_the_symbol_where_a_ticker_changes_hands_or_name(tmp_path: Path) -> None:
    changed = crsp({13407: "FB", 14593: "AAPL"})
    late = changed["date"] > DAYS[70]
    changed.loc[late & (changed["PERMNO"] == 13407), "TICKER"] = "META"
    reused = crsp({13407: "FB", 14593: "FB"})
    reused = reused.loc[(reused["PERMNO"] == 13407) == (reused["date"] < DAYS[70]), :]
    for table in (changed, reused):
        found = read(tmp_path, table)
        assert found.symbols == ("13407", "14593")
        said = "'PERMNO' read as symbols: 'TICKER' is not the same company throughout"
        assert said in found.quality["read_as"]


def test_lengths_of_bars_are_no_symbols(tmp_path: Path) -> None:
    days = pd.bdate_range("2021-01-04", periods=BARS // 2).repeat(2)
    table = pd.DataFrame({"date": days, "interval": ["1h", "4h"] * (BARS // 2), "close": CLOSE})
    with pytest.raises(UserError, match=r"'interval' holds how long bars last .1h, 4h.; keep the"):
        read(tmp_path, table)
