"""What columns of splits, codes, truth values and counters are read as."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.fixtures.tables import AT, BARS, CLOSE, DAYS, KINDS, RAW, one, read
from trainable.cli.errors import UserError

RNG = np.random.default_rng(2)


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
