"""Every optimizer of the table: its batched form against torch's own, member by member."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from trainable.config import from_params
from trainable.optimizers import OPTIMIZERS

VALUES = [
    {"lr": 1e-2, "weight_decay": 0.0, "momentum": 0.9},
    {"lr": 3e-3, "weight_decay": 0.1, "beta1": 0.5, "beta2": 0.9, "momentum": 0.0},
    {"lr": 3e-2, "weight_decay": 0.01, "beta1": 0.95, "beta2": 0.99, "momentum": 0.5},
]
STEPS, P = 300, 7
WAVE = 0.5 + 0.5 * np.cos(np.linspace(0, 3, STEPS))  # so that the rate differs at every step


def configs_of(name: str) -> list[Any]:
    """Three configurations of an optimizer."""
    return [
        from_params(
            {"optimizer/name": name} | {f"optimizer/{key}": value for key, value in each.items()}
        ).optimizer
        for each in VALUES
    ]


def gradient(p: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
    """Of a bowl with another curvature along each axis, with noise."""
    return p * torch.linspace(0.1, 3, P, dtype=p.dtype) + noise


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_batched_form_is_the_optimizer_of_one(name: str) -> None:
    optimizer, configs = OPTIMIZERS[name], configs_of(name)
    k = len(configs)
    draw = torch.Generator().manual_seed(0)
    start = torch.randn(k, P, generator=draw, dtype=torch.float64)
    noise = torch.randn(STEPS, k, P, generator=draw, dtype=torch.float64)
    lr = WAVE[:, None] * np.array([config.lr for config in configs])
    applied = np.broadcast_to(np.arange(1.0, STEPS + 1)[:, None], lr.shape)
    plan = {
        key: torch.tensor(table).unsqueeze(2)
        for key, table in optimizer.plan(configs, lr, applied).items()
    }

    p, buffers = start.clone(), [torch.zeros_like(start) for _ in range(optimizer.buffers)]
    ones = [row.clone().requires_grad_() for row in start]
    built = [optimizer.build([p], config) for p, config in zip(ones, configs, strict=True)]
    for i in range(STEPS):
        optimizer.update(p, gradient(p, noise[i]), buffers, {n: t[i] for n, t in plan.items()})
        for j, (one, torchs) in enumerate(zip(ones, built, strict=True)):
            for group in torchs.param_groups:
                group["lr"] = lr[i, j]
            one.grad = gradient(one.detach(), noise[i, j])
            torchs.step()
    torch.testing.assert_close(p, torch.stack([one.detach() for one in ones]), rtol=0, atol=1e-11)
    assert (p - start).abs().min() > 1e-3


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_member_that_skipped_steps_goes_on_where_it_was(name: str) -> None:
    """Bias correction counts the updates that were applied, not the steps that were taken."""
    optimizer, configs = OPTIMIZERS[name], configs_of(name)
    lr = np.full((6, 2), 1e-2)
    late = optimizer.plan(configs[:2], lr, np.arange(5.0, 11)[:, None] - np.array([0, 4]))
    fresh = optimizer.plan(configs[:2], lr, np.arange(1.0, 7)[:, None] - np.array([0, 0]))
    for key, table in late.items():
        np.testing.assert_array_equal(table[:, 1], fresh[key][:, 1])


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_nan_gradient_stays_with_its_member(name: str) -> None:
    optimizer = OPTIMIZERS[name]
    same = [replace(configs_of(name)[0], weight_decay=0.1)] * 2
    plan = optimizer.plan(same, np.full((1, 2), 0.1), np.ones((1, 2)))
    factors = {key: torch.tensor(table[0]).unsqueeze(1) for key, table in plan.items()}
    p, buffers = (
        torch.ones(2, P).double(),
        [torch.zeros(2, P).double() for _ in range(optimizer.buffers)],
    )
    grads = torch.ones(2, P).double()
    grads[0] = torch.nan
    optimizer.update(p, grads, buffers, factors)
    assert any(bool(t[0].isnan().all()) for t in (p, *buffers))
    assert all(bool(t[1].isfinite().all()) for t in (p, *buffers))
    assert (p[1] < 1).all()


def test_adamw_is_torchs_plain_one_too() -> None:
    """The built one is fused; the plain loop of torch is another implementation."""
    config = configs_of("adamw")[1]
    start = torch.linspace(-1, 1, P, dtype=torch.float64)
    a, b = (start.clone().requires_grad_() for _ in range(2))
    fused = OPTIMIZERS["adamw"].build([a], config)
    options = {"lr": config.lr, "weight_decay": config.weight_decay, "foreach": False}
    plain = torch.optim.AdamW([b], betas=(config.beta1, config.beta2), **options)
    for i in range(50):
        for p, optimizer in ((a, fused), (b, plain)):
            p.grad = gradient(p.detach(), torch.full((P,), 0.1 * i).double())
            optimizer.step()
    torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-13)
