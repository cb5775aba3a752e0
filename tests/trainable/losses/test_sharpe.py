"""The Sharpe loss against the portfolio that ranks trials."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.fixtures.losses import Batch, batch, rows_of
from trainable.cli.errors import UserError
from trainable.config import from_params
from trainable.losses.base import RowFacts, Targets
from trainable.metrics.portfolio import hold, panel_weights, turnover_of
from trainable.metrics.return_statistics import period_ratios
from trainable.validation import validate

COST = 25e-4


def metric(b: Batch, days: int, symbols: int, horizon: int) -> np.ndarray:
    """Returns the Sharpe ratios [K] of one period, by the metrics that rank trials."""
    y, mask, rows = b.targets
    assert mask is not None
    assert rows is not None
    shape = (len(y), days, symbols)
    p, there, returns = (t.numpy().reshape(shape) for t in (b.prediction, mask, rows.returns))
    each = []
    for k in range(len(y)):
        weights = panel_weights(np.where(there, p, 0.0)[[k]], there[k], np.zeros((1, 1, 1)))
        held = hold(weights, horizon)
        gross = (held * np.where(there, returns, 0.0)[[k]]).sum(-1)
        each.append(period_ratios(gross - COST * turnover_of(held))[0])
    return np.array(each)


@pytest.mark.parametrize("horizon", [1, 3, 20])
@pytest.mark.parametrize("absent", [0.0, 0.3])
def test_it_is_the_ratio_that_ranks_but_for_the_year(horizon: int, absent: float) -> None:
    b = batch("sharpe", days=11, symbols=6, absent=absent, cost=COST, horizons=(horizon,))
    wanted = metric(b, 11, 6, horizon)
    assert len(set(wanted)) == 3
    np.testing.assert_allclose(b.result().loss.numpy(), -wanted, rtol=0, atol=1e-9)


def test_costs_and_the_first_entry_are_charged() -> None:
    """Predictions that never change are entered once: a cost of 1 on the first day, then none."""
    y = torch.tensor([[3.0, -1.0, 0.0, -1.0, 0.5]] * 4, dtype=torch.float64)
    y[:, 0] = torch.tensor([3.0, 2.0, 1.0, 4.0])
    p = torch.tensor([2.0, 0.0, 1.0, -1.0, -2.0], dtype=torch.float64).repeat(4)
    loss, targets, columns = rows_of("sharpe", y, cost=0.01)
    weights = [2 / 6, 0.0, 1 / 6, -1 / 6, -2 / 6]
    net: list[float] = [
        sum(w * 0.01 * r for w, r in zip(weights, day, strict=True)) for day in y.tolist()
    ]
    net[0] = net[0] - 0.01
    mean = sum(net) / 4
    std = math.sqrt(sum((r - mean) ** 2 for r in net) / 3)
    found = loss.of_batch(p, targets, columns, True).loss
    assert float(found) == pytest.approx(-mean / std, rel=1e-7)


def test_fewer_than_five_symbols_have_squashed_positions_less_their_mean() -> None:
    y = torch.tensor([[1.0, -2.0], [0.5, 1.0], [2.0, 0.3]], dtype=torch.float64)
    p = torch.tensor([0.3, -0.1, 0.2, 0.4, -0.5, 0.1], dtype=torch.float64)
    loss, targets, columns = rows_of("sharpe", y, cost=0.001)
    values = p.tolist()
    center = sum(values) / 6
    std = math.sqrt(sum((v - center) ** 2 for v in values) / 6)
    squashed = [math.tanh(v / std) for v in values]
    w = [(s - sum(squashed) / 6) / 2 for s in squashed]
    held, returns = [w[0:2], w[2:4], w[4:6]], (0.01 * y).tolist()
    before, net = [0.0, 0.0], []
    for now, earned in zip(held, returns, strict=True):
        gross = sum(a * b for a, b in zip(now, earned, strict=True))
        net.append(gross - 0.001 * sum(abs(a - b) for a, b in zip(now, before, strict=True)))
        before = now
    wanted = np.mean(net) / np.std(net, ddof=1)
    found = loss.of_batch(p, targets, columns, True).loss
    assert float(found) == pytest.approx(-wanted, rel=1e-6)


def test_nights_are_flat_and_leaving_and_coming_back_are_charged() -> None:
    """One position that never changes, over a session of two days, a night, and another of two."""
    y = torch.tensor([[3.0, -1.0, 0.0, -1.0, 0.5]] * 5, dtype=torch.float64)
    p = torch.tensor([2.0, 0.0, 1.0, -1.0, -2.0], dtype=torch.float64).repeat(5)
    loss, targets, columns = rows_of("sharpe", y, cost=0.01)
    facts = targets.rows
    assert facts is not None
    gross = sum(w * 0.01 * r for w, r in zip([2, 0, 1, -1, -2], y[0].tolist(), strict=True)) / 6

    def ratio(session: list[int], net: list[float]) -> None:
        """Holds the loss against net returns; of all days, or without that of the night."""
        few = len(session) * 5
        which = torch.tensor(session)
        rows = RowFacts(facts.scale, facts.returns[:few], 5, facts.cost, session=which)
        found = loss.of_batch(p[:few], Targets(targets.y[:few], None, rows), columns, True).loss
        assert float(found) == pytest.approx(-np.mean(net) / np.std(net, ddof=1), rel=1e-6)

    ratio([0, 0, -1, 1, 1], [gross - 0.01, gross, -0.01, gross - 0.01, gross])
    ratio([0, 0, 1, 1], [gross - 0.01, gross, gross - 0.02, gross])  # no label at the night


def test_no_position_has_a_ratio_of_0_and_a_way_out() -> None:
    b = batch("sharpe", symbols=6, cost=0.0)
    result = b.result(prediction=torch.full_like(b.prediction, 0.25))
    assert result.loss.abs().max() < 1e-6
    assert torch.isfinite(result.slope).all()
    step = 1e-3 * result.slope / result.slope.abs().amax(-1, keepdim=True)
    assert (b.result(prediction=0.25 - step).loss < 0).all()


@pytest.mark.parametrize("symbols", [2, 6])
def test_descent_raises_the_ratio(symbols: int) -> None:
    y = torch.randn(12, symbols, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    loss, targets, columns = rows_of("sharpe", y, cost=1e-4)
    p = torch.randn(12 * symbols, generator=torch.Generator().manual_seed(2), dtype=torch.float64)

    def net_ratio(p: Tensor) -> float:
        return -float(loss.of_batch(p, targets, columns, False).loss)

    first = net_ratio(p)
    for _ in range(200):
        p = p - 0.3 * loss.of_batch(p, targets, columns, True).slope
    assert net_ratio(p) > max(1.0, first + 1.0)


def test_one_day_and_single_rows_are_an_error() -> None:
    loss, targets, columns = rows_of("sharpe", torch.randn(1, 6))
    with pytest.raises(ValueError, match="two days a batch, and this one has 1"):
        loss.of_batch(torch.randn(6), targets, columns, True)
    with pytest.raises(ValueError, match="needs RowFacts"):
        loss.of_batch(torch.randn(6), type(targets)(targets.y), columns, True)


@pytest.mark.parametrize(
    "params",
    [{"loss/name": "sharpe"}, {"loss/name": "weighted", "loss/phases": '{"0": {"sharpe": 1}}'}],
)
def test_a_dead_zone_cannot_choose_the_portfolio(params: dict[str, object]) -> None:
    validate(from_params(params))
    with pytest.raises(UserError, match=r"loss/dead_zone=0\.01 .* fix\.loss/dead_zone=0 works"):
        validate(from_params({**params, "loss/dead_zone": 0.01}))
