"""Fills the slots of a search with the trials that wait."""

import math
import sys
from collections.abc import Callable, Hashable, Sequence
from itertools import cycle

from search.scheduling.capacity import Capacity
from search.scheduling.cohorts import CohortKey, members_to_take, moves_out
from search.scheduling.queue import WaitingQueue
from search.scheduling.slots import Slots
from search.scheduling.trial_progress import ProgressTable
from search.study.trials import TrialSpec
from trainable.config import TrialConfig, config_of, shape_key
from trainable.run_format import SEARCHED


class Placement:
    """The trials that wait, and the slots that take them in.

    Args:
        capacity: of the machines.
        progress: of the trials; the number of a trial's cohort is noted there.
        why_alone: why a model trains without others beside it; None: it does not.

    Attributes:
        notes: those reasons, each once.
        searched: searched trials that wait.
        seeds: seeds of finished configurations that wait.
        regret: trials that wait to be finished on the side.
        slots: who trains where.
        idle: slots that asked for members in vain.
        gpus: the GPU that a slot has a share of; slots on one GPU take turns with models that train
            alone.
        suspects: by trial, its group among those that may have broken a worker, until it trains on.
        moving: by trial, the slot that it moves to, until it is there.
        most: members of one slot, after memory ran out in one.
    """

    def __init__(
        self,
        capacity: Capacity,
        progress: ProgressTable,
        why_alone: Callable[[TrialConfig], str | None],
    ) -> None:
        self.capacity, self.progress, self.why_alone = capacity, progress, why_alone
        self.notes: list[str] = []
        self.searched, self.seeds, self.regret = (WaitingQueue() for _ in range(3))
        self.slots = Slots()
        self.idle: set[int] = set()
        self.gpus: dict[int, str] = {}
        self.suspects: dict[int, int] = {}
        self.moving: dict[int, int] = {}
        self.most = sys.maxsize
        self._moved: set[int] = set()  # that have moved since cohorts have dwindled
        self._looked: dict[
            int, tuple[int, int]
        ] = {}  # by slot: state of all slots at its last look for moves
        self._begun_slots: set[int] = set()  # whose worker has looked for members
        self._coming: list[tuple[CohortKey, TrialSpec]] = []  # that move, and wait for their slot
        self._groups = 0
        self._shapes: dict[int, Hashable] = {}

    @property
    def waiting(self) -> int:
        """How many trials wait for a slot."""
        return sum(map(len, self._queues)) + len(self._coming)

    def wait(self, number: int) -> None:
        """Lets a trial wait for a slot."""
        trial, key = self.progress[number].trial, self._key(number)
        if number in self.moving:
            self._coming.append((key, trial))
        else:
            self._queue(trial).add(key, trial)

    def shape(self, number: int) -> Hashable:
        """Returns what a trial shares with the others of its cohort."""
        if number not in self._shapes:
            self._shapes[number] = self._key(number).shape
        return self._shapes[number]

    def trials(self) -> list[TrialSpec]:
        """Returns the trials that wait, in the order in which their queues are served."""
        queued = [trial for queue in self._queues for trial in queue.trials()]
        return [*(trial for _, trial in self._coming), *queued]

    def trains_alone(self, number: int) -> bool:
        """Says whether a trial is a cohort of one."""
        why = self.why_alone(config_of(self.progress[number].trial.params))
        if why is not None and why not in self.notes:
            self.notes.append(why)
        return why is not None

    def take_searched(self, slot: int, whatever: bool = False) -> list[TrialSpec]:
        """Returns the searched trials that a slot takes in.

        Args:
            slot: that takes them in.
            whatever: also shapes that another slot trains more of.
        """
        return self._take(slot, self.searched, self.capacity.members, whatever)

    def take_seeds(self, slot: int) -> list[TrialSpec]:
        """Returns the seeds that a slot takes in.

        The sampler does not wait for seeds: all may train at once, shared out over the slots.
        """
        return self._take_share(slot, self.seeds)

    def take_regret(self, slot: int) -> list[TrialSpec]:
        """Returns the trials to finish on the side that a slot takes in, shared out like seeds."""
        return self._take_share(slot, self.regret)

    def take_moving(self, slot: int) -> list[TrialSpec]:
        """Returns the trials that a slot takes in that have left another for it."""
        self._begun_slots.add(slot)
        mine = [(key, trial) for key, trial in self._coming if self.moving[trial.number] == slot]
        if mine:
            self.idle.discard(slot)
        self._coming = [entry for entry in self._coming if entry not in mine]
        for key, trial in mine:
            del self.moving[trial.number]
            self.progress[trial.number].cohort = self.slots.add(slot, key, trial.number)
        return [trial for _, trial in mine]

    def take_all(self) -> list[int]:
        """Removes and returns the numbers of all trials that wait."""
        self._stop_moving(set(self.moving.values()))
        return [trial.number for queue in self._queues for trial in queue.take_all()]

    def take_for_others(self, others: int) -> list[int]:
        """Removes the share of `others` idle drivers of what waits; returns the numbers.

        A trial that lost a worker here stays: how often that happened is known only here.
        """
        share = math.ceil(sum(map(len, self._queues)) * others / (1 + others))

        def allowed(trial: TrialSpec) -> bool:
            return self.progress[trial.number].failures == 0

        taken: list[TrialSpec] = []
        for queue in self._queues:
            taken += queue.take_last(share - len(taken), allowed)
        return [trial.number for trial in taken]

    def ahead(self) -> int:
        """Returns how many trials to hold ready.

        Where trials fill cohorts: as many as may be in flight. Where all train one by one: few, so
        that the sampler knows more when it is asked.
        """
        waiting = self.searched.counts()
        keys = {*waiting, *self.slots.keys}
        if not keys or any(key.single is None for key in keys):
            return self.capacity.in_flight
        new = [key for key in waiting if key.single is not None and not self._begun(key.single)]
        workers = len(set(self.gpus.values())) if self.gpus else self.capacity.slots
        return max(0, workers - len(new))

    def surplus(self, slot: int) -> list[int]:
        """Returns the members that a slot gives away to slots that are idle while no trial waits.

        So machines that came while the other slots were full get work soon.
        """
        members = self.slots.members(slot)
        share = math.ceil(sum(map(len, self.slots.running.values())) / self.capacity.slots)
        over = len(members) - max(share, self.capacity.members)
        if (
            over <= 0
            or not self.idle - {slot}
            or len(self.searched)
            or self.suspects.keys() & members
        ):
            return []
        youngest = sorted(members, key=lambda number: (self.progress[number].epochs, -number))
        self.moving |= zip(youngest[:over], cycle(sorted(self.idle - {slot})), strict=False)
        return youngest[:over]

    def dwindled(self, slot: int) -> list[int]:
        """Returns the members that a slot gives to others, since cohorts have dwindled.

        Each moves once: it loses time until the other slot looks for members. None moves on GPUs,
        where what a program costs was not measured, nor after memory ran out or a worker failed.
        """
        if self.gpus or self.suspects or self.most < sys.maxsize:
            return []
        self._begun_slots.add(slot)
        state = self.slots.changes, len(self._begun_slots)
        if self._looked.get(slot) == state:
            return []
        self._looked[slot] = state
        sizes = {at: self.slots.sizes(at) for at in self._begun_slots}
        for number, to in self.moving.items():
            key = self._key(number)
            sizes[to][key] = sizes[to].get(key, 0) + 1
        held = {(to, self._key(number)) for number, to in self.moving.items()}
        held |= {
            (at, key)
            for at in sizes
            for key in self.slots.sizes(at)
            if self._moved & self.slots.cohort(at, key)
        }
        leaving: list[int] = []
        for key, count, to in moves_out(slot, sizes, self.capacity.members, held):
            members = sorted(self.slots.cohort(slot, key))[-count:]
            self.moving |= dict.fromkeys(members, to)
            leaving += members
        self._moved.update(leaving)
        return leaving

    def split(self, numbers: Sequence[int]) -> None:
        """Splits suspects into two halves, each to be tried in a slot of its own.

        Bisection isolates the culprit; the others lose little.
        """
        self._stop_moving(set(self.moving.values()))
        half = (len(numbers) + 1) // 2
        for part in (numbers[:half], numbers[half:]):
            self._groups += 1
            self.suspects |= dict.fromkeys(part, self._groups)

    def trust(self, number: int) -> None:
        """Notes that a trial has trained on since its worker failed."""
        self.suspects.pop(number, None)

    def shrink(self, members: int) -> None:
        """Notes that so many members in one slot are too many for its memory."""
        self._stop_moving(set(self.moving.values()))
        self.most = max(1, min(self.most, members // 2))

    def close(self, slot: int) -> list[int]:
        """Closes a slot; returns the members that were still in it."""
        self.idle.discard(slot)
        self.gpus.pop(slot, None)
        self._begun_slots.discard(slot)
        self._stop_moving({slot})
        return self.slots.close(slot)

    def _key(self, number: int) -> CohortKey:
        single = number if self.trains_alone(number) else None
        config = config_of(self.progress[number].trial.params)
        return CohortKey(shape_key(config), single, self.suspects.get(number))

    def _queue(self, trial: TrialSpec) -> WaitingQueue:
        if trial.kind in SEARCHED:
            return self.searched
        return self.regret if trial.kind == "regret" else self.seeds

    def _stop_moving(self, slots: set[int]) -> None:
        """Lets those that move to one of these slots go wherever there is room."""
        self.moving = {n: slot for n, slot in self.moving.items() if slot not in slots}
        for key, trial in self._coming:
            if trial.number not in self.moving:
                self._queue(trial).add(key, trial)
        self._coming = [entry for entry in self._coming if entry[1].number in self.moving]

    @property
    def _queues(self) -> tuple[WaitingQueue, ...]:
        """The queues in the order in which they are served."""
        return self.searched, self.seeds, self.regret

    def _take_share(self, slot: int, queue: WaitingQueue) -> list[TrialSpec]:
        live = len(queue) + sum(map(len, self.slots.running.values()))
        share = math.ceil(live / self.capacity.slots)
        return self._take(slot, queue, max(self.capacity.members, share))

    def _begun(self, number: int) -> bool:
        return self.progress[number].epochs > 0

    def _beside(self, slot: int) -> list[int]:
        """Returns the other slots on the same GPU."""
        gpu = self.gpus.get(slot)
        return [s for s, g in self.gpus.items() if g == gpu and s != slot] if gpu else []

    def _take(
        self, slot: int, queue: WaitingQueue, members: int, whatever: bool = False
    ) -> list[TrialSpec]:
        self.idle.discard(slot)
        if self.suspects.keys() & self.slots.members(slot):
            return []
        single_allowed = not any(map(self.slots.trains_alone, self._beside(slot)))
        counts = members_to_take(
            queue.counts(),
            self.slots.sizes(slot),
            {} if whatever else self.slots.largest_elsewhere(slot),
            min(members, self.most),
            single_allowed,
        )
        joining: list[TrialSpec] = []
        for key, count in counts.items():
            for trial in queue.take(key, count):
                self.progress[trial.number].cohort = self.slots.add(slot, key, trial.number)
                joining.append(trial)
        return joining
