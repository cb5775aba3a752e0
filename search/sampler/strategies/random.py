"""`random`: every parameter is drawn on its own, whatever is known."""

from optuna.samplers import RandomSampler

from search.sampler.history import History
from search.sampler.strategies.base import Ask, Proposal


class RandomStrategy:
    """Draws uniformly (log-uniformly where the space says so)."""

    def propose(self, history: History, ask: Ask) -> Proposal:
        """Returns a random sampler with the seed of this suggestion."""
        return Proposal(RandomSampler(ask.seed))
