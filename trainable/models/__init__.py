"""The table of models, each with its configuration and, where it has one, its batched form."""

from dataclasses import replace
from functools import cache
from typing import Any, cast

import torch
from torch import nn

from trainable.cli.errors import UserError, look_up
from trainable.hyperparameter import hyperparameters
from trainable.models.base import InputShape, Model, ModelConfig
from trainable.models.batched.mlp import BatchedMlp
from trainable.models.ensemble import Ensemble, EnsembleConfig
from trainable.models.graph import Graph, GraphConfig, graph_settings
from trainable.models.graph import idle as idle_of_graph
from trainable.models.gru import GruConfig, gru
from trainable.models.lstm import LstmConfig, lstm
from trainable.models.mlp import Mlp, MlpConfig
from trainable.models.tabm import Tabm, TabmConfig
from trainable.models.tcn import Tcn, TcnConfig
from trainable.models.transformer import Transformer, TransformerConfig

__all__ = [
    "MODELS",
    "InputShape",
    "Model",
    "ModelConfig",
    "build_model",
    "count_parameters",
    "outline",
    "parameter_names",
]

MODELS: dict[str, Model] = {
    "mlp": Model(MlpConfig, Mlp, BatchedMlp),
    "tabm": Model(TabmConfig, Tabm, separate_losses=True),
    "ensemble": Model(EnsembleConfig, Ensemble),
    "gru": Model(GruConfig, gru),
    "lstm": Model(LstmConfig, lstm),
    "tcn": Model(TcnConfig, Tcn),
    "transformer": Model(TransformerConfig, Transformer),
    "graph": Model(GraphConfig, Graph, batches="days", graph=graph_settings, idle=idle_of_graph),
}


def build_model(config: ModelConfig, shape: InputShape, seed: int) -> nn.Module:
    """Returns the model with the initial weights of `seed`, whatever was drawn before."""
    with torch.random.fork_rng(devices=[]):
        # `torch.manual_seed` also notes the seed for every kind of device, with a stack trace each.
        torch.default_generator.manual_seed(seed)
        return look_up(MODELS, config.name, "model").build(config, shape)


def count_parameters(config: ModelConfig, shape: InputShape) -> int:
    """Returns how many parameters the model has, counted once for all members of a cohort."""
    per_member = {
        name: known.default
        for name, known in hyperparameters(type(config)).items()
        if known.per_member
    }
    return _count(replace(cast(Any, config), **per_member), shape)


@cache
def _count(config: ModelConfig, shape: InputShape) -> int:
    entry = look_up(MODELS, config.name, "model")
    if entry.batched is not None and shape.outputs == 1:
        return entry.batched(config, shape).size
    return sum(parameter.numel() for parameter in outline(config, shape).parameters())


def parameter_names(config: ModelConfig, shape: InputShape) -> list[str]:
    """Returns the names of the model's parameters."""
    return [name for name, _ in outline(config, shape).named_parameters()]


def outline(config: ModelConfig, shape: InputShape) -> nn.Module:
    """Returns the model with the shapes of its weights alone: it may be too large for this machine.

    One whose constructor reads values, as `item` does, is built whole.
    """
    try:
        with torch.device("meta"):
            return build_model(config, shape, 0)
    except (RuntimeError, UserError) as error:
        if "meta" not in str(error):
            raise
        return build_model(config, shape, 0)
