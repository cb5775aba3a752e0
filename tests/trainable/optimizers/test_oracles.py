"""Optimizers against another implementation of each, or against what their papers promise."""

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from trainable.config import from_params
from trainable.optimizers import OPTIMIZERS
from trainable.optimizers.muon import orthogonal

START = torch.linspace(-1, 1, 12, dtype=torch.float64).view(4, 3)
SLOPES = torch.linspace(3, 0.1, 12, dtype=torch.float64).view(4, 3)


def config_of(name: str, **fields: float) -> Any:
    params = {f"optimizer/{key}": value for key, value in fields.items()}
    return from_params({"optimizer/name": name, "optimizer/lr": 0.01, **params}).optimizer


def run(step_of: Callable[[Tensor], Callable[[Tensor], object]], steps: int = 30) -> Tensor:
    """Trains a matrix on a noisy bowl, by a function from it to what takes a step."""
    p = START.clone().requires_grad_()
    step = step_of(p)
    draw = torch.Generator().manual_seed(0)
    for _ in range(steps):
        noise = torch.randn(4, 3, generator=draw, dtype=torch.float64)
        p.grad = p.detach() * SLOPES + noise
        step(p.grad)
    return p.detach()


def built(
    config: Any, name: str = "hidden.weight"
) -> Callable[[Tensor], Callable[[Tensor], object]]:
    def start(p: Tensor) -> Callable[[Tensor], object]:
        optimizer = OPTIMIZERS[config.name].build([(name, p)], config)
        return lambda gradient: optimizer.step()

    return start


def same(found: Tensor, expected: Tensor, atol: float = 1e-12) -> None:
    assert (expected - START).abs().max() > 0.01
    torch.testing.assert_close(found, expected, rtol=0, atol=atol)


def test_adamw_is_torchs_plain_one_too() -> None:
    """The built one is fused; the plain loop of torch is another implementation."""
    config = config_of("adamw", weight_decay=0.1, beta1=0.5, beta2=0.9)

    def plain(p: Tensor) -> Callable[[Tensor], object]:
        adamw = torch.optim.AdamW([p], 0.01, (0.5, 0.9), weight_decay=0.1, foreach=False)
        return lambda gradient: adamw.step()

    same(run(built(config)), run(plain))


def test_gpro_whose_cap_is_never_reached_is_torchs_adam() -> None:
    config = config_of("gpro", weight_decay=0.1, beta1=0.5, beta2=0.9, max_update_norm=1e9)

    def adam(p: Tensor) -> Callable[[Tensor], object]:
        optimizer = torch.optim.Adam([p], 0.01, (0.5, 0.9), weight_decay=0.1)
        return lambda gradient: optimizer.step()

    same(run(built(config)), run(adam))


def test_gpro_moves_no_tensor_further_than_its_cap_and_smaller_updates_as_adam_does() -> None:
    moves = []

    def watched(p: Tensor) -> Callable[[Tensor], object]:
        step = built(config_of("gpro", lr=0.1, max_update_norm=2.0))(p)

        def one(gradient: Tensor) -> None:
            before = p.detach().clone()
            step(gradient)
            moves.append(float((p.detach() - before).norm()))

        return one

    run(watched)
    assert max(moves) == pytest.approx(0.1 * 2)
    assert min(moves) < 0.9 * 0.1 * 2


def test_lamb_is_algorithm_2_by_hand() -> None:
    config = config_of("lamb", weight_decay=0.1)

    def by_hand(p: Tensor) -> Callable[[Tensor], object]:
        m, v, t = torch.zeros_like(START), torch.zeros_like(START), 0

        def one(gradient: Tensor) -> None:
            nonlocal m, v, t
            t += 1
            m = 0.9 * m + 0.1 * gradient
            v = 0.999 * v + 0.001 * gradient**2
            update = m / (v.sqrt() + 1e-6) + 0.1 * p.detach()
            ratio = p.detach().norm() / (update.norm() + 1e-6)
            p.data -= 0.01 / (1 - 0.9**t) * ratio * update

        return one

    same(run(built(config)), run(by_hand))


def test_adafactor_is_torchs_while_its_cap_on_the_rate_is_not_reached() -> None:
    """torch adds nothing to the squares, and its rate is at most 1/√t."""
    config = config_of("adafactor", weight_decay=0.0, beta2=0.99999)

    def torchs(p: Tensor) -> Callable[[Tensor], object]:
        optimizer = torch.optim.Adafactor([p], 0.01)
        return lambda gradient: optimizer.step()

    same(run(built(config)), run(torchs))


def test_adan_is_algorithm_1_by_hand() -> None:
    config = config_of("adan", weight_decay=0.1)

    def by_hand(p: Tensor) -> Callable[[Tensor], object]:
        t = 0
        m, d, n = (torch.zeros_like(START) for _ in range(3))
        last: Tensor | None = None

        def one(gradient: Tensor) -> None:
            nonlocal m, d, n, t, last
            t += 1
            difference = torch.zeros_like(START) if last is None else gradient - last
            m = 0.98 * m + 0.02 * gradient
            d = 0.92 * d + 0.08 * difference
            n = 0.99 * n + 0.01 * (gradient + 0.92 * difference) ** 2
            ahead = m / (1 - 0.98**t) + 0.92 * d / (1 - 0.92**t)
            size = 0.01 / ((n / (1 - 0.99**t)).sqrt() + 1e-8)
            p.data = (1 - 0.01 * 0.1) * p.data - size * ahead
            last = gradient.clone()

        return one

    same(run(built(config)), run(by_hand))


def test_sophia_is_the_library_s_with_the_squared_gradient_as_its_hessian() -> None:
    from pytorch_optimizer import SophiaH  # a second for each process of a test run

    config = config_of("sophia", hessian_scale=0.3, weight_decay=0.1)

    def library(p: Tensor) -> Callable[[Tensor], object]:
        sophia = SophiaH([p], 0.01, (0.96, 0.99), weight_decay=0.1, p=1.0)
        return lambda gradient: sophia.step(hessian=[0.3 * gradient**2])

    same(run(built(config)), run(library))


def test_sophia_needs_no_second_backward_pass() -> None:
    x = torch.ones(2, requires_grad=True)
    optimizer = OPTIMIZERS["sophia"].build([("hidden", x)], config_of("sophia", lr=0.1))
    (x**2).sum().backward()
    optimizer.step()
    assert (x < 1).all()


def test_shampoo_is_algorithm_1_by_hand() -> None:
    """W ← W − lr · L^(−1/4) G R^(−1/4), L and R the sums of G·Gᵀ and Gᵀ·G."""
    config = config_of("shampoo", weight_decay=0.0)

    def root(matrix: Tensor) -> Tensor:
        values, vectors = torch.linalg.eigh(matrix)
        return vectors @ torch.diag(values**-0.25) @ vectors.T

    def by_hand(p: Tensor) -> Callable[[Tensor], object]:
        left, right = (1e-6 * torch.eye(n, dtype=torch.float64) for n in (4, 3))

        def one(gradient: Tensor) -> None:
            nonlocal left, right
            left, right = left + gradient @ gradient.T, right + gradient.T @ gradient
            p.data -= 0.01 * root(left) @ gradient @ root(right)

        return one

    same(run(built(config)), run(by_hand), atol=1e-8)


@pytest.mark.parametrize("shape", [(1, 1), (1, 6), (6, 1), (4, 7), (7, 4), (5, 5)])
def test_muon_iterates_on_singular_values_alone(shape: tuple[int, int]) -> None:
    """Newton–Schulz is a polynomial of each singular value of the matrix divided by its norm."""
    x = torch.randn(3, *shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    u, s, vh = torch.linalg.svd(x / x.norm(dim=(1, 2), keepdim=True), full_matrices=False)
    for _ in range(5):
        s = 3.4445 * s - 4.7750 * s**3 + 2.0315 * s**5
    torch.testing.assert_close(orthogonal(x), u * s.unsqueeze(1) @ vh, rtol=0, atol=1e-12)
    assert not orthogonal(torch.zeros(1, *shape)).any()


def test_muon_is_torchs_to_the_precision_that_torchs_has() -> None:
    """torch iterates in bfloat16, which has eight bits."""
    config = config_of("muon", weight_decay=0.1)

    def torchs(p: Tensor) -> Callable[[Tensor], object]:
        muon = torch.optim.Muon([p], 0.01, 0.1, adjust_lr_fn="match_rms_adamw")
        return lambda gradient: muon.step()

    same(run(built(config)), run(torchs), atol=30 * 0.01 * 0.2 * math.sqrt(4) * 2**-7)


@pytest.mark.parametrize("name", ["head.weight", "head_up.0.weight", "embedding.weight"])
def test_muon_leaves_heads_and_embeddings_to_adamw(name: str) -> None:
    config = config_of("muon", weight_decay=0.1)

    def adamw(p: Tensor) -> Callable[[Tensor], object]:
        optimizer = torch.optim.AdamW([p], 0.01, weight_decay=0.1)
        return lambda gradient: optimizer.step()

    same(run(built(config, name)), run(adamw))


def test_muon_s_update_of_a_matrix_has_about_the_size_of_adamw_s() -> None:
    """0.2 · √max(n, m), Liu et al. (2025): both parts can share a learning rate."""
    x = torch.randn(1, 64, 256, generator=torch.Generator().manual_seed(0))
    assert 0.15 < float((orthogonal(x) * 0.2 * 16).square().mean().sqrt()) < 0.25
