"""What `confirm/` of a run folder holds: what was last asked of its finalists, and what was opened.

`python -m search.confirm` writes it. A confirmation is read here by whoever shows one: the command
itself, the ranking and the report, so that all of them say the same.
"""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd
import pyarrow as pa

from analysis.load import Run
from analysis.verdict.confirmed import Confirmation, confirmation, confirmation_sentences
from analysis.verdict.ensemble import ensemble
from analysis.verdict.gate import Gate, gate_sentences
from trainable.cli.errors import UserError
from trainable.cli.started import as_started
from trainable.cli.text import counted
from trainable.io.checksums import DamagedError, checked
from trainable.io.json_file import loads
from trainable.io.parquet_file import read_table
from trainable.run_format import CONFIRM_COLUMNS, CONFIRM_RETURN_COLUMNS

FOLDER = "confirm"
ASKED = f"{FOLDER}/asked.json"
TRAININGS, RETURNS = f"{FOLDER}/trainings.parquet", f"{FOLDER}/returns.parquet"
WINDOWS = ("gate", "test")
KEYS = ["number", "name", "seed", "sha256", "epochs"]  # what tells one training from another
NONE = -1  # number and seed of a baseline
Frame = Any  # of pandas: type checkers understand too little of it


@dataclass(frozen=True)
class AskedFinalist:
    """A configuration that is trained again.

    Attributes:
        number: of its first trial.
        rank: in the ranking, from 1.
        sharpe: of the ranking, the mean over its seeds.
        epochs: that it is trained for.
    """

    number: int
    rank: int
    sharpe: float
    epochs: int


@dataclass(frozen=True)
class AskedFold:
    """A fold that is trained and scored on: its name, kind, whether before validation, its sum."""

    name: str
    kind: str
    before: bool
    sha256: str


@dataclass(frozen=True)
class Asked:
    """What a confirmation was asked for, as `asked.json` holds it.

    Attributes:
        finalists: in the order of the ranking.
        seeds: of each.
        folds: in their order.
        baselines: names of those beside them.
        left_out: folds, and why.
        words: settings other than the usual ones, `key=value`.
    """

    finalists: Sequence[AskedFinalist]
    seeds: Sequence[int]
    folds: Sequence[AskedFold]
    baselines: Sequence[str]
    left_out: Sequence[str] = ()
    words: Sequence[str] = ()

    @classmethod
    def of(cls, record: Mapping[str, Any]) -> Self:
        """Returns what JSON has of it; raises KeyError or TypeError for anything else."""
        return cls(
            [AskedFinalist(**one) for one in record["finalists"]],
            [int(seed) for seed in record["seeds"]],
            [AskedFold(**one) for one in record["folds"]],
            *([str(each) for each in record[key]] for key in ("baselines", "left_out", "words")),
        )

    @property
    def trainings(self) -> list[tuple[int, str, int, str, int]]:
        """The `KEYS` of every training that is asked for, without the baselines."""
        return [
            (one.number, "trial", seed, fold.sha256, one.epochs)
            for one in self.finalists
            for seed in self.seeds
            for fold in self.folds
        ]

    @property
    def scored(self) -> list[tuple[int, str, int, str, int]]:
        """The `KEYS` of the baselines."""
        return [
            (NONE, name, NONE, fold.sha256, 0) for name in self.baselines for fold in self.folds
        ]


@dataclass(frozen=True)
class Kept:
    """A confirmation that a run folder keeps.

    Attributes:
        run: of the folder.
        asked: what was asked for last.
        trainings: rows of `trainings.parquet` that were asked for, by fold, named as asked.
        returns: of `returns.parquet`.
    """

    run: Run
    asked: Asked
    trainings: Frame
    returns: Frame

    @property
    def ended(self) -> int:
        """How many of the trainings that were asked for have ended; baselines do not count."""
        return int((self.trainings["number"] != NONE).sum())

    @property
    def whole(self) -> bool:
        """Whether everything has ended that was asked for."""
        return len(self.trainings) == len(self.asked.trainings) + len(self.asked.scored)

    @cached_property
    def found(self) -> Confirmation | None:
        """What trainings say; None where there are no folds, or before all have ended."""
        if not self.asked.folds or not self.whole:
            return None
        ranked = [(one.number, one.rank, one.sharpe) for one in self.asked.finalists]
        return confirmation(ranked, self.trainings, self.returns, self.run.days_per_year)

    @property
    def command(self) -> str:
        """What goes on with it, or does the same of the ranking as it is now."""
        return confirm_command(self.run, self.asked.words)

    def is_of(self, ranking: pd.DataFrame) -> bool:
        """Says whether it is of the first finalists of `rank(run)`: the search may have gone on."""
        first = ranking.dropna(subset=["sharpe_mean"]).head(len(self.asked.finalists))
        asked = self.asked.finalists
        same = first["number"].to_list() == [one.number for one in asked]
        return same and np.allclose(first["sharpe_mean"], [one.sharpe for one in asked])


def confirm_command(run: Run, words: Sequence[str] = ("top=5",)) -> str:
    """Returns what confirms the finalists of a run.

    Args:
        run: the run.
        words: settings.
    """
    if run.run.get("arguments", ()) is None:  # from Python
        return f"confirm_run({', '.join([repr(str(run.folder)), '…', *words])})"
    return as_started(shlex.join(["python", "-m", "search.confirm", str(run.folder), *words]))


def kept_confirmation(run: Run) -> Kept | None:
    """Returns the confirmation that a run folder keeps; None without one, or of an older version.

    Raises:
        UserError: a file of it is damaged.
    """
    record = _json(run.folder / ASKED)
    if record is None:
        return None
    try:
        asked = Asked.of(record)
    except (KeyError, TypeError, ValueError) as error:
        raise _damaged(run.folder / ASKED, error) from error
    trainings = read_kept(run.folder / TRAININGS, CONFIRM_COLUMNS).to_pandas()
    returns = read_kept(run.folder / RETURNS, CONFIRM_RETURN_COLUMNS).to_pandas()
    return Kept(run, asked, _asked_for(asked, trainings), returns)


def _asked_for(asked: Asked, trainings: Frame) -> Frame:
    """Returns the rows that were asked for, in the order of folds, named as these folds are.

    What was trained for other settings may be of the same fold: the validation part is the third of
    three walk-forward folds, and the fifth of five. On a fold rows stand as they were asked for, in
    whatever order they ended.
    """
    wanted = pd.MultiIndex.from_tuples([*asked.trainings, *asked.scored], names=KEYS)
    turns = wanted.get_indexer(pd.MultiIndex.from_frame(trainings[KEYS]))
    mine, turns = trainings[turns >= 0], turns[turns >= 0]
    places = {fold.sha256: place for place, fold in enumerate(asked.folds)}
    place = np.array([places[fold] for fold in mine["sha256"]], dtype=np.int64)
    of = [asked.folds[each] for each in place]
    mine = mine.assign(
        fold=[fold.name for fold in of],
        kind=[fold.kind for fold in of],
        before=[fold.before for fold in of],
    )
    return mine.iloc[np.lexsort((turns, place))].reset_index(drop=True)


def windows(run: Run) -> dict[str, Gate | None]:
    """Returns what the gate and the sealed test said, those that were opened.

    None stands for one that was opened for other finalists, before the search went on.

    Raises:
        UserError: a file is damaged.
    """
    found: dict[str, Gate | None] = {}
    together = ensemble(run)
    members = (
        [] if together is None else sorted(n for each in together.members.values() for n in each)
    )
    for kind in WINDOWS:
        file = run.folder / FOLDER / f"{kind}.json"
        record = _json(file)
        if record is None:
            continue
        try:
            found[kind] = Gate.of(record["gate"]) if record["numbers"] == members else None
        except (KeyError, TypeError) as error:
            raise _damaged(file, error) from error
    return found


def first_sentences(run: Run, ranking: pd.DataFrame, too_good: bool) -> list[str]:
    """Returns what to read first of a confirmation: its verdict, and what was opened.

    Args:
        run: the run.
        ranking: `rank(run)`.
        too_good: something of the search is too good, see `analysis.verdict.alarms`.
    """
    kept = kept_confirmation(run)
    said: list[str] = []
    if kept is not None:
        verdict = 1 if kept.is_of(ranking) else 2  # of whom it is stands before
        said += kept_sentences(kept, ranking, too_good)[:verdict]
    for gate in windows(run).values():
        said += [] if gate is None else gate_sentences(gate)
    return said


def kept_sentences(kept: Kept, ranking: pd.DataFrame, too_good: bool) -> list[str]:
    """Returns what a confirmation says, or that it has not ended; of whom, where others lead now.

    Arguments as of `first_sentences`.
    """
    if not kept.whole:
        asked = counted(len(kept.asked.trainings), "training")
        return [
            f"The confirmation has not ended: {kept.ended:,} of {asked}; {kept.command} goes on."
        ]
    said = [] if kept.found is None else confirmation_sentences(kept.found, too_good)
    if said and not kept.is_of(ranking):
        before = "The ranking has changed since its finalists were confirmed, so what follows is of"
        who = ", ".join(str(one.number) for one in kept.asked.finalists)
        several = "trials" if len(kept.asked.finalists) > 1 else "trial"
        said.insert(0, f"{before} {several} {who}; {kept.command} confirms those of now.")
    return said


def read_kept(file: Path, columns: Mapping[str, str]) -> pa.Table:
    """Returns a table of a confirmation; an empty one without a file.

    Args:
        file: of it.
        columns: with Arrow types.

    Raises:
        UserError: it is damaged.
    """
    if not file.exists():
        return arrow_schema(columns).empty_table()
    try:
        return read_table(file).select(list(columns)).cast(arrow_schema(columns))
    except (DamagedError, KeyError, pa.ArrowException) as error:
        raise _damaged(file, error, " to train anew") from error


def arrow_schema(columns: Mapping[str, str]) -> pa.Schema:
    """Returns the schema of a table of a confirmation."""
    kinds = {"timestamp[ns]": pa.timestamp("ns"), "bool": pa.bool_()}
    return pa.schema(
        [(name, kinds.get(kind) or pa.type_for_alias(kind)) for name, kind in columns.items()]
    )


def _json(file: Path) -> dict[str, Any] | None:
    if not file.is_file():
        return None
    try:
        return checked(loads(file.read_text(encoding="utf-8")))
    except (OSError, ValueError) as error:
        raise _damaged(file, error) from error


def _damaged(file: Path, error: Exception, remedy: str = "") -> UserError:
    why = str(error).partition("\n")[0]
    remove = f"remove {file.parent}{remedy}" if remedy else "remove it and confirm again"
    return UserError(f"{file} is damaged ({why}); restore it from a copy, or {remove}")
