"""One confirmation: what is missing is trained, kept as it ends, and put into words."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt

from rich.console import Console
from rich.progress import Progress
from rich.text import Text

from analysis.confirmation_table import confirmation_tables
from analysis.load import Run
from analysis.ranking import rank
from analysis.verdict.alarms import alarm_sentences, too_good
from analysis.verdict.confirmed import (
    Book,
    Confirmation,
    confirmation,
    confirmation_sentences,
)
from analysis.verdict.gate import gate_sentences
from search.backend.workers import trial_files
from search.confirmation.finalists import Finalist, finalists_of, new_seeds
from search.confirmation.gate import known_result, open_window, seal, seen_before
from search.confirmation.jobs import Key, baseline_keys, expected_seconds, key_of, missing_jobs
from search.confirmation.pool import outcomes
from search.confirmation.settings import ConfirmSettings
from search.confirmation.tables import ConfirmTables
from search.planning.plan import Plan
from search.run_folder.folder import RunFolder
from search.run_folder.openings import openings
from search.session.best_model import FinalistModels
from search.session.interrupts import Interrupts
from search.study.study import stored_rows
from trainable.cli.text import counted, duration
from trainable.data.folds.folds import Fold, folds_of
from trainable.train import chosen_device


@dataclass(frozen=True)
class Trainings:
    """What a confirmation is to train.

    Attributes:
        finalists: in the order of the ranking.
        seeds: of each.
        folds: to train and score on.
    """

    finalists: Sequence[Finalist]
    seeds: Sequence[int]
    folds: Sequence[Fold]

    @property
    def keys(self) -> set[Key]:
        """Every training, and the baselines."""
        found: set[Key] = set()
        for fold in self.folds:
            found |= set(baseline_keys(fold))
            found |= {key_of(one, seed, fold) for one in self.finalists for seed in self.seeds}
        return found


def confirm(
    settings: ConfirmSettings, plan: Plan, folder: RunFolder, run: Run, console: Console
) -> str | None:
    """Trains what is missing, prints what it says, opens the gate; returns why it ended early.

    Args:
        settings: checked.
        plan: of the search, the same as it was.
        folder: of the run, which this process holds.
        run: that has ended.
        console: to print to.

    Raises:
        UserError: something stored is damaged, or nothing can be trained.
    """
    storage = plan.settings.storage or folder.path / "study.log"
    study = stored_rows(storage, run.run["name"])
    if settings.gate:
        openings(folder.path.parent)  # a ledger that is damaged ends it before anything is trained
    folds, left_out = folds_of(plan.dataset, settings.folds)
    seeds = new_seeds(plan.settings.seed, settings.seeds)
    asked = Trainings(finalists_of(run, study, settings.top), seeds, folds)
    tables = ConfirmTables(folder)
    with Interrupts() as interrupts:
        try:
            _train(settings, plan, asked, tables, console, interrupts)
        except KeyboardInterrupt:
            return interrupts.asked or "SIGINT"
        together: Book | None = None
        if folds:
            found = _confirmation(asked, run, tables)
            show(found, run, console)
            together = found.together
        if left_out:
            console.print(Text(f"Left out: {'; '.join(left_out)}."))
        if settings.gate:
            _open_gate(plan, folder, run, together, console)
    return None


def show(found: Confirmation, run: Run, console: Console) -> None:
    """Prints the alarms of the search, the sentences and the tables."""
    finalists = rank(run).dropna(subset=["sharpe_mean"]).to_dict("records")
    said = confirmation_sentences(found, too_good(run, finalists))
    for sentence in [*alarm_sentences(run, finalists), *said]:
        console.print(Text(sentence))
    for table in confirmation_tables(found, console.width):
        console.print(table)


def _train(
    settings: ConfirmSettings,
    plan: Plan,
    asked: Trainings,
    tables: ConfirmTables,
    console: Console,
    interrupts: Interrupts,
) -> None:
    jobs = missing_jobs(asked.finalists, asked.seeds, asked.folds, tables.done)
    device = chosen_device("auto")
    processes = settings.workers or (1 if device != "cpu" else os.cpu_count() or 1)
    seconds = expected_seconds(jobs, asked.finalists, asked.folds, plan.dataset)
    left = sum(len(job.keys) for job in jobs if job.params is not None)
    _say_cost(asked, left, seconds / max(1, min(processes, len(jobs))), console)
    folds = {fold.name: fold for fold in asked.folds}
    each = outcomes(
        jobs, plan.dataset, settings.folds, plan.parts, device, processes, interrupts.obey
    )
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("trainings", total=sum(len(job.keys) for job in jobs))
        for several in each:
            tables.add(several, folds)
            progress.advance(task, len(several))
            interrupts.obey()


def _say_cost(asked: Trainings, left: int, seconds: float, console: Console) -> None:
    """Says how many trainings are asked for and left, and how long these should take."""
    finalists, folds = len(asked.finalists), len(asked.folds)
    every = finalists * len(asked.seeds) * folds
    words = (
        f"{counted(finalists, 'finalist')} × {counted(len(asked.seeds), 'seed')} × "
        f"{counted(folds, 'fold')}: {counted(every, 'training')}"
    )
    if left < every:
        words += f", {every - left:,} of which are there already"
    if left:
        words += f"; about {duration(max(seconds, 1.0))}, as fast as the search trained"
    console.print(Text(f"{words}."))


def _confirmation(asked: Trainings, run: Run, tables: ConfirmTables) -> Confirmation:
    mine = tables.of(asked.keys, asked.folds)
    ratios = {row["number"]: row["sharpe_mean"] for row in rank(run).to_dict("records")}
    ranked = [(one.number, one.rank, ratios[one.number]) for one in asked.finalists]
    return confirmation(ranked, mine, tables.returns, run.days_per_year)


def _open_gate(
    plan: Plan, folder: RunFolder, run: Run, together: Book | None, console: Console
) -> None:
    expected = 0.0 if together is None else together.sharpe / sqrt(run.days_per_year)
    models = FinalistModels(trial_files(plan.settings), plan.dataset)
    sealed = seal(folder, run, plan.dataset, models, "gate", expected, plan.settings.storage)
    if sealed is None:
        console.print(Text("The gate stays shut: no finalist has returns that vary."))
        return
    gate = known_result(sealed)
    if gate is not None:
        console.print(
            Text("The gate was opened for these finalists already; this is what it said.")
        )
    else:
        for sentence in seen_before(sealed):
            console.print(Text(sentence))
        gate = open_window(sealed)
    for sentence in gate_sentences(gate):
        console.print(Text(sentence))
