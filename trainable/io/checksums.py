"""Checksums of the files of a run: whoever reads a file notices any bit that changed.

A JSON object carries its own sum, a CRC-32, under the key `crc32`. A Parquet file has a line in
`SHA256SUMS`, a file beside it in the format of the command `sha256sum`. Lines are only appended, so
that several processes may write. A name may have several lines, one for each version of the file,
and any of them is right: a kill may come between a line and its file. A file without a line was
written by another program or an older version, and is taken as it is.
"""

import errno
import hashlib
import json
import os
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

KEY = "crc32"
MANIFEST = "SHA256SUMS"
_DIGITS = 64  # of a SHA-256 sum, hexadecimal


class DamagedError(ValueError):
    """A file whose checksum is another."""


def crc32(*parts: bytes | memoryview) -> str:
    """Returns the CRC-32 of bytes, as eight hexadecimal digits."""
    total = 0
    for part in parts:
        total = zlib.crc32(part, total)
    return f"{total:08x}"


def with_checksum(content: Mapping[str, Any]) -> dict[str, Any]:
    """Returns a JSON object with its checksum as the last key.

    Args:
        content: as JSON gives it back: no tuples, no NumPy.
    """
    kept = {key: value for key, value in content.items() if key != KEY}
    return kept | {KEY: _json_sum(kept)}


def checked(content: Any) -> dict[str, Any]:
    """Returns a JSON object without its checksum, which is verified where there is one.

    Raises:
        DamagedError: the sum is another, or it is no object.
    """
    if not isinstance(content, dict):
        raise DamagedError("it holds no JSON object")
    kept = {key: value for key, value in content.items() if key != KEY}
    if KEY in content and content[KEY] != _json_sum(kept):
        raise DamagedError(f"its check sum {KEY} is another")
    return kept


def sha256_of(path: Path) -> str:
    """Returns the SHA-256 sum of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def add_sum(path: Path, digest: str, durable: bool) -> None:
    """Appends the sum of a file to the manifest beside it.

    Args:
        path: of the file, which may not be there yet.
        digest: its SHA-256 sum.
        durable: whether to wait until the line is on the disk. It must be there before a file takes
            the place of another that has a line: a power cut that lost the new line only would make
            the new file look damaged. A file of a new name needs no wait: without its line it is
            taken as it is.

    Raises:
        OSError: it cannot be written.
    """
    _append(path.with_name(MANIFEST), f"{digest}  {path.name}\n".encode(), durable)


def _append(path: Path, line: bytes, durable: bool) -> None:
    manifest = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
    try:
        size = os.fstat(manifest).st_size
        if size and os.pread(manifest, 1, size - 1) != b"\n":  # a kill or a full disk tore a line
            line = b"\n" + line
        if os.write(manifest, line) != len(line):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        if durable:
            os.fsync(manifest)
    finally:
        os.close(manifest)


def check_file(path: Path) -> None:
    """Checks a file against the manifest beside it.

    Raises:
        OSError: it cannot be read.
        DamagedError: it is empty, or its sum is none of those that the manifest has of it.
    """
    if not path.stat().st_size:
        raise DamagedError("it is empty")
    known = _sums(path)
    if known and sha256_of(path) not in known:
        raise DamagedError(f"its SHA-256 sum is not the one in {path.with_name(MANIFEST)}")


def _sums(path: Path) -> set[str]:
    """Returns the sums that the manifest has of a file; none without a manifest."""
    try:
        content = path.with_name(MANIFEST).read_bytes()
    except FileNotFoundError:
        return set()
    end, found, at = f"  {path.name}\n".encode(), set[str](), -1
    while (at := content.find(end, at + 1)) >= 0:
        found.add(content[max(0, at - _DIGITS) : at].decode("ascii", "replace"))
    return found


def _json_sum(content: Mapping[str, Any]) -> str:
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return crc32(text.encode())
