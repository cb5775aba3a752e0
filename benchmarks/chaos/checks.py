"""What must be true of a run folder whatever befell its search; nothing here changes it."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import pyarrow as pa

from search.planning.plan import Plan
from search.pruning.pruner import Pruner
from search.pruning.verdict import CONTINUE, Verdict
from search.run_folder import shards
from search.study.storage import open_to_read
from search.study.trials import TrialRecord, row_of
from trainable.report import Report
from trainable.run_format import SEARCHED
from trainable.stop_reasons import STOP_REASONS

Key = tuple[int, int]  # number, epoch
VALUES = ("steps", "train_loss", "val_loss", "sharpe")
CHECKPOINTS = "checkpoint-*.safetensors"
# Reasons that follow from the reports alone: no machine failed, and no clock decided.
BY_RULES = [
    name
    for name, reason in STOP_REASONS.items()
    if reason.state in ("COMPLETE", "PRUNED") and name != "time_budget"
]


@dataclass(frozen=True)
class Seen:
    """A run folder at one moment.

    Attributes:
        rows: every trial of the study.
        epochs: what was reported, by number and epoch.
        repeated: epochs that were kept twice.
        saved: (epochs, further steps) of every checkpoint, by number.
    """

    rows: Sequence[TrialRecord]
    epochs: Mapping[Key, tuple[float | None, ...]]
    repeated: Sequence[Key]
    saved: Mapping[int, Sequence[tuple[int, int]]]


NOTHING = Seen((), {}, (), {})


def look(folder: Path) -> Seen:
    """Reads a run folder that nobody drives."""
    rows: list[TrialRecord] = []
    if (folder / "study.log").exists():
        storage = open_to_read(folder / "study.log")
        for study in storage.get_all_studies():
            trials = storage.get_all_trials(study._study_id, deepcopy=False)
            rows += [row_of(trial) for trial in trials if "number" in trial.user_attrs]
    epochs: dict[Key, tuple[float | None, ...]] = {}
    repeated: list[Key] = []
    batches: dict[Key, int] = {}
    files = [*folder.glob("epochs.parquet"), *sorted(folder.glob("shards/[0-9]*.parquet"))]
    for file in files:
        for row in _rows(shards.read(file)):
            key, batch = (row["number"], row["epoch"]), row["batch"]
            if batches.setdefault(key, batch) != batch:
                repeated.append(key)
            epochs.setdefault(key, tuple(row[name] for name in VALUES))
    saved: dict[int, list[tuple[int, int]]] = {}
    for file in sorted(folder.glob(f"trials/*/{CHECKPOINTS}")):
        _, epoch, steps = file.stem.split("-")
        saved.setdefault(int(file.parent.name), []).append((int(epoch), int(steps)))
    return Seen(rows, epochs, repeated, saved)


def lost(before: Seen, after: Seen) -> list[str]:
    """Returns what was there and is not, is another, or is there twice."""
    found = [f"trial {n}, epoch {e} is kept twice" for n, e in after.repeated]
    found += [
        f"trial {n}, epoch {e} is {'another' if (n, e) in after.epochs else 'missing'}"
        for (n, e), values in before.epochs.items()
        if after.epochs.get((n, e)) != values
    ]
    now = {row.number: row for row in after.rows}
    if sorted(now) != list(range(len(after.rows))):
        found.append("numbers of trials are missing or there twice")
    for row in before.rows:
        same = now.get(row.number)
        if same is None:
            found.append(f"trial {row.number} is missing")
        elif (same.params, same.seed, same.kind) != (row.params, row.seed, row.kind):
            found.append(f"trial {row.number} trains something else")
        elif row.state != "RUNNING" and same != row:
            found.append(f"trial {row.number} had ended as {row.state} and is {same.state}")
    return found


def behind(seen: Seen, steps_per_epoch: int) -> dict[int, int]:
    """Returns how many reported steps each unfinished trial has to train again if it restarts."""
    last = Counter[int]()
    for number, epoch in seen.epochs:
        last[number] = max(last[number], epoch)
    running = {row.number for row in seen.rows if row.state == "RUNNING"}
    found = {}
    for number in running & last.keys():
        known = last[number]
        usable = [e * steps_per_epoch + s for e, s in seen.saved.get(number, ()) if e <= known]
        found[number] = max(0, known * steps_per_epoch - max(usable, default=0))
    return found


def apart(seen: Seen, steps_per_epoch: int) -> int:
    """Returns the most optimizer steps between two checkpoints, or from a start to the first."""
    gaps = [0]
    for saved in seen.saved.values():
        steps = [epoch * steps_per_epoch + more for epoch, more in saved]
        first = [0] if len(steps) == 1 else []  # of two, the older one may have had others before
        gaps += [b - a for a, b in pairwise([*first, *steps])]
    return max(gaps)


def unfinished(seen: Seen, trials: int, seeds: int) -> list[str]:
    """Returns what a search that has ended lacks."""
    found = [f"trial {row.number} is {row.state}" for row in seen.rows if row.state == "RUNNING"]
    found += [f"trial {row.number} ended without a reason" for row in seen.rows if not row.reason]
    found += [
        f"trial {row.number} failed: {row.reason}, {row.evidence}"
        for row in seen.rows
        if row.state == "FAIL" and row.reason != "worker_lost"
    ]
    searched = [row for row in seen.rows if row.kind in SEARCHED]
    if len(searched) != trials:
        found.append(f"{len(searched)} of {trials} trials")
    finished = [row.number for row in searched if row.state == "COMPLETE"]
    children = Counter(row.parent for row in seen.rows if row.kind == "seed")
    # Those that may win race: not all have further seeds, but none has more than asked for.
    none = seeds > 1 and finished and not children
    if none or not children.keys() <= set(finished) or any(n >= seeds for n in children.values()):
        found.append("finalists have not the seeds that they should have")
    for row in seen.rows:
        mine = [e for n, e in seen.epochs if n == row.number]
        if sorted(mine) != list(range(1, len(mine) + 1)):
            found.append(f"trial {row.number} has the epochs {sorted(mine)}")
        elif row.facts.get("epochs", 0) != len(mine):
            found.append(f"trial {row.number}: {row.facts.get('epochs')} epochs, {len(mine)} kept")
    return found


def judged(
    plan: Plan, rows: Sequence[TrialRecord], batches: Sequence[Sequence[Report]]
) -> list[str]:
    """Returns the trials that an uninterrupted search would have ended otherwise.

    Args:
        plan: of the search.
        rows: its trials.
        batches: all its reports, as they had arrived.
    """
    judge = Pruner(
        plan.rungs, plan.periods, plan.dataset.periods_per_year,
        reduction_factor=plan.settings.reduction_factor, objective=plan.settings.objective,
        rule=plan.rung_rule,        warmup_ends=plan.warmup_ends,
    )  # fmt: skip
    for row in rows:
        judge.register(row.number, row.seed)
        if row.kind not in SEARCHED:
            judge.exempt(row.number, to_its_end=row.kind == "regret")
        if row.default:
            judge.spare(row.number)
    verdicts: dict[int, Verdict] = {}
    for batch in batches:
        verdicts |= judge.judge(batch)
    found = []
    for row in rows:
        verdict = verdicts.get(row.number, CONTINUE)
        if verdict.undecided and row.reason == "asha_rung":
            continue  # it was judged again when its rung had more values
        told = (verdict.state, verdict.reason, verdict.evidence) if verdict.ends else None
        if row.reason in BY_RULES and told != (row.state, row.reason, row.evidence):
            found.append(
                f"trial {row.number} is {row.state} for {row.reason} {row.evidence}; by the same "
                f"reports without a break it is {told}"
            )
    return found


def _rows(table: pa.Table) -> list[dict]:
    names = [name for name in ("number", "epoch", "batch", *VALUES) if name in table.column_names]
    blank = dict.fromkeys(VALUES)
    return [blank | row for row in table.select(names).to_pylist()]
