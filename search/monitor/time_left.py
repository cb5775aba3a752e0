"""How long a search still takes: what is left of it is played out many times, at its own pace.

Pure: a frozen `Outlook` goes in, seconds come out. Trials end as those before them ended, by epoch;
their workers, cohorts and seeds follow the rules of `search.scheduling`, in a few lines of each.
"""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import ceil, sqrt
from random import Random
from statistics import fmean, pstdev, pvariance

from search.scheduling.cohorts import PROGRAM
from search.scheduling.seed_race import Finalist, seeds_to_begin
from trainable.cli.text import duration

PLAYED = 16  # times
SIMULATED = 160  # trials that are still to be asked; more of them take as long each
SEEN = 10.0  # epochs between rungs, of all trials, that count as survived before any is known
NEAR = 1.5  # other epochs say something of one, up to so many times as late
PRIOR = 3.0  # trials that the expectation of a rung counts for
SPREAD = 0.4  # deviation between two seeds of one configuration ÷ error of a Sharpe ratio
NARROW = 1.35  # high ÷ low up to which one number is said
UNSURE_PACE = 0.5  # relative deviation of the pace that one batch of reports shows
LEAST_UNSURE = 0.15
MOST_OF_ROWS_S = 30.0  # seconds after training that grow with the rows; more were not measured

Span = tuple[float, float]


@dataclass(frozen=True)
class Member:
    """A trial in training, or one that waits for it.

    Attributes:
        epoch: that it has behind it.
        kind: `search`, `default` (which no rung stops), `seed` or `regret`.
        shape: what members of one cohort share.
        number: of the trial.
        parent: of a seed, the number of its configuration's first trial.
        sharpe: that it has by now; None: it has none.
    """

    epoch: int
    kind: str = "search"
    shape: Hashable = None
    number: int = -1
    parent: int | None = None
    sharpe: float | None = None


@dataclass(frozen=True)
class Outlook:
    """What is known of the rest of a search.

    Attributes:
        slots: the members of each worker.
        waiting: trials that wait for a worker.
        unasked: searched trials that are still to be asked.
        in_flight: searched trials without an end, at most.
        members: of one worker.
        epochs: of a full training.
        rungs: epochs at which about one in `reduction_factor` passes; 1: nobody is stopped.
        reduction_factor: see `rungs`.
        reached: by epoch, how many searched trials have reported it.
        stopped: by epoch, how many of them were stopped there.
        finished: by epoch, how many of them finished there.
        seed_ends: epochs at which seeds of finalists have ended.
        finalists: who races for further seeds, and how they stand.
        finalist_seeds: seeds of a finalist at most.
        shapes: of the finalists, by number.
        error: standard error of a Sharpe ratio.
        sharpes: of the searched trials so far.
        regret: share of the stopped trials that is finished on the side.
        unit_s: seconds that a member adds to an epoch of its cohort; None before the first report.
        units_s: the same by shape.
        overhead: a worker's time over what it trains.
        batches: of reports, that the pace is known from.
        since_s: seconds since the latest batch of each worker; none: unknown.
        after_s: seconds from the end of training to that of the search: tables, ranking, models.
        budget_s: seconds until the time budget is over; None: there is none.
    """

    slots: tuple[tuple[Member, ...], ...]
    waiting: tuple[Member, ...] = ()
    unasked: int = 0
    in_flight: int = 16
    members: int = 8
    epochs: int = 1
    rungs: tuple[int, ...] = ()
    reduction_factor: int = 4
    reached: Mapping[int, int] = field(default_factory=dict)
    stopped: Mapping[int, int] = field(default_factory=dict)
    finished: Mapping[int, int] = field(default_factory=dict)
    seed_ends: tuple[int, ...] = ()
    finalists: tuple[Finalist, ...] = ()
    finalist_seeds: int = 1
    shapes: Mapping[int, Hashable] = field(default_factory=dict)
    error: float = 1.0
    sharpes: tuple[float, ...] = ()
    regret: float = 0.0
    unit_s: float | None = None
    units_s: Mapping[Hashable, float] = field(default_factory=dict)
    overhead: float = 1.0
    batches: int = 0
    since_s: tuple[float, ...] = ()
    after_s: float = 0.0
    budget_s: float | None = None

    @property
    def trials(self) -> list[Member]:
        """All that train or wait for it."""
        return [*self.waiting, *(one for own in self.slots for one in own)]


@dataclass(frozen=True)
class TimeLeft:
    """Seconds that a search still takes: what is expected, and a range that mostly holds it."""

    expected: float
    low: float
    high: float

    def after(self, seconds: float) -> "TimeLeft":
        """Returns what is left so many seconds later."""
        return TimeLeft(*(max(0.0, s - seconds) for s in (self.expected, self.low, self.high)))

    def words(self) -> str:
        """Returns `about 4 min left`, or a range while it cannot know: `about 3–6 min left`."""
        low, high = _rounded(self.low), _rounded(self.high)
        if self.high <= NARROW * self.low or low == high or self.high < 10:
            return f"about {duration(_rounded(self.expected))} left"
        first, last = duration(low), duration(high)
        if first.count(" ") == last.count(" ") == 1 and first.split()[1] == last.split()[1]:
            return f"about {first.split()[0]}–{last} left"
        return f"about {first} to {last} left"


def time_left(outlook: Outlook, seed: int = 0) -> TimeLeft | None:
    """Returns how long a search still takes; None before its pace is known.

    Args:
        outlook: what is known of it.
        seed: of the draws; the same one gives the same figures.
    """
    if outlook.unit_s is None:
        return None
    random, fate = Random(seed), _Fate(outlook)
    played = sorted(_Play(outlook, fate, random).seconds() for _ in range(PLAYED))
    unsure = max(LEAST_UNSURE, UNSURE_PACE / sqrt(max(1, outlook.batches)))
    low, middle, high = (played[round(q * (PLAYED - 1))] for q in (0.06, 0.5, 0.94))
    spans = (low / (1 + unsure), middle, high * (1 + unsure))
    if outlook.budget_s is not None:
        spans = tuple(min(span, max(0.0, outlook.budget_s)) for span in spans)
    low, middle, high = (span + outlook.after_s for span in spans)
    return TimeLeft(middle, low, high)


class _Fate:
    """When trials end, learned from those that have."""

    def __init__(self, outlook: Outlook) -> None:
        self.epochs = outlook.epochs
        cut = 1 - 1 / outlook.reduction_factor
        rungs = set(outlook.rungs) - {self.epochs}
        self.stops, self.finishes = [0.0] * (self.epochs + 1), [0.0] * (self.epochs + 1)
        between = [epoch for epoch in range(1, self.epochs) if epoch not in rungs]
        between = [epoch for epoch in between if epoch > min(rungs, default=0)]
        alive = outlook.reached.get(1, 0) + outlook.unasked
        alive += sum(one.kind == "search" and one.epoch == 0 for one in outlook.trials)
        for epoch in range(1, self.epochs):
            at_risk = outlook.reached.get(epoch, 0) + PRIOR
            # Who is flat, or has failed or finished before its time, ends at no epoch of its own.
            near = [other for other in between if epoch / NEAR <= other <= epoch * NEAR]
            seen = SEEN + sum(outlook.reached.get(other, 0) for other in near)
            prior, early = (
                sum(ended.get(other, 0) for other in near) / seen if epoch in between else 0.0
                for ended in (outlook.stopped, outlook.finished)
            )
            if epoch in rungs and alive > outlook.reduction_factor:  # fewer cut nobody
                prior = cut
            self.stops[epoch] = (outlook.stopped.get(epoch, 0) + PRIOR * prior) / at_risk
            self.finishes[epoch] = (outlook.finished.get(epoch, 0) + PRIOR * early) / at_risk
            alive *= 1 - self.stops[epoch] - self.finishes[epoch]
        self.rungs = rungs
        finished = [e for e, count in outlook.finished.items() for _ in range(count)]
        self.lengths = [*finished, *3 * outlook.seed_ends]

    def end(self, member: Member, random: Random, due: dict[int, float]) -> tuple[int, bool]:
        """Returns the epoch at which a member ends, and whether it has finished there.

        Args:
            member: in training, or about to be.
            random: draws.
            due: by rung, the share of a trial that it is still to stop: of four trials it stops
                three, whatever the draws.
        """
        if member.kind == "regret":
            return max(self.epochs, member.epoch + 1), True
        if member.kind == "seed":
            longer = [length for length in self.lengths if length > member.epoch]
            return random.choice(longer) if longer else max(self.epochs, member.epoch + 1), True
        for epoch in range(member.epoch + 1, self.epochs):
            drawn = random.random()
            if drawn < self.finishes[epoch]:
                return epoch, True
            if member.kind == "default":
                continue
            if epoch not in self.rungs and drawn < self.finishes[epoch] + self.stops[epoch]:
                return epoch, False
            if epoch in self.rungs:
                due[epoch] = due.setdefault(epoch, random.random()) + self.stops[epoch]
                if due[epoch] >= 1:
                    due[epoch] -= 1
                    return epoch, False
        return max(self.epochs, member.epoch + 1), True


@dataclass
class _Running:
    """A member in play, with the epochs that it has left."""

    member: Member
    left: int
    finishes: bool


@dataclass
class _Slot:
    """A worker: its own time, and when the next of its members ends."""

    clock: float = 0.0
    next: float = 0.0
    members: list[_Running] = field(default_factory=list)


class _Play:
    """One way that the rest of a search may go."""

    def __init__(self, outlook: Outlook, fate: _Fate, random: Random) -> None:
        self.outlook, self.fate, self.random = outlook, fate, random
        self.due: dict[int, float] = {}
        self.slots = [_Slot() for _ in outlook.slots]
        for slot, members in zip(self.slots, outlook.slots, strict=True):
            slot.members = [self._running(member) for member in members]
        for slot, since in zip(self.slots, outlook.since_s, strict=False):
            if slot.members:  # it trains on; at a rung, or an end, it would have reported
                epochs = min(map(self._silent, slot.members))
                slot.clock = -min(since, epochs * self._epoch_s(slot.members))
        self.waiting = [one for one in outlook.waiting if one.kind in ("search", "default")]
        self.aside = [one for one in outlook.waiting if one.kind not in ("search", "default")]
        self.unasked = min(outlook.unasked, SIMULATED)
        self.asked_at = 0.0  # when the last one was
        self.shapes = [one.shape for members in outlook.slots for one in members]
        self.shapes += [one.shape for one in outlook.waiting] or list(outlook.units_s)
        self.shape_of = {one.number: one.shape for one in outlook.trials} | dict(outlook.shapes)
        self.race = {one.number: one for one in outlook.finalists}
        self.next = 1 + max([*self.race, *(one.number for one in outlook.trials)], default=0)
        own = [one.sharpes[0] for one in outlook.finalists if one.sharpes]
        few = sorted(outlook.sharpes)[-max(2, len(outlook.sharpes) // 4) :]
        known = own if len(own) > 2 else few
        self.centre = fmean(known) if known else 0.0
        self.spread = pstdev(known) if len(known) > 1 else outlook.error
        total = pvariance(outlook.sharpes) if len(outlook.sharpes) > 1 else 0.0
        self.between = max(0.0, total - (SPREAD * outlook.error) ** 2)  # of configurations

    def seconds(self) -> float:
        """Plays to the end; returns the seconds."""
        for slot in self.slots:
            self._fill(slot)
        last = 0.0
        while busy := [slot for slot in self.slots if slot.members]:
            slot = min(busy, key=lambda slot: slot.next)
            epochs = min(one.left for one in slot.members)
            slot.clock = slot.next
            last = max(last, slot.clock)
            for one in slot.members:
                one.left -= epochs
            ended = [one for one in slot.members if one.left <= 0]
            slot.members = [one for one in slot.members if one.left > 0]
            self._note(ended)
            self._fill(slot)
            self._fill_all(slot.clock)
        more = self.outlook.unasked - min(self.outlook.unasked, SIMULATED)
        return last + more * self.asked_at / SIMULATED

    def _epoch_s(self, members: Sequence[_Running]) -> float:
        counts: dict[Hashable, int] = {}
        for one in members:
            counts[one.member.shape] = counts.get(one.member.shape, 0) + 1
        unit = self.outlook.unit_s or 0.0
        units = self.outlook.units_s
        seconds = sum(units.get(s, unit) * (n + PROGRAM) for s, n in counts.items())
        return seconds * self.outlook.overhead

    def _silent(self, one: _Running) -> int:
        """Returns the epochs that a member may have trained since its latest report."""
        ahead = (rung - one.member.epoch for rung in self.outlook.rungs)
        return min([one.left, *(epochs for epochs in ahead if epochs > 0)])

    def _running(self, member: Member) -> _Running:
        end, finishes = self.fate.end(member, self.random, self.due)
        return _Running(member, end - member.epoch, finishes)

    @property
    def _to_ask(self) -> bool:
        return self.unasked > 0

    def _note(self, ended: Sequence[_Running]) -> None:
        """Takes in trials that have ended; finalists race as soon as all trials are asked."""
        news = False
        for one in ended:
            member, draw = one.member, self.random.gauss
            if member.kind == "seed" and member.parent in self.race:
                parent = self.race[member.parent]
                sharpe = draw(self._like(parent), SPREAD * self.outlook.error)
                seeds, training = (*parent.sharpes, sharpe), parent.training - 1
                self.race[parent.number] = replace(parent, sharpes=seeds, training=training)
                news = True
            elif member.kind in ("search", "default") and one.finishes:
                sharpe = draw(self.centre, self.spread)
                if member.sharpe is not None:
                    sharpe = draw(member.sharpe, SPREAD * self.outlook.error)
                known = self.race.get(member.number, Finalist(member.number, (), begun=1))
                seeds = (sharpe, *known.sharpes)
                self.race[member.number] = replace(known, sharpes=seeds)
                news = True
            elif member.kind == "search" and self.random.random() < self.outlook.regret:
                self.aside.append(Member(0, "regret", member.shape))
        if news and not self._to_ask:
            self._add_seeds()

    def _like(self, parent: Finalist) -> float:
        """Returns the Sharpe ratio that the next seed of a finalist is expected to have."""
        if not parent.sharpes:
            return self.centre
        seed = (SPREAD * self.outlook.error) ** 2 / len(parent.sharpes)
        signal = self.between / (self.between + seed) if self.between > 0 else 0.0
        return self.centre + signal * (fmean(parent.sharpes) - self.centre)

    def _add_seeds(self) -> None:
        wanted = seeds_to_begin(
            list(self.race.values()), self.outlook.finalist_seeds, self.outlook.error
        )
        for number, count in wanted.items():
            one = self.race[number]
            begun, training = one.begun + count, one.training + count
            self.race[number] = replace(one, begun=begun, training=training)
            shape = self.shape_of.get(number)
            self.aside += [Member(0, "seed", shape, parent=number)] * count

    def _fill_all(self, now: float) -> None:
        for slot in self.slots:
            if not slot.members:
                slot.clock = max(slot.clock, now)
                self._fill(slot)

    def _fill(self, slot: _Slot) -> None:
        """Gives a slot what it takes in between two epochs; notes when the next member ends."""
        self._take_in(slot)
        if slot.members:
            epochs = min(one.left for one in slot.members)
            slot.next = slot.clock + epochs * self._epoch_s(slot.members)

    def _take_in(self, slot: _Slot) -> None:
        joined = False
        while len(slot.members) < self.outlook.members and (member := self._searched(slot)):
            slot.members.append(self._running(member))
            joined = True
        if joined or self.waiting or self._to_ask:
            return
        alive = len(self.aside) + sum(len(one.members) for one in self.slots)
        share = max(self.outlook.members, ceil(alive / len(self.slots)))
        while self.aside and len(slot.members) < share:
            slot.members.append(self._running(self.aside.pop(0)))

    def _searched(self, slot: _Slot) -> Member | None:
        """Returns the next searched trial for a slot; None: there is none now."""
        if self.waiting:
            return self.waiting.pop(0)
        kinds = [one.member.kind for other in self.slots for one in other.members]
        busy = sum(kind in ("search", "default") for kind in kinds)
        if not self._to_ask or busy >= self.outlook.in_flight:
            return None
        self.unasked -= 1
        self.asked_at = slot.clock
        near = [one.member.shape for one in slot.members]  # a shape goes where it is trained
        shape = self.random.choice(near or self.shapes or [None])
        self.next += 1
        self.shape_of[self.next] = shape
        return Member(0, "search", shape, self.next)


def after_s(trials: int, rows: int) -> float:
    """Returns the seconds from the end of training to that of a search, as measured on two cores.

    Tables, models and report are written, and the ranking is tested.

    Args:
        trials: that were searched.
        rows: of the validation part.
    """
    return 4.5 + 0.02 * trials + min(MOST_OF_ROWS_S, 5e-6 * rows)


def _rounded(seconds: float) -> float:
    """Returns seconds with no more digits than can be known."""
    if seconds < 20:
        return max(1.0, round(seconds))
    if seconds < 90:
        return 5 * round(seconds / 5)
    return seconds
