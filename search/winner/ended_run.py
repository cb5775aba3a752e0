"""A run that has ended, opened again: its winner, and its data as they were searched on."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from analysis.load import Run, load_run
from analysis.tries import is_placebo
from search.run_folder.lock import drivers_of
from search.session.parts import COPIES
from search.session.resume import resume_command
from trainable.cli.errors import UserError
from trainable.cli.options import from_values
from trainable.data.dataset.build import build_dataset
from trainable.data.dataset.dataset import Dataset
from trainable.data.dataset.splits import PARTS
from trainable.data.ingest.table import cache_if_usable
from trainable.data.market import Market
from trainable.data.settings import DataSettings
from trainable.data.sources import load_market, market_from_frame
from trainable.parts.files import PartsFile, read_files
from trainable.parts.registration import registered
from trainable.prediction.winner import Winner, load


@dataclass(frozen=True)
class EndedRun:
    """A run that has ended, with what it found.

    Attributes:
        run: its folder.
        winner: what is in `best/`.
        parts: files of the person's own parts that it is made of.
    """

    run: Run
    winner: Winner
    parts: tuple[PartsFile, ...]

    @property
    def settings(self) -> DataSettings:
        """The settings of its data."""
        stored = self.run.run["settings"].get("data", {})
        return from_values(DataSettings, stored)

    def with_parts(self) -> AbstractContextManager[None]:
        """Has the parts in our tables during a `with` block."""
        return registered(self.parts)

    def market(self, data: object = None, path: str | None = None) -> Market:
        """Loads its data.

        Args:
            data: the table that `launch` was given; None: a file, or a named source.
            path: where the file is now; None: where it was.

        Raises:
            UserError: they cannot be read; or they were given in Python, and are not here.
        """
        settings = self.settings
        if path is not None:
            settings = from_values(DataSettings, {**_plain(settings), "path": path})
        frame = settings.source == "frame" and settings.path is None
        if data is None and frame:
            raise UserError(
                f"{self.run.folder} was searched on a table in memory, which is not stored: give "
                "it in Python, as data=frame, or name a file that holds the same: data.path=FILE"
            )
        with cache_if_usable():
            return load_market(settings) if data is None else market_from_frame(data, settings)

    def dataset(self, market: Market) -> Dataset:
        """Builds the dataset that was searched on.

        Raises:
            UserError: the market is another one.
        """
        dataset = build_dataset(market, self.settings, self.winner.facts.max_window)
        then = self.run.run
        split = {part: [f"{date:.19}" for date in dataset.dates(part)] for part in PARTS}
        now = {
            "symbols": list(dataset.symbols),
            "features": {name: list(names) for name, names in dataset.groups().items()},
            "train_rows": len(dataset.train_rows),
            "valid_rows": len(dataset.valid_rows),
        }
        other = [key for key, value in now.items() if then["data"].get(key) != value]
        other += ["split dates"] if then["split"] != split else []
        content = then["data"]["sha256"] != dataset.sha256 and self.settings.source != "frame"
        if other or content:
            what = f" ({', '.join(other)})" if other else ""
            raise UserError(
                f"{market.name} is not what {self.run.folder} was searched on{what}: its windows "
                "of dates are of the data as they were; data.path=FILE says where these are now"
            )
        return dataset


def open_ended(path: Path, parts: Sequence[str] = ()) -> EndedRun:
    """Opens a run that has ended.

    Args:
        path: of its folder.
        parts: where files of the person's own parts are now; none: where they were.

    Raises:
        UserError: it has not ended, is a placebo, or has no winner.
    """
    run = ended_run(path)
    named = parts or run.run["settings"].get("parts") or ()
    files = read_files(named, path / COPIES)
    with registered(files):
        winner = load(path)
    return EndedRun(run, winner, files)


def ended_run(path: Path) -> Run:
    """Returns a run that has ended; raises `UserError` for any other, and for a placebo."""
    if path.is_dir() and drivers_of(path):
        raise UserError(f"{path} is being driven: wait for its end")
    run = load_run(path)
    if run.run.get("interrupted") is not False:
        command = resume_command(run.name, str(path.parent), run.run.get("arguments"))
        raise UserError(f"{path}: its search has not ended; go on with it first: {command}")
    if is_placebo(run.run):
        raise UserError(f"{path} is a placebo: its labels were moved; name the run that it is of")
    return run


def last_bar(market: Market, date: np.datetime64) -> int:
    """Returns how many bars of a market there are up to and with a time."""
    return int(np.searchsorted(market.timestamps, date, side="right"))


def _plain(settings: DataSettings) -> dict[str, Any]:
    return {**vars(settings), "source": DataSettings.source}
