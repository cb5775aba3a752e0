"""The table of models, and of those that many members can share as one program."""

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any

import torch
from torch import nn

from trainable.cli.errors import look_up
from trainable.config import ModelConfig
from trainable.models.batched.mlp import BatchedMlp
from trainable.models.mlp import Mlp

MODELS: dict[str, Callable[[ModelConfig, int], nn.Module]] = {"mlp": Mlp}

BATCHED: dict[str, Callable[[ModelConfig, int], Any]] = {"mlp": BatchedMlp}


def build_model(config: ModelConfig, inputs: int, seed: int) -> nn.Module:
    """Returns the model with the initial weights of `seed`, whatever was drawn before.

    Args:
        config: of the model.
        inputs: values a window has (rows × features).
        seed: of the initial weights.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return look_up(MODELS, config.name, "model")(config, inputs)


def count_parameters(config: ModelConfig, inputs: int) -> int:
    """Returns how many parameters the model has, worked out once a shape.

    Args:
        config: of the model.
        inputs: values a window has (rows × features).
    """
    return _count(replace(config, dropout=0.0), inputs)  # which has no parameters


@cache
def _count(config: ModelConfig, inputs: int) -> int:
    if config.name in BATCHED:
        return BATCHED[config.name](config, inputs).size
    return sum(parameter.numel() for parameter in build_model(config, inputs, 0).parameters())
