"""The placebos of a search: the same search again, on labels that were moved, one after another.

Each is a run of its own in `runs/NAME/placebos/`, which a later session goes on with as with any
other. What each has found is kept in `runs/NAME/placebos.json` as soon as it has ended.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from shutil import rmtree
from typing import Any

from rich.console import Console
from rich.text import Text

from analysis.load import Run, load_run
from analysis.ranking import rank
from analysis.verdict.placebo import FILE, Effort, Found, placebo_sentences, read_placebos
from search.backend.base import Backend
from search.backend.workers import store_answers
from search.planning.placebo import FOLDER, placebo_plan
from search.planning.plan import Plan
from search.run_folder.starting import can_begin
from search.session.finish import written_report
from search.session.interrupts import Interrupts
from search.session.resume import placebo_command, resume_command
from search.session.runner import open_session
from trainable.cli.errors import UserError
from trainable.cli.text import counted, duration, signed
from trainable.io.atomic import json_text, write_atomic
from trainable.io.checksums import checked, with_checksum
from trainable.io.file_store import FileStore
from trainable.io.json_file import loads

Entries = dict[int, dict[str, Any]]


def train_placebos(
    plan: Plan, count: int, words: Sequence[str] | None, backend: Backend, console: Console
) -> bool:
    """Trains the placebos of a search that are missing, and says what they show.

    Args:
        plan: of the search, which has ended, with its name.
        count: how many placebos there are to be.
        words: of its command line; None from Python.
        backend: where trials train.
        console: to print to.

    Returns:
        Whether all are there: a signal ends it before.

    Raises:
        UserError: labels cannot be moved, or a file cannot be read or written; what was reported
            before is kept.
    """
    run = load_run(plan.settings.folder)
    search, entries = Effort.of(run), _entries(run)
    if entries != read_placebos(run):
        _write(run.folder, entries)
    missing = [n for n in range(1, count + 1) if not _counts(entries.get(n), search)]
    if missing:
        counting = {n: one for n, one in entries.items() if n not in missing}
        console.print(Text(cost_sentence(run, counting, len(missing))))
    with Interrupts() as interrupts:
        for number in missing:
            ended = None
            if interrupts.asked is None:
                own = placebo_plan(plan, number, count, search.trials)
                if number in entries and Effort.read(entries[number]).asks_like(search):
                    _remove(own)  # what failed with the machines would not be trained again
                ended = _train(own, backend, console, interrupts)
            if ended is None:
                settings = plan.settings
                goes_on = placebo_command(settings.run_name, settings.runs_dir, words, count)
                left = f"{len(missing) - missing.index(number)} to go"
                console.print(Text(f"Interrupted in placebo {number} of {count}, {left}."))
                console.print(Text.assemble(("next  ", "dim"), (goes_on, "bold")), soft_wrap=True)
                return False
            entries[number] = _entry(number, ended)
            _write(run.folder, entries)
            console.print(Text(f"Placebo {number} of {count}: {_said(entries[number], search)}."))
    for sentence in placebo_sentences(run, rank(run)):
        console.print(Text(sentence))
    if plan.settings.report:
        console.print(written_report(run.folder))
    return True


def cost_sentence(run: Run, entries: Mapping[int, Mapping[str, Any]], missing: int) -> str:
    """Returns what so many placebos will cost: as long as those that are there took, or the search.

    Args:
        run: the search.
        entries: of the placebos that count, by number.
        missing: how many are to be trained.
    """
    known = [one["wall_s"] for one in entries.values() if one["wall_s"] > 0]
    searches = f"{missing} placebo search{'es' if missing > 1 else ''}"
    seconds = sum(known) / len(known) if known else run.run.get("wall_s") or 0.0
    if seconds <= 0:
        return f"{searches} to train, each about as long as the search itself."
    what = "the earlier ones" if known else "the search itself"
    each = f"each as long as {what}, {duration(seconds)}"
    return f"{searches} to train, {each}: about {duration(missing * seconds)}."


def check_ended(run: Run) -> None:
    """Raises UserError where the search of a run has not ended: its placebos would be longer."""
    if run.run.get("state") != "ended":
        goes_on = resume_command(run.name, str(run.folder.parent), run.run.get("arguments"))
        raise UserError(
            f"{run.folder}: its search has not ended, and placebos are held against its winner; "
            f"go on with it first: {goes_on}"
        )


def _train(plan: Plan, backend: Backend, console: Console, interrupts: Interrupts) -> Run | None:
    """Trains one placebo, new or from where it was; None where it was interrupted."""
    folder = plan.settings.folder
    if folder.is_dir() and not can_begin(folder):
        plan = replace(plan, settings=replace(plan.settings, resume=True))
    with open_session(plan, None, console) as session:
        if interrupts.asked is not None:  # before the session took the signals
            return None
        session.train(backend)
        ended = session.finish()
        return None if session.interrupted else ended


def _entries(run: Run) -> Entries:
    """Returns the placebos that have ended; a kill may have come before one was written down."""
    entries = read_placebos(run)
    for file in sorted((run.folder / FOLDER).glob("*/run.json")):
        name = file.parent.name
        if not name.isdigit() or int(name) in entries:
            continue
        try:
            state = checked(loads(file.read_bytes())).get("state")
        except (OSError, ValueError):
            continue  # whoever goes on with it says what is wrong
        if state == "ended":
            entries[int(name)] = _entry(int(name), load_run(file.parent))
    return entries


def _entry(number: int, run: Run) -> dict[str, Any]:
    found = Found.of(run, rank(run))
    return {
        "number": number,
        **asdict(Effort.of(run)),
        "best": found.best,
        "choice": found.choice,
        "wall_s": run.run.get("wall_s") or 0.0,
    }


def _counts(entry: Mapping[str, Any] | None, search: Effort) -> bool:
    """Says whether there is a placebo that was asked for the same and trained as much."""
    if entry is None:
        return False
    own = Effort.read(entry)
    return own.asks_like(search) and own.is_whole(search)


def _said(entry: Mapping[str, Any], search: Effort) -> str:
    own = Effort.read(entry)
    if not own.is_whole(search):
        return (
            f"it does not count: {own.lost} of {counted(own.rows, 'training')} failed with the "
            f"machines ({search.lost} of {search.rows} in the search)"
        )
    found = entry["best"]
    return "no trial survived" if found is None else f"its winner has {signed(found)}, shrunk"


def _remove(plan: Plan) -> None:
    """Removes a placebo that has ended, and its trials' files, so that it can be trained anew."""
    folder = plan.settings.folder
    if folder.is_dir() and load_run(folder).run.get("state") == "ended":
        if plan.settings.storage_path is not None:
            files = FileStore.of(plan.settings.storage_path).within(plan.settings.run_name)
            with store_answers(files):
                files.clear()
        rmtree(folder)


def _write(folder: Path, entries: Entries) -> None:
    content = {"placebos": [entries[number] for number in sorted(entries)]}
    text = json_text(with_checksum(loads(json_text(content))), indent=2)
    write_atomic(folder / FILE, f"{text}\n".encode())
