"""Trains the first-ranked configuration of a run again, on all dates up to a point.

python -m search.refit runs/NAME [until=DATE]
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console
from rich.text import Text

from analysis.rank import output_console
from search.run_folder.folder import RunFolder
from search.session.interrupts import Interrupts
from search.session.process import run_process
from search.winner.ended_run import open_ended
from search.winner.refitting import Refit, refit_of, train, write_refit
from trainable.cli.answers import answering
from trainable.cli.commands import INTERRUPTED, parse_after_run
from trainable.cli.paths import PathText
from trainable.cli.text import counted
from trainable.prediction.files import WHICH
from trainable.prediction.winner import Winner, load
from trainable.train import chosen_device

USAGE = "python -m search.refit runs/NAME [until=DATE] [key=value …] [--json]"


@dataclass(frozen=True)
class Place:
    """Where the data are now."""

    path: PathText | None = None  # of the file that was searched on, also with later rows


@dataclass(frozen=True)
class RefitSettings:
    """What the command line can say."""

    until: str | None = None  # the last date to train on; unset: the end of the validation part
    data: Place = field(default_factory=Place)
    device: str = "auto"  # cpu, cuda, or auto: a GPU if there is one
    parts: tuple[PathText, ...] = ()  # files of parts of one's own, where they have moved


def main(argv: Sequence[str]) -> int:
    """Trains and writes `best_refit/`; returns the exit status."""
    with answering(argv) as (words, answer):
        asked = parse_after_run(RefitSettings, words, USAGE)
        if asked is None:
            return 0
        path, settings = asked
        console = output_console()
        found = refit(path, settings, console=console)
        if found is None:
            console.print(Text(f"Interrupted; nothing was written to {path / WHICH['refit']}."))
            return INTERRUPTED
        about = {"run": path.name, "folder": found.folder, "first": found.first}
        answer.value = about | dict(found.more["refit"])
    return 0


def refit(
    path: Path,
    settings: RefitSettings = RefitSettings(),
    data: object = None,
    console: Console | None = None,
) -> Winner | None:
    """Trains the first-ranked configuration of a run again and writes `best_refit/`.

    Args:
        path: of the run folder.
        settings: until when, and where.
        data: the table that `launch` was given, also with later rows, of a run from Python.
        console: to print to; None: nothing is printed.

    Returns:
        What was written; None where a signal ended it, and nothing was written.

    Raises:
        UserError: the run or its data cannot be used, or the date lies in a window that is shut.
    """
    ended = open_ended(path, settings.parts)
    device = chosen_device(settings.device)
    say = (console or Console(quiet=True)).print
    with (
        ended.with_parts(),
        RunFolder.create(path.resolve().parent, path.resolve().name, resume=True),
        Interrupts() as interrupts,
    ):
        todo = refit_of(ended, ended.market(data, settings.data.path), settings.until)
        for sentence in todo.sentences():
            say(Text(sentence))
        try:
            trained = train(todo, device, interrupts.obey)
        except KeyboardInterrupt:
            return None
        write_refit(ended, todo, trained)
        found = load(path, "refit")
    for sentence in _written(todo, found):
        say(Text(sentence), soft_wrap=True)
    return found


def _written(todo: Refit, found: Winner) -> list[str]:
    said = [f"{counted(len(found.members), 'model')} in {found.folder}: which=refit predicts."]
    if failed := len(todo.configs) - len(found.members):
        said.append(f"{counted(failed, 'seed')} failed on these rows and was left out.")
    return said


if __name__ == "__main__":
    sys.exit(run_process(lambda: main(sys.argv[1:])))
