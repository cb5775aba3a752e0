"""The Sharpe ratio as a loss: of the portfolio that follows the predictions, net of costs."""

from dataclasses import dataclass

import torch
from torch import Tensor

from trainable.cli.errors import UserError
from trainable.hyperparameter import entry_name
from trainable.losses.base import (
    NO_PARTS,
    Columns,
    LossConfig,
    LossValue,
    Targets,
    Trained,
    dead_zone_field,
    facts_of,
)
from trainable.losses.days import FLAT, Grid, grid, moments

PANEL = 5  # symbols from which weights are relative to the day's mean
TINY = 1e-6  # decimal return, of a market in which nothing moves


@dataclass(frozen=True)
class SharpeConfig:
    """The Sharpe ratio has no parameter of its own: costs are those of the data."""

    name: str = entry_name("sharpe")
    dead_zone: float = dead_zone_field()


def sharpe(prediction: Tensor, targets: Targets, columns: Columns, training: bool) -> LossValue:
    """Returns −mean ÷ standard deviation (ddof 1) of the net returns of a batch's days.

    The ratio is of one period, not annualised. The portfolio is the one that ranks trials: weights
    of the day, held over the horizon, net of cost × Σ|Δw|, the first entry charged. Decisions
    without a label count, too: they are traded. Where positions are flat overnight, leaving and
    coming back is charged. What a batch cannot know is simpler: an absent symbol has no weight and
    is not carried, and with fewer than five symbols the batch's own statistics stand for those of
    training, which has no days without any label. No position: 0.

    Raises:
        ValueError: the batch has fewer than two days.
    """
    facts = facts_of(targets)
    decided = targets if facts.there is None else targets._replace(mask=facts.there)
    cells = grid(prediction, decided)
    days = cells.present.shape[-2]
    if days < 2:
        raise ValueError(f"a Sharpe ratio needs two days a batch, and this one has {days}")
    decide = panel_weights if facts.symbols >= PANEL else bounded_weights
    held = hold(decide(cells), facts.horizons[0])
    if facts.session is not None:
        held = held.masked_fill((facts.session < 0).unsqueeze(-1), 0)
    turnover = turned_over(held, facts.session)
    returns = facts.returns.unflatten(-1, (-1, facts.symbols)).masked_fill(~cells.present, 0)
    net = (held * returns).sum(-1) - facts.cost * turnover
    mean = net.mean(-1, keepdim=True)
    square = (net - mean).square().sum(-1) / (days - 1)
    # Far below the spread of any portfolio, so that a constant one has a ratio and a slope.
    least = FLAT * (returns.square().mean((-1, -2)).sqrt() + TINY)
    return -mean.squeeze(-1) / (square + least.square()).sqrt(), NO_PARTS


def turned_over(held: Tensor, session: Tensor | None) -> Tensor:
    """Returns Σ|Δw| [..., D] of positions [..., D, N]; in a new session all are new."""
    before = torch.cat([torch.zeros_like(held[..., :1, :]), held[..., :-1, :]], -2)
    if session is None:
        return (held - before).abs().sum(-1)
    new = torch.zeros_like(session, dtype=torch.bool)
    new[..., 1:] = session[..., 1:] != session[..., :-1]
    left = before.abs().sum(-1).masked_fill(~new, 0)
    return left + (held - before.masked_fill(new.unsqueeze(-1), 0)).abs().sum(-1)


def panel_weights(cells: Grid) -> Tensor:
    """Returns weights [..., D, N]: predictions less their day's mean, scaled to Σ|w| = 1.

    They fade to 0 where the predictions of a day are almost equal.
    """
    of_day = moments(cells.prediction, cells.present)
    total = of_day.deviation.abs().sum(-1, keepdim=True)
    least = of_day.least * of_day.number
    return of_day.deviation / (total.square() + least.square()).sqrt()


def bounded_weights(cells: Grid) -> Tensor:
    """Returns weights [..., D, N] of fewer than five symbols: (squashed − its mean) ÷ N.

    Squashed is tanh(prediction ÷ standard deviation), over the batch, since a clipped position has
    no slope at its bounds; N counts the symbols of the day.
    """
    everything = cells.present.flatten(-2)
    p = cells.prediction.flatten(-2)
    squashed = torch.tanh(p / moments(p, everything).std).masked_fill(~everything, 0)
    position = moments(squashed, everything).deviation.view_as(cells.prediction)
    return position / cells.present.sum(-1, keepdim=True).clamp(min=1)


def hold(weights: Tensor, horizon: int) -> Tensor:
    """Returns positions [..., D, N]: the mean of the last h days' weights, of those that exist."""
    days = weights.shape[-2]
    total = weights
    for age in range(1, min(horizon, days)):
        none = torch.zeros_like(weights[..., :age, :])
        total = total + torch.cat([none, weights[..., :-age, :]], -2)
    if horizon == 1:
        return weights
    so_far = torch.arange(1, days + 1, device=weights.device, dtype=weights.dtype)
    return total / so_far.clamp(max=horizon).unsqueeze(-1)


def no_dead_zone(config: LossConfig, trained: Trained | None) -> None:
    """Raises `UserError` for a dead zone: it would choose the day's symbols by their returns."""
    if config.dead_zone:
        raise UserError(
            f"loss/dead_zone={config.dead_zone:g} would leave the symbols that hardly move out of "
            "the portfolio of loss sharpe, which cannot be known beforehand; "
            "fix.loss/dead_zone=0 works"
        )
