"""The usual ways to train one network, which `benchmarks.step` holds the executors against."""

from collections.abc import Callable, Iterator, Sequence
from itertools import count

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from trainable.config import TrialConfig, input_shape
from trainable.data.dataset.windows import Windows
from trainable.models import build_model

Batches = Callable[[Windows, int], Iterator[Sequence[Tensor]]]


def usual(config: TrialConfig, windows: Windows, batches: Batches) -> Callable[[int], int]:
    """Returns a function that trains one network by so many steps, and says how many it did.

    Autograd, AdamW, clipping and a scheduler, as tutorials and the peer have them.

    Args:
        config: of the network.
        windows: the rows; the network goes to their device.
        batches: `from_loader` or `by_index`.
    """
    model = build_model(config.model, input_shape(config, windows.groups), config.train.seed).to(
        windows.x.device
    )
    optimizer = torch.optim.AdamW(model.parameters(), lr=config.optimizer.lr)
    warmup = torch.optim.lr_scheduler.LinearLR(optimizer, 0.01, 1.0, config.schedule.warmup_steps)
    stream = batches(windows, config.train.batch_size)
    model.train()

    def steps(n: int) -> int:
        for _ in range(n):
            x, y = next(stream)
            optimizer.zero_grad()
            nn.functional.huber_loss(model(x), y).backward()
            nn.utils.clip_grad_norm_(model.parameters(), config.optimizer.clip)
            optimizer.step()
            warmup.step()
        return n

    return steps


def from_loader(windows: Windows, batch: int) -> Iterator[Sequence[Tensor]]:
    """Yields batches of a shuffling DataLoader, pass after pass."""
    rows = windows.train_rows
    loader = DataLoader(
        TensorDataset(windows.at(rows), windows.y[rows]), batch, True, drop_last=True
    )
    for _ in count():
        yield from loader


def by_index(windows: Windows, batch: int) -> Iterator[Sequence[Tensor]]:
    """Yields shuffled batches by index from the tensors, pass after pass."""
    x, y = windows.at(windows.train_rows), windows.y[windows.train_rows]
    for _ in count():
        order = torch.randperm(len(x), device=x.device)
        for i in range(0, len(x) - batch + 1, batch):
            part = order[i : i + batch]
            yield [x[part], y[part]]
