"""Whether a model can be trained in this machine's memory, counted before any of it is taken."""

import os
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from search.settings.settings import SearchSettings
from trainable.cli.errors import UserError
from trainable.config import TrialConfig, input_shape
from trainable.data.dataset.dataset import Dataset
from trainable.hyperparameter import hyperparameters
from trainable.models import MODELS, count_parameters
from trainable.optimizers import OPTIMIZERS

VALUE = 4  # bytes of a float32
# What a container may use, where it is less than the machine has.
LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


def machine_memory() -> int | None:
    """Returns the bytes of memory that this machine, or this container, has; None: not known."""
    try:
        found = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    except (AttributeError, OSError, ValueError):  # not every system tells
        return None
    for path in map(Path, LIMITS):
        try:
            found.append(int(path.read_text(encoding="ascii")))
        except (OSError, ValueError):  # no such limit, or `max`
            continue
    return min(found)


def needed(config: TrialConfig, dataset: Dataset) -> tuple[int, int]:
    """Returns the parameters of a model, and the bytes that training needs at the very least.

    These are its weights, as many gradients, and the state of its optimizer, which in a cohort may
    be more than alone.
    """
    optimizer = OPTIMIZERS[config.optimizer.name]
    kept = optimizer.buffers
    if optimizer.alone is not None and MODELS[config.model.name].batches != "rows":
        kept = optimizer.alone  # models over whole days train alone
    groups = dataset.groups_of(config.data.features)
    count = count_parameters(config.model, input_shape(config, groups))
    return count, VALUE * count * (2 + kept)


def check_memory(
    configs: Iterable[TrialConfig], dataset: Dataset, settings: SearchSettings
) -> None:
    """Raises `UserError` where this machine has too little memory for one of the models.

    Nothing is known of the machines of a cluster. A GPU's memory is found out as it trains, but a
    model is made on the processor first.
    """
    there = machine_memory()
    if settings.address is not None or there is None:
        return
    on_gpu = torch.cuda.device_count() > 0 and settings.gpus_per_trial != 0
    sizes = [(needed(config, dataset), config) for config in configs]
    (count, bytes_needed), largest = max(sizes, key=lambda one: one[0][0])
    enough = VALUE * count if on_gpu else bytes_needed
    if enough <= there:
        return
    raise UserError(
        f"{largest.model} has {count:,} parameters, which take at least {_gb(enough)} of memory, "
        f"and this machine has {_gb(there)}; {_smaller(largest, dataset, there)} works, or "
        "address=HOST:PORT of larger machines"
    )


def _smaller(config: TrialConfig, dataset: Dataset, there: int) -> str:
    """Returns the field of the model whose default alone makes it fit; otherwise words."""
    model: Any = config.model
    for name, known in hyperparameters(type(model)).items():
        if name == "name" or known.per_member:
            continue
        usual = replace(config, model=replace(model, **{name: known.default}))
        if needed(usual, dataset)[1] <= there:
            return f"fix.model/{name}={known.default}"
    return "a smaller model or data/window"


def _gb(amount: int) -> str:
    return f"{amount / 2**30:,.3g} GB" if amount < 2**40 else f"{amount / 2**30:,.0f} GB"
