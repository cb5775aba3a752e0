"""`tpe`: the tree-structured Parzen estimator, and `random` until enough trials were told."""

from search.sampler.history import History
from search.sampler.strategies.base import Ask, Proposal
from search.sampler.tpe import Tpe


class TpeStrategy:
    """Compares the densities of good and bad trials; those in flight count as bad."""

    def propose(self, history: History, ask: Ask) -> Proposal:
        """Returns TPE over all known trials."""
        return Proposal(Tpe(history.table, history.common, ask.startup, ask.seed))
