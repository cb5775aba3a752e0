"""Rounds: what slots report is held back until each of them has ended its epoch.

Then all of it is taken in at once, in an order that is that of the trials' numbers: which worker
was faster makes no difference to any rule, nor to the sampler. So a seed repeats a search.
"""

from collections.abc import Collection, Mapping, Sequence

from trainable.report import Report
from trainable.worker.assignment import Instructions


class Rounds:
    """The present round of every slot that has reported.

    Attributes:
        begun: whether the first round has.
    """

    def __init__(self) -> None:
        self.begun = False
        self._due: dict[int, set[int]] = {}  # by slot: members that have not ended their epoch
        self._reports: dict[int, list[Report]] = {}  # by slot: of this round
        self._answers: dict[int, Instructions] = {}  # by slot: that its worker has not heard yet

    @property
    def slots(self) -> list[int]:
        """The slots that have reported, in order."""
        return sorted(self._due)

    @property
    def undelivered(self) -> bool:
        """Whether a worker has not heard yet who leaves it or comes."""
        return any(answer.moves for answer in self._answers.values())

    def hear(self, slot: int, reports: Sequence[Report]) -> None:
        """Holds what a slot reported; the first time, it also takes part from now on.

        Of a member that has ended meanwhile nothing is held.
        """
        due = self._due.setdefault(slot, set())
        known = [report for report in reports if report.number in due]
        self._reports.setdefault(slot, []).extend(known)
        due -= {report.number for report in known}

    def is_over(self, saving: Collection[int]) -> bool:
        """Says whether every slot has ended the round.

        Args:
            saving: slots whose members leave them with a checkpoint that is not written yet.
        """
        unheard = {slot for slot, answer in self._answers.items() if answer.moves}
        return not (any(self._due.values()) or unheard or self._due.keys() & set(saving))

    def end(self) -> dict[int, list[Report]]:
        """Returns what each slot reported in this round, and forgets it."""
        reports = {slot: self._reports.get(slot, []) for slot in self.slots}
        self._reports = {}
        return reports

    def begin(self, answers: Mapping[int, Instructions], running: Mapping[int, set[int]]) -> None:
        """Begins the next round.

        Args:
            answers: by slot, what its worker does before.
            running: by slot, the members that train in it.
        """
        self.begun = True
        for slot, answer in answers.items():
            self._answers[slot] = answer
            self._due[slot] = set(running.get(slot, ()))

    def answer(self, slot: int) -> Instructions:
        """Returns what a slot's worker does next: nothing while others have not ended the round."""
        return self._answers.pop(slot, Instructions())

    def close(self, slot: int) -> None:
        """Forgets a slot whose worker is gone, with what it reported in this round."""
        for held in (self._due, self._reports, self._answers):
            held.pop(slot, None)
