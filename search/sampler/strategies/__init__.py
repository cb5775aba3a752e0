"""The strategies by which the next configuration can be chosen, by name."""

from collections.abc import Callable

from search.sampler.strategies.base import Strategy
from search.sampler.strategies.cmaes import CmaEsStrategy
from search.sampler.strategies.gp import GpStrategy
from search.sampler.strategies.optuna_samplers import PREFIX, OptunaStrategy
from search.sampler.strategies.qmc import QmcStrategy
from search.sampler.strategies.random import RandomStrategy
from search.sampler.strategies.tpe import TpeStrategy
from trainable.cli.errors import unknown

DEFAULT_SAMPLER = "tpe"
SAMPLERS: dict[str, Callable[[], Strategy]] = {
    "tpe": TpeStrategy,
    "random": RandomStrategy,
    "qmc": QmcStrategy,
    "gp": GpStrategy,
    "cmaes": CmaEsStrategy,
}


def strategy_of(name: str) -> Strategy:
    """Returns a new strategy.

    Args:
        name: of `SAMPLERS`, or `optuna:` and the name of a class of `optuna.samplers`.

    Raises:
        UserError: there is none of this name, or it cannot work here.
    """
    if name.startswith(PREFIX):
        return OptunaStrategy(name.removeprefix(PREFIX))
    if name not in SAMPLERS:
        raise unknown("sampler", name, [*SAMPLERS, f"{PREFIX}TPESampler"])
    return SAMPLERS[name]()
