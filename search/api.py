"""A search from Python: a function as space, a frame as data."""

import sys
from collections.abc import Callable, Collection, Mapping
from contextlib import ExitStack
from dataclasses import fields, replace
from os import PathLike
from pathlib import Path
from typing import Any, TextIO, cast

from rich.console import Console
from rich.text import Text

from analysis.notebook import NotebookRun, open_run
from search.backend.base import Backend, connected_once
from search.backend.ray_tune import RayTune
from search.planning.plan import make_plan
from search.run_folder.starting import can_begin
from search.session.ended import ended_sentence, nothing_left
from search.session.parts import COPIES
from search.session.placebos import train_placebos
from search.session.runner import run_search
from search.settings.given_data import FRAME, named_source, table_loader
from search.settings.masking import no_secret_told
from search.settings.python_form import said_as_in_python
from search.settings.reading import settings_of
from search.settings.settings import SearchSettings, TriesSettings
from search.space.loading import SpaceFunction, load_space
from trainable.cli.errors import UserError, unknown
from trainable.cli.output import Output
from trainable.config import FIELDS
from trainable.data.settings import DataSettings
from trainable.parts.registration import registered
from trainable.parts.sources import given_parts

GROUPS: dict[str, type] = {"data": DataSettings, "tries": TriesSettings}
# Settings that are dicts in Python, by what stands before their keys elsewhere.
DICTS = {
    "fix.": "fix",
    "fix_": "fix",
    "data.synthetic.": "data_synthetic",
    "data_synthetic_": "data_synthetic",
}


def launch(
    space: str | Path | SpaceFunction = "conservative",
    data: object = None,
    *,
    parts: object = (),
    backend: Callable[[SearchSettings], Backend] = RayTune,
    **settings: Any,
) -> NotebookRun | None:
    """Runs a search and returns its run, ready for `analysis` and for a notebook's cell.

    Args:
        space: a name in spaces/, a path, or a function of an Optuna trial.
        data: a named source, the path of a CSV or Parquet file, or a table of pandas, polars or
            pyarrow with the columns of such a file; None: the settings' own source.
        parts: models, losses, features … of one's own: the path of a file, a module, a dict such as
            `{"MODELS": {"mine": Mine}}`, or a list of these. Of classes and functions that are not
            from a file, the source is taken from the notebook.
        backend: where trials train, made from the settings.
        settings: those of the command line, such as `trials=64`; `data_horizon=5` stands for
            `data.horizon=5`, `fix={"model/dropout": 0.3}` for `fix.model/dropout=0.3`, and
            `data_synthetic={"bars": 400}` for `data.synthetic.bars=400`.

    Returns:
        The run; None for `dry_run=True`.

    Raises:
        UserError: what would end the command with status 2.
    """
    with no_secret_told(), said_as_in_python({**settings, "space": space, "parts": parts}):
        values = _by_key(settings)
        _refuse_two_sources(data, values)
        _refuse_tables(values)
        values |= named_source(data)
        epochs = settings.get("epochs")
        loaded = load_space(space, int(epochs) if isinstance(epochs, int) else None)
        chosen = settings_of({**values, "space": loaded.name})
        files = given_parts(parts, chosen.folder / COPIES if chosen.resume else None)
        chosen = replace(chosen, parts=tuple(file.shown for file in files))
        console = Console(file=cast(TextIO, Output(sys.stdout)), highlight=False, markup=False)
        if chosen.resume and chosen.folder.is_dir() and can_begin(chosen.folder):
            console.print(f"Nothing of run {chosen.run_name!r} had begun: it begins now.")
            chosen = replace(chosen, resume=False)
        load = table_loader(data, chosen.data)
        if load is not None:
            chosen = replace(chosen, data=replace(chosen.data, source=FRAME))
        if nothing_left(chosen, lambda: loaded.sha256):
            console.print(Text(ended_sentence(chosen.folder)))
            return open_run(chosen.folder)
        with ExitStack() as stack:
            trainer = stack.enter_context(backend(chosen))
            stack.enter_context(registered(files))
            trainer.start()
            plan = make_plan(chosen, loaded, load, files)
            if chosen.placebo:
                trainer = stack.enter_context(connected_once(trainer))
            run = run_search(plan, None, trainer, console)
            if chosen.placebo and run is not None and run.run["state"] == "ended":
                train_placebos(plan.named(run.name), chosen.placebo, None, trainer, console)
            return None if run is None else NotebookRun.of(run)


def _refuse_two_sources(data: object, values: Mapping[str, object]) -> None:
    """Raises `UserError` where `data` and a setting both name a source."""
    for key in ("data.path", "data.source"):
        if data is not None and values.get(key) is not None:
            setting = key.replace(".", "_")
            raise UserError(f"data= and {setting}= name two sources: keep one of them")


def _refuse_tables(values: Mapping[str, object]) -> None:
    """Raises `UserError` where a table is given as a setting that takes a name or a path."""
    for key in ("data.path", "data.source"):
        value = values.get(key)
        if not isinstance(value, str | PathLike | None):
            setting, kind = key.replace(".", "_"), type(value).__name__
            what = "a path" if key == "data.path" else "a name"
            raise UserError(
                f"{setting}= takes {what}, and this is a {kind}; a table is given as launch(data=…)"
            )


def _by_key(settings: Mapping[str, object]) -> dict[str, object]:
    """Returns the settings by their keys on a command line: `data_horizon` is `data.horizon`."""
    known = {field.name for field in fields(SearchSettings)} - {"space", "data", "parts"}
    of_groups = {
        f"{group}_{field.name}": f"{group}.{field.name}"
        for group, cls in GROUPS.items()
        for field in fields(cls)
    }
    for name in settings:
        if name not in known and name not in of_groups:
            raise _unknown_setting(name, known | of_groups.keys())
    return {of_groups.get(name, name): value for name, value in settings.items()}


def _unknown_setting(name: str, known: Collection[str]) -> UserError:
    """Returns the error for a keyword that is no setting, with the form that it has in Python."""
    said = f"unknown setting {name!r}: in Python it is"
    for begin, group in DICTS.items():
        key = name.removeprefix(begin)
        if key and key != name:
            key = next((field for field in FIELDS if field.replace("/", "_") == key), key)
            return UserError(f"{said} {group}={{{key!r}: …}}")
    if (argument := name.replace(".", "_")) in known:
        return UserError(f"{said} {argument}=…")
    return unknown("setting", name, known)
