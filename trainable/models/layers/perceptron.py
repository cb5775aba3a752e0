"""The hidden layers of perceptrons."""

from collections.abc import Sequence

from torch import Tensor, nn

from trainable.cli.errors import UserError
from trainable.cli.text import counted

XAVIER_GAIN = 0.5
LEAST_NORMED = 3  # values: of one LayerNorm leaves 0, of two a sign


class PerceptronLayer(nn.Module):
    """Linear → LayerNorm → ReLU → Dropout, [B, inputs] → [B, outputs]."""

    def __init__(self, inputs: int, outputs: int, norm: bool, dropout: float) -> None:
        super().__init__()
        self.linear = nn.Linear(inputs, outputs)
        self.norm = nn.LayerNorm(outputs) if norm else nn.Identity()
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """Maps x [B, inputs] to [B, outputs]."""
        return self.dropout(self.norm(self.linear(x)).relu())


def hidden_layers(
    inputs: int, widths: Sequence[int], norm: bool, dropout: float
) -> list[PerceptronLayer]:
    """Returns one layer for each width.

    Raises:
        UserError: a layer is too narrow to be normalised.
    """
    if norm:
        check_hidden_norm(widths)
    before = (inputs, *widths[:-1])
    pairs = zip(before, widths, strict=True)
    return [PerceptronLayer(width, outputs, norm, dropout) for width, outputs in pairs]


def check_input_norm(inputs: int) -> None:
    """Raises `UserError` where normalised inputs would say next to nothing."""
    if inputs < LEAST_NORMED:
        raise UserError(
            f"model/norm=true: {_left(inputs, 'input')}; fix.model/norm=false works, or a longer "
            "data/window"
        )


def check_hidden_norm(widths: Sequence[int]) -> None:
    """Raises `UserError` where the values of a normalised layer would say next to nothing."""
    if (least := min(widths)) < LEAST_NORMED:
        raise UserError(
            f"model/hidden_dims={'-'.join(map(str, widths))}: {_left(least, 'value')}; widths of "
            f"{LEAST_NORMED} or more work"
        )


def _left(size: int, what: str) -> str:
    """Says what normalisation leaves of so few values."""
    left = "nothing" if size == 1 else "nothing but the order"
    return f"LayerNorm leaves {left} of {counted(size, what)}"


def initialise(module: nn.Module) -> None:
    """Gives all linear layers Xavier-uniform weights (gain 0.5) and bias 0."""
    for each in module.modules():
        if isinstance(each, nn.Linear):
            nn.init.xavier_uniform_(each.weight, gain=XAVIER_GAIN)
            nn.init.zeros_(each.bias)
