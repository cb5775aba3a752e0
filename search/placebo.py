"""Searches the same data with labels moved away: how good is the winner of a search of nothing?

python -m search.placebo runs/NAME [placebos=19] [--json]
"""

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from analysis.load import load_run
from analysis.ranking import rank
from analysis.verdict.placebo import USUAL, as_record
from search.backend.base import Backend, connected_once
from search.backend.ray_tune import RayTune
from search.planning.plan import make_plan
from search.session.parts import read_parts
from search.session.placebos import check_ended, train_placebos
from search.session.process import run_process
from search.session.resume import storable, with_stored
from search.session.same_search import check_same
from search.settings.checks import MOST_PLACEBOS
from search.settings.masking import no_secret_told, refuse_secrets
from search.settings.reading import settings_from
from search.settings.settings import SearchSettings
from trainable.cli.answers import answering
from trainable.cli.commands import INTERRUPTED
from trainable.cli.errors import UserError, unknown
from trainable.cli.options import asks_for_help, expand_paths, parse, print_help, split
from trainable.cli.paths import expand_home
from trainable.parts.registration import registered

USAGE = "usage: python -m search.placebo runs/NAME [placebos=19] [key=value …] [--json]"
# What of a search is where it trains, and may be another place.
PLACE = (
    "data", "data.source", "data.path", "max_concurrent", "cpus_per_trial", "gpus_per_trial",
    "address", "open_cluster", "dashboard", "patience_s", "storage", "storage_path",
)  # fmt: skip
NOTE = f"Of a search, these keys say where it trains now: {', '.join(PLACE)}."


@dataclass(frozen=True)
class PlaceboSettings:
    """What the command line can say."""

    placebos: int = USUAL  # how many there are to be; those that have ended are kept


def main(argv: Sequence[str], backend: Callable[[SearchSettings], Backend] = RayTune) -> int:
    """Trains the placebos of a run that are missing; returns the exit status."""
    if asks_for_help(argv):
        print_help(PlaceboSettings, f"{USAGE}\n\n{NOTE}")
        return 0
    with no_secret_told(), answering(argv) as (words, answer):
        refuse_secrets(words)
        if not words or "=" in words[0]:
            raise UserError(f"no run folder named; {USAGE}")
        folder = Path(expand_home(words[0]))
        own = [word for word in words[1:] if split(word)[0] == "placebos"]
        count = parse(PlaceboSettings, own).placebos
        if not 1 <= count <= MOST_PLACEBOS:
            raise UserError(f"placebos={count}: expected 1 to {MOST_PLACEBOS}")
        rest = expand_paths(SearchSettings, [word for word in words[1:] if word not in own])
        for word in rest:
            if split(word)[0] not in PLACE:
                raise unknown("setting", split(word)[0], ["placebos", *PLACE])
        status = _train(folder, count, rest, backend)
        if answer.json:
            run = load_run(folder)
            answer.value = as_record(run, rank(run))
        return status


def _train(
    folder: Path, count: int, rest: Sequence[str], backend: Callable[[SearchSettings], Backend]
) -> int:
    run = load_run(folder)
    check_ended(run)
    if run.run.get("arguments") is None:
        raise UserError(
            f"run {run.name!r} was started from Python: "
            f"launch(…, name={run.name!r}, resume=True, placebo={count}) trains its placebos"
        )
    named = [f"name={run.name}", f"runs_dir={folder.resolve().parent}", "resume=true"]
    arguments = with_stored([*rest, *named])
    settings = settings_from(arguments)
    parts = read_parts(settings)
    console = Console(highlight=False, markup=False)
    with backend(settings) as trainer, connected_once(trainer) as connected, registered(parts):
        connected.start()
        plan = make_plan(settings, parts=parts)
        check_same(plan, folder)
        done = train_placebos(plan, count, storable(arguments), connected, console)
    return 0 if done else INTERRUPTED


if __name__ == "__main__":
    sys.exit(run_process(lambda: main(sys.argv[1:])))
