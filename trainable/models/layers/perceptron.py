"""The hidden layers of perceptrons."""

from collections.abc import Sequence

from torch import Tensor, nn

from trainable.cli.errors import UserError

XAVIER_GAIN = 0.5


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
        UserError: a layer of one value cannot be normalised.
    """
    if norm:
        check_hidden_norm(widths)
    before = (inputs, *widths[:-1])
    pairs = zip(before, widths, strict=True)
    return [PerceptronLayer(width, outputs, norm, dropout) for width, outputs in pairs]


def check_input_norm(inputs: int) -> None:
    """Raises `UserError` where a normalised input would always be 0."""
    if inputs == 1:
        raise UserError(
            "model/norm=true: LayerNorm leaves nothing of 1 input; fix.model/norm=false works, or "
            "a longer data/window"
        )


def check_hidden_norm(widths: Sequence[int]) -> None:
    """Raises `UserError` where the value of a normalised layer would always be 0."""
    if 1 in widths:
        raise UserError(
            f"model/hidden_dims={'-'.join(map(str, widths))}: LayerNorm leaves nothing of a layer "
            "of 1 value; wider ones work"
        )


def initialise(module: nn.Module) -> None:
    """Gives all linear layers Xavier-uniform weights (gain 0.5) and bias 0."""
    for each in module.modules():
        if isinstance(each, nn.Linear):
            nn.init.xavier_uniform_(each.weight, gain=XAVIER_GAIN)
            nn.init.zeros_(each.bias)
