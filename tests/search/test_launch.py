"""`launch(data=…)`: every form of table and path is taken, all else refused in one line."""

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
