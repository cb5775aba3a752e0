"""A search from Python: a function as space, a frame as data."""

from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import pandas as pd
from rich.console import Console

from analysis.load import Run
from search.plan import make_plan
from search.run import run_search
from search.settings import SearchSettings, check
from search.space_source import SpaceFunction, load_space
from trainable.data.market import Market
from trainable.data.settings import DataSettings
from trainable.data.sources import market_from_frame
from trainable.errors import unknown


def launch(
    space: str | Path | SpaceFunction = "conservative",
    data: str | Path | pd.DataFrame | None = None,
    **settings: Any,
) -> Run | None:
    """Runs a search and returns its run, ready for `analysis`.

    Args:
        space: a name in spaces/, a path, or a function of an Optuna trial.
        data: a named source, a path of a CSV or Parquet file, or a long frame with the columns of
            such a file.
        settings: those of the command line, such as `trials=64`; `data_horizon=5` stands for
            `data.horizon=5`.

    Returns:
        The run; None for `dry_run=True`.

    Raises:
        UserError: what would end the command with status 2.
    """
    plain, named = _sorted_out(settings)
    if isinstance(data, str | Path):
        is_file = Path(data).suffix.lower() in (".csv", ".parquet")
        named["path" if is_file else "source"] = str(data)
    loaded = load_space(space, plain.get("epochs"))
    chosen = check(SearchSettings(space=loaded.name, data=DataSettings(**named), **plain))
    load: Callable[[], Market] | None = None
    if isinstance(data, pd.DataFrame):
        frame = data

        def load() -> Market:
            return market_from_frame(frame, chosen.data)

    return run_search(make_plan(chosen, loaded, load), None, Console(highlight=False))


def _sorted_out(settings: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Parts the settings of the search from those of the data."""
    known = {field.name for field in fields(SearchSettings)} - {"space", "data"}
    of_data = {f"data_{field.name}" for field in fields(DataSettings)}
    for name in settings:
        if name not in known and name not in of_data:
            raise unknown("setting", name, known | of_data)
    plain = {name: value for name, value in settings.items() if name in known}
    named = {n.removeprefix("data_"): v for n, v in settings.items() if n in of_data}
    return plain, named
