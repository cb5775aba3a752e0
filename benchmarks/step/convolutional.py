"""The network `tcn` as one usually writes it: dilated nn.Conv1d over the whole window.

The head sees the last row. With the same weights it answers the same as ours.
"""

from torch import Tensor, nn
from torch.nn.functional import pad

from trainable.models.layers.heads import linear_head
from trainable.models.tcn import TcnConfig


class Block(nn.Module):
    """(Convolution → ReLU → Dropout) twice, added to the input, → ReLU; [B, C, W] → [B, C, W]."""

    def __init__(self, inputs: int, config: TcnConfig, dilation: int) -> None:
        super().__init__()
        width, kernel = config.hidden, config.kernel
        self.reach = (kernel - 1) * dilation
        self.first = nn.Conv1d(inputs, width, kernel, dilation=dilation)
        self.second = nn.Conv1d(width, width, kernel, dilation=dilation)
        self.shortcut = nn.Identity() if inputs == width else nn.Conv1d(inputs, width, 1)
        self.dropouts = nn.ModuleList(nn.Dropout(config.dropout) for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        """Returns as many rows as there are; before the first it sees zeros."""
        new = x
        for layer, dropout in zip((self.first, self.second), self.dropouts, strict=True):
            new = dropout(layer(pad(new, (self.reach, 0))).relu())
        return (new + self.shortcut(x)).relu()


class UsualTcn(nn.Module):
    """Blocks of dilations 1, 2, 4 … → the last row → a linear head."""

    def __init__(self, config: TcnConfig, features: int) -> None:
        super().__init__()
        widths = [features, *[config.hidden] * (config.layers - 1)]
        self.blocks = nn.Sequential(*(Block(w, config, 2**i) for i, w in enumerate(widths)))
        self.head = linear_head(config.hidden, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Maps windows [B, W, F] to predictions [B]."""
        return self.head(self.blocks(x.transpose(1, 2))[..., -1]).squeeze(-1)
