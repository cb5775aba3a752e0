"""Every optimizer of the table: its batched form against the lone one, member by member."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.fixtures.trainings import config
from trainable.config import from_params
from trainable.executors import executor_for, why_alone
from trainable.models import InputShape
from trainable.optimizers import OPTIMIZERS
from trainable.optimizers.base import set_lr
from trainable.optimizers.layout import Part

VALUES = [
    {"lr": 1e-2, "weight_decay": 0.0, "momentum": 0.9, "max_update_norm": 0.2},
    {"lr": 3e-3, "weight_decay": 0.1, "beta1": 0.5, "beta2": 0.9, "momentum": 0.0},
    {"lr": 3e-2, "weight_decay": 0.01, "beta1": 0.95, "beta3": 0.9, "hessian_scale": 0.1},
]
# Wide and tall matrices, one row, one column, a vector, a tensor, heads; then columns of no part.
SHAPES = {
    "input_norm.weight": (3,),
    "hidden.0.weight": (4, 3),
    "hidden.0.bias": (4,),
    "hidden.1.weight": (2, 5),
    "one.weight": (1, 4),
    "column.weight": (3, 1),
    "convolution.weight": (2, 3, 2),
    "embedding.weight": (3, 2),
    "head.weight": (1, 2),
    "head_up.weight": (2, 2),
}
SIZES = {name: int(np.prod(shape)) for name, shape in SHAPES.items()}
STARTS = np.cumsum([0, *SIZES.values()]).tolist()
LAYOUT = [Part(n, start, shape) for (n, shape), start in zip(SHAPES.items(), STARTS, strict=False)]
P, PADDED = sum(SIZES.values()), 64
STEPS = 100
WAVE = 0.5 + 0.5 * np.cos(np.linspace(0, 3, STEPS))  # so that the rate differs at every step
BATCHED = [name for name, optimizer in OPTIMIZERS.items() if optimizer.has_batched_form]


def configs_of(name: str, *heads: float) -> list[Any]:
    """Three configurations of an optimizer."""
    return [
        from_params(
            {"optimizer/name": name, "optimizer/head_lr": head}
            | {f"optimizer/{key}": value for key, value in each.items()}
        ).optimizer
        for each, head in zip(VALUES, heads or (1.0, 1.0, 1.0), strict=True)
    ]


def gradient(p: Tensor, noise: Tensor) -> Tensor:
    """Of a bowl with another curvature along each axis, with noise."""
    return p * torch.linspace(0.1, 3, p.shape[-1], dtype=p.dtype) + noise


def parts_of(flat: Tensor) -> dict[str, Tensor]:
    return {part.name: flat[part.columns].view(part.shape) for part in LAYOUT}


def factors_of(name: str, configs: list[Any], lr: np.ndarray) -> list[dict[str, Tensor]]:
    """The factors of every step, for members that took each of them."""
    applied = np.broadcast_to(np.arange(1.0, len(lr) + 1)[:, None], lr.shape)
    plan = OPTIMIZERS[name].factors(configs, lr, applied)
    tables = {key: torch.tensor(table).unsqueeze(2) for key, table in plan.items()}
    return [{key: table[i] for key, table in tables.items()} for i in range(len(lr))]


@pytest.mark.parametrize("heads", [(), (0.1, 1.0, 7.0)], ids=["one rate", "heads"])
@pytest.mark.parametrize("name", BATCHED)
def test_batched_form_is_the_optimizer_of_one(name: str, heads: tuple[float, ...]) -> None:
    optimizer, configs = OPTIMIZERS[name], configs_of(name, *heads)
    k = len(configs)
    draw = torch.Generator().manual_seed(0)
    start = torch.zeros(k, PADDED, dtype=torch.float64)
    start[:, :P] = torch.randn(k, P, generator=draw, dtype=torch.float64)
    start[:, 3:5] = 0.0
    noise = torch.zeros(STEPS, k, PADDED, dtype=torch.float64)
    noise[:, :, :P] = torch.randn(STEPS, k, P, generator=draw, dtype=torch.float64)
    lr = WAVE[:, None] * np.array([config.lr for config in configs])
    factors = factors_of(name, configs, lr)
    update = optimizer.update_for(LAYOUT)

    p, buffers = start.clone(), [torch.zeros_like(start) for _ in range(optimizer.buffers)]
    ones = [row[:P].clone() for row in start]
    named = [{n: v.requires_grad_() for n, v in parts_of(one).items()} for one in ones]
    built = [optimizer.build(n.items(), c) for n, c in zip(named, configs, strict=True)]
    for i in range(STEPS):
        update(p, gradient(p, noise[i]), buffers, factors[i])
        for j, torchs in enumerate(built):
            set_lr(torchs, lr[i, j])
            now = torch.cat([v.detach().flatten() for v in named[j].values()])
            grads = parts_of(gradient(torch.cat([now, now.new_zeros(PADDED - P)]), noise[i, j]))
            for part, value in named[j].items():
                value.grad = grads[part].clone()
            torchs.step()
    ends = [torch.cat([v.detach().flatten() for v in n.values()]) for n in named]
    torch.testing.assert_close(p[:, :P], torch.stack(ends), rtol=0, atol=1e-11)
    assert (p - start)[:, :P].abs().min() > 1e-6
    assert (p - start)[:, :P].abs().max() > 1e-2
    assert not p[:, P:].any()


@pytest.mark.parametrize("name", BATCHED)
def test_whose_heads_have_the_rate_of_all_is_the_same_bits_beside_any_neighbour(name: str) -> None:
    ends = []
    for share in (1.0, 0.1):
        configs = configs_of(name, 1.0, share, 1.0)
        start = torch.randn(3, PADDED, generator=torch.Generator().manual_seed(0))
        buffers = [torch.zeros_like(start) for _ in range(OPTIMIZERS[name].buffers)]
        update = OPTIMIZERS[name].update_for(LAYOUT)
        for factors in factors_of(name, configs, np.full((9, 3), 0.01)):
            single = {key: table.float() for key, table in factors.items()}
            update(start, gradient(start, torch.tensor(0.1)), buffers, single)
        ends.append(start)
    assert torch.equal(ends[0][::2], ends[1][::2])
    assert not torch.equal(ends[0][1], ends[1][1])


@pytest.mark.parametrize("name", BATCHED)
def test_a_member_that_skipped_steps_goes_on_where_it_was(name: str) -> None:
    """Bias correction counts the updates that were applied, not the steps that were taken."""
    optimizer, configs = OPTIMIZERS[name], configs_of(name)
    lr = np.full((6, 2), 1e-2)
    late = optimizer.factors(configs[:2], lr, np.arange(5.0, 11)[:, None] - np.array([0, 4]))
    fresh = optimizer.factors(configs[:2], lr, np.arange(1.0, 7)[:, None] - np.array([0, 0]))
    for key, table in late.items():
        np.testing.assert_array_equal(table[:, 1], fresh[key][:, 1])


@pytest.mark.parametrize("name", BATCHED)
def test_a_nan_gradient_stays_with_its_member(name: str) -> None:
    optimizer = OPTIMIZERS[name]
    same = [replace(configs_of(name)[0], weight_decay=0.1)] * 2
    (factors,) = factors_of(name, same, np.full((1, 2), 0.1))
    p, *buffers = torch.ones(1 + optimizer.buffers, 2, P).double()
    for buffer in buffers:
        buffer.zero_()
    grads = torch.ones(2, P).double()
    grads[0] = torch.nan
    optimizer.update_for(LAYOUT)(p, grads, buffers, factors)
    assert any(bool(t[0].isnan().all()) for t in (p, *buffers))
    assert all(bool(t[1].isfinite().all()) for t in (p, *buffers))
    assert (p[1] < 1).all()


def test_an_optimizer_without_a_batched_form_trains_alone_and_the_search_says_why() -> None:
    shape = InputShape(1, 3)
    each = config(optimizer__name="shampoo")
    assert executor_for(each, shape, "cpu") == "solo"
    assert why_alone(each, shape, "cpu") == "optimizer shampoo has no batched form"
    assert why_alone(config(optimizer__name="muon"), shape, "cpu") is None
    with pytest.raises(ValueError, match="no batched form"):
        OPTIMIZERS["shampoo"].update_for(LAYOUT)
