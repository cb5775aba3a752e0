"""The heads of models: the layers that answer, from what the layers before made of a row.

The name of each begins with `head`: gradient norms are shown by it, and an optimizer may give heads
a learning rate of their own.
"""

from torch import nn


def linear_head(inputs: int, outputs: int) -> nn.Linear:
    """Returns a linear head for all outputs: Xavier-uniform weights, bias 0."""
    return initialised(nn.Linear(inputs, outputs))


def initialised(linear: nn.Linear) -> nn.Linear:
    """Returns the layer with Xavier-uniform weights and bias 0."""
    nn.init.xavier_uniform_(linear.weight)
    nn.init.zeros_(linear.bias)
    return linear


def perceptron_head(inputs: int, outputs: int, dropout: float) -> nn.Sequential:
    """Returns a head Linear(inputs/2) → GELU → Dropout → Linear(outputs)."""
    half = max(1, inputs // 2)
    return nn.Sequential(
        initialised(nn.Linear(inputs, half)),
        nn.GELU(),
        nn.Dropout(dropout),
        initialised(nn.Linear(half, outputs)),
    )
