"""Small perceptrons on price, volume and volatility features, and their weighted average."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from trainable.cli.errors import UserError
from trainable.hyperparameter import entry_name
from trainable.models.base import InputShape, one_output
from trainable.models.fields import dropout_field, hidden_dims, hidden_dims_field
from trainable.models.layers.perceptron import hidden_layers, initialise

GROUPS = ("price", "volume", "volatility")
FITTING = 0.2  # share of the training rows that the weights are fitted on


@dataclass(frozen=True)
class EnsembleConfig:
    """The size and regularisation of each of the three networks."""

    name: str = entry_name("ensemble")
    hidden_dims: str = hidden_dims_field("32-16")
    dropout: float = dropout_field(0.3, "share of activations dropped after each hidden layer")

    def __str__(self) -> str:
        return f"{self.name} of {self.hidden_dims}"

    @property
    def widths(self) -> tuple[int, ...]:
        """Widths of the hidden layers of each network."""
        return hidden_dims(self.hidden_dims)


class Network(nn.Module):
    """The hidden layers of one of the three, on its own columns of the window.

    Linear → LayerNorm → ReLU → Dropout each. The input is not normalised: a group may have one or
    two columns, of which LayerNorm would leave nothing, or a sign.
    """

    columns: Tensor

    def __init__(self, config: EnsembleConfig, window: int, columns: list[int]) -> None:
        super().__init__()
        self.register_buffer("columns", torch.tensor(columns), persistent=False)
        inputs = window * len(columns)
        layers = hidden_layers(inputs, config.widths, norm=True, dropout=config.dropout)
        self.hidden = nn.ModuleList(layers)

    def forward(self, x: Tensor) -> Tensor:
        """Maps windows [B, W, F] to the last hidden layer's [B, width]."""
        x = x.index_select(-1, self.columns).flatten(1)
        for layer in self.hidden:
            x = layer(x)
        return x


class Ensemble(nn.Module):
    """Σ wᵢ·networkᵢ(x) with w = softmax(`weights`), one network a group of features that is there.

    A network sees the columns of its group and those of no such group (calendar, extra, ready).
    Where all columns are of no such group, there are three networks, and each sees all.

    Networks and weights learn from different rows: a fifth of the training rows, always the same
    ones, gives gradients to the weights alone, all others to the networks alone. So a network that
    fits its rows by heart gains no weight by that. The rows are chosen by the digits of their
    values, not by date: where labels overlap, those of neighbours are no strangers to each other.
    All is learned by gradient, together, on the loss of the average; the networks are not trained
    to the end one by one, and the weights are not solved for.

    Xavier-uniform weights (gain 0.5), zero biases, equal weights of the networks at first.

    Raises:
        UserError: there are columns of one of these groups alone, so that nothing is averaged.
    """

    def __init__(self, config: EnsembleConfig, shape: InputShape) -> None:
        super().__init__()
        of_columns = shape.groups or ("",) * shape.features
        self.groups = averaged(of_columns)
        if len(self.groups) == 1:
            raise UserError(
                f"model/name={config.name} averages networks on {', '.join(GROUPS)} features, and "
                f"there are {self.groups[0]} features alone; fix.model/name=mlp works"
            )
        for group in self.groups:
            columns = [i for i, g in enumerate(of_columns) if g == group or g not in GROUPS]
            self.add_module(group, Network(config, shape.window, columns))
        for group in self.groups:
            self.add_module(f"head_{group}", nn.Linear(config.widths[-1], shape.outputs))
        self.weights = nn.Parameter(torch.zeros(len(self.groups)))
        initialise(self)

    def forward(self, x: Tensor) -> Tensor:
        """Maps windows [B, W, F] to predictions [B], or [B, O] of several outputs."""
        answers = torch.stack(
            [
                self.get_submodule(f"head_{group}")(self.get_submodule(group)(x))
                for group in self.groups
            ],
            -1,
        )
        weights = self.weights.softmax(-1)
        if self.training:
            fitting = fits_weights(x)[:, None, None]
            answers = torch.where(fitting, answers.detach(), answers)
            weights = torch.where(fitting, weights, weights.detach())
        return one_output((answers * weights).sum(-1))


def averaged(groups: Sequence[str]) -> tuple[str, ...]:
    """Returns the groups that an ensemble has a network of, given the group of each feature."""
    return tuple(group for group in GROUPS if group in groups) or GROUPS


def fits_weights(x: Tensor) -> Tensor:
    """Says of each window [B, W, F] whether its row is one that the weights are fitted on, [B].

    It depends on the digits of the present row's values, so that a row stays on its side; rows of
    whole numbers alone are never fitted on.
    """
    digits = (1000 * x[:, -1].abs()).frac().sum(-1)
    return (digits + 0.5).frac() < FITTING
