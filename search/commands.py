"""The table of commands: what `asharpe NAME` runs, under which heading, and what it is for."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Entry:
    """One command.

    Attributes:
        module: its `main(argv) -> int` runs the command; `KEPT`, where it is there, says where its
            results are kept if standard output fails.
        group: under which help lists it.
        line: what it is for.
        first: what it is given first, for completion: run, runs, data, file or nothing.
        settings: what it takes besides, for completion: `module:Class` of dataclasses of its keys;
            none: those in its module that are called `…Settings` or `Command`.
    """

    module: str
    group: str
    line: str
    first: str = ""
    settings: tuple[str, ...] = ()

    @property
    def started(self) -> str:
        """The module as `python -m` starts it."""
        return self.module.removesuffix(".__main__")


ROOT = Path(__file__).parents[1]  # of all our packages
OF_SEARCH = "search.settings.settings:SearchSettings"
OF_DATA = "trainable.data.settings:DataSettings"

COMMANDS: Mapping[str, Entry] = {
    "search": Entry(
        "search.run", "Search", "searches a space, stops the weak, ranks the rest",
        settings=(OF_SEARCH,),
    ),
    "lr": Entry(
        "search.lr", "Search", "trains many learning rates at once and proposes a range",
        settings=("search.lr:RangeSettings", OF_SEARCH),
    ),
    "status": Entry("search.status", "Look", "how a search stands, also while it runs", "run"),
    "rank": Entry(
        "analysis.rank", "Look", "the ranking, what it rests on, and the statistics", "run"
    ),
    "report": Entry(
        "analysis.report.command", "Look", "writes the ranking and its pictures into one file",
        "runs",
    ),
    "compare": Entry(
        "analysis.comparison.command", "Look", "two runs: settings, spaces, winners", "runs"
    ),
    "placebo": Entry(
        "search.placebo", "Trust", "the same search on moved labels: what luck finds", "run",
        ("search.placebo:PlaceboSettings",),
    ),
    "confirm": Entry(
        "search.confirm", "Trust", "finalists again, on folds that did not choose them", "run",
        ("search.confirmation.settings:ConfirmSettings",),
    ),
    "test": Entry(
        "search.holdout", "Trust", "opens the gate, then the sealed test, for the winner", "run"
    ),
    "predict": Entry(
        "trainable.prediction.command", "Use", "predictions and positions for new rows", "run"
    ),
    "refit": Entry(
        "search.refit", "Use", "trains the winner again, on all dates up to a point", "run"
    ),
    "check": Entry(
        "trainable.data.check", "Data and parts", "what is in a file, and what would be traded",
        "data", (OF_DATA,),
    ),
    "parts": Entry(
        "trainable.parts.__main__", "Data and parts", "models, losses, features …; checks your own"
    ),
    "train": Entry(
        "trainable.train", "Data and parts", "trains one configuration of a JSON file", "file"
    ),
    "grafana": Entry(
        "search.grafana", "Data and parts", "adds our dashboard to those of a running Ray", "file"
    ),
}  # fmt: skip


def commands() -> dict[str, Entry]:
    """Returns the commands whose modules are there, by name."""
    return {name: entry for name, entry in COMMANDS.items() if file_of(entry.module).is_file()}


def file_of(module: str) -> Path:
    """Returns the file of a module of ours, which need not be there; imports nothing."""
    return ROOT.joinpath(*module.split(".")).with_suffix(".py")
