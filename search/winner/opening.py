"""The winner on dates that nothing has read: the gate first, and then the sealed test."""

from collections.abc import Iterable
from dataclasses import dataclass
from math import sqrt
from typing import Any

from analysis.load import Run
from analysis.verdict.confirm_folder import RETURNS, TRAININGS
from analysis.verdict.gate import Gate, gate_sentences
from search.confirmation.gate import Sealed, known_result, open_window, seal, seen_before
from search.run_folder.folder import RunFolder
from search.run_folder.openings import Opening, earlier, opened_before, openings
from search.winner.ended_run import EndedRun
from trainable.cli.errors import UserError
from trainable.data.dataset.dataset import Dataset
from trainable.io.parquet_file import read_table
from trainable.metrics.return_statistics import sharpe_ratio
from trainable.prediction.predictor import Predictor
from trainable.prediction.winner import Winner

NAMES = {"gate": "the gate", "test": "the sealed test"}


@dataclass(frozen=True)
class Opened:
    """What a window of dates says of the winner.

    Attributes:
        gate: the result.
        known: it was opened before this.
        before: what to say of earlier openings and readers of these dates.
        openings: how often these dates were opened, over all runs of the folder, this one included;
            None where this run opened them elsewhere, and the ledger of that is not at hand.
    """

    gate: Gate
    known: bool
    before: tuple[str, ...]
    openings: int | None

    def sentences(self) -> list[str]:
        """Returns it in plain words."""
        return [*self.before, *gate_sentences(self.gate)]

    def record(self) -> dict[str, Any]:
        """Returns it as `--json` prints it."""
        return {
            **self.gate.record(),
            "p": self.gate.p,
            "known": self.known,
            "openings": self.openings,
            "notes": list(self.before),
        }


@dataclass(frozen=True)
class WinnerModels:
    """The models in `best/`, as the gate asks for them.

    Attributes:
        winner: the ensemble.
    """

    winner: Winner

    def load(self, number: int) -> Predictor:
        """Returns the model of a trial."""
        return self.winner.member(number).predictor

    def check(self, numbers: Iterable[int]) -> None:
        """Raises `UserError` where `best/` does not hold these trials and no others."""
        if sorted(numbers) != sorted(one.number for one in self.winner.members):
            raise UserError(
                f"{self.winner.folder} does not hold the finalists of the ranking: it is of an "
                "older version, or the search went on; resume=true writes it anew"
            )


def open_windows(
    ended: EndedRun,
    dataset: Dataset,
    folder: RunFolder,
    sealed: bool,
    storage: str | None = None,
) -> list[Opened]:
    """Opens the gate, unless it was, and then the sealed test where that is asked for.

    Args:
        ended: the run.
        dataset: that it was searched on.
        folder: of the run, which this process holds.
        sealed: whether to open the sealed test.
        storage: URL of the study; None: it is in the run folder.

    Raises:
        UserError: the ledger is damaged; `best/` is not what the ranking is of; or nothing finished
            with returns that vary.
    """
    found: list[Opened] = []
    for kind in ("gate", "test") if sealed else ("gate",):
        expected = _expected(ended.run, found[0].gate if found else None)
        models = WinnerModels(ended.winner)
        window = seal(folder, ended.run, dataset, models, kind, expected, storage)
        if window is None:
            raise UserError(
                f"{ended.run.folder}: no finalist has returns that vary, so {NAMES[kind]} stays "
                "shut"
            )
        found.append(_opened(window))
    return found


def _opened(window: Sealed) -> Opened:
    gate = known_result(window)
    if gate is None:
        before = tuple(seen_before(window))
        opened = open_window(window)
        return Opened(opened, False, before, len(_openings(window)))
    name, seen = NAMES[window.window.kind], _openings(window)
    if any(window.is_mine(one) for one in seen):
        said = f"{opened_before(seen)} This is what {name} said of this run then."
        return Opened(gate, True, (said,), len(seen))
    said = (
        f"This is what {name} said of this run when it was opened, in another folder of runs: "
        "the ledger of that is not at hand, so how often these dates were opened is not known."
    )
    return Opened(gate, True, (said,), None)


def _openings(window: Sealed) -> list[Opening]:
    return earlier(openings(window.folder.path.parent), window.window)


def _expected(run: Run, gate: Gate | None) -> float:
    """Returns the Sharpe ratio per day that is expected of a window before it is opened.

    What the gate said; else what a confirmation earned walk-forward before the validation dates;
    else 0. Whatever is expected, the evidence is valid: a wrong one costs some of it.
    """
    year = sqrt(run.days_per_year)
    if gate is not None:
        return 0.0 if gate.book is None else gate.book.sharpe / year
    files = run.folder / TRAININGS, run.folder / RETURNS
    if not all(file.is_file() for file in files):
        return 0.0
    trainings, returns = (read_table(file).to_pandas() for file in files)
    mine = trainings.query("number >= 0 and before and kind == 'walk'")
    keys = ["number", "name", "seed", "sha256", "epochs"]
    walked = returns.merge(mine[keys], on=keys)
    if walked.empty:
        return 0.0
    book = walked.groupby("day")["net_return"].mean().to_numpy()
    return sharpe_ratio(book, 1.0) or 0.0
