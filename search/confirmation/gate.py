"""Opens the gate: logged first, then read; of one run and its configurations only once."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from analysis.load import Run
from analysis.ranking import rank
from analysis.verdict.confirm_folder import FOLDER, TRAININGS
from analysis.verdict.ensemble import Ensemble, ensemble
from analysis.verdict.gate import Gate, book_on, daily, evidence
from search.confirmation.scored_folds import COMPARED
from search.run_folder.folder import RunFolder
from search.run_folder.openings import (
    NOTED,
    Opening,
    Record,
    Window,
    add_opening,
    earlier,
    from_elsewhere,
    noted,
    opened_before,
    openings,
)
from search.run_folder.starting import STUDY
from search.session.provenance import now, stored_record
from search.study.study import note_in_study
from trainable.cli.errors import UserError
from trainable.cli.text import listed
from trainable.data.dataset.dataset import Dataset
from trainable.data.dataset.windows import train_eval_rows
from trainable.data.row_hashes import seen_hashes
from trainable.io.atomic import json_text, make_folder
from trainable.io.checksums import DamagedError, checked
from trainable.io.json_file import loads
from trainable.io.parquet_file import read_table
from trainable.metrics.baselines import BASELINES
from trainable.metrics.scores import score
from trainable.metrics.scoring import scoring
from trainable.prediction.predictor import Predictor

SEEN = "has seen some of these dates, which no e-value can undo"
READ = (  # part, how it was read, and by whom it is known now
    ("valid", "Searched on, as validation dates of", "whoever saw that ranking"),
    ("folds", "Scored on, as dates of folds that confirmed", "whoever saw that confirmation"),
    ("train", "Trained on, as training dates of", "whoever uses what was learned there"),
)


class Models(Protocol):
    """The models of finalists, wherever they are kept."""

    def load(self, number: int) -> Predictor:
        """Returns a finalist's model; raises `UserError` where it is damaged or gone."""
        ...

    def check(self, numbers: Iterable[int]) -> None:
        """Raises `UserError` for the first of these finalists whose model is damaged or gone."""
        ...


@dataclass(frozen=True)
class Sealed:
    """A window of dates that is about to be opened, and everything that is fixed before.

    Attributes:
        folder: of the run, which this process holds.
        run: as it ended.
        dataset: of the search.
        models: of its finalists.
        window: the dates.
        together: the book that is looked at: every seed of every finalist in equal shares.
        expected: Sharpe ratio per day that is expected of it.
        storage: URL of the study; None: it is in the run folder.
    """

    folder: RunFolder
    run: Run
    dataset: Dataset
    models: Models
    window: Window
    together: Ensemble
    expected: float
    storage: str | None = None

    @property
    def result(self) -> str:
        """The file of the run folder that keeps what the window said."""
        return f"{FOLDER}/{self.window.kind}.json"

    @property
    def members(self) -> list[int]:
        """Numbers of the trials in the book, in order."""
        return sorted(number for each in self.together.members.values() for number in each)

    def is_mine(self, opening: Opening) -> bool:
        """Says whether an opening is of this run, window and configurations."""
        record = opening.record
        mine = record["run"], record["started"], record["window"], record["numbers"]
        return mine == (
            self.run.name, self.run.run["started"], self.window.kind, self.members,
        )  # fmt: skip


def window_of(dataset: Dataset, kind: str) -> Window:
    """Returns the gate, or the sealed test, of a dataset; no figure of its rows is looked at."""
    first, last = (f"{date:.19}" for date in dataset.dates(kind))
    rows = tuple(seen_hashes(dataset, kind))
    return Window(kind, first, last, dataset.sha256, dataset.symbols, rows)


def seal(
    folder: RunFolder,
    run: Run,
    dataset: Dataset,
    models: Models,
    kind: str,
    expected: float,
    storage: str | None = None,
) -> Sealed | None:
    """Returns what is to be opened; None where no finalist has returns that vary.

    Raises:
        UserError: a finalist's model is damaged or gone: nothing was opened.
    """
    together = ensemble(run)
    if together is None:
        return None
    window = window_of(dataset, kind)
    believed = max(0.0, expected)
    sealed = Sealed(folder, run, dataset, models, window, together, believed, storage)
    models.check(sealed.members)
    return sealed


def known_result(sealed: Sealed) -> Gate | None:
    """Returns what this run's window said when it was opened; None where it was not.

    Raises:
        UserError: it is damaged.
    """
    file = sealed.folder.path / sealed.result
    if not file.is_file():
        return None
    try:
        record = checked(loads(file.read_bytes()))
        if record["numbers"] != sealed.members or record["window"] != _of(sealed.window):
            return None  # of the configurations before the search went on
        return Gate.of(record["gate"])
    except (DamagedError, OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"{file} is damaged ({error}); restore it from a copy, or remove it: what is opened "
            "already is looked at again without a new opening"
        ) from error


def seen_before(sealed: Sealed) -> list[str]:
    """Returns what to say of others that have seen the same dates: openings, and runs.

    Raises:
        UserError: the ledger is damaged, or cut short.
    """
    runs_dir = sealed.folder.path.parent
    known = openings(runs_dir)
    found = earlier(known, sealed.window)
    mine = next((k for k, one in enumerate(found) if sealed.is_mine(one)), len(found))
    said = [opened_before(found[:mine])] if mine else []
    if foreign := from_elsewhere(runs_dir, known):
        said.append(
            f"The ledger of {listed(foreign)} is not at hand, as of a folder that was copied in "
            "from elsewhere: what was opened there is not counted."
        )
    return said + [
        f"{how} {listed(names)}: {why} {SEEN}."
        for part, how, why in READ
        if (names := read_by(runs_dir, sealed.window, part))
    ]


def read_by(runs_dir: Path, window: Window, part: str) -> list[str]:
    """Returns the runs of a folder that have certainly read some of a window's rows.

    Args:
        runs_dir: the folder of runs.
        window: that is to be opened.
        part: as what they read them: `train`, `valid`, or `folds`, those that a confirmation
            scored on, which divide the dates of both.
    """
    names = []
    for file in sorted(runs_dir.glob("*/run.json")):
        try:
            record = checked(loads(file.read_bytes()))
            parts = ("train", "valid") if part == "folds" else (part,)
            seen = any(window.shares_rows(_rows_of(record, each)) for each in parts)
            seen = seen and (part != "folds" or _scored_within(file.parent, window))
        except (OSError, ValueError, LookupError, TypeError, AttributeError):
            continue  # whoever reads that run says so
        if seen:
            names.append(file.parent.name)
    return names


def _rows_of(record: Record, part: str) -> Record:
    """Returns what a `run.json` tells of a part's rows, as an opening would."""
    data = record["data"]
    first, last = record["split"][part]
    hashes = (data.get("seen_hashes") or {}).get(part, "")
    about = {"first": first, "last": last, "rows": hashes.split()}
    return {**about, "sha256": data["sha256"], "symbols": data["symbols"]}


def _scored_within(folder: Path, window: Window) -> bool:
    """Says whether a confirmation of a run scored a fold that has a date in common with these."""
    file = folder / TRAININGS
    if not file.is_file():
        return False
    folds = read_table(file, ("first", "last"))
    return any(
        f"{first:%Y-%m-%dT%H:%M:%S}" <= window.last and window.first <= f"{last:%Y-%m-%dT%H:%M:%S}"
        for first, last in zip(
            *(folds[name].to_pylist() for name in ("first", "last")), strict=True
        )
    )


def open_window(sealed: Sealed) -> Gate:
    """Logs the opening, then looks; an opening that a kill cut short is gone on with.

    Raises:
        UserError: the ledger is damaged, or cannot be written: nothing was looked at.
    """
    runs_dir = sealed.folder.path.parent
    found = earlier(openings(runs_dir), sealed.window)
    opening = next(filter(sealed.is_mine, found), None)
    if opening is None:
        facts = {
            "at": now(),
            "run": sealed.run.name,
            "started": sealed.run.run["started"],
            "numbers": sealed.members,
            "deviation": float(np.std(sealed.together.returns, ddof=1)),
            "expected": sealed.expected,
        }
        opening = add_opening(runs_dir, sealed.window, facts)
        found = earlier(openings(runs_dir), sealed.window)
    note(sealed.folder, opening, sealed.storage)
    turn = 1 + sum(one.count < opening.count for one in found)
    gate = _looked_at(sealed, opening, turn)
    record = {"numbers": sealed.members, "window": _of(sealed.window), "gate": gate.record()}
    make_folder(sealed.folder.path / FOLDER)
    sealed.folder.write_json(sealed.result, {**record, "opening": noted(opening, runs_dir)})
    return gate


def note(folder: RunFolder, opening: Opening, storage: str | None = None) -> None:
    """Notes an opening in `run.json` and the study, so that a ledger that is cut short is missed.

    The study is noted last: whoever goes on with an opening that a kill cut short notes it again.
    """
    record = stored_record(folder.path / "run.json")
    mine = noted(opening, folder.path.parent)
    folder.write_json("run.json", record | {NOTED: mine})
    note_in_study(storage or folder.path / STUDY, record["name"], NOTED, mine)


def _looked_at(sealed: Sealed, opening: Opening, turn: int) -> Gate:
    """Returns what the window says: the only function that reads its rows."""
    dataset, window = sealed.dataset, sealed.window
    rows = dataset.rows_of(window.kind)
    if not len(rows):
        raise UserError(f"{dataset.name}: the {window.kind} part holds no row that can be scored")
    on = scoring(dataset, rows)
    learned = train_eval_rows(dataset)
    series: dict[int, np.ndarray] = {}
    for number in sealed.members:
        model = sealed.models.load(number)
        seen = model.predict(dataset, learned)[None]
        (scores,) = score(on, model.predict(dataset, rows)[None], seen)
        nothing = np.zeros(len(on.timestamps))  # is what a model without a position earns
        series[number] = nothing if scores.net_returns is None else scores.net_returns
    year = sealed.run.days_per_year
    winner = int(rank(sealed.run).iloc[0]["number"])
    own = sealed.together.members.get(winner, [])
    baselines = {name: BASELINES[name](dataset, rows, on)[1] for name in COMPARED}
    returns = daily(on.timestamps, list(series.values()))
    record: dict[str, Any] = dict(opening.record)
    values = evidence(returns, record["deviation"], record["expected"], turn)
    days = np.unique(on.timestamps.astype("datetime64[D]")).astype(str).tolist()
    return Gate(
        window=window.kind,
        first=window.first,
        last=window.last,
        turn=turn,
        members=len(series),
        finalists=len(sealed.together.members),
        book=book_on(on.timestamps, list(series.values()), year),
        winner=winner,
        alone=book_on(on.timestamps, [series[n] for n in own], year) if own else None,
        baselines={
            name: None if net is None else book_on(on.timestamps, [net], year)
            for name, net in baselines.items()
        },
        e=float(values[-1]),
        highest=float(values.max()),
        path=tuple(zip(days, values[1:].tolist(), strict=True)),
    )


def _of(window: Window) -> dict[str, Any]:
    return loads(json_text(window))
