"""Trains the finalists of a run again, on folds that did not choose them, and opens the gate once.

python -m search.confirm runs/NAME [top=5] [key=value …] [--json]
"""

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from analysis.load import Run, load_run
from analysis.tries import is_placebo
from search.confirmation.session import as_record, confirm
from search.confirmation.settings import ConfirmSettings, check
from search.planning.plan import make_plan
from search.run_folder.folder import RunFolder
from search.run_folder.lock import drivers_of
from search.session.interrupts import interrupt_on_signals
from search.session.parts import read_parts
from search.session.resume import resume_command, with_stored
from search.session.same_search import check_same
from search.settings.masking import mask_tracebacks, no_secret_told, refuse_secrets
from search.settings.reading import settings_from
from search.settings.settings import SearchSettings
from trainable.cli.answers import answering
from trainable.cli.commands import status_of
from trainable.cli.errors import UserError
from trainable.cli.options import asks_for_help, expand_paths, parse, print_help, split
from trainable.cli.output import output_console
from trainable.cli.paths import expand_home
from trainable.cli.started import as_started
from trainable.parts.registration import registered

USAGE = "usage: python -m search.confirm runs/NAME [top=5] [key=value …] [--json]"
PLACES = ("data.path", "storage", "storage_path", "parts")  # of a search: where things are now
NOTE = f"Where things have moved, these say where they are: {', '.join(PLACES)}."
INTERRUPTED = 130
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
        run = _ended(path)
        place = [f"name={run.name}", f"runs_dir={path.resolve().parent}", "resume=true"]
        settings = settings_from(with_stored(expand_paths(SearchSettings, [*rest, *place])))
        parts = read_parts(settings)
        with registered(parts):
            plan = make_plan(settings, parts=parts)
            with RunFolder.create(settings.runs_dir, settings.run_name, resume=True) as folder:
                check_same(plan, folder.path)
                done = confirm(asked, plan, folder, run, output_console())
        if done.interrupted is None:
            answer.value = as_record(done, run)
            return 0
        again = as_started(shlex.join(["python", "-m", "search.confirm", *argv]))
        print(f"Interrupted ({done.interrupted}); {KEPT}, and this goes on: {again}")
        return INTERRUPTED


def _ended(path: Path) -> Run:
    """Returns a run that has ended; raises `UserError` for any other."""
    if path.is_dir() and drivers_of(path):
        raise UserError(f"{path} is being driven: wait for its end")
    run = load_run(path)
    if run.run.get("interrupted") is not False:
        command = resume_command(run.name, str(path.parent), run.run.get("arguments"))
        raise UserError(f"{path}: its search has not ended; go on with it first: {command}")
    if is_placebo(run.run):
        raise UserError(
            f"{path} is a placebo: its labels were moved, so there is nothing to confirm; name the "
            "run whose placebo it is"
        )
    if run.run.get("arguments") is None:
        raise UserError(
            f"{path} was started from Python, so its folder does not say where the data are; "
            "only runs of python -m search.run can be confirmed, with data.path=FILE"
        )
    return run


if __name__ == "__main__":
    mask_tracebacks()
    interrupt_on_signals()
    try:
        status = status_of(lambda: main(sys.argv[1:]), KEPT)
    except KeyboardInterrupt:
        status = INTERRUPTED
    sys.exit(status)
