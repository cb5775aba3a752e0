"""Whether a session may go on with a run: on the same data, space and settings."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from analysis.tries import prior_of
from search.planning.plan import Plan
from search.session.provenance import describe, stored_record
from search.session.resume import BEFORE_PRUNING
from trainable.cli.errors import UserError
from trainable.cli.nested import flat, typed
from trainable.data.settings import DataSettings
from trainable.io.atomic import json_text
from trainable.io.json_file import loads

# What must not change when a run is resumed: its reports and its sampler rest on it.
SAME_DATA = (
    "sha256", "symbols", "features", "horizon", "lag", "cost_bps", "periods_per_year",
    "train_rows", "valid_rows", "validation_periods", "overnight", "delisting_return",
)  # fmt: skip
SAME_SETTINGS = (
    "objective", "sampler", "pruning", "seed", "steps_per_epoch", "rungs", "reduction_factor",
    "try_default",
)  # fmt: skip
BEFORE_SAMPLER = {"sampler": "tpe"}  # what suggested in versions that had nothing else
SAME_COLUMNS = ("target", "returns")  # of one file others may be named
SOURCE = ("source", "path")

Record = Mapping[str, Any]


def check_same(plan: Plan, folder: Path) -> None:
    """Refuses to go on with a run on other data, another objective or another space.

    Args:
        plan: of the session that is about to begin.
        folder: of the run.

    Raises:
        UserError: says what the person has changed.
    """
    old = stored_record(folder / "run.json")
    new = loads(json_text(describe(plan, [])))  # as it would be stored: lists, not tuples
    if "overnight" not in old["data"]:  # of a version that counted returns over gaps as 0
        _refuse_other_returns(plan, folder.name)
        sessions = bool(plan.dataset.session_ends.any())
        old["data"] |= {"overnight": "flat" if sessions else None, "delisting_return": 0.0}
    if new["data"]["returns_lag"] and "returns_lag" not in old["data"]:
        raise UserError(
            f"run {folder.name!r} was begun by a version that read {plan.settings.data.returns!r} "
            f"on the row of the decision and not data.lag={new['data']['lag']} bars later, and its "
            "trials cannot be ranked beside new ones; choose another name to start a new run"
        )
    found = [key for key in SAME_DATA if old["data"].get(key) != new["data"][key]]
    found += ["split dates"] if old["split"] != new["split"] else []
    now = new["settings"]
    # A run of a version without a default goes on without one, whatever is asked for.
    before = BEFORE_PRUNING | BEFORE_SAMPLER | {"try_default": now["try_default"]} | old["settings"]
    changed = _of_data(old, new, found) + _differences(
        {key: before.get(key) for key in SAME_SETTINGS}, {key: now[key] for key in SAME_SETTINGS}
    )
    if now["regret"] < before.get("regret", 0.0):
        raise UserError(
            f"regret={now['regret']:g} is less than the {before['regret']:g} of run "
            f"{folder.name!r} so far: what is finished on the side would be no fair sample; "
            f"regret={before['regret']:g} or more works"
        )
    prior = prior_of(old)
    if now["tries"]["prior"] < prior:
        raise UserError(
            f"tries.prior={now['tries']['prior']} is less than the {prior} of run {folder.name!r} "
            f"so far: what was tried stays tried; tries.prior={prior} or more works"
        )
    changed += _differences(before.get("fix") or {}, now["fix"], "fix.") + _of_space(old, new)
    changed += _of_parts(old, new)
    if changed:
        raise UserError(
            f"run {folder.name!r} cannot go on with {', '.join(changed)}; leave that as it was, or "
            "choose another name to start a new run"
        )
    if found:
        raise UserError(
            f"run {folder.name!r} cannot go on: this version makes another {', '.join(found)} of "
            "the same file and settings; choose another name to start a new run"
        )


def _of_data(old: Record, new: Record, found: list[str]) -> list[str]:
    """Returns what the person changed of the data, where they have become other data.

    Args:
        old: record of the run.
        new: what would be recorded now.
        found: what has become of it: rows, dates, a check sum …
    """
    usual = loads(json_text(asdict(DataSettings())))
    before, now = (flat(usual | record["settings"].get("data", {})) for record in (old, new))
    other_content = "sha256" in found
    columns = any(before.get(key) != now.get(key) for key in SAME_COLUMNS)
    if not found and not columns:
        return []  # the same file elsewhere
    if not other_content:  # whatever its source is called
        before, now = ({k: v for k, v in one.items() if k not in SOURCE} for one in (before, now))
    changed = _differences(before, now, "data.")
    named = {word.partition("=")[0].removeprefix("data.") for word in changed}
    made = {key for key in named if key in SOURCE or key.startswith("synthetic.")}
    if other_content and not made:
        given = now.get("source") == "frame"  # from Python
        changed.append(f"other content of {'data=' if given else new['data']['name']}")
    return changed


def _of_space(old: Record, new: Record) -> list[str]:
    """Returns how the space was changed."""
    if old["space"].get("sha256") == new["space"]["sha256"]:
        return []
    before, now = (
        record["space"].get("path") or record["space"].get("name") for record in (old, new)
    )
    return (
        [f"other content of space {now}"]
        if before == now
        else _differences({"space": before}, {"space": now})
    )


def _of_parts(old: Record, new: Record) -> list[str]:
    """Returns how the files of own parts were changed; the same text elsewhere is no change."""
    before, now = (
        {part["name"]: part for part in record.get("parts") or ()} for record in (old, new)
    )
    if before.keys() != now.keys():
        names = [[part["path"] or name for name, part in one.items()] for one in (before, now)]
        return _differences({"parts": names[0] or None}, {"parts": names[1] or None})
    return [
        f"other content of {part['path'] or f'parts {name}'}"
        for name, part in now.items()
        if part["sha256"] != before[name]["sha256"]
    ]


def _differences(before: Record, now: Record, prefix: str = "") -> list[str]:
    """Returns the settings that differ, as they are typed, with their earlier values."""
    keys = [*now, *(key for key in before if key not in now)]
    return [
        f"{prefix}{key}={typed(now.get(key))} instead of {typed(before.get(key))}"
        for key in keys
        if before.get(key) != now.get(key)
    ]


def _refuse_other_returns(plan: Plan, name: str) -> None:
    """Raises UserError where the reports of an earlier version rest on other returns."""
    dataset = plan.dataset
    gaps = (np.diff(dataset.time) > 1) & (np.diff(dataset.symbol) == 0)
    if gaps.any() or dataset.overnight is not None:
        what = "over missing bars" if gaps.any() else "overnight"
        raise UserError(
            f"run {name!r} was begun by a version that counted returns {what} as 0, and its "
            "trials cannot be ranked beside new ones; choose another name to start a new run"
        )
