"""How fast a search trains, and how many of its optimizer steps fail, over the last half minute."""

from collections import deque
from collections.abc import Collection
from dataclasses import dataclass

WINDOW_S = 30.0


@dataclass(frozen=True)
class Spell:
    """What a slot reported at once.

    Attributes:
        end: when the reports came, seconds.
        seconds: that the training had taken.
        steps: optimizer steps of all members. failed: those that were not finite.
    """

    end: float
    seconds: float
    steps: float
    failed: float

    def steps_since(self, since: float, now: float, goes_on: bool) -> float:
        """Returns the steps of a time that ends now, spread evenly over the spell.

        Args:
            since: begin of that time.
            now: its end.
            goes_on: the slot still trains and has not reported again: for as long as the spell was
                it is taken to go on at the same speed, since large models report minutes apart.
        """
        if self.seconds <= 0:
            return self.steps if self.end > since else 0.0
        end = min(now, self.end + self.seconds) if goes_on else self.end
        begin = max(since, self.end - self.seconds)
        return self.steps / self.seconds * max(0.0, end - begin)


class Pace:
    """The newest spells of all slots.

    Args:
        window_s: seconds that the figures are of.
    """

    def __init__(self, window_s: float = WINDOW_S) -> None:
        self._window_s = window_s
        self._newest: dict[int, Spell] = {}
        self._past: deque[Spell] = deque()  # others that may reach into the window
        self._begun: float | None = None

    def add(self, slot: int, spell: Spell) -> None:
        """Takes in what a slot has reported."""
        if self._begun is None:
            self._begun = spell.end - spell.seconds
        before = self._newest.get(slot)
        if before is not None:
            self._past.append(before)
        self._newest[slot] = spell
        while self._past and self._past[0].end <= spell.end - self._window_s:
            self._past.popleft()

    def steps_per_second(self, now: float, training: Collection[int]) -> float:
        """Returns the optimizer steps a second, summed over all members; 0 before the first.

        Args:
            now: the time, as the spells have it.
            training: slots that have members.
        """
        if self._begun is None or now <= self._begun:
            return 0.0
        since = max(self._begun, now - self._window_s)
        steps = sum(spell.steps_since(since, now, False) for spell in self._past)
        steps += sum(
            spell.steps_since(since, now, slot in training) for slot, spell in self._newest.items()
        )
        return steps / (now - since)

    def nan_rate(self, now: float, training: Collection[int]) -> float | None:
        """Returns the share of steps that were not finite; None where none were reported of late.

        Of the reports within the window, and of the newest of each slot that trains.
        """
        since = now - self._window_s
        spells = [spell for spell in self._past if spell.end > since]
        spells += [
            spell for slot, spell in self._newest.items() if spell.end > since or slot in training
        ]
        steps = sum(spell.steps for spell in spells)
        return sum(spell.failed for spell in spells) / steps if steps else None
