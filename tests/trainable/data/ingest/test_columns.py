"""What columns of splits, codes, truth values, counters and identities are read as."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from trainable.cli.errors import UserError
from trainable.data.market import Market
from trainable.data.settings import DataSettings
from trainable.data.sources import load_market

BARS = 120
DAYS = pd.bdate_range("2020-01-01", periods=BARS)
RNG = np.random.default_rng(2)
CLOSE = 100 * np.exp(np.cumsum(RNG.normal(0, 0.01, BARS)))
AT = np.arange(BARS)
RAW = np.where(AT < 60, 4.0, 1.0) * CLOSE
KINDS = ("csv", "parquet")


def read(folder: Path, table: pd.DataFrame, kind: str = "csv") -> Market:
    file = folder / f"f.{kind}"
    if kind == "csv":
        table.to_csv(file, index=False)
    else:
        table.to_parquet(file)
    return load_market(DataSettings(path=str(file)))


def one(**columns: object) -> pd.DataFrame:
    return pd.DataFrame({"date": DAYS, **columns})


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("written", ["4:1", "4/1", "4-for-1", "4 for 1", "4 : 1", "8:2", "4.0"])
def test_a_split_as_a_ratio_is_divided(written: str, kind: str, tmp_path: Path) -> None:
    table = one(close=RAW, Splits=np.where(AT == 60, written, ""))
    np.testing.assert_allclose(read(tmp_path, table, kind).fields["close"][:, 0], CLOSE)


def test_a_reverse_split_and_a_ratio_the_wrong_way_round(tmp_path: Path) -> None:
    table = one(close=CLOSE[::-1] / np.where(AT < 60, 10, 1), split=np.where(AT == 60, "1:10", "0"))
    np.testing.assert_allclose(read(tmp_path, table).fields["close"][:, 0], CLOSE[::-1])
    with pytest.raises(UserError, match="names one split, and it is not clear"):
        read(tmp_path, one(close=RAW, split=np.where(AT == 60, "1:4", "")))


@pytest.mark.parametrize("kind", KINDS)
def test_letters_among_returns_of_crsp_are_missing(kind: str, tmp_path: Path) -> None:
    returns = [f"{x:.6f}" for x in RNG.normal(0, 0.01, BARS)]
    returns[0], returns[50] = "C", "B"
    found = read(tmp_path, one(PRC=CLOSE, RET=returns), kind)
    known = np.isfinite(found.extra["RET"][:, 0])
    np.testing.assert_array_equal(np.flatnonzero(~known), [0, 50])
    assert "B, C in 'RET' is CRSP's code for no return" in found.quality["read_as"]
    with pytest.raises(UserError, match="'C' in column 'score' is not a number"):
        read(tmp_path, one(close=CLOSE, score=[*returns[1:50], *returns[51:], "1", "C"]))


def test_returns_in_percent_with_empty_cells_are_read(tmp_path: Path) -> None:
    returns = [f"{x:.4f}%" if i % 9 else "" for i, x in enumerate(RNG.normal(0, 1, BARS))]
    found = read(tmp_path, one(close=CLOSE, ret=returns)).extra["ret"][:, 0]
    expected = [float(text[:-1]) / 100 if text else np.nan for text in returns]
    np.testing.assert_allclose(found, expected, rtol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("hole", [False, True])
def test_truth_values_are_0_and_1(kind: str, hole: bool, tmp_path: Path) -> None:
    flag = [bool(x) for x in AT % 3 == 0]
    cells: list[bool | None] = [None, *flag[1:]] if hole else [*flag]
    found = read(tmp_path, one(close=CLOSE, flag=pd.array(cells, "boolean")), kind)
    expected = np.where(hole > AT, np.nan, np.array(flag, float))
    np.testing.assert_array_equal(found.extra["flag"][:, 0], expected)
    assert "false and true in 'flag' are 0 and 1" in found.quality["read_as"]


def test_a_counter_of_a_month_is_a_feature_and_one_of_rows_is_not(tmp_path: Path) -> None:
    parts = [one(close=CLOSE, symbol="A"), one(close=CLOSE[::-1], symbol="B")]
    symbols = pd.concat(parts, ignore_index=True)
    table = symbols.assign(
        in_month=symbols.groupby([symbols["symbol"], symbols["date"].dt.to_period("M")]).cumcount(),
        of_symbol=symbols.groupby("symbol").cumcount(),
        of_file=np.arange(2 * BARS),
    )
    for ordered in (
        table,
        table.sort_values(["date", "symbol"]).assign(of_file=np.arange(2 * BARS)),
    ):
        found = read(tmp_path, ordered)
        assert list(found.extra) == ["in_month"]
        out = {entry["column"]: entry["why"] for entry in found.quality["left_out_columns"]}
        assert out == {"of_symbol": "counts the rows", "of_file": "counts the rows"}


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


@pytest.mark.parametrize("name", ["factor", "af", "cum_factor", "CFACPR"])
def test_a_factor_that_steps_where_the_close_jumps_is_refused(name: str, tmp_path: Path) -> None:
    for factor in (np.where(AT < 60, 0.25, 1.0), np.where(AT < 60, 4.0, 1.0)):
        with pytest.raises(UserError, match=f"'{name}' .*factor.* of adjustment.*'adj_close'"):
            read(tmp_path, one(close=RAW, **{name: factor}))
    adjusted = read(tmp_path, one(close=CLOSE, CFACPR=np.where(AT < 60, 4.0, 1.0)))
    assert adjusted.extra == {}
    (entry,) = adjusted.quality["left_out_columns"]
    assert "adjusted for its splits already" in entry["why"]
    step = np.where(AT < 60, 4.0, 1.0)  # of something else
    assert list(read(tmp_path, one(close=CLOSE, rating=step)).extra) == ["rating"]


BARS_OF = {
    "open": CLOSE * 0.999,
    "high": CLOSE * 1.01,
    "low": CLOSE * 0.99,
    "close": CLOSE,
}
UNITS = RNG.integers(10_000, 20_000, BARS)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("units", "money"),
    [
        ("Volume BTC", "Volume USDT"),
        ("Volume AAVE", "Volume EUR"),
        ("Stuecke", "Volumen"),
        ("Stück", "Volumen"),
        ("Shares traded", "Vol"),
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


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["", "Unnamed: 0"])
def test_a_column_without_a_name_is_left_out_and_said(name: str, kind: str, tmp_path: Path) -> None:
    table = pd.DataFrame({name: AT, "date": DAYS, "close": CLOSE})
    wide = pd.DataFrame({name: AT, "date": DAYS, "AAA": CLOSE, "BBB": CLOSE[::-1], "CCC": CLOSE})
    for source in (table, wide):
        left = read(tmp_path, source, kind).quality["left_out_columns"]
        assert left == [{"column": "(no name)", "why": "a saved index, or row numbers"}]
    index = table.set_index(name) if name else pd.DataFrame({"date": DAYS, "close": CLOSE})
    assert "left_out_columns" not in read(tmp_path, index, "parquet").quality


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
    found = read(tmp_path, one(price=CLOSE, expiry=later, rate=RNG.normal(0, 1, BARS)))
    np.testing.assert_allclose(found.fields["close"][:, 0], CLOSE)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("first", ["symbol", "Firm", "", "Instrument"])
def test_a_table_on_its_side_is_refused_as_such(first: str, kind: str, tmp_path: Path) -> None:
    cells = {day: [1.0 + i, 2.0 + i] for i, day in enumerate(DAYS.strftime("%Y-%m-%d"))}
    table = pd.DataFrame({first: ["AAA", "BBB"], **cells})
    with pytest.raises(UserError, match=r"the header holds dates .*: the table lies on its side"):
        read(tmp_path, table, kind)
