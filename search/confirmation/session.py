"""One confirmation: what is missing is trained, kept as it ends, and put into words."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Any

from rich.console import Console
from rich.progress import Progress
from rich.text import Text

from analysis.confirmation_table import confirmation_tables
from analysis.load import Run
from analysis.ranking import rank
from analysis.verdict.alarms import alarm_sentences, too_good
from analysis.verdict.confirm_folder import (
    ASKED,
    Asked,
    AskedFinalist,
    AskedFold,
    kept_confirmation,
)
from analysis.verdict.confirmed import Book, Confirmation, confirmation_sentences
from analysis.verdict.gate import Gate, gate_sentences
from search.backend.workers import trial_files
from search.confirmation.finalists import Finalist, finalists_of, new_seeds
from search.confirmation.gate import known_result, open_window, seal, seen_before
from search.confirmation.jobs import expected_seconds, missing_jobs
from search.confirmation.pool import outcomes
from search.confirmation.scored_folds import COMPARED
from search.confirmation.settings import ConfirmSettings
from search.confirmation.tables import ConfirmTables
from search.planning.plan import Plan
from search.run_folder.folder import RunFolder
from search.run_folder.openings import openings
from search.session.best_model import FinalistModels
from search.session.finish import written_report
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


@dataclass(frozen=True)
class Outcome:
    """What a confirmation has come to.

    Attributes:
        interrupted: why it ended early; None: it did not.
        found: what trainings on folds say; None where there are no folds.
        left_out: folds, and why.
        gate: what the gate said; None where it was not opened.
    """

    interrupted: str | None = None
    found: Confirmation | None = None
    left_out: Sequence[str] = ()
    gate: Gate | None = None


def as_record(done: Outcome, run: Run) -> dict[str, Any]:
    """Returns what a confirmation prints, by name, for JSON."""
    found, gate = done.found, done.gate
    return {
        "run": run.name,
        "folder": run.folder,
        "sentences": [] if found is None else [*_sentences(found, run)],
        "more_than_chance": None if found is None or found.together is None else found.found,
        "confirmation": found,
        "left_out": done.left_out,
        "gate": None if gate is None else {**gate.record(), "p": gate.p},
        "gate_sentences": [] if gate is None else gate_sentences(gate),
    }


def confirm(
    settings: ConfirmSettings, plan: Plan, folder: RunFolder, run: Run, console: Console
) -> Outcome:
    """Trains what is missing, prints what it says, opens the gate; returns what came of it.

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
    folder.write_json(ASKED, vars(_as_asked(asked, run, left_out, settings)))
    with Interrupts() as interrupts:
        try:
            _train(settings, plan, asked, tables, console, interrupts)
        except KeyboardInterrupt:
            return Outcome(interrupts.asked or "SIGINT")
        kept = kept_confirmation(run)
        found = None if kept is None else kept.found
        if found is not None:
            show(found, run, console)
        if left_out:
            console.print(Text(f"Left out: {'; '.join(left_out)}."))
        gate = None
        if settings.gate:
            together = None if found is None else found.together
            gate = _open_gate(plan, folder, run, together, console)
        if plan.settings.report:
            console.print(written_report(run.folder))
    return Outcome(None, found, left_out, gate)


def show(found: Confirmation, run: Run, console: Console) -> None:
    """Prints the alarms of the search, the sentences and the tables."""
    for sentence in _sentences(found, run):
        console.print(Text(sentence))
    for table in confirmation_tables(found, console.width):
        console.print(table)


def _sentences(found: Confirmation, run: Run) -> list[str]:
    """Returns the alarms of the search, and what trainings say."""
    finalists = rank(run).dropna(subset=["sharpe_mean"]).to_dict("records")
    said = confirmation_sentences(found, too_good(run, finalists))
    return [*alarm_sentences(run, finalists), *said]


def _train(
    settings: ConfirmSettings,
    plan: Plan,
    asked: Trainings,
    tables: ConfirmTables,
    console: Console,
    interrupts: Interrupts,
) -> None:
    device = chosen_device("auto")
    processes = settings.workers or (1 if device != "cpu" else os.cpu_count() or 1)
    jobs = missing_jobs(asked.finalists, asked.seeds, asked.folds, tables.done, processes)
    seconds = expected_seconds(jobs, asked.folds, plan.dataset, device)
    cohorts = [len(job.keys) for job in jobs if job.params is not None]
    _say_cost(asked, cohorts, seconds, min(processes, max(1, len(cohorts))), console)
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


def _say_cost(
    asked: Trainings, cohorts: Sequence[int], seconds: float, processes: int, console: Console
) -> None:
    """Says how many trainings are asked for and left, and how long these should take.

    Args:
        asked: all of them.
        cohorts: the members of each that is left.
        seconds: of training, in one process.
        processes: that train.
        console: to print to.
    """
    finalists, folds, left = len(asked.finalists), len(asked.folds), sum(cohorts)
    every = finalists * len(asked.seeds) * folds
    words = (
        f"{counted(finalists, 'finalist')} × {counted(len(asked.seeds), 'seed')} × "
        f"{counted(folds, 'fold')}: {counted(every, 'training')}"
    )
    if left < every:
        words += f", {every - left:,} of which are there already"
    if left:
        how = f"{counted(len(cohorts), 'cohort')} in {counted(processes, 'process', 'processes')}"
        words += f"; about {duration(max(seconds / processes, 1.0))} for {how}, as fast as now"
    console.print(Text(f"{words}."))


def _as_asked(
    trainings: Trainings, run: Run, left_out: Sequence[str], settings: ConfirmSettings
) -> Asked:
    """Returns what the folder is to say that it holds."""
    ratios = {row["number"]: row["sharpe_mean"] for row in rank(run).to_dict("records")}
    return Asked(
        [AskedFinalist(f.number, f.rank, ratios[f.number], f.epochs) for f in trainings.finalists],
        trainings.seeds,
        [AskedFold(fold.name, fold.kind, fold.before, fold.sha256) for fold in trainings.folds],
        COMPARED,
        left_out,
        settings.words,
    )


def _open_gate(
    plan: Plan, folder: RunFolder, run: Run, together: Book | None, console: Console
) -> Gate | None:
    """Opens the gate, or says what it said; returns it, None where it stays shut."""
    expected = 0.0 if together is None else together.sharpe / sqrt(run.days_per_year)
    models = FinalistModels(trial_files(plan.settings), plan.dataset)
    sealed = seal(folder, run, plan.dataset, models, "gate", expected, plan.settings.storage)
    if sealed is None:
        console.print(Text("The gate stays shut: no finalist has returns that vary."))
        return None
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
    return gate
