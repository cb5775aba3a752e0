"""The end of a search: tables, the best model, and what there is to say of them."""

import time
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from analysis.load import Run, load_run
from analysis.ranking import rank
from analysis.report.page import write_report
from analysis.verdict.alarms import too_good
from search.backend.workers import clear_marks
from search.monitor.steps import Steps
from search.monitor.summary import summary
from search.planning.plan import Plan
from search.run_folder.folder import RunFolder
from search.run_folder.lock import dead_drivers, forget_others
from search.run_folder.long_tables import labels_table
from search.session import provenance
from search.session.assembly import Assembly
from search.session.best_model import (
    FinalistModels,
    export_best,
    on_continuation,
    say_continuation,
    without_predictions,
)
from search.session.interrupts import Interrupts
from search.session.observer import best_now
from search.session.robustness import one_bar_later, permutation
from search.session.self_check import OPERATIONS, self_check
from search.study.study import Handover, SearchStudy
from search.study.trials import default_of
from trainable.cli.errors import UserError
from trainable.cli.text import shown

LOOK_S = 0.5  # between two looks whether the tables are written


def hand_over(
    study: SearchStudy, folder: RunFolder, console: Console, interrupts: Interrupts
) -> Handover:
    """Stops driving; of a search that is over, not before a driver has written the tables.

    The driver that would write them may have died: then one of those that wait here writes them.

    Args:
        study: every trial.
        folder: of the run.
        console: to print to.
        interrupts: whether the person wants the end.
    """
    handover = study.leave(dead_drivers(folder.path))
    waiting = handover.over and handover.others and interrupts.asked is None
    if waiting:
        names = " and ".join(handover.others)
        console.print(Text(f"Nothing is left to train; waits for {names} to end."))
    while handover.over and handover.others and interrupts.asked is None:
        time.sleep(LOOK_S)
        handover = study.leave(dead_drivers(folder.path))
    return handover


def write_results(
    plan: Plan,
    folder: RunFolder,
    parts: Assembly,
    run: dict[str, Any],
    console: Console,
    resume: str | None,
    steps: Steps,
) -> Run:
    """Writes the run folder's tables and `best/`, and prints the summary.

    Args:
        plan: of the search.
        folder: of the run.
        parts: of the search.
        run: the content of `run.json` so far.
        console: to print to.
        resume: the command that goes on with an interrupted search; None when it has ended.
        steps: says what is being done.

    Raises:
        UserError: a file cannot be written; or a finalist's model is damaged or gone, and
            everything else has been written.
    """
    steps.begin("Writing the tables")
    study, models = parts.controller.study, parts.models
    rows = study.rows()
    parts.reports.others()  # what other drivers wrote last
    clear_marks(models.files, folder.driver)
    forget_others(folder.path, folder.driver)
    run = {**run, "ended": provenance.now(), "interrupted": resume is not None}
    run["resumed"] = provenance.resumed(folder.path)
    run["default"] = default_of(rows)
    parts.reports.finish(rows, parts.baselines, run)
    if plan.placebo is None:
        folder.write_table("labels.parquet", labels_table(models.dataset))
    done = load_run(folder.path)
    if plan.placebo is not None:  # nobody wants its model
        if resume is None:
            study.written()
        return done
    steps.begin("Saving the best model")
    lost: UserError | None = None
    number = None
    try:
        number = export_best(folder, models, done, plan)
        models.check(without_predictions(done))
    except UserError as error:
        lost = error
    found = None
    if number is not None and resume is None:
        found = on_continuation(folder.path, plan)
    if number is not None:
        facts: dict[str, Any] = {"best": number, "lost_models": lost is not None}
        facts |= {} if found is None else {"continuation": found}
        if resume is None:
            facts |= _robustness(done, models, number, plan)
            facts |= {"winner": _self_check(done, plan)}
        folder.write_json("run.json", done.run | facts)
        done = load_run(folder.path)
    if resume is None:
        if best := best_now(plan, parts.controller):
            study.note_best(best.record(provisional=False))
        study.written()
    steps.begin("Ranking, and testing it against luck")
    shown = summary(done, plan.epochs, resume, console.width)
    steps.end()
    console.print(shown)
    if found is not None:
        console.print(say_continuation(found))
    if plan.settings.report:
        console.print(written_report(folder.path))
    if lost is not None:
        if resume is None:
            raise lost
        console.print(Text(str(lost)), soft_wrap=True)
    return done


def written_report(folder: Path) -> Text:
    """Writes the report; returns a line that says where it is, or why there is none."""
    try:
        return Text(f"The report: {write_report(folder)}", overflow="fold")
    except Exception as error:  # noqa: BLE001 (no defect of a picture may cost a search its end)
        return Text(f"No report was written ({type(error).__name__}: {shown(str(error))}).")


def _robustness(run: Run, models: FinalistModels, best: int, plan: Plan) -> dict[str, Any]:
    """Returns what `run.json` says of what the result rests on.

    Features are permuted where something is too good, and predictions need no slow graphs.
    """
    facts: dict[str, Any] = {"one_bar_later": one_bar_later(run, models.dataset)}
    finalists = rank(run).dropna(subset=["sharpe_mean"]).to_dict("records")
    if not plan.graph_s and too_good(run, finalists):
        facts["permutation"] = permutation(best, models)
    return facts


def _self_check(run: Run, plan: Plan) -> dict[str, Any] | None:
    """Returns whether `best/` is what the ranking is of, for `run.json`; the ranking says it."""
    found = self_check(run, plan.dataset, 0.0 if plan.graph_s else OPERATIONS)
    return None if found is None else found.record()


def going_on(handover: Handover, folder: RunFolder, resume: str | None) -> Text:
    """Returns what a driver says that does not write the tables."""
    if handover.written:
        return Text(f"Ended; another driver has written the tables of {folder.path}.")
    names = " and ".join(handover.others)
    words = f"{names} goes on, and writes the tables in the end."
    if handover.over:
        words = f"{names} has not written the tables yet."
    if resume is not None:
        words += f" To drive here again: {resume}"
    return Text(words)
