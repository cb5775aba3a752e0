"""How long a worker makes the graphs of all bars, for networks over whole days."""

import math
from collections.abc import Iterable

import torch

from search.settings.settings import SearchSettings
from trainable.cli.errors import UserError
from trainable.cli.text import counted, duration
from trainable.config import TrialConfig
from trainable.data.dataset.dataset import Dataset
from trainable.data.graph.day_graph import seconds_to_make
from trainable.models import MODELS

QUICK = 3e8  # bars × symbols²: fewer take seconds
SHARE = 0.5  # of `patience_s`: other work may slow a worker down


def graph_seconds(
    configs: Iterable[TrialConfig], dataset: Dataset, settings: SearchSettings
) -> float:
    """Returns the seconds that the slowest graphs take here; 0 where that is quick, or unknown.

    A GPU makes them many times as fast; of a cluster nothing is known here.

    Raises:
        UserError: a worker would be taken for one that hangs.
    """
    bars, symbols = dataset.tradable.shape
    on_gpu = torch.cuda.device_count() > 0 and settings.gpus_per_trial != 0
    if settings.address is not None or on_gpu or bars * symbols**2 < QUICK:
        return 0.0
    wanted = {
        MODELS[config.model.name].graph(config.model)
        for config in configs
        if MODELS[config.model.name].batches == "days"
    }
    longest = max((seconds_to_make(dataset, one) for one in wanted), default=0.0)
    if longest > SHARE * settings.patience_s:
        enough = 100 * math.ceil(longest / SHARE / 100)
        raise UserError(
            f"model/name=graph: the graphs of {counted(symbols, 'symbol')} at "
            f"{counted(bars, 'bar')} take a worker about {duration(longest)} here, and one is "
            f"ended after patience_s={settings.patience_s:g}; patience_s={enough} "
            "works, or fewer symbols, or a GPU"
        )
    return longest
