"""What the values of a column are: text, whole numbers, times of the day; and their codes."""

# pyright: reportAttributeAccessIssue=false
# pyarrow.compute makes its functions when it is imported, where pyright cannot see them.

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from trainable.data.ingest.cells import SAMPLE
from trainable.data.ingest.table import Table
from trainable.data.times.time_of_day import CLOCK as TIME_OF_DAY

OFFSET = r" ?([Zz]|UTC|[+-]\d\d(:?\d\d)?)$"  # behind a time of day


def is_text(kind: pa.DataType) -> bool:
    """Returns whether a type holds texts."""
    return pa.types.is_string(kind) or pa.types.is_large_string(kind)


def is_clock(column: pa.ChunkedArray) -> bool:
    """Returns whether a column holds times of the day alone, such as 09:30 or 9:30 PM."""
    if pa.types.is_time(column.type):
        return True
    if not is_text(column.type) or not len(column):
        return False
    texts = pc.utf8_trim_whitespace(column.cast(pa.string()))
    texts = pc.replace_substring_regex(texts, OFFSET, "")
    lasts = pc.match_substring_regex(texts, r"^\d[hH]$")  # 1h, 4h: how long a bar lasts
    found = pc.and_not(pc.match_substring_regex(texts, TIME_OF_DAY), lasts)
    return bool(pc.all(pc.fill_null(found, False)).as_py())


def is_digits(column: pa.ChunkedArray) -> bool:
    """Returns whether a column of text holds whole numbers alone."""
    if not is_text(column.type) or not len(column):
        return False
    digits = pc.match_substring_regex(column.cast(pa.string()), r"^\s*\d{1,9}(\.0*)?\s*$")
    return bool(pc.all(pc.fill_null(digits, False)).as_py())


def value_codes(column: pa.ChunkedArray) -> np.ndarray:
    """[R] int64, the position of each row's value among the column's; −1 where it is empty."""
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if isinstance(column.type, pa.BaseExtensionType):  # Arrow encodes what it is stored as only
        stored = [chunk.storage for chunk in column.chunks]
        column = pa.chunked_array(stored, column.type.storage_type)
    encoded = column.combine_chunks().dictionary_encode()
    if isinstance(encoded, pa.ChunkedArray):
        encoded = encoded.combine_chunks()
    return pc.fill_null(encoded.indices, -1).to_numpy(zero_copy_only=False).astype(np.int64)


def sample(table: Table, key: str) -> list:
    """Returns the first filled cells of a column."""
    return [v for v in table.read(key).slice(0, SAMPLE).to_pylist() if v is not None and v != ""]
