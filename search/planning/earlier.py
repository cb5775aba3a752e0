"""What earlier sessions of a resumed run have left, and what this one does about it, in words."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from search.study.trials import EPOCHS, TrialRecord
from trainable.cli.text import counted
from trainable.run_format import SEARCHED
from trainable.stop_reasons import BY_RULE


@dataclass(frozen=True)
class Earlier:
    """The searched trials that are there as a session begins.

    Attributes:
        lengths: how many trials have ended, by the epochs of the full training they were meant to
            have.
        begun: epochs that each of those that go on has behind it.
        seeds: of each finished configuration, how many further seeds there are.
        seeds_begun: epochs that each of those seeds that go on has behind it.
        default: epochs that the default has behind it where it goes on, which is in `begun`, too.
        stopped: numbers of trials that a rule stopped, those begun again on the side left out.
        regret_begun: epochs that each of those begun again that go on has behind it.
    """

    lengths: Mapping[int, int]
    begun: tuple[int, ...] = ()
    seeds: tuple[int, ...] = ()
    seeds_begun: tuple[int, ...] = ()
    default: int | None = None
    stopped: tuple[int, ...] = ()
    regret_begun: tuple[int, ...] = ()

    @property
    def unfinished(self) -> int:
        """How many searched trials go on."""
        return len(self.begun)

    @property
    def trials(self) -> int:
        """How many searched trials there are."""
        return sum(self.lengths.values()) + self.unfinished


def earlier_of(rows: Sequence[TrialRecord]) -> Earlier:
    """Returns what the rows of a study say of its searched trials."""
    searched = [row for row in rows if row.kind in SEARCHED]
    ended = [row for row in searched if row.state != "RUNNING"]
    lengths = Counter(max(row.params.get(EPOCHS, 0), row.facts.get("epochs", 0)) for row in ended)
    seeds = Counter(row.parent for row in rows if row.kind == "seed")
    again = {row.parent for row in rows if row.kind == "regret"}
    return Earlier(
        dict(sorted(lengths.items())),
        begun=tuple(_reported(row) for row in searched if row.state == "RUNNING"),
        seeds=tuple(seeds[row.number] for row in ended if row.state == "COMPLETE"),
        seeds_begun=_begun(rows, "seed"),
        stopped=tuple(
            row.number for row in ended if row.reason in BY_RULE and row.number not in again
        ),
        default=next(
            (_reported(row) for row in searched if row.default and row.state == "RUNNING"), None
        ),
        regret_begun=_begun(rows, "regret"),
    )


def _begun(rows: Sequence[TrialRecord], kind: str) -> tuple[int, ...]:
    return tuple(_reported(row) for row in rows if row.kind == kind and row.state == "RUNNING")


def _reported(row: TrialRecord) -> int:
    return max(row.reports, default=0)


def earlier_sentences(earlier: Earlier, trials: int, epochs: int) -> list[str]:
    """Returns what a person should know before a run goes on; nothing where all is as it was.

    Args:
        earlier: what is there.
        trials: setting of this session.
        epochs: of a full training in this session.
    """
    said = []
    if set(earlier.lengths) - {epochs}:
        there = " and ".join(
            f"{counted(count, 'trial')} of at most {counted(length, 'epoch')}"
            for length, count in earlier.lengths.items()
        )
        one = sum(earlier.lengths.values()) == 1
        ended = "has ended and stays as it was" if one else "have ended and stay as they were"
        said.append(
            f"{there} {ended} judged; what is trained from now on has at most "
            f"{counted(epochs, 'epoch')}: all are ranked together, though some are trained for "
            "longer"
        )
    if trials < earlier.trials:
        said.append(
            f"trials={trials} is fewer than the {earlier.trials} that are there: no more are "
            "asked, and the luck line counts all of them"
        )
    return said
