"""Recurrent layers as plain tensor operations: nn.GRU and nn.LSTM cannot train under `vmap`.

The input's product for all steps is taken before the loop. Each step is returned by itself: whoever
needs only the last one spares the copy of all of them.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from trainable.models.base import InputShape, one_output
from trainable.models.layers.heads import linear_head


class Gru(nn.Module):
    """One layer of gated recurrent units (Cho et al. 2014), [B, W, inputs] → W × [B, n].

    The equations are those of torch.nn.GRU; the gates stand in the order reset, update, candidate.
    Input weights are Xavier-uniform and recurrent weights orthogonal for each gate; biases are 0.
    """

    def __init__(self, inputs: int, hidden: int) -> None:
        super().__init__()
        self.hidden = hidden
        self.inputs = nn.Linear(inputs, 3 * hidden)
        self.recurrent = nn.Linear(hidden, 3 * hidden)
        _initialise(self.inputs, self.recurrent, hidden)

    def forward(self, x: Tensor) -> list[Tensor]:
        """Maps x [B, W, inputs] to the state [B, n] after each step."""
        n = self.hidden
        gates, candidates = self.inputs(x).split([2 * n, n], -1)
        state = torch.zeros_like(candidates[:, 0])
        states = []
        for gate, candidate in zip(gates.unbind(1), candidates.unbind(1), strict=True):
            by_gate, by_candidate = self.recurrent(state).split([2 * n, n], -1)
            reset, update = torch.sigmoid(gate + by_gate).split(n, -1)
            new = torch.tanh(torch.addcmul(candidate, reset, by_candidate))
            state = torch.lerp(new, state, update)
            states.append(state)
        return states


class Lstm(nn.Module):
    """One layer of long short-term memory (Hochreiter and Schmidhuber 1997), W × [B, n].

    The equations are those of torch.nn.LSTM with one bias instead of two that are added; the gates
    stand in the order input, forget, output, candidate. Input weights are Xavier-uniform and
    recurrent weights orthogonal for each gate. Biases are 0, those of the forget gate 1
    (Jozefowicz et al. 2015).
    """

    def __init__(self, inputs: int, hidden: int) -> None:
        super().__init__()
        self.hidden = hidden
        self.inputs = nn.Linear(inputs, 4 * hidden)
        self.recurrent = nn.Linear(hidden, 4 * hidden, bias=False)
        _initialise(self.inputs, self.recurrent, hidden)
        with torch.no_grad():
            self.inputs.bias[hidden : 2 * hidden] = 1

    def forward(self, x: Tensor) -> list[Tensor]:
        """Maps x [B, W, inputs] to the output [B, n] of each step."""
        n = self.hidden
        gates = self.inputs(x)
        output = cell = torch.zeros_like(gates[:, 0, :n])
        outputs = []
        for gate in gates.unbind(1):
            sums = gate + self.recurrent(output)
            enter, forget, leave = torch.sigmoid(sums[:, : 3 * n]).split(n, -1)
            cell = torch.addcmul(forget * cell, enter, torch.tanh(sums[:, 3 * n :]))
            output = leave * torch.tanh(cell)
            outputs.append(output)
        return outputs


class RecurrentNetwork(nn.Module):
    """Recurrent layers with dropout between them; the present row's output goes to the head.

    Args:
        layer: (inputs, hidden) → a layer, [B, W, inputs] → W × [B, hidden].
        hidden: values of each layer's output.
        layers: how many.
        dropout: share of values dropped between layers and before the head.
        shape: of inputs and answers.
    """

    def __init__(
        self,
        layer: Callable[[int, int], nn.Module],
        hidden: int,
        layers: int,
        dropout: float,
        shape: InputShape,
    ) -> None:
        super().__init__()
        widths = [shape.features, *[hidden] * (layers - 1)]
        self.layers = nn.ModuleList(layer(width, hidden) for width in widths)
        self.dropouts = nn.ModuleList(nn.Dropout(dropout) for _ in widths)
        self.head = linear_head(hidden, shape.outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Maps windows [B, W, F] to predictions [B], or [B, O] of several outputs."""
        last = len(self.layers) - 1
        for i, (layer, dropout) in enumerate(zip(self.layers, self.dropouts, strict=True)):
            outputs = layer(x)
            x = dropout(outputs[-1] if i == last else torch.stack(outputs, 1))
        return one_output(self.head(x))


def _initialise(inputs: nn.Linear, recurrent: nn.Linear, hidden: int) -> None:
    for gate in inputs.weight.split(hidden):
        nn.init.xavier_uniform_(gate)
    for gate in recurrent.weight.split(hidden):
        nn.init.orthogonal_(gate)
    for bias in (inputs.bias, recurrent.bias):
        if bias is not None:
            nn.init.zeros_(bias)
