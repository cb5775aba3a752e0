"""Arrow's extension types: pandas' periods are read, one that nobody knows is no plain number."""

import pandas as pd
import pyarrow as pa

pa.array(pd.PeriodIndex([], freq="D"))  # pandas registers its periods with Arrow when first used

NAME = b"ARROW:extension:name"


def known_extension(column: pa.ChunkedArray, field: pa.Field) -> pa.ChunkedArray:
    """Returns the column; of an extension type that Arrow does not know, under that type's name.

    Arrow would give what it is stored as: days, counts or codes, which are not what they look like.
    """
    name = (field.metadata or {}).get(NAME)
    if name is None or isinstance(column.type, pa.BaseExtensionType):
        return column
    kind = pa.opaque(column.type, name.decode("utf-8", "replace"), "unknown")
    chunks = [pa.ExtensionArray.from_storage(kind, chunk) for chunk in column.chunks]
    return pa.chunked_array(chunks, kind)
