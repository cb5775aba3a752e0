"""Tables given from Python, of pandas, polars or pyarrow, → one Arrow table."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
import pyarrow as pa

from trainable.cli.errors import UserError
from trainable.data.ingest.cells import one_line

WORKS = "give a table of pandas, polars or pyarrow, the path of a file, or the name of a source"


def arrow_table(data: object) -> pa.Table:
    """Returns the columns of a table; the named levels of a pandas index become columns.

    Args:
        data: a pandas DataFrame, a pyarrow Table, or anything that hands out an Arrow stream of
            columns (`__arrow_c_stream__`, as a polars DataFrame) or has `to_arrow`.

    Raises:
        UserError: it is no table.
    """
    kind = type(data).__name__
    if isinstance(data, pd.DataFrame):
        table = _of_pandas(data)
    elif isinstance(data, pa.Table):
        table = data
    elif isinstance(data, pa.RecordBatch):
        table = pa.Table.from_batches([data])
    elif hasattr(data, "collect") and not hasattr(data, "__arrow_c_stream__"):
        raise UserError(f"data is a {kind}, not computed yet; give data.collect()")
    elif isinstance(data, pd.Series) or not hasattr(data, "__arrow_c_stream__"):
        table = data.to_arrow() if _converts(data) else None  # type: ignore[attr-defined]
    else:
        try:
            table = pa.RecordBatchReader.from_stream(data).read_all()
        except (pa.ArrowException, TypeError) as error:
            raise UserError(f"data is a {kind}, no table ({one_line(error)}); {WORKS}") from error
    if not isinstance(table, pa.Table):
        columns = isinstance(data, pd.Series | np.ndarray | Mapping | list | tuple)
        makes = "; pd.DataFrame(…) makes one of columns" if columns else ""
        raise UserError(f"data is a {kind}, no table; {WORKS}{makes}")
    return _without_views(table).replace_schema_metadata()  # pandas' own has its version in it


def _converts(data: object) -> bool:
    return hasattr(data, "to_arrow") and not isinstance(data, pd.Series)


def _without_views(table: pa.Table) -> pa.Table:
    """Text as views, as polars has it, becomes plain text."""
    for i, column in enumerate(table.columns):
        kind = column.type
        values = kind.value_type if pa.types.is_dictionary(kind) else kind
        if pa.types.is_string_view(values):
            table = table.set_column(i, table.field(i).name, column.cast(pa.large_string()))
    return table


def _of_pandas(frame: pd.DataFrame) -> pa.Table:
    columns: list[tuple[str, pd.Series]] = []
    index = frame.index
    if not isinstance(index, pd.RangeIndex) or index.name is not None:
        for level in range(index.nlevels):
            values = index.get_level_values(level)
            name = values.name
            written = f"__index_level_{level}__" if name is None else _label(name)
            columns.append((written, values.to_series(index=pd.RangeIndex(len(frame)))))
    labels = [_label(label) for label in frame.columns]
    columns += [(label, frame.iloc[:, i]) for i, label in enumerate(labels)]
    arrays = [_array(series) for _, series in columns]
    return pa.table(arrays, names=[name for name, _ in columns])


def _label(label: object) -> str:
    if isinstance(label, tuple):
        return str(tuple(str(part) for part in label))
    return str(label)


def _array(series: pd.Series) -> pa.Array | pa.ChunkedArray:
    try:
        return pa.Array.from_pandas(series)
    except (pa.ArrowException, ValueError, TypeError, OverflowError):
        # Values of several types: as text, so that an error can name the cell.
        texts = [None if _is_missing(value) else _text(value) for value in series]
        return pa.array(texts, pa.string())


def _is_missing(value: object) -> bool:
    return value is None or value is pd.NA or (isinstance(value, float) and value != value)


def _text(value: object) -> str:
    return str(value).encode("utf-8", "replace").decode()
