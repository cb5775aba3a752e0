"""`launch(data=…)`: every form of table and path is taken, all else refused in one line."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from search.api import launch
from search.backend.local import Local
from tests.fixtures.shapes import NAMES
from trainable.cli.errors import UserError

BARS = 400


def prices() -> pd.DataFrame:
    """Three symbols; the first was split 4:1 and nobody adjusted it."""
    rng = np.random.default_rng(1)
    close = 100 * np.exp(np.cumsum(rng.normal(0, 0.01, (BARS, 3)), axis=0))
    close[200:, 0] /= 4
    days = pd.bdate_range("2015-01-01", periods=BARS)
    return pd.DataFrame(
        {"date": np.repeat(days, 3), "Name": list(NAMES) * BARS, "last": close.ravel()}
    )


def plan(data: object, **settings) -> None:
    """Plans a small search and trains nothing."""
    found = launch(
        "quick_test",
        data,
        backend=lambda settings: Local(),
        dry_run=True,
        trials=2,
        steps_per_epoch=100,
        **settings,
    )
    assert found is None


class Stream:
    """Hands out an Arrow stream, as a polars frame does."""

    def __init__(self, table: pa.Table):
        self._table = table

    def __arrow_c_stream__(self, requested_schema=None):
        return self._table.__arrow_c_stream__(requested_schema)


def as_path(folder: Path) -> Path:
    prices().to_parquet(folder / "a.parquet")
    return folder / "a.parquet"


@pytest.mark.parametrize(
    "make",
    [
        lambda folder: prices(),
        lambda folder: pa.Table.from_pandas(prices()),
        lambda folder: Stream(pa.Table.from_pandas(prices())),
        as_path,
        lambda folder: str(as_path(folder)),
    ],
    ids=["pandas", "pyarrow", "stream", "path", "text"],
)
def test_every_form_of_a_table_is_planned_and_what_was_guessed_is_said(
    make, tmp_path, monkeypatch, capfd
):
    monkeypatch.chdir(tmp_path)
    plan(make(tmp_path))
    said = " ".join(capfd.readouterr().out.split())
    assert "3 symbols, 400 bars" in said
    assert "Data read as: 'last' read as close." in said
    assert "Data read as: 'Name' read as symbols." in said
    assert "1 extreme move is no bad tick: AAA 2015-10-08 -7" in said
    assert "(a split? use adjusted prices)" in said


@pytest.mark.parametrize(
    "data",
    [prices()["last"], {"close": [1.0]}, [1.0], np.ones(3), b"a.csv", False, 0, ("us20",)],
    ids=lambda data: type(data).__name__,
)
def test_only_none_means_the_default_source(data, tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=f"^data is a {type(data).__name__}, no table"):
        plan(data)
    assert list(tmp_path.iterdir()) == []
    assert "us20" not in capfd.readouterr().out


@pytest.mark.parametrize(
    ("data", "says"),
    [
        ("", "unknown data source ''"),
        ("us2", "unknown data source 'us2'; did you mean 'us20'"),
        ("prices.xlsx", "prices.xlsx: unknown kind of file"),
        ("folder/prices", "folder/prices: unknown kind of file"),
        (Path("us20"), "us20: unknown kind of file"),
        ("none.csv", "none.csv: no such file"),
    ],
)
def test_a_text_is_a_source_or_a_path_and_a_path_is_a_path(data, says, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=says):
        plan(data)


@pytest.mark.parametrize(
    ("data", "settings", "says"),
    [
        (prices(), {"data_path": "a.csv"}, "data= and data_path= name two sources"),
        (prices(), {"data_source": "us20"}, "data= and data_source= name two sources"),
        ("us20", {"data_path": "a.csv"}, "data= and data_path= name two sources"),
        (None, {"data_source": "us20", "data_path": "a.csv"}, "name two sources"),
    ],
)
def test_two_sources_at_once_are_refused(data, settings, says):
    with pytest.raises(UserError, match=says):
        plan(data, **settings)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"data_path": prices()}, "data_path= takes a path, and this is a DataFrame; a table is"),
        ({"data_source": prices()}, "data_source= takes a name, and this is a DataFrame; a table"),
        ({"data_path": pa.table({"a": [1]})}, "data_path= takes a path, and this is a Table"),
        ({"enqueue": [{"optimizer/lr": 0.1}]}, "enqueue is a list; write the path of a JSON file"),
        ({"enqueue": {"optimizer/lr": 0.1}}, "enqueue is a dict; write the path of a JSON file"),
        ({"name": prices()}, "name is a DataFrame; write a folder name"),
        ({"trials": prices()}, "trials is a DataFrame: expected a whole number"),
        ({"epochs": prices()["last"]}, "epochs is a Series: expected a whole number"),
        ({"resume": np.ones(2)}, "resume is a ndarray: expected true or false"),
        ({"data_target": prices()["last"]}, "data_target is a Series: expected text, a number"),
        ({"data_symbols": prices()}, "data_symbols is a DataFrame: expected text"),
        ({"data_symbols": {"AAA"}}, "data_symbols={'AAA'}: expected text, several joined"),
        ({"data_symbols": []}, "data_symbols names no symbol; leave it out"),
        ({"fix": prices()}, "fix is a DataFrame: expected a dict"),
        ({"fix": {"optimizer/lr": prices()["last"]}}, "fix={'optimizer/lr': …} is a Series: exp"),
        ({"space": prices()}, "space is a DataFrame; it must be a name, a .py file or a function"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else None,
)
def test_a_table_or_a_list_where_a_setting_takes_one_value(settings, says):
    with pytest.raises(UserError) as refused:
        launch(**{"space": "quick_test", "dry_run": True, **settings})
    said = str(refused.value)
    assert said.startswith(says)
    assert "\n" not in said
    assert len(said) < 200


@pytest.mark.parametrize(
    "names",
    [
        pd.Series(["AAA", "BBB", "AAA"]),
        np.array(["AAA", "BBB"]),
        pd.Index(["AAA", "BBB"]),
        pa.array(["AAA", "BBB"]),
        ("AAA", "BBB"),
    ],
    ids=lambda names: type(names).__name__,
)
def test_a_column_of_symbols_is_taken_as_a_list(names, tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    plan(prices(), data_symbols=names)
    assert "2 symbols, 400 bars" in capfd.readouterr().out


@pytest.mark.parametrize("moment", [pd.Timestamp, np.datetime64, pd.Period])
def test_a_date_is_taken_as_a_date(moment, tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    plan(prices(), data_valid_from=moment("2016-01-04"))
    assert "validation 2016-01-04 to" in " ".join(capfd.readouterr().out.split())


CONTENT = prices().to_csv(index=False)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"data": CONTENT}, "characters, no path and no name; of the content of a CSV file, give"),
        ({"data": "x" * 5000}, "data= is a text of 5,000 characters, no path and no name"),
        ({"data_path": CONTENT}, "data_path= wants a path, and this is the content of a file: 'da"),
        ({"data_source": CONTENT}, "unknown data source 'date,Name,last"),
        ({"enqueue": '[{"optimizer/lr": 0.1}]'}, "enqueue= wants a path, and this is the content"),
        ({"space": "EPOCHS = 3\ndef space(trial): ...\n"}, "space= wants a name, a path or a fun"),
    ],
)
def test_the_content_of_a_file_where_its_path_is_wanted(settings, says):
    with pytest.raises(UserError, match=re.escape(says)) as refused:
        launch(**{"space": "quick_test", "dry_run": True, **settings})
    assert len(str(refused.value)) < 250


@pytest.mark.parametrize("data", [prices()["last"], {"a": [1]}, [1.0], np.ones(3)])
def test_columns_in_another_form_are_answered_with_a_frame(data):
    with pytest.raises(UserError, match=r"no table; .*; pd\.DataFrame\(…\) makes one of columns$"):
        plan(data)


@pytest.mark.parametrize(
    ("setting", "form"),
    [
        ("fix.model/dropout", "fix={'model/dropout': …}"),
        ("fix_model_dropout", "fix={'model/dropout': …}"),
        ("fix.depth", "fix={'depth': …}"),
        ("data.horizon", "data_horizon=…"),
        ("data.path", "data_path=…"),
        ("data.synthetic.bars", "data_synthetic={'bars': …}"),
        ("data_synthetic_bars", "data_synthetic={'bars': …}"),
    ],
)
def test_a_key_of_the_command_line_is_answered_with_its_form_in_python(setting, form):
    with pytest.raises(UserError) as refused:
        plan("synthetic", **{setting: 1})
    assert str(refused.value) == f"unknown setting {setting!r}: in Python it is {form}"


def test_the_forms_of_python_are_taken(tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    made = {"bars": 400, "symbols": 6}
    plan("synthetic", data_synthetic=made, data_horizon=5, fix={"model/dropout": 0.3})
    said = capfd.readouterr().out
    assert "6 symbols, 400 bars" in said
    assert "horizon 5" in said
