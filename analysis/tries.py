"""Tries on the same data over all runs of a folder: a new name does not reset luck."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

from trainable.cli.text import counted, listed
from trainable.io.checksums import DamagedError, checked
from trainable.io.json_file import loads
from trainable.io.parquet_file import open_parquet, read_table
from trainable.run_format import MOST_PRIOR, SEARCHED

SHARED = 3  # hashes that two sets of rows have in common by no accident
NAMED = 5  # runs that are named

Record = Mapping[str, Any]


@dataclass(frozen=True)
class Scored:
    """What a run was scored on, as its `run.json` tells it.

    Attributes:
        file: SHA-256 of the content, and which of its columns are the label and what is earned.
        label: horizon and lag.
        symbols: their names.
        first, last: validation dates, ISO.
        rows: hashes of some validation rows (`trainable.data.row_hashes`); none in older folders.
    """

    file: tuple[str, ...]
    label: tuple[int, int]
    symbols: frozenset[str]
    first: str
    last: str
    rows: frozenset[str]

    @classmethod
    def of(cls, record: Record) -> Self | None:
        """Returns what a run was scored on; None where its `run.json` does not tell."""
        try:
            data, chosen = record["data"], record["settings"]["data"]
            first, last = record["split"]["valid"]
            target = chosen.get("target")
            columns = target, chosen.get("returns") or target
            return cls(
                file=(str(data["sha256"]), *map(str, columns)),
                label=(int(data["horizon"]), int(data["lag"])),
                symbols=frozenset(data["symbols"]),
                first=str(first),
                last=str(last),
                rows=frozenset(str(data.get("row_hashes") or "").split()),
            )
        except (AttributeError, KeyError, TypeError, ValueError):
            return None

    def shares_rows(self, other: "Scored") -> bool:
        """Says whether it is certain that some rows of both are the same, their labels included.

        So it is where both are of one file and have a symbol and a date in common, or where their
        rows have hashes in common.
        """
        if self.label != other.label:
            return False
        here, there = (Rows((one.first, one.last), one.symbols, one.rows) for one in (self, other))
        return here.shared_with(there, same_file=self.file == other.file)


@dataclass(frozen=True)
class Rows:
    """Rows of some data, as others tell of them.

    Attributes:
        dates: the first and the last, ISO.
        symbols: their names.
        hashes: of some of the rows (`trainable.data.row_hashes`).
    """

    dates: tuple[str, str]
    symbols: frozenset[str]
    hashes: frozenset[str]

    def shared_with(self, other: "Rows", same_file: bool) -> bool:
        """Says whether it is certain that some rows of both are the same.

        So it is of the same file with a date and a symbol in common, or where `SHARED` hashes are
        the same: a file that was renamed or converted is the same data.
        """
        dates = self.dates[0] <= other.dates[1] and other.dates[0] <= self.dates[1]
        symbols = not self.symbols.isdisjoint(other.symbols)
        of_file = same_file and symbols and dates
        return of_file or len(self.hashes & other.hashes) >= SHARED


@dataclass(frozen=True)
class Tries:
    """How many configurations were tried on the data of a run.

    Attributes:
        here: searched configurations of the run itself.
        runs: those of each other run on the same data, by name.
        prior: made elsewhere: the largest `tries.prior` of these runs, since all of them may mean
            the same tries.
        unread: run folders that do not tell on what data they are, or how many they tried.
        absent: of `runs`, those that `run.json` noted, and that cannot be counted any more.
    """

    here: int
    runs: Mapping[str, int]
    prior: int = 0
    unread: tuple[str, ...] = ()
    absent: tuple[str, ...] = ()

    @property
    def total(self) -> int:
        """All of them."""
        return self.here + sum(self.runs.values()) + self.prior

    def with_here(self, here: int) -> Self:
        """Returns the same with another number of configurations in the run itself."""
        return replace(self, here=here)

    def record(self) -> dict[str, Any]:
        """Returns what `run.json` says of them."""
        return {
            "total": self.total,
            "here": self.here,
            "other_runs": dict(self.runs),
            "prior": self.prior,
            "unread": list(self.unread),
        }

    @property
    def made_of(self) -> str | None:
        """What makes up the total, in words; None of a run that is alone."""
        parts = [f"{counted(self.here, 'configuration')} here"]
        if self.runs:
            others = counted(len(self.runs), "other run")
            names = _named(list(self.runs))
            parts.append(f"{sum(self.runs.values()):,} in {others} on these data ({names})")
        if self.prior:
            parts.append(f"{self.prior:,} made elsewhere (tries.prior)")
        return listed(parts) if parts[1:] else None

    def sentences(self) -> list[str]:
        """Returns what a person should know beside a luck line; nothing of a run that is alone."""
        said = [f"{self.made_of} make {self.total:,} tries."] if self.made_of else []
        return [*said, *self.not_read()]

    def not_read(self) -> list[str]:
        """Names the runs whose folders do not tell their tries now; mostly there are none."""
        said = []
        if self.absent:
            said.append(f"Counted as they were when this run was searched: {_named(self.absent)}.")
        if self.unread:
            names = _named(self.unread)
            said.append(f"Not counted, since their run folders tell too little: {names}.")
        return said


def count_tries(runs_dir: Path, name: str | None, record: Record, here: int) -> Tries:
    """Counts the tries on the data of a run, over all runs of a folder.

    Another run counts where it is certain that it was scored on some of the same rows
    (`Scored.shares_rows`): with its searched configurations that were trained for at least one
    epoch. Copies of one run count once, and those of this one not at all. Those that its own
    `run.json` noted go on counting when they are deleted, damaged or replaced, or it is copied.
    Where a run does not tell what it was scored on itself, nothing but its own is counted. A
    placebo is no try: it is neither counted nor has it others.

    Args:
        runs_dir: the folder of runs.
        name: of the run's own folder, which need not be there; None before it has one.
        record: its `run.json`, or what that will say: `data`, `split` and `settings`.
        here: its own configurations.
    """
    prior = prior_of(record)
    mine = Scored.of(record)
    if mine is None or is_placebo(record):
        return Tries(here, {}, prior)
    own, unread = {_identity(record, name)}, []
    others: dict[object, tuple[str, int]] = {}
    noted: dict[str, int] = {}
    known: set[str] = set()
    for folder, other in _records(runs_dir):
        if folder.name == name:
            own.add(_identity(other or {}, name))
            noted = _noted(other or {})
            continue
        scored = None if other is None else Scored.of(other)
        if scored is not None and not mine.shares_rows(scored):
            continue
        tried = None if other is None or scored is None else _tried_in(folder, other)
        if other is None or tried is None:
            unread.append(folder.name)
            continue
        known |= {folder.name, str(other.get("name"))}
        prior = max(prior, prior_of(other))
        identity = _identity(other, folder.name)
        if tried > others.get(identity, ("", 0))[1]:
            others[identity] = folder.name, tried
    runs = dict(found for identity, found in others.items() if identity not in own)
    absent = {run: tried for run, tried in noted.items() if run not in known}
    unread = [run for run in unread if run not in absent]
    return Tries(here, runs | absent, prior, tuple(unread), tuple(absent))


def _noted(record: Record) -> dict[str, int]:
    """Returns the tries of other runs on its data that a `run.json` notes."""
    tries = record.get("tries")
    runs = tries.get("other_runs") if isinstance(tries, Mapping) else None
    if not isinstance(runs, Mapping):
        return {}
    return {str(run): n for run, n in runs.items() if isinstance(n, int) and n > 0}


def prior_of(record: Record) -> int:
    """Returns `tries.prior` of a `run.json`; 0 in a folder of a version without it."""
    settings = record.get("settings")
    tries = settings.get("tries") if isinstance(settings, Mapping) else None
    prior = tries.get("prior") if isinstance(tries, Mapping) else None
    return prior if isinstance(prior, int) and 0 <= prior <= MOST_PRIOR else 0


def _records(runs_dir: Path) -> Iterator[tuple[Path, Record | None]]:
    """Yields the run folders that have begun, with their `run.json`; None where it is damaged."""
    for file in sorted(runs_dir.glob("*/run.json")):
        try:
            record = checked(loads(file.read_bytes()))
        except (OSError, ValueError):
            yield file.parent, None
            continue
        if record.get("state") != "starting" and not is_placebo(record):
            yield file.parent, record


def is_placebo(record: Record) -> bool:
    """Says whether a run's labels were moved away from its features."""
    return record.get("placebo") is not None


def _identity(record: Record, name: str | None) -> object:
    """Returns what the copies of a run have in common: the name and time that it began with."""
    started = record.get("started")
    return name if started is None else (str(record.get("name")), str(started))


def _tried_in(folder: Path, record: Record) -> int | None:
    """Returns how many searched configurations of a run were trained for at least an epoch.

    Of one that still runs, or was killed, its reports say it. They do not tell what is searched and
    what is a further seed, so no more count than the search asks for. None where it is not known.
    """
    try:
        return _trained(folder, record)
    except (DamagedError, KeyError, TypeError):  # a file is damaged, or of others
        return _searched(record)


def _trained(folder: Path, record: Record) -> int | None:
    """Returns the same from whole files."""
    rows, runs_on = _trials(folder / "trials.parquet"), record.get("state") == "running"
    if rows and not runs_on:
        return sum(kind in SEARCHED and epochs >= 1 for kind, epochs in rows.values())
    reported = _reported(folder / "shards")
    if not reported and not runs_on:
        return _searched(record)
    searched = {number for number, (kind, _) in rows.items() if kind in SEARCHED}
    trained = {number for number in searched if number in reported or rows[number][1] >= 1}
    further = len(reported - rows.keys())
    return len(trained) + min(further, max(0, _asked(record) - len(searched)))


def _trials(table: Path) -> dict[int, tuple[str, int]]:
    """Returns kind and epochs of each trial in `trials.parquet`; none before there is one."""
    if not table.is_file():
        return {}
    names = ("number", "kind", "epochs")
    rows = read_table(table, names)
    columns = (rows[name].to_pylist() for name in names)
    return {number: (kind, epochs or 0) for number, kind, epochs in zip(*columns, strict=True)}


def _reported(shards: Path) -> set[int]:
    """Returns the trials in the reports of a search whose tables are not written yet."""
    numbers: set[int] = set()
    for shard in shards.glob("[0-9]*.parquet"):
        with open_parquet(shard) as file:
            numbers.update(file.read(columns=["number"])["number"].to_pylist())
    return numbers


def _asked(record: Record) -> int:
    """Returns how many configurations the sessions of a run asked for at most."""
    sessions = [record.get("settings"), record.get("begun_with"), *(record.get("resumed") or ())]
    asked = [one.get("trials") for one in sessions if isinstance(one, Mapping)]
    return max((trials for trials in asked if isinstance(trials, int)), default=0)


def _searched(record: Record) -> int | None:
    """Returns how many configurations a `run.json` counts, trained or not; None without counts."""
    counts = record.get("counts")
    kinds = counts.get("by_kind") if isinstance(counts, Mapping) else None
    if not isinstance(kinds, Mapping):
        return None
    found = [kinds.get(kind, 0) for kind in SEARCHED]
    return sum(found) if all(isinstance(count, int) for count in found) else None


def _named(names: Sequence[str]) -> str:
    """Returns the first names, and how many there are more."""
    more = len(names) - NAMED
    return f"{', '.join(names[:NAMED])} and {more:,} more" if more > 0 else ", ".join(names)
