"""What can be named in a configuration: the entries of the tables."""

from collections.abc import Iterable

from trainable.losses import LOSSES
from trainable.models import MODELS
from trainable.optimizers import OPTIMIZERS
from trainable.schedules import SCHEDULES


def known_names() -> dict[str, Iterable[str]]:
    """Returns the names of models, losses, optimizers and schedules, by key."""
    return {
        "model/name": MODELS,
        "loss/name": LOSSES,
        "optimizer/name": OPTIMIZERS,
        "schedule/name": SCHEDULES,
    }
