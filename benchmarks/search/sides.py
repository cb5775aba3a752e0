"""The two sides of `benchmarks.search`: how each is started on the same work, and what it found."""

import json
import math
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from trainable.cli.errors import UserError

SPACES = Path(__file__).parent / "spaces"
WARMUP = 2000  # the peer's, in steps
# The peer's rungs, one training a trial, and no dashboard, as the peer has none.
EQUAL = (
    "rungs=1,4,10", "pruning=objective", "finalist_seeds=1", "try_default=false", "dashboard=false",
)  # fmt: skip


@dataclass(frozen=True)
class Work:
    """What both sides do.

    Attributes:
        table: Parquet file of `timestamp`, `symbol`, `feat_*` and `target`.
        trials, epochs: of the search.
        wide: the space in which much explodes. hidden: widths; None: searched. batch: rows.
    """

    table: Path
    trials: int
    epochs: int
    wide: bool = False
    hidden: str | None = None
    batch: int = 32

    @property
    def label(self) -> str:
        """A name for files, such as `256x10_wide`."""
        parts = [self.table.stem, f"{self.trials}x{self.epochs}"]
        parts += ["wide"] * self.wide + ([self.hidden] if self.hidden else [])
        return "_".join([*parts, f"b{self.batch}"] if self.batch != 32 else parts)


@dataclass(frozen=True)
class Cut:
    """The peer's split of a table: dates, and the training rows before the first of them."""

    valid_from: str
    gate_from: str
    test_from: str
    train_rows: int


def cut_of(table: Path) -> Cut:
    """Returns the split after 70 and 85 % of the dates; what the peer leaves unread is halved.

    Raises:
        UserError: the table cannot be read or is too short.
    """
    try:
        stamps = pd.read_parquet(table, columns=["timestamp"])["timestamp"].to_numpy()
    except (OSError, ValueError) as error:
        raise UserError(f"--table {table}: cannot be read: {error}") from error
    dates = np.unique(stamps)
    if len(dates) < 40:
        raise UserError(f"--table {table} has {len(dates)} dates; 40 or more work")
    places = [int(len(dates) * share) for share in (0.7, 0.85, 0.925)]
    named = [str(pd.Timestamp(dates[place])) for place in places]
    # A label of the last training date would reach into the validation part.
    return Cut(*named, train_rows=int((stamps < dates[places[0] - 1]).sum()))


def warmup_of(work: Work, cut: Cut) -> int:
    """Returns the warm-up of our side: the peer's, or half of all steps, the most that we allow."""
    return min(WARMUP, work.epochs * (cut.train_rows // work.batch) // 2)


def our_command(work: Work, cut: Cut, seed: int, folder: Path, extra: tuple[str, ...]) -> list[str]:
    """Returns the command of our search, whose run folder is `folder`."""
    space = SPACES / ("peer_wide.py" if work.wide else "peer.py")
    words = [
        f"space={space}",
        f"name={folder.name}",
        f"runs_dir={folder.parent}",
        f"data.path={work.table}",
        "data.features=feat_*",
        "data.target=target",
        "data.cost_bps=0",
        "data.periods_per_year=252",
        f"data.valid_from={cut.valid_from}",
        f"data.gate_from={cut.gate_from}",
        f"data.test_from={cut.test_from}",
        f"trials={work.trials}",
        f"epochs={work.epochs}",
        f"seed={seed}",
        f"fix.train/batch_size={work.batch}",
        f"fix.schedule/warmup_steps={warmup_of(work, cut)}",
    ]
    hidden = [f"fix.model/hidden_dims={work.hidden}"] if work.hidden else []
    return [sys.executable, "-m", "search.run", *words, *hidden, *_rungs(extra, work.epochs)]


def peer_command(work: Work, seed: int, script: Path, reuse: bool) -> list[str]:
    """Returns the peer's command."""
    words = ["--table", str(work.table), "--trials", str(work.trials), "--epochs", str(work.epochs)]
    words += ["--batch", str(work.batch), "--seed", str(seed)]
    words += ["--hidden", work.hidden] if work.hidden else []
    return [sys.executable, str(script), *words, *["--wide"] * work.wide, *["--reuse"] * reuse]


def our_findings(folder: Path) -> dict[str, Any]:
    """Returns what a run folder says: trials, epochs, and the best Sharpe as the peer counts it.

    `best_sharpe` is the highest of the trials' last reports; `winner_sharpe` that of the trial
    which the ranking puts first, at its epoch of lowest validation loss.
    """
    rows = pd.read_parquet(folder / "trials.parquet").to_dict("records")
    trials = {row["number"]: row for row in rows if row["kind"] in ("search", "seed")}
    reports = pd.read_parquet(folder / "epochs.parquet", columns=["number", "epoch", "sharpe"])
    ordered = reports.sort_values("epoch").to_dict("records")
    mine = [report for report in ordered if report["number"] in trials]
    last = {report["number"]: _number(report["sharpe"]) for report in mine}
    searched = [number for number, row in trials.items() if row["kind"] == "search"]
    found = [value for n in searched if (value := last.get(n)) is not None]
    best = json.loads((folder / "run.json").read_text(encoding="utf-8")).get("best")
    return {
        "trials": len(searched),
        "epochs": len(mine),
        "best_sharpe": max(found, default=None),
        "winner_sharpe": _number(trials[best]["sharpe"]) if best in trials else None,
        "reasons": dict(Counter(str(row["stop_reason"]) for row in trials.values())),
    }


def peer_findings(log: Path) -> dict[str, Any]:
    """Returns the JSON line that the peer printed last.

    Raises:
        UserError: there is none.
    """
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    found = [line for line in lines if line.startswith('{"trials"')]
    if not found:
        raise UserError(f"the peer printed no JSON line; its last line: {(lines or ['none'])[-1]}")
    content = json.loads(found[-1])
    return {k: _number(v) if isinstance(v, float) else v for k, v in content.items()}


def _rungs(extra: tuple[str, ...], epochs: int) -> list[str]:
    """Returns the settings, with rungs past the last epoch left out."""
    words = []
    for word in extra:
        if word.startswith("rungs="):
            levels = [r for r in map(int, word.removeprefix("rungs=").split(",")) if r < epochs]
            word = f"rungs={','.join(map(str, [*levels, epochs]))}"
        words.append(word)
    return words


def _number(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else float(value)
