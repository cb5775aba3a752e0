"""What a strategy is: how the next configuration follows from the trials that are known."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from optuna.samplers import BaseSampler
from optuna.trial import FrozenTrial

from search.sampler.history import History
from search.sampler.seeds import derive_seed


@dataclass(frozen=True)
class Ask:
    """One call for a suggestion.

    Attributes:
        search_seed: of the search.
        index: how many searched trials were asked before in this search.
        startup: number of told trials before which a model makes no suggestions.
        attempt: how many suggestions for this trial were likely to fail, and are not taken.
    """

    search_seed: int
    index: int
    startup: int
    attempt: int = 0

    @property
    def seed(self) -> int:
        """Seed of this suggestion; no other of the search has it."""
        return derive_seed(self.search_seed, 0, self.index, self.attempt)


@dataclass(frozen=True)
class Proposal:
    """Who samples the parameters of one trial, of which Optuna's study knows nothing later.

    Attributes:
        sampler: draws each parameter as the space asks for it.
        trials: what the study of that trial holds before, for samplers that read them there.
    """

    sampler: BaseSampler
    trials: Sequence[FrozenTrial] = ()


class Strategy(Protocol):
    """Proposes configurations.

    A proposal is a function of the arguments of `propose` alone, so that a killed and resumed
    search goes on as an unbroken one would. A strategy may keep what it has computed before.
    """

    def propose(self, history: History, ask: Ask) -> Proposal:
        """Returns who samples the parameters of the next trial; changes nothing in `history`."""
        ...
