"""Who waits and who trains where: fills the slots of a search from those that wait."""

import math
import sys
from collections.abc import Callable, Sequence

from search.scheduling.cohorts import Capacity, CohortKey, Slots, WaitingQueue, places
from search.scheduling.trial_progress import ProgressTable
from search.study.study import SEARCHED, TrialSpec
from trainable.config import TrialConfig, from_params, shape_key


class Placement:
    """The trials that wait, and the slots that take them in.

    Args:
        sizes: of slots.
        courses: of the trials; a cohort's number is noted there.
        why_alone: why a model trains without others beside it; None: it does not.

    Attributes:
        notes: those reasons, each once.
        waiting: searched trials. seeds: of finished configurations.
        roster: who trains where.
        idle: slots that asked for members in vain.
        gpus: which GPU a slot has a share of; slots on one take turns with models that train alone.
        suspects: group of each number that may have broken its worker, until it trains on.
        most: members of one slot, after memory ran out in one.
    """

    def __init__(
        self,
        sizes: Capacity,
        courses: ProgressTable,
        why_alone: Callable[[TrialConfig], str | None],
    ) -> None:
        self.sizes, self.courses, self.why_alone = sizes, courses, why_alone
        self.notes: list[str] = []
        self.waiting, self.seeds = WaitingQueue(), WaitingQueue()
        self.roster = Slots()
        self.idle: set[int] = set()
        self.gpus: dict[int, str] = {}
        self.suspects: dict[int, int] = {}
        self.groups = 0
        self.most = sys.maxsize

    def part(self, numbers: Sequence[int]) -> None:
        """Parts suspects into two halves, each to be tried in a slot of its own.

        Half by half the culprit ends up alone, and the others lose little.
        """
        half = (len(numbers) + 1) // 2
        for part in (numbers[:half], numbers[half:]):
            self.groups += 1
            self.suspects |= dict.fromkeys(part, self.groups)

    def trust(self, number: int) -> None:
        """Notes that a trial has trained on since its worker failed."""
        self.suspects.pop(number, None)

    def shrink(self, members: int) -> None:
        """Notes that so many members in one slot are too many for its memory."""
        self.most = max(1, min(self.most, members // 2))

    @property
    def somebody_waits(self) -> bool:
        """Whether a trial waits for a place."""
        return bool(len(self.waiting) or len(self.seeds))

    def close(self, slot: int) -> list[int]:
        """Closes a slot; returns who was still in it."""
        self.idle.discard(slot)
        self.gpus.pop(slot, None)
        return self.roster.close(slot)

    def wait(self, number: int) -> None:
        """Lets a trial wait for a place."""
        asked = self.courses[number].asked
        single = number if self.alone(number) else None
        key = CohortKey(shape_key(from_params(asked.params)), single, self.suspects.get(number))
        (self.waiting if asked.kind in SEARCHED else self.seeds).add(key, asked)

    def alone(self, number: int) -> bool:
        """Says whether a trial is a cohort of one."""
        why = self.why_alone(from_params(self.courses[number].asked.params))
        if why is not None and why not in self.notes:
            self.notes.append(why)
        return why is not None

    def ahead(self) -> int:
        """Returns how many trials to hold ready: few while all there are train one by one.

        Others fill a cohort, the more the better; of these, the sampler knows more when their turn
        comes.
        """
        waiting = self.waiting.counts()
        keys = {*waiting, *self.roster.keys}
        if not keys or any(key.single is None for key in keys):
            return self.sizes.untold
        new = [key for key in waiting if key.single is not None and not self._begun(key.single)]
        places = len(set(self.gpus.values())) if self.gpus else self.sizes.slots
        return max(0, places - len(new))

    def surplus(self, slot: int) -> list[int]:
        """Returns the members that a slot gives away, since another has none and nobody waits.

        Machines that have come while the others were full get work so, soon.
        """
        members = self.roster.members(slot)
        share = math.ceil(sum(map(len, self.roster.running.values())) / self.sizes.slots)
        over = len(members) - max(share, self.sizes.members)
        if (
            over <= 0
            or not self.idle - {slot}
            or len(self.waiting)
            or self.suspects.keys() & members
        ):
            return []
        youngest = sorted(members, key=lambda number: (self.courses[number].epochs, -number))
        return youngest[:over]

    def give(self, others: int) -> list[int]:
        """Takes out the share of so many others of who waits, but none that lost a worker here.

        How often that happened is known only here.
        """
        waiting = len(self.waiting) + len(self.seeds)
        share = math.ceil(waiting * others / (1 + others))

        def may(asked: TrialSpec) -> bool:
            return self.courses[asked.number].losses == 0

        given = self.waiting.give(share, may)
        given += self.seeds.give(share - len(given), may)
        return [asked.number for asked in given]

    def _begun(self, number: int) -> bool:
        return self.courses[number].epochs > 0

    def _beside(self, slot: int) -> list[int]:
        """Returns the other slots on the same GPU."""
        gpu = self.gpus.get(slot)
        return [s for s, g in self.gpus.items() if g == gpu and s != slot] if gpu else []

    def seat(self, slot: int) -> list[TrialSpec]:
        """Returns the searched trials that a slot takes in."""
        return self._seat(slot, self.waiting, self.sizes.members)

    def seat_seeds(self, slot: int) -> list[TrialSpec]:
        """Returns the seeds that a slot takes in.

        The sampler does not wait for them: all may train at once, shared out over the slots.
        """
        live = len(self.seeds) + sum(map(len, self.roster.running.values()))
        share = math.ceil(live / self.sizes.slots)
        return self._seat(slot, self.seeds, max(self.sizes.members, share))

    def _seat(self, slot: int, pool: WaitingQueue, members: int) -> list[TrialSpec]:
        self.idle.discard(slot)
        if self.suspects.keys() & self.roster.members(slot):
            return []
        here, elsewhere = self.roster.here(slot), self.roster.elsewhere(slot)
        joining: list[TrialSpec] = []
        lone = not any(map(self.roster.trains_alone, self._beside(slot)))
        taken = places(pool.counts(), here, elsewhere, min(members, self.most), lone)
        for key, count in taken.items():
            for asked in pool.take(key, count):
                self.courses[asked.number].cohort = self.roster.join(slot, key, asked.number)
                joining.append(asked)
        return joining
