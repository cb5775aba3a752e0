"""`gp`: a Gaussian process over all parameters, by Optuna's sampler."""

from optuna.samplers import RandomSampler

from search.sampler.history import History
from search.sampler.strategies.base import Ask, Proposal
from search.sampler.strategies.optuna_samplers import OptunaStrategy


class GpStrategy:
    """Maximises the expected improvement over what is told and what is in flight.

    Trials in flight need no invented value: Optuna takes the mean over what they may yet turn out
    to be (qLogEI), so trials asked at once differ. Parameters that not all trials have are random.

    A suggestion that is likely to fail is replaced by a random one: the maximum would be the same
    again, at the same cost.
    """

    def __init__(self) -> None:
        self._model = OptunaStrategy("GPSampler")

    def propose(self, history: History, ask: Ask) -> Proposal:
        """Returns Optuna's sampler, which fits the process anew, and the known trials."""
        if ask.attempt or len(history.told) < ask.startup:
            return Proposal(RandomSampler(ask.seed))
        return self._model.propose(history, ask)
