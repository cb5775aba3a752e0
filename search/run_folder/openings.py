"""The ledger of openings: every look at a gate or a sealed test, over all runs of a folder.

`runs_dir/openings.jsonl` has a line an opening, in the order in which they came. Each holds the
hash of the line before it, so a line that is changed, or taken out, breaks the chain. Each run's
`run.json` notes how many lines there were as it wrote its own, the hash of that, and the hash of
the first one, by which one ledger is told from another. So lines that are cut off at the end are
missed, too, and a run folder that was copied in from elsewhere is told from one whose line is gone.
"""

import fcntl
import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from analysis.tries import Rows
from trainable.cli.errors import UserError
from trainable.io.atomic import not_written, sync
from trainable.io.checksums import DamagedError, checked
from trainable.io.json_file import loads

LEDGER = "openings.jsonl"
WINDOWS = ("gate", "test")
NOTED = "openings"  # key of `run.json`
START = "0" * 64  # what the first line follows
NEEDED = ("at", "run", "window", "first", "last", "sha256", "symbols", "rows")  # of a line

Record = Mapping[str, Any]


@dataclass(frozen=True)
class Window:
    """The dates that are opened, and whose data they are.

    Attributes:
        kind: gate or test.
        first, last: dates, ISO.
        sha256: of the data's file.
        symbols: their names.
        rows: hashes of some of its rows, whatever their labels (`seen_hashes`).
    """

    kind: str
    first: str
    last: str
    sha256: str
    symbols: tuple[str, ...]
    rows: tuple[str, ...]

    def shares_rows(self, record: Record) -> bool:
        """Says whether it is certain that an opening has seen some of these dates."""
        there = Rows(
            (record["first"], record["last"]),
            frozenset(record["symbols"]),
            frozenset(record["rows"]),
        )
        mine = Rows((self.first, self.last), frozenset(self.symbols), frozenset(self.rows))
        return mine.shared_with(there, same_file=record["sha256"] == self.sha256)


@dataclass(frozen=True)
class Opening:
    """A line of the ledger.

    Attributes:
        count: its place, from 1.
        hash: of the line, by which the next one holds on to it.
        record: what it says.
        ledger: hash of the first line.
    """

    count: int
    hash: str
    record: Record
    ledger: str


def openings(runs_dir: Path) -> list[Opening]:
    """Returns the openings of all runs of a folder, the first one first.

    Raises:
        UserError: the ledger is damaged, or cut short.
    """
    file = runs_dir / LEDGER
    notes = _notes(runs_dir)  # first, as a line that is noted stands in the ledger already
    content = file.read_bytes() if file.is_file() else b""
    found = _chain(file, content)
    _check_noted(runs_dir, notes, found)
    return found


def from_elsewhere(runs_dir: Path, found: Sequence[Opening]) -> list[str]:
    """Returns the runs of a folder whose openings are in another ledger, which is not at hand."""
    notes = _notes(runs_dir)
    return [name for name, note in notes.items() if _is_foreign(runs_dir, note, found)]


def add_opening(runs_dir: Path, window: Window, facts: Record) -> Opening:
    """Appends an opening, and waits until it is on the disk; only then may the dates be read.

    Args:
        runs_dir: of the run.
        window: that is opened.
        facts: what else to note: the run, its configurations, when …

    Raises:
        UserError: the ledger is damaged, or cannot be written.
    """
    file = runs_dir / LEDGER
    with _locked(file) as descriptor:
        notes = _notes(runs_dir)
        content = _content(descriptor)
        whole = content[: content.rfind(b"\n") + 1]  # a line torn by a kill has opened nothing
        before = _chain(file, whole)
        _check_noted(runs_dir, notes, before)
        record = {
            "count": len(before) + 1,
            **facts,
            "window": window.kind,
            "first": window.first,
            "last": window.last,
            "sha256": window.sha256,
            "symbols": list(window.symbols),
            "rows": list(window.rows),
            "before": before[-1].hash if before else START,
        }
        record = loads(json.dumps(record, allow_nan=False))
        digest = _hash(record)
        line = f"{_text({**record, 'hash': digest})}\n".encode()
        try:
            os.ftruncate(descriptor, len(whole))
            os.pwrite(descriptor, line, len(whole))
            os.fsync(descriptor)
            sync(file.parent)
        except OSError as error:
            os.ftruncate(descriptor, len(whole))
            raise not_written(file, error) from error
    return Opening(record["count"], digest, record, before[0].hash if before else digest)


def earlier(found: Sequence[Opening], window: Window) -> list[Opening]:
    """Returns the openings that have seen some of the dates of a window."""
    return [opening for opening in found if window.shares_rows(opening.record)]


def opened_before(seen: Sequence[Opening]) -> str:
    """Returns what to say of earlier openings of the same dates, one at least."""
    times = "once" if len(seen) == 1 else f"{len(seen)} times"
    first = seen[0].record
    begin = "" if len(seen) == 1 else "first "
    return (
        f"These dates were opened before: {times}, {begin}on {first['at'][:10]} by run "
        f"{first['run']}."
    )


def noted(opening: Opening, runs_dir: Path) -> dict[str, Any]:
    """Returns what `run.json` notes of the ledger: length, head, first line, and its folder."""
    return {
        "count": opening.count,
        "head": opening.hash,
        "ledger": opening.ledger,
        "folder": _folder(runs_dir),
    }


def _chain(file: Path, content: bytes) -> list[Opening]:
    """Returns the lines of a ledger; raises `UserError` for the first that does not hold on."""
    found: list[Opening] = []
    for number, line in enumerate(content.splitlines(keepends=True), start=1):
        if not line.endswith(b"\n"):
            break  # torn by a kill before it counted
        before = found[-1].hash if found else START
        try:
            record = loads(line)
            digest = record.pop("hash")
            fits = record["count"] == number and record["before"] == before
            fits = fits and digest == _hash(record) and set(NEEDED) <= record.keys()
        except (ValueError, TypeError, KeyError, AttributeError):
            fits, digest, record = False, "", {}
        if not fits:
            raise UserError(
                f"{file}:{number} is not the line that was written, or lines before it are "
                "missing: how often dates were opened is not known; restore it from a copy"
            )
        found.append(Opening(number, digest, record, found[0].ledger if found else digest))
    return found


def _notes(runs_dir: Path) -> dict[str, Record]:
    """Returns what the runs of a folder know of the ledger, by their folders' names."""
    notes: dict[str, Record] = {}
    for file in sorted(runs_dir.glob("*/run.json")):
        try:
            note = checked(loads(file.read_bytes())).get(NOTED)
        except (OSError, ValueError, DamagedError):
            continue  # whoever reads that run says so
        if isinstance(note, Mapping):
            notes[file.parent.name] = note
    return notes


def _check_noted(runs_dir: Path, notes: Mapping[str, Record], found: Sequence[Opening]) -> None:
    """Raises `UserError` where a run knows of an opening that the ledger lacks."""
    for name, note in notes.items():
        if _is_foreign(runs_dir, note, found):
            continue
        count, head = note.get("count"), note.get("head")
        there = found[count - 1 : count] if isinstance(count, int) and count > 0 else []
        if not there or there[0].hash != head:
            raise UserError(
                f"{runs_dir / LEDGER} lacks the opening that run {name!r} made: it was cut short "
                "or replaced, and how often dates were opened is not known; restore it from a "
                f"copy, or move {runs_dir / name} away if it was copied in from elsewhere"
            )


def _is_foreign(runs_dir: Path, note: Record, found: Sequence[Opening]) -> bool:
    """Says whether a note is of another ledger than this, and was not written in this folder."""
    ledger, folder = note.get("ledger"), note.get("folder")
    if ledger is None or folder == _folder(runs_dir):
        return False
    return not found or ledger != found[0].hash


def _folder(runs_dir: Path) -> str:
    """Returns a hash of where a folder is: its name is nobody's business who is sent a run."""
    return hashlib.sha256(str(runs_dir.resolve()).encode()).hexdigest()


@contextmanager
def _locked(file: Path) -> Iterator[int]:
    """Opens a file for reading and writing, made if missing, while nobody else does."""
    try:
        descriptor = os.open(file, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise not_written(file, error) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield descriptor
    finally:
        os.close(descriptor)


def _content(descriptor: int) -> bytes:
    return os.pread(descriptor, os.fstat(descriptor).st_size, 0)


def _hash(record: Record) -> str:
    return hashlib.sha256(_text(record).encode()).hexdigest()


def _text(record: Record) -> str:
    return json.dumps(record, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
