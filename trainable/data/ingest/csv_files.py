"""CSV text → batches of number and text columns, in a stream; says which cell is wrong."""

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pacsv

from trainable.cli.errors import UserError
from trainable.cli.text import counted
from trainable.data.ingest.cells import one_line, to_numbers
from trainable.data.ingest.column_names import (
    ALIASES,
    CODED,
    FIELD_NAMES,
    SYMBOL_NAMES,
    TIMES,
    canonical,
    is_unnamed,
    squashed,
)
from trainable.data.ingest.csv_layout import CsvLayout, csv_layout

BLOCK = 8 << 20  # bytes of CSV in memory at a time
TAIL = 1 << 16  # bytes at the end of a file, more than its last line has


class CsvFile:
    """A CSV file that is read once, batch by batch.

    Attributes:
        layout: how it is read.
        notes: what was skipped or guessed, for the plan; complete after the last batch.
    """

    def __init__(self, path: Path):
        self.layout: CsvLayout = csv_layout(path)
        self.notes: list[str] = list(self.layout.notes)
        self._path = path

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Yields batches with numbers as float64, all else as text; one schema for all of them.

        Raises:
            UserError: a row with too few or too many cells, or text among numbers.
        """
        try:
            yield from self._batches()
        except UserError as error:
            if self.layout.encoding != "cp1252":
                raise
            raise UserError(f"{error} (no UTF-8 text, read as Windows-1252)") from error

    def _batches(self) -> Iterator[pa.RecordBatch]:
        path, layout = self._path, self.layout
        names = list(layout.names)
        schema: pa.Schema | None = None
        done = 0
        remarks: list[pacsv.InvalidRow] = []  # lines of text that are no rows
        uneven: list[pacsv.InvalidRow] = []  # rows with too few or too many cells: the first

        def judge(row: pacsv.InvalidRow) -> str:
            remark = _is_remark(row, bool(remarks))
            (remarks if remark else uneven).append(row)
            return "skip" if remark else "error"

        try:
            with (
                pa.input_stream(path, compression="detect") as stream,
                pacsv.open_csv(
                    stream,
                    pacsv.ReadOptions(  # without threads the parser knows its row numbers
                        block_size=BLOCK,
                        column_names=names,
                        skip_rows=layout.skip,
                        use_threads=False,
                        encoding=layout.encoding,
                    ),
                    pacsv.ParseOptions(delimiter=layout.delimiter, invalid_row_handler=judge),
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
                    typed = self._typed(batch, schema, done)
                    schema = typed.schema
                    done += typed.num_rows
                    yield typed
        except pa.ArrowInvalid as error:
            if uneven:
                raise self._refusal(uneven[0]) from error
            if "Empty CSV file" in str(error):
                raise UserError(f"{path}: a header but no data rows") from error
            raise UserError(f"{path}: after data row {done}: {one_line(error)}") from error
        except (EOFError, OSError, UnicodeError) as error:
            raise UserError(f"{path}: damaged or truncated: {one_line(error)}") from error
        if cell := _open_cell(path, layout):
            raise UserError(f"{path}: ends within a quoted cell (truncated file?): {cell!r}")
        self._note_remarks(remarks, done)

    def _typed(self, batch: pa.RecordBatch, schema: pa.Schema | None, done: int) -> pa.RecordBatch:
        names = batch.schema.names
        labels = [n for n in names if canonical(n) in (*TIMES, *SYMBOL_NAMES)]
        texts = {n for n in names if n in labels or may_be_label(n)}

        def where(row: int) -> str:
            cells = ", ".join(str(batch.column(label)[row].as_py()) for label in labels)
            return f"{self._path}: data row {done + row + 1}" + (f" ({cells})" if cells else "")

        arrays = []
        for name, column in zip(names, batch.columns, strict=True):
            numbers = None
            as_text = name in texts or (
                schema is not None and schema.field(name).type == pa.string()
            )
            # Of a column without any value yet the whole column decides, when it is read.
            if not as_text and (schema is not None or column.null_count < len(column)):
                required = schema is not None or canonical(name) in FIELD_NAMES
                numbers = to_numbers(column, required, name.strip(), where, self.layout.marks)
            arrays.append(column if numbers is None else numbers)
        return pa.RecordBatch.from_arrays(arrays, names=names)

    def _refusal(self, row: pacsv.InvalidRow) -> UserError:
        cells = " ".join(row.text.split())[:60]
        return UserError(
            f"{self._path}: data row {row.number - self.layout.skip}: "
            f"{counted(row.actual_columns, 'cell')} instead of {row.expected_columns} "
            f"(truncated file?): {cells!r}"
        )

    def _note_remarks(self, remarks: list[pacsv.InvalidRow], rows: int) -> None:
        """Notes the lines of text that were no rows; they stand at the end, or begin with `#`."""
        remarks = [row for row in remarks if row.text.strip("\x1a \t\r\n")]
        if not remarks:
            return
        after = [row.number for row in remarks if not row.text.lstrip(' "').startswith("#")]
        if after and after[0] - self.layout.skip <= rows:
            raise self._refusal(next(row for row in remarks if row.number == after[0]))
        text = " ".join(remarks[0].text.split()).strip('"')[:60]
        count = "a line" if len(remarks) == 1 else f"{len(remarks)} lines"
        self.notes.append(f"{count} of text among or after the data skipped: {text!r}")


def _open_cell(path: Path, layout: CsvLayout) -> str:
    """Returns the last cell where its quotes are never closed, which the parser takes as it is."""
    if path.suffix.lower() == ".gz":  # one that was cut short is refused as it is unpacked
        return ""
    with path.open("rb") as file:
        file.seek(max(path.stat().st_size - TAIL, 0) & ~1)  # whole characters of UTF-16
        lines = file.read().decode(layout.encoding, "replace").rstrip("\r\n").splitlines()
    line = layout.delimiter + (lines[-1] if lines else "")
    _, opened, cell = line.rpartition(f'{layout.delimiter}"')
    return cell if opened and '"' not in cell else ""


def may_be_label(name: str) -> bool:
    """Returns whether a column stays text until it is read: symbols, times, ratios, letters."""
    later = canonical(name) == "split" or squashed(name) in CODED
    return later or is_unnamed(name) or squashed(name) in (*TIMES, *ALIASES["symbol"])


def _is_remark(row: pacsv.InvalidRow, follows: bool) -> bool:
    """Whether a line is text beside the table: a comment, or a footer of at least three words.

    Below another one (`follows`) a line without a number is enough.
    """
    text = row.text.strip("\x1a \t\r\n").strip('"')  # 1A: the end of a file in old DOS
    words = follows and row.actual_columns == 1 and not any(map(str.isdigit, text))
    return (
        not text
        or text.startswith("#")
        or (
            (len(text.split()) >= 3 or ": " in text or words)
            and row.actual_columns < row.expected_columns
            and text[0].isalpha()
        )
    )
