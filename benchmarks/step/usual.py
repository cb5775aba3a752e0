"""The usual ways to train one network, which `benchmarks.step` holds the executors against."""

from collections.abc import Callable, Iterator, Sequence
from itertools import count

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset
from torch.utils.data import Dataset as Items

from benchmarks.step.convolutional import UsualTcn
from benchmarks.step.graph import DayItems, UsualGraph
from benchmarks.step.recurrent import UsualRecurrent
from benchmarks.step.transformer import UsualTransformer
from trainable.config import TrialConfig, input_shape
from trainable.data.dataset.dataset import Dataset
from trainable.data.dataset.epoch_length import days_of_batch
from trainable.data.dataset.windows import Windows
from trainable.models import build_model
from trainable.models.graph import GraphConfig
from trainable.models.gru import GruConfig
from trainable.models.lstm import LstmConfig
from trainable.models.tcn import TcnConfig
from trainable.models.transformer import TransformerConfig

Batch = Sequence[Tensor]  # what the network sees, and the targets
Batches = Callable[[Items[Batch], int], Iterator[Batch]]


def usual(
    config: TrialConfig, dataset: Dataset, windows: Windows, batches: Batches
) -> Callable[[int], int]:
    """Returns a function that trains one network by so many steps, and says how many it did.

    Autograd, AdamW, clipping and a scheduler, as tutorials and the peer have them.

    Args:
        config: of the network.
        dataset: of the windows.
        windows: the rows; the network goes to their device.
        batches: `from_loader` or `by_index`.
    """
    torch.manual_seed(config.train.seed)
    size, days = config.train.batch_size, False
    if isinstance(config.model, GraphConfig):
        model: nn.Module = UsualGraph(config.model, windows.features, windows.window)
        items: Items[Batch] = DayItems(config.model, dataset, windows)
        size, days = days_of_batch(size, len(dataset.symbols)), True
    else:
        model = usual_network(config, windows)
        rows = windows.train_rows
        items = TensorDataset(windows.at(rows), windows.y[rows])
    model = model.to(windows.x.device).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=config.optimizer.lr)
    warmup = torch.optim.lr_scheduler.LinearLR(optimizer, 0.01, 1.0, config.schedule.warmup_steps)
    stream = batches(items, size)

    def steps(n: int) -> int:
        for _ in range(n):
            *inputs, y = next(stream)
            optimizer.zero_grad()
            answer = model(*inputs)
            prediction, cost = answer if days else (answer, 0.0)
            (nn.functional.huber_loss(prediction, y) + cost).backward()
            nn.utils.clip_grad_norm_(model.parameters(), config.optimizer.clip)
            optimizer.step()
            warmup.step()
        return n

    return steps


def usual_network(config: TrialConfig, windows: Windows) -> nn.Module:
    """Returns the network as one usually writes it; a perceptron is everybody's."""
    match config.model:
        case TransformerConfig():
            return UsualTransformer(config.model, windows.features, windows.window)
        case GruConfig() | LstmConfig():
            return UsualRecurrent(config.model, windows.features)
        case TcnConfig():
            return UsualTcn(config.model, windows.features)
        case _:
            shape = input_shape(config, windows.groups)
            return build_model(config.model, shape, config.train.seed)


def from_loader(items: Items[Batch], batch: int) -> Iterator[Batch]:
    """Yields batches of a shuffling DataLoader, pass after pass."""
    loader = DataLoader(items, batch, True, drop_last=True)
    for _ in count():
        yield from loader


def by_index(items: Items[Batch], batch: int) -> Iterator[Batch]:
    """Yields shuffled batches by index from tensors made before, pass after pass."""
    tensors = items.tensors if isinstance(items, TensorDataset) else _stacked(items)
    for _ in count():
        order = torch.randperm(len(tensors[0]), device=tensors[0].device)
        for i in range(0, len(order) - batch + 1, batch):
            part = order[i : i + batch]
            yield [each[part] for each in tensors]


def _stacked(items: Items[Batch]) -> list[Tensor]:
    size = len(items)  # pyright: ignore[reportArgumentType]
    return [torch.stack(each) for each in zip(*(items[i] for i in range(size)), strict=True)]
