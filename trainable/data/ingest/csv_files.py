"""CSV text → batches of number and text columns, in a stream; says which cell is wrong."""

# pyright: reportAttributeAccessIssue=false
# pyarrow.compute makes its functions when it is imported, where pyright cannot see them.

import csv
from codecs import getincrementaldecoder
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv

from trainable.cli.errors import UserError
from trainable.data.ingest.column_names import FIELD_NAMES, SYMBOL_NAMES, TIME_NAMES, canonical

BLOCK = 8 << 20  # bytes of CSV in memory at a time
HEAD = 1 << 20  # bytes in which the header is looked for
EMPTY_CELLS = ["", "NA", "N/A", "#N/A", "NaN", "nan", "NULL", "null", "None", "NaT"]


def csv_batches(path: Path) -> Iterator[pa.RecordBatch]:
    """Batches with number columns as float64, all others as text; one schema for all of them."""
    names, skip, delimiter = _header(path)
    schema: pa.Schema | None = None
    done = 0
    uneven: list[str] = []  # rows with too few or too many cells: the first

    def refuse(row: pacsv.InvalidRow) -> str:
        cells = " ".join(row.text.split())[:60]
        uneven.append(
            f"{path}: data row {row.number - skip}: {row.actual_columns} cells instead of "
            f"{row.expected_columns} (truncated file?): {cells!r}"
        )
        return "error"

    try:
        with (
            pa.input_stream(path, compression="detect") as stream,
            pacsv.open_csv(
                stream,
                pacsv.ReadOptions(  # without threads the parser knows its row numbers
                    block_size=BLOCK, column_names=names, skip_rows=skip, use_threads=False
                ),
                pacsv.ParseOptions(delimiter=delimiter, invalid_row_handler=refuse),
                pacsv.ConvertOptions(
                    column_types=dict.fromkeys(names, pa.string()),
                    null_values=[""],  # words such as NA are symbols in a symbol column
                    strings_can_be_null=True,
                ),
            ) as reader,
        ):
            for batch in reader:
                if not batch.num_rows:
                    continue
                typed = _typed_batch(batch, schema, path, done)
                schema = typed.schema
                done += typed.num_rows
                yield typed
    except pa.ArrowInvalid as error:
        if uneven:
            raise UserError(uneven[0]) from error
        if "Empty CSV file" in str(error):
            raise UserError(f"{path}: a header but no data rows") from error
        raise UserError(f"{path}: after data row {done}: {one_line(error)}") from error
    except (EOFError, OSError) as error:
        raise UserError(f"{path}: damaged or truncated: {one_line(error)}") from error


def _typed_batch(
    batch: pa.RecordBatch, schema: pa.Schema | None, path: Path, done: int
) -> pa.RecordBatch:
    labels = [n for n in batch.schema.names if canonical(n) in TIME_NAMES + SYMBOL_NAMES]

    def where(row: int) -> str:
        cells = ", ".join(str(batch.column(label)[row].as_py()) for label in labels)
        return f"{path}: data row {done + row + 1}" + (f" ({cells})" if cells else "")

    arrays = []
    for name, column in zip(batch.schema.names, batch.columns, strict=True):
        numbers = None
        as_text = name in labels or (schema is not None and schema.field(name).type == pa.string())
        # Of a column without any value yet the whole column decides, when it is read.
        if not as_text and (schema is not None or column.null_count < len(column)):
            required = schema is not None or canonical(name) in FIELD_NAMES
            numbers = to_numbers(column, required, name.strip(), where)
        arrays.append(column if numbers is None else numbers)
    return pa.RecordBatch.from_arrays(arrays, names=batch.schema.names)


def _header(path: Path) -> tuple[list[str], int, str]:
    """(column names, lines to skip, delimiter)."""
    try:
        with pa.input_stream(path, compression="detect") as stream:
            head = stream.read(HEAD)
        text = getincrementaldecoder("utf-8-sig")().decode(head, final=len(head) < HEAD)
    except (EOFError, OSError) as error:
        raise UserError(f"{path}: damaged or truncated: {one_line(error)}") from error
    except UnicodeDecodeError as error:
        raise UserError(
            f"{path}: byte {error.start} is not UTF-8 text; save it as UTF-8"
        ) from error
    lines = text.splitlines()
    skip = next((i for i, line in enumerate(lines) if line.strip()), None)
    if skip is None:
        raise UserError(f"{path}: the file is empty")
    delimiter = max(",;\t|", key=lines[skip].count)
    names = next(csv.reader([lines[skip]], delimiter=delimiter))
    unnamed = iter(range(len(names)))
    names = [name if name.strip() else f"unnamed: {next(unnamed)}" for name in names]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise UserError(f"{path}: two columns are called {twice.strip()!r}; rename one")
    return names, skip + 1, delimiter


def to_numbers(
    column: pa.Array | pa.ChunkedArray, required: bool, name: str, where: Callable[[int], str]
) -> pa.Array | pa.ChunkedArray | None:
    """Casts text to numbers; None where a column is text by nature.

    Args:
        column: [R] text.
        required: the column must be numbers; others are text where fewer than half of the filled
            cells are numbers.
        name: as written, for errors.
        where: gives file and row of a 0-based row, for errors.

    Raises:
        UserError: a text cell among numbers.
    """
    try:
        return column.cast(pa.float64())
    except pa.ArrowInvalid:
        pass  # spaces, words for empty, or text
    trimmed = pc.utf8_trim_whitespace(column)
    trimmed = pc.if_else(pc.is_in(trimmed, value_set=pa.array(EMPTY_CELLS)), None, trimmed)
    try:
        return trimmed.cast(pa.float64())
    except pa.ArrowInvalid:
        pass  # find out which cell
    number = r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$|^[+-]?(?i:inf|infinity|nan)$"
    text = pc.invert(pc.fill_null(pc.match_substring_regex(trimmed, number), True))
    text = np.asarray(text.to_numpy(zero_copy_only=False))
    filled = len(trimmed) - trimmed.null_count
    if not required and 2 * text.sum() > filled:
        return None
    if not text.any():  # what the pattern calls a number, the cast must know too
        return pa.array(
            [None if v is None else float(v) for v in trimmed.to_pylist()], pa.float64()
        )
    row = int(np.flatnonzero(text)[0])
    cell = trimmed[row].as_py()
    comma = "; write decimals with a point" if "," in cell else ""
    raise UserError(
        f"{where(row)}: {cell!r} in column {name!r} is not a number; correct or empty the "
        f"cell{comma}"
    )


def one_line(error: BaseException) -> str:
    """An error's message in one line of at most 200 characters."""
    return " ".join(str(error).split())[:200]
