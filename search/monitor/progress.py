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

from search.monitor.best import LEVEL, Best
from search.monitor.notebook import Cell
from search.monitor.time_left import TimeLeft
from search.pruning.asha import RungState
from trainable.cli.text import counted, duration, listed, signed
from trainable.stop_reasons import INFRASTRUCTURE, KEEPS_MODEL, NUMERIC_FAILURES, STOP_REASONS

BAD = (*NUMERIC_FAILURES, *INFRASTRUCTURE)
FIGURES = {"sharpe": "Sharpe", "ic": "IC", "rank_ic": "rank IC", "loss": "loss"}
OBJECTIVES = {**FIGURES, "val_loss": "loss"}


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
        seeds: further seeds of finalists that were begun so far.
        seeds_ended: how many of them have ended.
        regret: stopped trials that are still to be finished on the side, in training or waiting.
        left: how long the search still takes; None: not known.
        best: who the ranking would put first now; None before a configuration has finished.
        objective: what the sampler raises.
        luck: the luck line, annual Sharpe ratio; None where unknown.
        tries: what it counts: all that was tried on these data, in other runs, too; None: `total`.
        periods: validation periods.
        period_name: what a period is called, in the plural.
        rungs: from the first.
        dashboard: address of Ray's dashboard.
        placebo: which placebo this is; None: it is none.
        over: whether the search has ended.
    """

    name: str
    total: int
    reasons: Mapping[str, int] = field(default_factory=dict)
    elapsed_s: float = 0.0
    running: int = 0
    elsewhere: int = 0
    seeds: int = 0
    seeds_ended: int = 0
    regret: int = 0
    left: TimeLeft | None = None
    best: Best | None = None
    objective: str = "sharpe"
    luck: float | None = None
    tries: int | None = None
    periods: int = 0
    period_name: str = "days"
    rungs: tuple[RungState, ...] = ()
    dashboard: str | None = None
    placebo: str | None = None
    over: bool = False

    @property
    def done(self) -> int:
        """Configurations that ended."""
        return sum(self.reasons.values())


def render(snapshot: Snapshot) -> RenderableType:
    """Returns the live display; fits any width."""
    head = Text.assemble((snapshot.name, "bold"), (f"  {_time(snapshot)}", "dim"))
    done = Table.grid(padding=(0, 2), expand=True)
    done.add_column(ratio=1)
    done.add_column(no_wrap=True)
    bar = ProgressBar(max(1, snapshot.total), min(snapshot.done, snapshot.total))
    done.add_row(bar, _done(snapshot))
    facts = Table.grid(padding=(0, 2))
    facts.add_column(style="dim", no_wrap=True)
    facts.add_column(overflow="fold", ratio=1)
    if not snapshot.over:
        facts.add_row("training", _training(snapshot))
    if snapshot.reasons:
        facts.add_row("ended", _reasons(snapshot.reasons))
    facts.add_row("best", _best(snapshot))
    if snapshot.luck is not None:
        facts.add_row("luck", _luck(snapshot))
    for rung in snapshot.rungs[:-1]:
        facts.add_row("", _rung(rung, snapshot.objective))
    if snapshot.dashboard:
        facts.add_row("watch", Text(snapshot.dashboard))
    return Group(head, done, facts)


def lines(snapshot: Snapshot) -> str:
    """Returns the same as one line of plain text."""
    reasons = _reasons(snapshot.reasons).plain
    parts = [
        *([] if snapshot.placebo is None else [snapshot.placebo]),
        _done(snapshot),
        f"training {_training(snapshot)}",
        *([reasons] if reasons else []),
        f"best {_best(snapshot).plain}",
        *([] if snapshot.luck is None else [_luck(snapshot)]),
        _time(snapshot),
    ]
    return " | ".join(parts)


class Progress:
    """Shows snapshots of a search; in a `with` block.

    In a terminal and in a notebook the display is drawn in place. Elsewhere a line is printed every
    `interval_s` seconds, at the first and at the last snapshot.
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
        self._cell: Cell | None = None
        self._latest: Snapshot | None = None
        self._printed: tuple[float, Snapshot] | None = None

    def update(self, snapshot: Snapshot) -> None:
        """Shows a new state of the search."""
        self._latest = snapshot
        if self._live is not None:
            self._live.update(render(snapshot))
        elif self._cell is not None:
            self._cell.draw(render(snapshot))
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
        elif self._console.is_jupyter:
            self._cell = Cell()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None
        elif self._cell is not None:
            self._cell = None
        elif self._latest and (self._printed is None or self._printed[1] != self._latest):
            self._print_line(self._latest)


def _done(snapshot: Snapshot) -> str:
    """Says how much has ended: `62 of 64 configurations, 5 of 8 seeds`."""
    said = f"{snapshot.done:,} of {counted(snapshot.total, 'configuration')}"
    if not snapshot.seeds:
        return said
    return f"{said}, {snapshot.seeds_ended:,} of {counted(snapshot.seeds, 'seed')}"


def _time(snapshot: Snapshot) -> str:
    if snapshot.over:
        return f"took {duration(snapshot.elapsed_s)}"
    elapsed = f"{duration(snapshot.elapsed_s)} so far"
    return elapsed if snapshot.left is None else f"{elapsed}, {snapshot.left.words()}"


def _training(snapshot: Snapshot) -> str:
    elsewhere = f" here, {snapshot.elsewhere} elsewhere" if snapshot.elsewhere else ""
    aside = ""
    if snapshot.regret:
        aside = f", {counted(snapshot.regret, 'stopped trial')} to finish on the side"
    if not (snapshot.running or snapshot.elsewhere or snapshot.done or snapshot.regret):
        return "none yet: the workers start"
    return f"{snapshot.running}{elsewhere}{aside}"


def _reasons(reasons: Mapping[str, int]) -> Text:
    """Says how trials have ended, the most frequent end first."""
    text = Text()
    for reason, count in sorted(reasons.items(), key=lambda item: (-item[1], item[0])):
        if count:
            style = "green" if reason in KEEPS_MODEL else "red" if reason in BAD else ""
            text.append(", " if text else "")
            text.append(f"{count:,} {STOP_REASONS[reason].words}", style)
    return text


def _best(snapshot: Snapshot) -> Text:
    """Says who is best, coloured by how often luck alone would reach as much."""
    if snapshot.best is None:
        return Text("none yet: no configuration has finished")
    text, p = Text(snapshot.best.sentence(provisional=not snapshot.over)), snapshot.best.p
    if p is not None:
        text.stylize("bold green" if p <= LEVEL else "yellow")
    return text


def _luck(snapshot: Snapshot) -> str:
    tries = snapshot.total if snapshot.tries is None else snapshot.tries
    many = tries != 1
    subject = f"the best of {tries:,} tries" if many else "one try"
    where = f" on {snapshot.periods:,} {snapshot.period_name}" if snapshot.periods else ""
    return f"{subject} without skill would reach {signed(snapshot.luck or 0.0)}{where}"


def _rung(rung: RungState, objective: str) -> str:
    """Says who has reached a rung, and what takes a trial past it."""
    said = f"reached epoch {rung.epoch}: {rung.count:,}"
    if rung.cutoff is None:
        return said
    by = rung.by.split(", ")
    if len(by) > 1:
        names = listed([FIGURES[name] for name in by])
        return f"{said}, mean rank by {names} needed to go on {rung.cutoff:.2f}"
    figure = OBJECTIVES[objective if rung.by == "objective" else rung.by]
    if figure == "loss":  # rungs hold it negated: higher is better
        return f"{said}, loss needed to go on at most {-rung.cutoff:.4f}"
    return f"{said}, {figure} needed to go on {signed(rung.cutoff)}"
