"""`data.groups`: a column of text or numbers, one group a symbol, and no feature."""

import numpy as np
import pandas as pd
import pytest

from trainable.cli.errors import UserError
from trainable.data.dataset.build import build_dataset
from trainable.data.market import Market
from trainable.data.settings import DataSettings
from trainable.data.sources import load_market, market_from_frame

SECTORS = {"AA": "Tech", "BB": "Energy", "CC": "Tech", "DD": None}


def frame(sector: object = "by symbol", bars: int = 12) -> pd.DataFrame:
    draw = np.random.default_rng(0)
    dates = pd.bdate_range("2020-01-01", periods=bars)
    parts = [
        pd.DataFrame(
            {
                "date": dates,
                "symbol": name,
                "close": 50 * np.exp(draw.normal(0, 0.01, bars).cumsum()),
                "sector": SECTORS[name] if sector == "by symbol" else sector,
            }
        )
        for name in SECTORS
    ]
    return pd.concat(parts, ignore_index=True)


def market(table: pd.DataFrame, groups: str = "sector", **settings: object) -> Market:
    return market_from_frame(table, DataSettings(groups=groups, **settings))  # type: ignore[arg-type]


def groups_of(made: Market) -> list[int]:
    assert made.symbol_group is not None
    return made.symbol_group.tolist()


def test_text_becomes_groups_and_the_plan_says_so() -> None:
    made = market(frame())
    found = groups_of(made)
    assert found[0] == found[2]
    assert sorted(set(found)) == [-1, 0, 1]
    assert found[3] == -1
    assert made.quality["read_as"] == ["'sector' read as 2 groups of symbols; 1 symbol without one"]


@pytest.mark.parametrize("code", [float, int])
def test_numbers_become_groups_and_no_feature(code: type) -> None:
    table = frame()
    codes = {"AA": 10, "BB": 20, "CC": 10, "DD": 45}
    table["sector"] = [code(codes[name]) for name in table["symbol"]]
    assert "sector" not in market(table).extra
    assert groups_of(market(table)) == [0, 1, 0, 2]
    without = market_from_frame(table, DataSettings())
    assert "sector" in without.extra
    assert without.symbol_group is None


def test_blanks_and_empty_cells_do_not_make_a_group() -> None:
    table = frame()
    table.loc[1, "sector"] = " Tech "
    table.loc[2, "sector"] = ""
    table.loc[3, "sector"] = None
    assert groups_of(market(table)) == groups_of(market(frame()))


def test_groups_follow_the_symbols_that_are_chosen() -> None:
    assert groups_of(market(frame(), symbols=("BB", "DD"))) == [0, -1]


def test_groups_follow_the_symbols_that_have_bars() -> None:
    table = frame()
    table.loc[table["symbol"] == "AA", "close"] = np.nan
    made = market(table)
    assert made.symbols == ("BB", "CC", "DD")
    assert len(set(groups_of(made))) == 3


def test_a_group_that_changes_is_refused_with_its_rows() -> None:
    table = frame()
    table.loc[17, "sector"] = "Utilities"
    with pytest.raises(
        UserError, match="data row 18: 'sector' of BB is 'Utilities', and 'Energy' in data row 13"
    ):
        market(table)


def test_a_wrong_name_and_an_empty_column_are_refused() -> None:
    with pytest.raises(UserError, match=r"data\.groups.*did you mean 'sector'"):
        market(frame(), "sektor")
    with pytest.raises(UserError, match=r"'sector' of data\.groups is empty"):
        market(frame(sector=None))
    with pytest.raises(UserError, match=r"data\.groups=sector needs data\.path"):
        load_market(DataSettings(groups="sector"))


def test_a_file_with_groups_becomes_a_dataset(tmp_path) -> None:
    table = frame(bars=500)
    table["volume"] = 1000.0 + np.arange(len(table)) % 7
    table.to_csv(tmp_path / "bars.csv", index=False)
    settings = DataSettings(path=str(tmp_path / "bars.csv"), groups="sector")
    dataset = build_dataset(load_market(settings), settings)
    assert dataset.symbol_group is not None
    assert dataset.symbol_group.tolist() == groups_of(market(frame()))
    assert "sector" not in dataset.feature_names


def test_ready_features_may_have_groups() -> None:
    table = frame().rename(columns={"close": "feat_a"})
    table["feat_group"] = [{"AA": 1, "BB": 2, "CC": 1, "DD": 2}[name] for name in table["symbol"]]
    table["next"] = np.random.default_rng(1).normal(0, 0.01, len(table))
    made = market(table, "feat_group", features="feat_*", target="next")
    assert set(made.extra) == {"feat_a"}
    assert groups_of(made) == [0, 1, 0, 1]
