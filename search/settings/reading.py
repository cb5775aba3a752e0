"""Reads the settings of a search from a command line, or from values given in Python."""

from collections.abc import Iterable, Mapping, Sequence

from search.settings.checks import check
from search.settings.settings import SearchSettings
from trainable.cli.errors import UserError
from trainable.cli.options import Setting, from_values, is_one_value, parse, split
from trainable.data.settings import expand_source, refuse_two_sources

NEVER_EMPTY = {
    "data.path": "write the path of a CSV or Parquet file",
    "name": "write a folder name",
    "runs_dir": "write a folder",
    "parts": "write the path of a Python file",
    "enqueue": "write the path of a JSON file",
    "address": "write auto or HOST:PORT",
    "storage": "write a URL such as sqlite:///study.db",
    "storage_path": "write a folder or a URL such as s3://bucket/folder",
}
SHORT = Setting("data", "", "", "short for data.source; not together with data.path")


def settings_from(argv: Sequence[str]) -> SearchSettings:
    """Returns the checked settings that the tokens of a command line describe.

    Args:
        argv: tokens `key=value`; `data=NAME` is short for `data.source=NAME`.

    Raises:
        UserError: with the key, the value and what would work.
    """
    tokens = expand_source(argv)
    _refuse_empty(key for key, text in map(split, argv) if text == "")
    return check(parse(SearchSettings, tokens))


def settings_of(values: Mapping[str, object]) -> SearchSettings:
    """Returns the checked settings with these values, such as `{"trials": 8, "data.horizon": 5}`.

    Raises:
        UserError: with the key, the value and what would work.
    """
    refuse_two_sources({key for key, value in values.items() if value is not None})
    _refuse_empty(key for key, value in values.items() if isinstance(value, str) and value == "")
    for key, value in values.items():
        if key in NEVER_EMPTY and not is_one_value(value):
            raise UserError(f"{key} is a {type(value).__name__}; {NEVER_EMPTY[key]}")
    return check(from_values(SearchSettings, values))


def _refuse_empty(keys: Iterable[str]) -> None:
    for key in keys:
        if key in NEVER_EMPTY:
            # An unset shell variable must not quietly become the default.
            raise UserError(f"{key}= is empty; {NEVER_EMPTY[key]}, or leave it out")
