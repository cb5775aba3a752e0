"""In what two runs differ: settings, data, versions, the space, and what was tried of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import unified_diff
from math import isnan
from typing import Any

from analysis.comparison.winners import Winner
from analysis.load import Run
from trainable.cli.nested import flat, typed

OWN = ("name", "runs_dir", "resume", "time_budget_s", "space")  # said elsewhere, or of no weight
DATA = (
    "sha256", "symbols", "features", "horizon", "lag", "cost_bps", "periods_per_year",
    "train_rows", "valid_rows", "overnight", "delisting_return",
)  # fmt: skip
PARAMS = "params."
LONG = 8  # values of two lists, above which only what differs is shown


@dataclass(frozen=True)
class Change:
    """One thing in which two runs differ; the values as a person would type them."""

    name: str
    first: str
    second: str


def settings_changes(first: Run, second: Run) -> list[Change]:
    """Returns the settings that differ, in the order of their names."""
    both = [_without(flat(run.run.get("settings") or {}), OWN) for run in (first, second)]
    return _changes(both[0], both[1])


def data_changes(first: Run, second: Run) -> list[Change]:
    """Returns what of the data differs that the settings do not tell: content, rows, dates."""
    both = []
    for run in (first, second):
        data = run.run.get("data") or {}
        found = {name: data.get(name) for name in DATA if name in data}
        for part, dates in (run.run.get("split") or {}).items():
            found[f"{part} dates"] = " to ".join(str(date).partition("T")[0] for date in dates)
        both.append(found)
    return _changes(both[0], both[1])


def version_changes(first: Run, second: Run) -> list[Change]:
    """Returns the versions of packages, and of this project, that differ."""
    both = [
        {**(run.run.get("versions") or {}), "git": run.run.get("git")} for run in (first, second)
    ]
    return _changes(both[0], both[1])


def tried_changes(first: Run, second: Run) -> list[Change]:
    """Returns the parameters of which another range, or other values, were tried."""
    both = [_tried(run) for run in (first, second)]
    return _changes(both[0], both[1])


def winner_changes(first: Winner, second: Winner) -> list[Change]:
    """Returns the parameters in which two winners differ, to three digits."""
    both = [{name: _short(v) for name, v in winner.params.items()} for winner in (first, second)]
    return _changes(both[0], both[1])


def space_diff(first: Run, second: Run) -> list[str]:
    """Returns the lines in which the text of the two spaces differs, as `diff -u` has them."""
    spaces = [run.run.get("space") or {} for run in (first, second)]
    texts = [str(space.get("source") or "").splitlines() for space in spaces]
    names = [
        f"{run.name}: {space.get('name')}"
        for run, space in zip((first, second), spaces, strict=True)
    ]
    return list(unified_diff(texts[0], texts[1], names[0], names[1], lineterm="", n=1))


def _changes(first: Mapping[str, Any], second: Mapping[str, Any]) -> list[Change]:
    names = [*first, *(name for name in second if name not in first)]
    return [
        Change(name, *_told_apart(first.get(name), second.get(name)))
        for name in names
        if first.get(name) != second.get(name)
    ]


def _told_apart(first: Any, second: Any) -> tuple[str, str]:
    """Returns two values as a person would type them; of long lists what only one of them has."""
    if not (isinstance(first, list) and isinstance(second, list)) or len(first + second) <= LONG:
        return typed(first), typed(second)
    only = [one for one in first if one not in second], [one for one in second if one not in first]
    if not any(only):
        return f"{len(first)}", f"{len(second)}, in another order"
    said = [
        f"{len(of)}, only here: {typed(own) if own else 'none'}"
        for of, own in zip((first, second), only, strict=True)
    ]
    return said[0], said[1]


def _without(values: Mapping[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if name not in names}


def _tried(run: Run) -> dict[str, str]:
    """Returns by searched parameter what was tried of it: a range, or the values."""
    found = {}
    for column in run.searched.columns:
        name = str(column)
        if not name.startswith(PARAMS) or name == f"{PARAMS}train/seed":
            continue
        values = run.searched[column].dropna()
        if len(values):
            found[name.removeprefix(PARAMS)] = _range(values.tolist())
    return found


def _range(values: list[Any]) -> str:
    numbers = [v for v in values if isinstance(v, int | float) and not isinstance(v, bool)]
    if len(numbers) < len(values):
        return ", ".join(sorted({typed(value) for value in values}))
    low, high = f"{min(numbers):.3g}", f"{max(numbers):.3g}"
    return low if low == high else f"{low} to {high}"


def _short(value: Any) -> str | None:
    """Returns a value as a table shows it; None where there is none."""
    if isinstance(value, float):
        return None if isnan(value) else f"{value:.3g}"
    return None if value is None else typed(value)
