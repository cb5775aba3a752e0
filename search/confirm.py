"""Trains the finalists of a run again, on folds that did not choose them, and opens the gate once.

python -m search.confirm runs/NAME [top=5] [key=value …] [--json]
"""

import shlex
import sys
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from analysis.load import Run
from search.confirmation.session import Outcome, as_record, confirm
from search.confirmation.settings import ConfirmSettings, check
from search.confirmation.tables import trainings_in
from search.planning.plan import make_plan
from search.run_folder.folder import RunFolder
from search.session.parts import read_parts
from search.session.process import run_process
from search.session.resume import settings_again
from search.session.same_search import check_same
from search.settings.given_data import FRAME, named_source, table_loader
from search.settings.masking import no_secret_told, refuse_secrets
from search.settings.python_form import said_as_in_python
from search.settings.settings import SearchSettings
from search.space.loading import Space, SpaceFunction, load_space
from search.winner.ended_run import ended_run
from trainable.cli.answers import answering
from trainable.cli.commands import INTERRUPTED
from trainable.cli.errors import UserError
from trainable.cli.options import (
    asks_for_help,
    expand_paths,
    from_values,
    parse,
    print_help,
    split,
)
from trainable.cli.output import output_console
from trainable.cli.paths import expand_home
from trainable.cli.started import as_started
from trainable.data.market import Market
from trainable.parts.files import PartsFile
from trainable.parts.registration import registered
from trainable.parts.sources import given_parts

USAGE = "usage: python -m search.confirm runs/NAME [top=5] [key=value …] [--json]"
PLACES = ("data.path", "storage", "storage_path", "parts")  # of a search: where things are now
NOTE = f"Where things have moved, these say where they are: {', '.join(PLACES)}."
KEPT = "what was trained is kept in confirm/ of the run folder"


def main(argv: Sequence[str]) -> int:
    """Confirms the finalists of a run; returns the exit status."""
    if asks_for_help(argv):
        print_help(ConfirmSettings, f"{USAGE}\n\n{NOTE}")
        return 0
    with no_secret_told(), answering(argv) as (words, answer):
        if not words or "=" in words[0]:
            raise UserError(f"no run folder named; {USAGE}")
        refuse_secrets(words)
        rest = [word for word in words[1:] if split(word)[0] in PLACES]
        asked = check(parse(ConfirmSettings, [word for word in words[1:] if word not in rest]))
        path = Path(expand_home(words[0]))
        run = ended_run(path)
        _check_there(run, rest)
        settings = settings_again(path, run.run, expand_paths(SearchSettings, rest))
        done = _confirm(asked, settings, run, read_parts(settings))
        if done.interrupted is None:
            answer.value = as_record(done, run)
            return 0
        again = as_started(shlex.join(["python", "-m", "search.confirm", *argv]))
        print(f"Interrupted ({done.interrupted}); {KEPT}, and this goes on: {again}")
        return INTERRUPTED


def confirm_run(
    run: Run | str | Path,
    data: object = None,
    *,
    space: str | Path | SpaceFunction | None = None,
    parts: object = None,
    **settings: Any,
) -> pd.DataFrame:
    """Does what `python -m search.confirm` does, also for a run of a table or of a function.

    Args:
        run: what `launch` returned, or its folder.
        data: the table that was searched; or a named source or path, where the data are now. None:
            what the run itself names.
        space: the function that was searched, or a path; None: what the run itself names.
        parts: as of `launch`, where the run had some; None: the files that the run itself names.
        settings: those of the command line, such as `top=3`. Here `workers=1` is the default: with
            more, a script must begin by `if __name__ == "__main__":`, since they read it, too.

    Returns:
        `trainings.parquet` of the run's folder `confirm/`, a row a training; after Ctrl-C those
        that have ended, and the same call goes on.

    Raises:
        UserError: what would end the command with status 2.
    """
    given = {"data": data, "space": space, "parts": parts}
    with no_secret_told(), said_as_in_python(settings):
        asked = check(from_values(ConfirmSettings, {"workers": 1, **settings}))
        path = run.folder if isinstance(run, Run) else Path(expand_home(str(run)))
        found = ended_run(path)
        words = [f"{key}={value}" for key, value in named_source(data).items()]
        _check_there(found, words, {key for key, value in given.items() if value is not None})
        chosen = settings_again(path, found.run, words)
        load = table_loader(data, chosen.data)
        if load is not None:
            chosen = replace(chosen, data=replace(chosen.data, source=FRAME, path=None))
        loaded = None if space is None else load_space(space, chosen.epochs)
        files = read_parts(chosen) if parts is None else given_parts(parts)
        done = _confirm(asked, chosen, found, files, loaded, load)
    if done.interrupted is not None:
        print(f"Interrupted ({done.interrupted}); {KEPT}, and the same call goes on.")
    return trainings_in(path)


def _confirm(
    asked: ConfirmSettings,
    settings: SearchSettings,
    run: Run,
    parts: tuple[PartsFile, ...],
    space: Space | None = None,
    load: Callable[[], Market] | None = None,
) -> Outcome:
    """Confirms a run on its data, once these are there again."""
    with registered(parts):
        plan = make_plan(settings, space, load, parts)
        with RunFolder.create(settings.runs_dir, settings.run_name, resume=True) as folder:
            check_same(plan, folder.path)
            return confirm(asked, plan, folder, run, output_console())


def _check_there(run: Run, words: Sequence[str], given: Collection[str] = ()) -> None:
    """Raises `UserError` where the run does not say where what it needs is, and nobody else does.

    Args:
        run: that has ended.
        words: settings that say where things are now.
        given: what was given in Python.
    """
    record, named = run.run, {split(word)[0] for word in words}
    if record.get("arguments") is not None:
        return
    lost: dict[str, str] = {}
    if record["settings"]["data"]["source"] == FRAME and "data.path" not in named:
        lost["data"] = "a table"
    if record["space"]["path"] is None:
        lost["space"] = "a function"
    if any(part["path"] is None for part in record.get("parts") or ()) and "parts" not in named:
        lost["parts"] = "entries"
    if not lost.keys() <= set(given):
        what = " and ".join(f"{key} ({kind})" for key, kind in lost.items())
        call = ", ".join([repr(str(run.folder)), *(f"{key}=…" for key in lost)])
        raise UserError(
            f"{run.folder} was searched with {what} of a Python program, which its folder does not "
            f"hold; from there, with the same ones: search.confirm_run({call})"
        )


if __name__ == "__main__":
    sys.exit(run_process(lambda: main(sys.argv[1:]), KEPT))
