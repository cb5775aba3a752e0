"""Tables given from Python: of pandas, polars, pyarrow; and what is no table."""

import datetime

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from tests.fixtures.shapes import NAMES, bars, panel
from trainable.cli.errors import UserError
from trainable.data.ingest.in_memory import arrow_table
from trainable.data.settings import DataSettings
from trainable.data.sources import market_from_frame


def market(data: object, **keys):
    return market_from_frame(data, DataSettings(**keys))


class Stream:
    """Hands out an Arrow stream and nothing else, as a polars frame does."""

    def __init__(self, table: pa.Table):
        self._table = table

    def __arrow_c_stream__(self, requested_schema=None):
        return self._table.__arrow_c_stream__(requested_schema)


class OlderFrame:
    """Only knows how to become a pyarrow table."""

    def __init__(self, table: object):
        self._table = table

    def to_arrow(self) -> object:
        return self._table


class LazyFrame:
    """A query that nobody has run."""

    def collect(self) -> None:
        raise AssertionError("a query was run that nobody asked for")


def with_views(table: pa.Table) -> pa.Table:
    """Text as polars has it."""
    place = table.column_names.index("symbol")
    return table.set_column(place, "symbol", table["symbol"].cast(pa.string_view()))


ARROW = pa.Table.from_pandas(panel())
WIDE = panel().pivot(index="date", columns="symbol")


@pytest.mark.parametrize(
    "data",
    [
        ARROW,
        ARROW.combine_chunks().to_batches()[0],
        ARROW.to_reader(),
        Stream(ARROW),
        Stream(with_views(ARROW)),
        OlderFrame(ARROW),
        panel().set_index("date"),
        panel().set_index("date").rename_axis(None),
        panel().set_index(["symbol", "date"]).rename_axis([None, None]),
        panel().assign(symbol=panel()["symbol"].astype("category")),
        panel().astype({"close": object}),
        WIDE,
        WIDE.swaplevel(axis=1),
        WIDE["close"],
    ],
    ids=lambda data: type(data).__name__,
)
def test_a_table_of_any_library_is_the_same_market(data):
    found = market(data)
    assert found.symbols == NAMES
    expected = panel().pivot(index="date", columns="symbol", values="close")
    np.testing.assert_array_equal(found.timestamps, expected.index.to_numpy())
    np.testing.assert_array_equal(found.fields["close"], expected.to_numpy())


@pytest.mark.parametrize(
    "data",
    [
        bars()["close"],
        panel().to_dict("list"),
        panel().to_dict("records"),
        panel().to_numpy(),
        b"timestamp,close\n",
        False,
        0,
        pa.chunked_array([[1.0, 2.0]]),
        OlderFrame([1, 2]),
        datetime.date(2024, 1, 1),
    ],
    ids=lambda data: type(data).__name__,
)
def test_what_is_no_table_is_refused_by_its_type(data):
    with pytest.raises(UserError, match=f"^data is a {type(data).__name__}, no table.*give a "):
        arrow_table(data)


def test_a_query_that_was_not_run_is_named():
    with pytest.raises(UserError, match=r"LazyFrame, not computed yet; give data\.collect"):
        arrow_table(LazyFrame())


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (pd.DataFrame(), "no data rows"),
        (panel().iloc[:0], "no data rows"),
        (pd.concat([bars(), bars()[["close"]]], axis=1), "two columns are called 'close'"),
        (bars().assign(close=[[1.0]] * len(bars())), "'close' holds list"),
        (bars().assign(close=[object()] * len(bars())), "'close' is not a number"),
        (bars().assign(close=1j), "'close' is not a number"),
        (bars().assign(date=[{}] * len(bars())), "frame.*struct"),
        (bars().assign(date=bars()["date"].dt.time), "holds time64"),
        (panel().assign(symbol=[["A"]] * 360), "frame"),
        (panel().T, "no timestamp column"),
    ],
    ids=range(10),
)
def test_odd_columns_end_in_one_line_and_never_in_an_error_of_pandas_or_pyarrow(data, says):
    with pytest.raises(UserError, match=says) as error:
        market(data)
    assert "\n" not in str(error.value)


def test_text_that_is_no_text_is_ignored_like_other_text():
    broken = pd.Series(["\ud800"] * len(bars()), dtype=object)
    assert market(bars().assign(note=broken)).quality["ignored_columns"] == ["note"]
