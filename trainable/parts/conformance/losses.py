"""What a loss must do: its slope is its derivative, its mask counts, members stand alone."""

from dataclasses import dataclass

import torch
from torch import Tensor

from trainable.losses import Loss, LossConfig
from trainable.losses.base import LossResult, RowFacts, Targets
from trainable.parts.conformance.finding import Check

MEMBERS, DAYS, SYMBOLS = 2, 4, 6
ROWS = DAYS * SYMBOLS
STEP, CLOSE = 1e-6, 2e-4


@dataclass(frozen=True)
class LossSubject:
    """A loss with a configuration."""

    loss: Loss
    config: LossConfig
    dtype: torch.dtype = torch.float64

    @property
    def shape(self) -> tuple[int, ...]:
        """Of predictions: [K, B], or [K, B, O]."""
        outputs = sum(size for _, size in self.loss.heads(self.config))
        return (MEMBERS, ROWS) if outputs == 1 else (MEMBERS, ROWS, outputs)

    def prediction(self, seed: int = 0) -> Tensor:
        """Returns random predictions."""
        generator = torch.Generator().manual_seed(seed)
        return torch.randn(*self.shape, generator=generator, dtype=self.dtype)

    def targets(self, masked: bool = True) -> Targets:
        """Returns random targets, of which some rows do not count."""
        generator = torch.Generator().manual_seed(1)
        horizons = self.loss.horizons(self.config) or (1,)
        several = len(horizons) > 1
        shape = (MEMBERS, ROWS, len(horizons)) if several else (MEMBERS, ROWS)
        y = torch.randn(*shape, generator=generator, dtype=self.dtype)
        rows = None
        if self.loss.needs_facts(self.config):
            returns = 0.01 * torch.randn(MEMBERS, ROWS, generator=generator, dtype=self.dtype)
            scale = torch.full((len(horizons),), 0.01, dtype=self.dtype)
            whole_days = self.loss.batches_of(self.config) != "rows"
            symbols = SYMBOLS if whole_days else 0
            rows = RowFacts(scale, returns, symbols, 1e-4, horizons)
        mask = None
        if masked:
            mask = (torch.arange(ROWS) % 3 > 0).expand(MEMBERS, ROWS)
            mask = mask if y.dim() == 2 else mask.unsqueeze(-1).expand_as(y)
        return Targets(y, mask, rows)

    def of(self, prediction: Tensor, targets: Targets, training: bool = True) -> LossResult:
        """Returns the loss of each member."""
        configs = [self.config] * MEMBERS
        ages = [0] * MEMBERS
        columns = self.loss.columns_of(configs, torch.device("cpu"), self.dtype, ages)
        return self.loss.of_batch(prediction, targets, columns, training=training)


def wrong_shape(subject: LossSubject) -> str | None:
    """Returns how the results differ from the shapes that training takes; None: they do not."""
    for training in (True, False):
        prediction = subject.prediction()
        result = subject.of(prediction, subject.targets(), training)
        if not isinstance(result, LossResult):
            return f"it returns a {type(result).__name__}; it must return LossResult(loss, slope)"
        if result.loss.shape != (MEMBERS,):
            return f"the loss of {MEMBERS} members is {tuple(result.loss.shape)}, not ({MEMBERS},)"
        if result.slope.shape != prediction.shape:
            return (
                f"the slope is {tuple(result.slope.shape)} for predictions "
                f"{tuple(prediction.shape)}; it must have their shape"
            )
    return None


def has_a_value_for_each_member(subject: LossSubject) -> str | None:
    """Checks shapes, and that nothing is infinite, in training and in evaluation."""
    if (wrong := wrong_shape(subject)) is not None:
        return wrong
    for training in (True, False):
        result = subject.of(subject.prediction(), subject.targets(), training)
        if not bool(torch.isfinite(result.loss).all() & torch.isfinite(result.slope).all()):
            return "its value or slope is not finite on random predictions"
    for size in (1.0, 0.01):
        if bool(subject.of(size * subject.prediction(), subject.targets()).slope.any()):
            return None
    return "its slope is 0 on random predictions: nothing is learnt by it"


def slope_is_the_derivative(subject: LossSubject) -> str | None:
    """Checks the slope against finite differences, in evaluation: nothing follows the batch."""
    targets, p = subject.targets(), subject.prediction()
    slope = subject.of(p, targets, training=False).slope
    size = float(slope.abs().max())
    for place in range(0, p[0].numel(), 5):
        moved = torch.zeros_like(p).flatten(1)
        moved[:, place] = STEP
        moved = moved.view_as(p)
        up = subject.of(p + moved, targets, training=False).loss
        down = subject.of(p - moved, targets, training=False).loss
        wanted = (up - down) / (2 * STEP)
        apart = float((slope.flatten(1)[:, place] - wanted).abs().max())
        if not apart <= CLOSE * (size + float(wanted.abs().max())) + 1e-9:
            got = slope.flatten(1)[0, place]
            return (
                f"its slope is {float(got):.4g} where finite differences give "
                f"{float(wanted[0]):.4g} (row {place}): is the value the one that it is of?"
            )
    return None


def mask_counts(subject: LossSubject) -> str | None:
    """Checks that rows that do not count change nothing and have no slope."""
    targets, p = subject.targets(), subject.prediction()
    assert targets.mask is not None
    out = ~targets.mask if targets.mask.dim() == 2 else ~targets.mask.any(-1)
    plain = subject.of(p, targets)
    rows = out if p.dim() == 2 else out.unsqueeze(-1)
    other_y = targets.y.masked_fill(out if targets.y.dim() == 2 else out.unsqueeze(-1), 9.0)
    changed = subject.of(p.masked_fill(rows, 7.0), targets._replace(y=other_y))
    if not torch.allclose(plain.loss, changed.loss):
        return "rows that the mask leaves out change its value"
    if bool(plain.slope.masked_select(rows.expand_as(plain.slope)).any()):
        return "rows that the mask leaves out have a slope"
    nothing = subject.of(p, targets._replace(mask=torch.zeros_like(targets.mask)))
    if not bool(torch.isfinite(nothing.loss).all() & torch.isfinite(nothing.slope).all()):
        return "where no row counts it is not finite; 0 is wanted"
    return None


def members_stand_alone(subject: LossSubject) -> str | None:
    """Checks that the loss of one member does not depend on the predictions of another."""
    targets, p = subject.targets(), subject.prediction()
    other = p.clone()
    other[1] = -2 * p[1]
    one, two = subject.of(p, targets), subject.of(other, targets)
    if not (torch.equal(one.loss[0], two.loss[0]) and torch.equal(one.slope[0], two.slope[0])):
        return "the loss of one member of a cohort changes with the predictions of another"
    return None


CHECKS: tuple[tuple[str, Check[LossSubject]], ...] = (
    ("value and slope of each member", has_a_value_for_each_member),
    ("slope against finite differences", slope_is_the_derivative),
    ("mask", mask_counts),
    ("members by themselves", members_stand_alone),
)
