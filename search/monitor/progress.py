"""A search as it runs: a live display in a terminal, plain lines everywhere else."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from search.pruning.asha import RungState
from trainable.cli.text import counted
from trainable.stop_reasons import INFRASTRUCTURE, KEEPS_MODEL, NUMERIC_FAILURES

BAD = (*NUMERIC_FAILURES, *INFRASTRUCTURE)


@dataclass(frozen=True)
class Snapshot:
    """A search at one moment.

    Attributes:
        name: of the run.
        total: searched configurations asked for.
        reasons: how many of them ended, by stop reason.
        elapsed_s: seconds since this process began to search.
        running: configurations in training, of this driver.
        elsewhere: trials that other drivers of the search have in flight.
        waiting: seeds of finalists that are still to be trained.
        regret: stopped trials that are still to be finished on the side, in training or waiting.
        done_before: of those that ended, how many had when this process began (a resumed run).
        best: highest annual Sharpe ratio so far; None before there is one.
        best_number: the trial that has it.
        luck: the luck line, annual Sharpe ratio; None where unknown.
        tries: what it counts: all that was tried on these data, in other runs, too; None: `total`.
        periods: validation periods.
        period_name: what a period is called, in the plural.
        rungs: from the first.
        dashboard: address of Ray's dashboard.
        placebo: which placebo this is; None: it is none.
    """

    name: str
    total: int
    reasons: Mapping[str, int] = field(default_factory=dict)
    elapsed_s: float = 0.0
    running: int = 0
    elsewhere: int = 0
    waiting: int = 0
    regret: int = 0
    done_before: int = 0
    best: float | None = None
    best_number: int | None = None
    luck: float | None = None
    tries: int | None = None
    periods: int = 0
    period_name: str = "days"
    rungs: tuple[RungState, ...] = ()
    dashboard: str | None = None
    placebo: str | None = None

    @property
    def done(self) -> int:
        """Configurations that ended."""
        return sum(self.reasons.values())

    @property
    def per_hour(self) -> float | None:
        """Configurations that end in an hour; None before the first did."""
        ended = self.done - self.done_before
        return ended / self.elapsed_s * 3600 if ended > 0 and self.elapsed_s > 0 else None

    @property
    def left_s(self) -> float | None:
        """Seconds left at this pace."""
        return (self.total - self.done) / self.per_hour * 3600 if self.per_hour else None


def render(snapshot: Snapshot) -> RenderableType:
    """Returns the live display; fits any width."""
    head = Text.assemble((snapshot.name, "bold"), (f"  {_pace(snapshot)}", "dim"))
    done = Table.grid(padding=(0, 2), expand=True)
    done.add_column(ratio=1)
    done.add_column(no_wrap=True)
    bar = ProgressBar(max(1, snapshot.total), min(snapshot.done, snapshot.total))
    done.add_row(bar, f"{snapshot.done} of {counted(snapshot.total, 'trial')}")
    facts = Table.grid(padding=(0, 2))
    facts.add_column(style="dim", no_wrap=True)
    facts.add_column(overflow="fold", ratio=1)
    facts.add_row("running", _running(snapshot))
    if snapshot.reasons:
        facts.add_row("ended", _reasons(snapshot.reasons))
    facts.add_row("best", _best(snapshot))
    if snapshot.rungs:
        facts.add_row("rungs", Text(_rungs(snapshot.rungs)))
    if snapshot.dashboard:
        facts.add_row("watch", Text(snapshot.dashboard))
    return Group(head, done, facts)


def lines(snapshot: Snapshot) -> str:
    """Returns the same as one line of plain text."""
    reasons = _reasons(snapshot.reasons).plain
    parts = [
        *([] if snapshot.placebo is None else [snapshot.placebo]),
        f"{snapshot.done}/{counted(snapshot.total, 'trial')}",
        f"running {_running(snapshot)}",
        *([reasons] if reasons else []),
        f"best {_best(snapshot).plain}",
        _pace(snapshot),
    ]
    return " | ".join(parts)


class Progress:
    """Shows snapshots of a search; in a `with` block.

    In a terminal the display is drawn in place. Elsewhere a line is printed every `interval_s`
    seconds, at the first and at the last snapshot.
    """

    def __init__(
        self,
        console: Console | None = None,
        interval_s: float = 10.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._console = console or Console(highlight=False, markup=False)
        self._interval_s = interval_s
        self._clock = clock
        self._live: Live | None = None
        self._latest: Snapshot | None = None
        self._printed: tuple[float, Snapshot] | None = None

    def update(self, snapshot: Snapshot) -> None:
        """Shows a new state of the search."""
        self._latest = snapshot
        if self._live is not None:
            self._live.update(render(snapshot))
        elif self._printed is None or self._clock() - self._printed[0] >= self._interval_s:
            self._print_line(snapshot)

    def note(self, text: str) -> None:
        """Prints an event, above the live display."""
        self._console.print(Text(text), soft_wrap=self._live is None)

    def _print_line(self, snapshot: Snapshot) -> None:
        self._console.print(Text(lines(snapshot)), soft_wrap=True)
        self._printed = self._clock(), snapshot

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._live = Live(console=self._console, refresh_per_second=4)
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None
        elif self._latest and (self._printed is None or self._printed[1] != self._latest):
            self._print_line(self._latest)


def duration(seconds: float) -> str:
    """Returns a length of time as a person says it: `45 s`, `12 min`, `3 h 20 min`, `2 d 4 h`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    if minutes < 90:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {minutes} min"
    days, hours = divmod(round(seconds / 3600), 24)
    return f"{days} d {hours} h"


def _pace(snapshot: Snapshot) -> str:
    elapsed = f"{duration(snapshot.elapsed_s)} so far"
    if snapshot.per_hour is None or snapshot.left_s is None:
        return elapsed
    digits = 0 if snapshot.per_hour >= 10 else 1
    pace = f"{snapshot.per_hour:,.{digits}f} trials/h"
    left = f"about {duration(snapshot.left_s)} left" if snapshot.left_s > 0 else elapsed
    return f"{pace}, {left}"


def _running(snapshot: Snapshot) -> str:
    elsewhere = f" here, {snapshot.elsewhere} elsewhere" if snapshot.elsewhere else ""
    waiting = counted(snapshot.waiting, "seed")
    seeds = f", {waiting} of finalists to go" if snapshot.waiting else ""
    aside = f", {counted(snapshot.regret, 'stopped trial')} to finish on the side"
    return f"{snapshot.running}{elsewhere}{seeds}{aside if snapshot.regret else ''}"


def _reasons(reasons: Mapping[str, int]) -> Text:
    text = Text()
    for reason, count in sorted(reasons.items(), key=lambda item: (-item[1], item[0])):
        if count:
            style = "green" if reason in KEEPS_MODEL else "red" if reason in BAD else ""
            text.append(", " if text else "").append(f"{reason} {count}", style)
    return text


def _best(snapshot: Snapshot) -> Text:
    if snapshot.best is None:
        text = Text("none yet")
    else:
        trial = "" if snapshot.best_number is None else f" (trial {snapshot.best_number})"
        text = Text(f"{snapshot.best:.2f}{trial}")
    if snapshot.luck is None:
        return text
    if snapshot.best is not None:
        text.stylize("bold green" if snapshot.best > snapshot.luck else "yellow")
    tries = snapshot.total if snapshot.tries is None else snapshot.tries
    subject = counted(tries, "useless trial")
    where = f" on {snapshot.periods:,} {snapshot.period_name}" if snapshot.periods else ""
    return text.append(f"; {subject}{where} would reach {snapshot.luck:.2f}", "dim")


def _rungs(rungs: tuple[RungState, ...]) -> str:
    return ", ".join(
        f"epoch {rung.epoch}: {rung.count}"
        + ("" if rung.cutoff is None else f" ({_cutoff(rung.by, rung.cutoff)})")
        for rung in rungs
    )


def _cutoff(by: str, value: float) -> str:
    """Says what passes a rung that scores by this."""
    if by == "loss":
        return f"loss up to {-value:.4f}"
    return f"{'mean rank' if ',' in by else 'cutoff'} {value:.2f}"
