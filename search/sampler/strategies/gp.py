"""`gp`: a Gaussian process over all parameters, by Optuna's sampler."""

from optuna.samplers import GPSampler, RandomSampler

from search.sampler.history import History
from search.sampler.strategies.base import Ask, Proposal
from search.sampler.strategies.frozen_trials import frozen_trials


class GpStrategy:
    """Maximises the expected improvement over what is told and what is in flight.

    Trials in flight need no invented value: Optuna takes the mean over what they may yet turn out
    to be (qLogEI), so trials asked at once differ. Parameters that not all trials have are random.

    A suggestion that is likely to fail is replaced by a random one: the maximum would be the same
    again, at the same cost.
    """

    def propose(self, history: History, ask: Ask) -> Proposal:
        """Returns Optuna's sampler, which fits the process anew, and the known trials."""
        if ask.attempt or len(history.told) < ask.startup:
            return Proposal(RandomSampler(ask.seed))
        sampler = GPSampler(
            seed=ask.seed, n_startup_trials=ask.startup, warn_independent_sampling=False
        )
        return Proposal(sampler, frozen_trials(history))
