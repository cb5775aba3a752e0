"""What a module remembers of its batches outside of buffers: no checkpoint keeps it."""

from collections import deque
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

OF_EVERY_MODULE = frozenset(vars(nn.Module()))
SCALARS = (bool, int, float, complex, str, bytes, type(None))
DEEP = 4  # of objects within objects


def remembered(module: nn.Module, x: Tensor) -> list[str]:
    """Returns what counts or gathers the batches that a module has seen, such as `self.steps`.

    These change where it sees the same batch again. What it keeps of the latest batch, or made at
    the first one, does not.

    Args:
        module: in training.
        x: inputs of a batch.
    """
    seen = []
    for _ in range(2):
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(0)
            module(x.clone())  # some change it
        seen.append(_attributes(module))
    before, after = seen
    return [name for name, value in after.items() if before.get(name) != value]


def _attributes(module: nn.Module) -> dict[str, Any]:
    """Returns the plain attributes of all layers, in a form that does not change with them."""
    return {
        ".".join(filter(None, ("self", prefix, name))): _copy(value, DEEP)
        for prefix, layer in module.named_modules()
        for name, value in vars(layer).items()
        if name not in OF_EVERY_MODULE
    }


def _copy(value: Any, deep: int) -> Any:
    """Returns what can be compared with a later copy of the same value."""
    if isinstance(value, SCALARS):
        return repr(value)
    if isinstance(value, np.ndarray):
        return str(value.dtype), value.shape, value.tobytes()
    if isinstance(value, Tensor) and not isinstance(value, nn.Parameter) and not value.is_sparse:
        numbers = value.detach().cpu().contiguous().reshape(-1)
        return str(value.dtype), tuple(value.shape), numbers.view(torch.uint8).numpy().tobytes()
    if deep == 0 or isinstance(value, nn.Module | nn.Parameter | type):
        return id(value)
    if isinstance(value, Mapping):
        return [(_copy(key, deep - 1), _copy(one, deep - 1)) for key, one in value.items()]
    if isinstance(value, list | tuple | deque):
        return [_copy(one, deep - 1) for one in value]
    if isinstance(value, set | frozenset):
        return sorted(repr(one) for one in value)
    return (id(value), _copy(vars(value), deep - 1)) if hasattr(value, "__dict__") else id(value)
