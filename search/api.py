"""A search from Python: a function as space, a frame as data."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, fields, is_dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
from rich.console import Console

from analysis.load import Run
from search.backend.local_ray import LocalRay
from search.planning.plan import make_plan
from search.run_folder.unbegun import is_unbegun
from search.session.runner import run_search
from search.settings.masking import no_secret_told
from search.settings.settings import SearchSettings, settings_from
from search.space.loading import SpaceFunction, load_space
from trainable.cli.errors import unknown
from trainable.data.file_types import is_table
from trainable.data.market import Market
from trainable.data.settings import DataSettings
from trainable.data.sources import market_from_frame


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
    with no_secret_told():
        tokens = _tokens(settings)
        if isinstance(data, str | Path):
            tokens.append(f"data.{'path' if is_table(str(data)) else 'source'}={data}")
        epochs = settings.get("epochs")
        loaded = load_space(space, int(epochs) if isinstance(epochs, int) else None)
        chosen = settings_from([f"space={loaded.name}", *tokens])
        if chosen.resume and chosen.folder.is_dir() and is_unbegun(chosen.folder):
            print(f"Nothing of run {chosen.run_name!r} had begun: it begins now.", flush=True)
            chosen = replace(chosen, resume=False)
        load: Callable[[], Market] | None = None
        if isinstance(data, pd.DataFrame):
            chosen = replace(chosen, data=replace(chosen.data, source="frame"))
            load = partial(market_from_frame, data, chosen.data)
        with LocalRay(chosen) as head:
            if chosen.own_ray:
                head.start()
            plan = make_plan(chosen, loaded, load)
            return run_search(plan, None, Console(highlight=False, markup=False), head)


def _tokens(settings: dict[str, Any]) -> list[str]:
    """Returns the settings as words of a command line, which types and checks them."""
    known = {field.name for field in fields(SearchSettings)} - {"space", "data"}
    of_data = {f"data_{field.name}" for field in fields(DataSettings)}
    tokens = []
    for name, value in settings.items():
        if name not in known and name not in of_data:
            raise unknown("setting", name, known | of_data)
        key = name.replace("data_", "data.", 1) if name in of_data else name
        if isinstance(value, Mapping):
            tokens += [f"{key}.{inner}={_text(item)}" for inner, item in value.items()]
        elif is_dataclass(value) and not isinstance(value, type):
            tokens += [f"{key}.{inner}={_text(v)}" for inner, v in asdict(value).items()]
        elif value is not None:
            tokens.append(f"{key}={_text(value)}")
    return tokens


def _text(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return ",".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
