"""A run in a notebook: it shows itself, its ranking, its report and its pictures."""

from collections.abc import Callable
from dataclasses import dataclass
from html import escape
from importlib import import_module
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from analysis.load import Run, load_run
from analysis.ranking import outcome, rank, summary_sentences

if TYPE_CHECKING:  # matplotlib takes half a second, and nobody may want a picture
    from matplotlib.figure import Figure

TOP = 5
SHOWN = ["rank", "number", "sharpe_mean", "sharpe_seeds", "sharpe_se", "ic", "turnover", "epochs"]


class NotebookRun(Run):
    """A run as `launch` returns it."""

    @classmethod
    def of(cls, run: Run) -> "NotebookRun":
        """Returns the same run, able to show itself."""
        return cls(run.folder, run.run, run.trials)

    def ranking(self) -> pd.DataFrame:
        """Returns one row a configuration, the best first; see `analysis.ranking.rank`."""
        return rank(self)

    def report(self) -> Path:
        """Writes `report.html` into the run folder; returns its path."""
        return import_module("analysis.report.command").write_report(self.folder)

    @property
    def plot(self) -> "Plots":
        """The pictures of the run, such as `run.plot.sharpe()`."""
        return Plots(self)

    def __repr__(self) -> str:
        return f"Run {str(self.folder)!r}: {outcome(self)}"

    def _repr_html_(self) -> str:
        """Returns the verdict and the first of the ranking, for a cell."""
        ranking = self.ranking()
        said = "<br>".join(escape(line) for line in summary_sentences(self, ranking))
        head = f"<b>{escape(self.name)}</b>: {escape(outcome(self))}"
        first = ranking.dropna(subset=["rank"]).head(TOP)[SHOWN]
        table = first.to_html(index=False, float_format="{:.3f}".format, na_rep="–", border=0)
        return f"<div><p>{head}</p><p>{said}</p>{table if len(first) else ''}</div>"


@dataclass(frozen=True)
class Picture:
    """A picture that a cell shows, whatever its settings are.

    Attributes:
        figure: of matplotlib.
    """

    figure: "Figure"

    def save(self, path: str | Path) -> None:
        """Writes the picture; the end of the name says in which form."""
        self.figure.savefig(path)

    def _repr_png_(self) -> bytes:
        png = BytesIO()
        self.figure.savefig(png, format="png", dpi=100)
        return png.getvalue()


class Plots:
    """The pictures of `analysis.pictures.plots.PLOTS` by name, each drawn when it is called.

    Args:
        run: that they are of.
    """

    def __init__(self, run: Run) -> None:
        self._run = run

    def __getattr__(self, name: str) -> Callable[[], Picture]:
        from analysis.pictures.plots import PLOTS

        if name not in PLOTS:
            raise AttributeError(f"no picture {name!r}; there are {', '.join(PLOTS)}")
        return lambda: Picture(PLOTS[name](self._run))

    def __dir__(self) -> list[str]:
        from analysis.pictures.plots import PLOTS

        return list(PLOTS)


def open_run(path: str | Path) -> NotebookRun:
    """Opens a run folder, as `analysis.load.load_run` does, for a notebook."""
    return NotebookRun.of(load_run(path))
