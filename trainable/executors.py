"""The table of executors, and which one a configuration gets."""

from collections.abc import Callable

from trainable.cohort import CohortEngine
from trainable.config import TrialConfig
from trainable.engine import Engine
from trainable.models import BATCHED
from trainable.solo import SoloEngine

EXECUTORS: dict[str, Callable[..., Engine]] = {"cohort": CohortEngine, "solo": SoloEngine}


def executor_for(config: TrialConfig) -> str:
    """Returns `cohort` where the model has a batched form, else `solo`."""
    return "cohort" if config.model.name in BATCHED else "solo"
