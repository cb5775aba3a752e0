"""The shape of a CSV file from its first lines: encoding, delimiter, header, number marks.

What is certain is read and noted; what is not is refused with a line that says why.
"""

import csv
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from trainable.cli.errors import UserError
from trainable.cli.text import counted
from trainable.data.ingest.cells import (
    SAMPLE,
    Marks,
    is_date,
    is_number,
    number_marks,
    one_line,
    written_forms,
)
from trainable.data.ingest.column_names import TIMES, listed, role_of, squashed

HEAD = 1 << 20  # bytes that are looked at
CELLS = 20_000  # at most so many are looked at for the form of their numbers, or 50 rows
DELIMITERS = ",;\t|"
SYMBOL_LEVELS = ("ticker", "tickers", "symbol", "symbols")  # before a line of symbols
BINANCE = (
    *("open_time", "open", "high", "low", "close", "volume", "close_time", "quote_volume"),
    *("trades", "taker_base_volume", "taker_quote_volume", "ignore"),
)


@dataclass(frozen=True)
class CsvLayout:
    """How to read a CSV file.

    Attributes:
        encoding: of the text, as Python calls it.
        delimiter: between cells.
        skip: lines before the first data row, the header included.
        names: one a column; `unnamed: 0` … where the header has none.
        marks: how numbers are written.
        notes: what was skipped or guessed, for the plan.
    """

    encoding: str
    delimiter: str
    skip: int
    names: tuple[str, ...]
    marks: Marks
    notes: tuple[str, ...]


def csv_layout(path: Path) -> CsvLayout:
    """Finds the layout of a CSV file.

    Raises:
        UserError: an unreadable or empty file, or a header that is missing or not understood.
    """
    text, encoding = _head(path)
    lines = re.split(r"\r\n|\r|\n", text)
    if not any(line.strip() for line in lines):
        raise UserError(f"{path}: the file is empty")
    _refuse_other_kinds(path, text)
    notes: list[str] = []
    if encoding == "cp1252":
        notes.append("text that is not UTF-8, read as Windows-1252")
    first = next(i for i, line in enumerate(lines) if line.strip())
    told = re.fullmatch(r'"?sep=(.)"?[,;]*', lines[first].strip(), re.IGNORECASE)
    used = lines[: first + 2 + SAMPLE]
    delimiter = told.group(1) if told else _delimiter(used[first:])
    rows = [_cells(line, delimiter) for line in used]
    start = _first_row(rows, first + bool(told))
    if told or any(cells for cells in rows[first:start]):
        count = sum(bool(line.strip()) for line in used[first:start])
        notes.append(
            f"{'a line' if count == 1 else f'{count} lines'} before the header skipped: "
            f"{' '.join(lines[first].split())[:60]!r}"
        )
    rows[start] = [rows[start][0].lstrip("\ufeff# "), *rows[start][1:]]
    header: list[list[str]] = []
    body = start
    while body < len(rows) and len(header) < 4 and (not rows[body] or _is_header(rows[body])):
        if rows[body]:
            header.append(rows[body])
        body += 1
        if len(header) == 1 and not _more_header(rows[body:], header[0]):
            break
    data = [cells for cells in rows[body:] if cells]
    if not any(len(cells) > 1 for cells in rows):
        raise UserError(
            f"{path}: no separator of columns (comma, semicolon, tab or |) in "
            f"{lines[first].strip()[:60]!r}; write columns separated by commas"
        )
    names = _names(path, header, data, rows[start], notes)
    width = _width(data[:SAMPLE], len(names))
    if width == len(names) + 1 and data:
        names = _one_more(path, names, data, notes)
    elif width > len(names) and delimiter == ",":
        raise UserError(
            f"{path}: the header has {counted(len(names), 'cell')} and the data rows {width}; "
            "where numbers have decimal commas, separate the columns with semicolons or write "
            "decimal points"
        )
    unnamed = iter(range(len(names)))
    names = [name if name.strip() else f"unnamed: {next(unnamed)}" for name in names]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        timed = [squashed(name) in TIMES for name in names]
        if len(names) > 3 and len(names) % 2 == 0 and timed == [True, False] * (len(names) // 2):
            raise UserError(f"{path}: {pairs_of_columns(names)}")
        raise UserError(f"{path}: two columns are called {twice.strip()!r}; rename one")
    untimed = [i for i, name in enumerate(names) if squashed(name) not in TIMES]
    data = data[: max(50, CELLS // len(names))]
    marks = number_marks(cells[i] for cells in data for i in untimed if i < len(cells))
    written: dict[str, list[str]] = {}
    for i in untimed:
        column = [cells[i] for cells in data if i < len(cells) and cells[i].strip()]
        numeric = role_of(names[i]) is not None or all(map(is_number, column))
        if numeric and (forms := written_forms(column, marks)):
            written.setdefault(", ".join(forms), []).append(repr(names[i].strip()))
    notes += [f"{listed(columns)} read with {forms}" for forms, columns in written.items()]
    return CsvLayout(encoding, delimiter, body, tuple(names), marks, tuple(notes))


def _head(path: Path) -> tuple[str, str]:
    """(the first text of the file without its last, perhaps cut line; its encoding)."""
    try:
        with pa.input_stream(path, compression="detect") as stream:
            head = stream.read(HEAD)
    except (EOFError, OSError) as error:
        raise UserError(f"{path}: damaged or truncated: {one_line(error)}") from error
    if head[:2] in (b"\xff\xfe", b"\xfe\xff"):
        encodings = ["utf-16"]
    elif len(head) > 3 and head[1:4:2] == b"\0\0":
        encodings = ["utf-16-le"]
    elif len(head) > 3 and head[0:4:2] == b"\0\0":
        encodings = ["utf-16-be"]
    else:
        encodings = ["utf-8", "cp1252"]
    whole = len(head) < HEAD
    if not whole and b"\n" in head:
        head = head[: head.rfind(b"\n") + 1 + (encodings[0] == "utf-16-le" or head[0] == 0xFF)]
    problem: UnicodeDecodeError | None = None
    for encoding in encodings:
        try:
            text = head.decode(encoding).lstrip("\ufeff")
        except UnicodeDecodeError as error:
            problem = problem or error
            continue
        if "\0" in text:
            raise UserError(f"{path}: holds NUL characters: no text; save it as UTF-8 text")
        return text, encoding
    assert problem is not None
    raise UserError(
        f"{path}: byte {problem.start} is not {encodings[0].upper()} text; save it as UTF-8"
    ) from problem


def _refuse_other_kinds(path: Path, text: str) -> None:
    """Raises `UserError` for a web page or JSON under the name of a CSV file."""
    begin = text.lstrip()[:1]
    if begin in ("<", "{", "[") and not re.match(r"<[A-Z]+>[,;\t|]", text.lstrip()):
        kind = "a web page (HTML)" if begin == "<" else "JSON"
        raise UserError(
            f"{path}: {kind}, no CSV: {' '.join(text.split())[:60]!r}; a failed download?"
        )


def _delimiter(lines: Sequence[str]) -> str:
    """The one that divides most lines into the same number of cells."""

    def agreement(delimiter: str) -> tuple[int, int]:
        counts = Counter(len(_cells(line, delimiter)) for line in lines if line.strip())
        width, count = max(counts.items(), key=lambda item: (item[1], item[0]))
        many = Counter({w: c for w, c in counts.items() if w > 1})
        if width == 1 and many:  # a header and few rows among lines of text
            width, count = max(many.items(), key=lambda item: (item[1], item[0]))
        return (count, width) if width > 1 else (0, 0)

    return max(DELIMITERS, key=agreement)


def _cells(line: str, delimiter: str) -> list[str]:
    """A line's cells; none of a blank line."""
    return next(csv.reader([line], delimiter=delimiter)) if line.strip() else []


def _width(rows: Sequence[Sequence[str]], default: int) -> int:
    counts = Counter(len(cells) for cells in rows if cells)
    return max(counts.items(), key=lambda item: (item[1], item[0]))[0] if counts else default


def _first_row(rows: Sequence[Sequence[str]], first: int) -> int:
    """The index of the table's first row: header or, without one, data."""
    width = _width(rows[first:], 1)
    for i in range(first, len(rows)):
        cells = list(rows[i])
        if not cells:
            continue
        comment = cells[0].lstrip("\ufeff ").startswith("#")
        if comment:
            cells[0] = cells[0].lstrip("\ufeff# ")
        known = sum(role_of(cell) is not None for cell in cells)
        if known >= min(2, max(1, width - 1)) and len(cells) > 1:
            return i
        if len(cells) == width and not comment:
            return i
    return first


def _is_value(cell: str) -> bool:
    return is_date(cell) or is_number(cell)


def _is_header(cells: Sequence[str]) -> bool:
    """Whether a row holds names: text, or numbers (tickers) under the name of the time column."""
    if _is_value(cells[0]):
        return False
    if any(role_of(cell) for cell in cells):
        return True
    return not any(map(_is_value, cells)) or (not cells[0].strip() and len(cells) > 1)


def _more_header(rows: Sequence[Sequence[str]], header: Sequence[str]) -> bool:
    """Whether the row after the first line of names holds names again."""
    following = next((cells for cells in rows if cells), None)
    if following is None or not _is_header(following):
        return False
    if not any(cell.strip() for cell in following[1:]) and following[0].strip():
        return True  # the name of the index alone
    known = sum(role_of(cell) is not None for cell in (*header, *following))
    return known >= 2 and not any(map(_is_value, following))


def _names(
    path: Path,
    header: list[list[str]],
    data: Sequence[Sequence[str]],
    first: Sequence[str],
    notes: list[str],
) -> list[str]:
    if not header:
        return _of_no_header(path, data, first, notes)
    index = None
    if len(header) > 1 and not any(cell.strip() for cell in header[-1][1:]):
        index = header.pop()[0]
    if len(header) == 1:
        names = header[0]
        return [index, *names[1:]] if index else names
    if len(header) == 2:
        upper, lower = (_carried(cells) for cells in header)
        fields = [sum(role_of(c) is not None for c in cells[1:]) for cells in (upper, lower)]
        named = upper if fields[0] >= fields[1] else lower
        symbols = lower if named is upper else upper
        sure = index or len(set(named)) < len(named) or squashed(symbols[0]) in SYMBOL_LEVELS
        if len(upper) == len(lower) and max(fields) == len(upper) - 1 and sure:
            time = index or next((c for c in (lower[0], upper[0]) if role_of(c)), "date")
            pairs = zip(upper[1:], lower[1:], strict=True)
            notes.append("two lines of names: columns and symbols")
            return [time, *(str((a.strip(), b.strip())) for a, b in pairs)]
    raise UserError(
        f"{path}: {len(header) + (index is not None)} lines before the first data row look like a "
        f"header, the second is {', '.join(header[1])[:60]!r} (units?); keep one line of names"
    )


def _carried(cells: Sequence[str]) -> list[str]:
    """Names with each blank filled by the one before it, as merged cells are written."""
    carried = [cells[0]]
    for cell in cells[1:]:
        carried.append(cell if cell.strip() or len(carried) == 1 else carried[-1])
    return carried


def _of_no_header(
    path: Path, data: Sequence[Sequence[str]], first: Sequence[str], notes: list[str]
) -> list[str]:
    if _is_binance(data):
        notes.append("no header: the twelve columns of a Binance kline file")
        return list(BINANCE)
    columns = len(first)
    if columns > 2 and all(map(is_date, first[1:])):
        raise UserError(f"{path}: {dates_across(first)}")
    example = {5: "date,open,high,low,close", 6: "date,open,high,low,close,volume"}.get(
        columns, "date,close" if columns == 2 else "date,symbol,close,…"
    )
    raise UserError(
        f"{path}: no header: the first line holds data already ({', '.join(first)[:60]!r}); put a "
        f"line with the names of its {counted(columns, 'column')} before it, such as {example}"
    )


def _is_binance(data: Sequence[Sequence[str]]) -> bool:
    """Twelve numbers: the bar's begin and, a step less one unit later, its end; then the rest."""
    if not data or any(len(cells) != len(BINANCE) for cells in data):
        return False
    try:
        rows = [[float(cell) for cell in cells] for cells in data]
    except ValueError:
        return False
    good = sum(
        row[0] >= 1e12
        and (row[6] + 1 - row[0]) % 1000 == 0
        and row[6] > row[0]
        and row[3] <= min(row[1], row[4]) * (1 + 1e-9)
        and max(row[1], row[4]) <= row[2] * (1 + 1e-9)
        and row[8] == int(row[8])
        and row[9] <= row[5] * (1 + 1e-9)
        and row[11] == 0
        for row in rows
    )
    return good >= 0.9 * len(rows)


def _one_more(
    path: Path, names: list[str], data: Sequence[Sequence[str]], notes: list[str]
) -> list[str]:
    """Names for rows with one cell more than the header has."""
    wide = [cells for cells in data if len(cells) == len(names) + 1]
    if all(not cells[-1].strip() for cells in wide):
        notes.append("an empty cell at the end of each row dropped")
        return [*names, ""]
    if not any(squashed(name) in TIMES for name in names) and all(is_date(c[0]) for c in wide):
        return ["", *names]  # R writes row names without a name of their own
    raise UserError(
        f"{path}: the header has {counted(len(names), 'cell')} and the data rows {len(names) + 1}; "
        "name every column"
    )


def pairs_of_columns(names: Sequence[str]) -> str:
    """Returns the words for dates and values in turns, a pair a symbol, as Bloomberg gives them."""
    shown = ", ".join(name.strip() for name in names[:4])
    return (
        f"several columns of dates ({shown} …): pairs of columns, a date and a value for each "
        "symbol; give one column 'date' and a column a symbol, or one row per timestamp and symbol"
    )


def dates_across(names: Sequence[str]) -> str:
    """Returns the words for a table whose dates run across the header."""
    shown = ", ".join(name.strip() for name in names[:3])
    return (
        f"the header holds dates ({shown} …): the table lies on its side; transpose it, so that "
        "the dates stand in a column 'date' and each symbol has a column"
    )
