"""Gated residuals: what a layer adds passes through gates that it can close (Lim et al. 2021)."""

from torch import Tensor, nn
from torch.nn.functional import elu, glu

from trainable.models.layers.heads import initialised


class GatedResidual(nn.Module):
    """LayerNorm(x + GLU(Linear(Dropout(Linear(ELU(Linear(u))))))), the new values being of u.

    The gated residual network of the temporal fusion transformer (Lim et al. 2021, eq. 2–5), whose
    u and x may be two: u [..., inputs] is worked on, x [..., width] is passed by. Xavier-uniform
    weights, zero biases.

    Args:
        inputs: values of a row of u.
        width: values of a row of x.
        dropout: share of values dropped before the gate.
    """

    def __init__(self, inputs: int, width: int, dropout: float) -> None:
        super().__init__()
        self.first = initialised(nn.Linear(inputs, width))
        self.second = initialised(nn.Linear(width, width))
        self.dropout = nn.Dropout(dropout)
        self.gate = initialised(nn.Linear(width, 2 * width))
        self.norm = nn.LayerNorm(width)

    def forward(self, u: Tensor, x: Tensor) -> Tensor:
        """Returns x [..., width] with what is made of u added."""
        new = self.dropout(self.second(elu(self.first(u))))
        return self.norm(x + glu(self.gate(new), -1))
