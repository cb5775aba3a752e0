"""Check sums inside the files of a run: whatever bit of one is another, its reader notices.

A JSON object has the key `crc32`, a Parquet file an entry in its footer: the sums of its pages
leave out the footer. A file without a sum was written by somebody else and is taken as it is.
"""

import json
import mmap
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

KEY = "crc32"
MARK = "asharpe.crc32"  # the entry of a Parquet footer
BLANK = "00000000"  # its value until the file is whole
_MARK, _BETWEEN, _BLANK = MARK.encode(), b"\x18\x08", BLANK.encode()  # a text of 8 bytes follows


class DamagedError(ValueError):
    """A file whose check sum is another."""


def crc32(*parts: bytes | memoryview) -> str:
    """Returns the check sum of bytes, as eight hexadecimal digits."""
    total = 0
    for part in parts:
        total = zlib.crc32(part, total)
    return f"{total:08x}"


def sealed(content: Mapping[str, Any]) -> dict[str, Any]:
    """Returns a JSON object with its check sum as the last key.

    Args:
        content: as JSON gives it back: no tuples, no NumPy.
    """
    kept = {key: value for key, value in content.items() if key != KEY}
    return kept | {KEY: _sum(kept)}


def opened(content: Any) -> dict[str, Any]:
    """Returns a JSON object without its check sum.

    Raises:
        DamagedError: the sum is another, or it is no object.
    """
    if not isinstance(content, dict):
        raise DamagedError("it holds no JSON object")
    kept = {key: value for key, value in content.items() if key != KEY}
    if KEY in content and content[KEY] != _sum(kept):
        raise DamagedError(f"its check sum {KEY} is another")
    return kept


def seal_parquet(content: bytearray | mmap.mmap) -> None:
    """Puts the check sum into a Parquet file, in place.

    Args:
        content: of a file whose writer was given the entry `MARK` of the value `BLANK`.
    """
    at = _value(content)
    if at is None:
        raise ValueError(f"the footer has no entry {MARK}")
    content[at : at + len(_BLANK)] = _sum_around(content, at).encode()


def seal_file(path: Path) -> None:
    """Puts the check sum into a Parquet file on disk; see `seal_parquet`."""
    with path.open("r+b") as file, mmap.mmap(file.fileno(), 0) as content:
        seal_parquet(content)


def check_parquet(path: Path) -> None:
    """Checks a Parquet file against its check sum, if it has one.

    Raises:
        OSError: it cannot be read.
        DamagedError: the sum is another, or the file is empty.
    """
    with path.open("rb") as file:
        if not path.stat().st_size:
            raise DamagedError("it is empty")
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            at = _value(content)
            if at is None:
                return
            if content[at : at + len(_BLANK)] != _sum_around(content, at).encode():
                raise DamagedError("its check sum is another")


def _sum(content: Mapping[str, Any]) -> str:
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return crc32(text.encode())


def _value(content: bytearray | mmap.mmap) -> int | None:
    """Returns where the sum of a Parquet file stands; None where it has none."""
    mark = content.rfind(_MARK)
    if mark < 0:
        return None
    at = mark + len(_MARK) + len(_BETWEEN)
    if content[at - len(_BETWEEN) : at] != _BETWEEN:
        raise DamagedError("its footer is damaged")
    return at


def _sum_around(content: bytearray | mmap.mmap, at: int) -> str:
    with memoryview(content) as view:
        return crc32(view[:at], _BLANK, view[at + len(_BLANK) :])
