"""A weighted sum of losses, per head and horizon, with weights that change by phase."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple

import torch
from torch import Tensor

from trainable.cli.errors import UserError, look_up, unknown
from trainable.hyperparameter import entry_name, hyperparameter, hyperparameters
from trainable.losses.base import (
    Columns,
    Heads,
    Loss,
    LossResult,
    RowFacts,
    Targets,
    Trained,
    dead_zone_field,
)
from trainable.losses.cross_entropy import (
    action_signal,
    smoothing_field,
    threshold_field,
)
from trainable.losses.huber import delta_field
from trainable.losses.information_coefficient import rank_temperature_field
from trainable.losses.phases import (
    Part,
    horizons_of,
    parts_of,
    phases_of,
    shares_of,
    weights_at,
)
from trainable.losses.quantile import median_signal, quantiles_field
from trainable.losses.table import LOSSES
from trainable.losses.variance import variance_floor_field

HEADS = ("return", "action", "quantile")  # in the order of a model's outputs
ONE_HORIZON = ("action",)  # heads that answer for one horizon alone
SIZED = ("mse", "huber", "adaptive_huber", "variance")  # read the output as a return, not a logit
USED, IDLE = "weight", "idle"  # begin the names of the columns of weights


def _check_phases(key: str, value: str) -> None:
    """Raises `UserError` unless the text describes phases of losses that can be parts."""
    for part in parts_of(value):
        if part.loss == "weighted" or part.loss not in LOSSES:
            raise unknown(f"loss in {key}:", part.loss, sorted({*LOSSES} - {"weighted"}))


def _check_horizons(key: str, value: str) -> None:
    horizons_of(value)


@dataclass(frozen=True)
class WeightedConfig:
    """The parts of the sum, their weights by phase, and the settings of the parts."""

    name: str = entry_name("weighted")
    phases: str = hyperparameter(
        '{"0": {"huber": 1.0}}',
        'JSON: weights of losses by the epoch a phase begins at; "huber@5" is of one horizon',
        check=_check_phases,
    )
    horizons: str = hyperparameter(
        "",
        'horizons in bars, joined by "-", one return of the model each; empty: data.horizon alone',
        works="1-5-20",
        check=_check_horizons,
    )
    delta: float = delta_field("where the Huber losses turn linear, in target standard deviations")
    threshold: float = threshold_field()
    smoothing: float = smoothing_field()
    quantiles: str = quantiles_field()
    rank_temperature: float = rank_temperature_field()
    variance_floor: float = variance_floor_field()
    dead_zone: float = dead_zone_field()


class Term(NamedTuple):
    """A part as the sum computes it.

    Attributes:
        part: the loss and its horizon.
        head: whose outputs it reads.
        size: outputs of the head for one horizon.
        used: some member has a weight for it.
        column: name of its weights.
    """

    part: Part
    head: str
    size: int
    used: bool
    column: str


def heads(config: WeightedConfig) -> Heads:
    """Returns the heads that the parts of any phase need."""
    horizons = max(1, len(horizons_of(config.horizons)))
    sizes = dict(_head(config, part) for part in parts_of(config.phases))
    return tuple((name, _times(name, horizons) * sizes[name]) for name in HEADS if name in sizes)


def losses_of(config: WeightedConfig) -> tuple[Loss, ...]:
    """Returns the losses of the parts of all phases."""
    return tuple(look_up(LOSSES, part.loss, "loss") for part in parts_of(config.phases))


def horizons(config: WeightedConfig) -> tuple[int, ...]:
    """Returns the horizons that the configuration names; none: that of the data alone."""
    return horizons_of(config.horizons)


def by_epoch(config: WeightedConfig, epoch: int) -> dict[str, float]:
    """Returns the weights of all parts after so many epochs, and the further columns of the parts.

    An epoch past all phases has the weights of the last one. The validation loss takes these at
    every epoch, so that epochs of different phases are compared by one measure.

    The name of a column says what its part needs of the model. Those of a part without a weight
    have another name: where no member of a cohort has one, the part is not computed.
    """
    columns: dict[str, float] = {}
    for loss in losses_of(config):
        columns |= {} if loss.by_epoch is None else loss.by_epoch(config, epoch)
    for part, weight in weights_at(config.phases, epoch).items():
        head, size = _head(config, part)
        columns[f"{USED if weight else IDLE} {head} {size} {part}"] = weight
    return columns


def weighted(prediction: Tensor, targets: Targets, columns: Columns, training: bool) -> LossResult:
    """Returns the weighted sum of the parts, its slope, and each part before its weight.

    A part of no named horizon is the mean over all horizons with weights ∝ 1/√h; one of actions is
    of the horizon that is traded. A part without a weight for a member is NaN for it, whatever it
    is for its neighbours; every part of every phase has its name in the result.

    Args:
        prediction: [..., B, O] in the order of `heads`; [..., B] where O is 1.
        targets: of one horizon or of several, as `RowFacts.horizons` has them.
        columns: those of `by_epoch`, and the settings of the parts.
        training: in training.
    """
    facts = targets.rows
    several = (None,) if facts is None else facts.horizons
    terms = _terms(tuple(columns))
    first = _first_outputs(terms, len(several))
    outputs = sum(_times(term.head, len(several)) * term.size for term in _one_a_head(terms))
    wide = prediction if outputs > 1 else prediction.unsqueeze(-1)
    total, slope = None, torch.zeros_like(wide)
    parts: dict[str, Tensor] = {}
    for term in terms:
        if not term.used:
            parts[str(term.part)] = wide.new_full(wide.shape[:-2], torch.nan)
            continue
        weight = columns[term.column]
        counts = weight > 0  # 0 × inf of a neighbour's part would be NaN
        whole = None
        for place, share in _places(term, several, facts):
            start = first[term.head]
            if term.head not in ONE_HORIZON:
                start += place * term.size
            where = slice(start, start + term.size)
            own = wide[..., where]
            result = LOSSES[term.part.loss].of_batch(
                own if term.size > 1 else own.squeeze(-1),
                _of_horizon(targets, place, len(several)),
                columns,
                training,
            )
            value = share * result.loss
            whole = value if whole is None else whole + value
            scaled = (share * weight).unsqueeze(-1) * result.slope.view_as(own)
            slope[..., where] += scaled.masked_fill(~counts.unsqueeze(-1), 0)
        assert whole is not None
        parts[str(term.part)] = torch.where(counts.squeeze(-1), whole, torch.nan)
        added = torch.where(counts.squeeze(-1), weight.squeeze(-1) * whole, 0)
        total = added if total is None else total + added
    assert total is not None
    return LossResult(total, slope.reshape(prediction.shape), parts)


def signal(config: WeightedConfig, prediction: Tensor, horizon: int) -> Tensor:
    """Returns the return predicted for `data.horizon`, else P(buy) − P(sell), else the median."""
    several = horizons_of(config.horizons) or (horizon,)
    sizes = heads(config)
    if sum(size for _, size in sizes) == 1:
        return prediction
    name, size = sizes[0]
    own, place = prediction[..., :size], several.index(horizon)
    if name == "return":
        return own[..., place]
    if name == "action":
        return action_signal(config, own, horizon)
    return median_signal(config, own.unflatten(-1, (len(several), -1))[..., place, :], horizon)


def idle(config: WeightedConfig) -> frozenset[str]:
    """Returns the fields without effect: settings of losses that are no part of the sum."""
    of_parts = {name for loss in losses_of(config) for name in hyperparameters(loss.config)}
    own = {"phases", "horizons", "dead_zone"}
    return frozenset(hyperparameters(WeightedConfig).keys() - of_parts - own)


def check(config: WeightedConfig, trained: Trained | None) -> None:
    """Raises `UserError` for parts that do not fit each other, the horizons or the data."""
    parts = parts_of(config.phases)
    own_fields = hyperparameters(WeightedConfig)
    for part in parts:
        missing = {*LOSSES[part.loss].columns} - own_fields.keys()
        if missing:
            raise UserError(
                f"loss/phases: {part} has settings of its own ({', '.join(sorted(missing))}), "
                "which a weighted sum does not have; train it alone, as loss/name"
            )
    _check_together(config, parts)
    named = horizons_of(config.horizons)
    for part in parts:
        if part.horizon is not None and part.horizon not in named:
            listed = config.horizons or "(empty: data.horizon alone)"
            longer = "-".join(map(str, sorted({*named, part.horizon})))
            raise UserError(
                f"loss/phases: {part} is of horizon {part.horizon}, which loss/horizons={listed} "
                f"does not have; fix.loss/horizons={longer} works, or {part.loss} alone"
            )
        entry = LOSSES[part.loss]
        if part.loss != "variance":
            entry.check(_as_alone(entry, config), trained)
    if trained is not None:
        _check_traded(config, parts, named or (trained.horizon,), trained.horizon)
        late = phases_of(config.phases)[-1].start
        if late >= trained.epochs:
            raise UserError(
                f"loss/phases begins a phase after {late} epochs, and training has "
                f"{trained.epochs}; leave it out, or epochs={late + 1} works"
            )


WEIGHTED = Loss(
    WeightedConfig,
    weighted,
    ("delta", "threshold", "smoothing", "rank_temperature", "variance_floor"),
    by_epoch=by_epoch,
    heads=heads,
    parts=losses_of,
    horizons=horizons,
    signal=signal,
    check=check,
    idle=idle,
)
LOSSES["weighted"] = WEIGHTED


def _check_together(config: WeightedConfig, parts: tuple[Part, ...]) -> None:
    """Raises `UserError` for parts that read one output in two ways, or say nothing of targets."""
    names = {part.loss for part in parts}
    sized = sorted(names.intersection(SIZED))
    if "bce" in names and sized:
        raise UserError(
            f"loss/phases: bce reads the model's output as a logit and {sized[0]} as a return; "
            "cross_entropy, which has outputs of its own, works instead of bce"
        )
    actions = [part for part in parts if _head(config, part)[0] in ONE_HORIZON]
    if len(actions) > 1:
        raise UserError(
            f"loss/phases: {' and '.join(map(str, actions))} share one output; keep one of them"
        )
    for phase in phases_of(config.phases):
        used = {part for part, weight in phase.weights.items() if weight}
        others = [part for part in used if part.loss != "variance"]
        if len(others) < len(used) and not any(_head(config, p)[0] == "return" for p in others):
            raise UserError(
                f"loss/phases: variance in phase {phase.start} says nothing of the target, and "
                "no other part there trains the predicted return; huber beside it works"
            )


def _check_traded(
    config: WeightedConfig, parts: tuple[Part, ...], several: tuple[int, ...], horizon: int
) -> None:
    """Raises `UserError` where the sum does not train what is traded, or trains in vain."""
    if horizon not in several:
        longer = "-".join(map(str, sorted({*several, horizon})))
        raise UserError(
            f"loss/horizons={config.horizons} must have data.horizon={horizon}, which is "
            f"traded; fix.loss/horizons={longer} or data.horizon={several[0]} works"
        )
    trained: dict[str, set[int]] = {}
    for part in parts:
        if part.loss == "variance":
            continue  # it says nothing of a target
        head, _ = _head(config, part)
        all_of_them = {horizon} if head in ONE_HORIZON else {*several}
        of_part = all_of_them if part.horizon is None else {part.horizon}
        trained.setdefault(head, set()).update(of_part)
    traded = next(head for head in HEADS if head in trained)
    # The last phase is the longest and the one that trials are compared by.
    if not any(
        weight and _head(config, part)[0] == traded and part.horizon in (None, horizon)
        for part, weight in phases_of(config.phases)[-1].weights.items()
        if part.loss != "variance"
    ):
        raise UserError(
            f"loss/phases: no part of the last phase trains the {traded} of "
            f"data.horizon={horizon}, which is traded; a part without @, or with @{horizon}, does"
        )
    idle = {*several} - set().union(*trained.values())
    if idle:
        listed = ", ".join(map(str, sorted(idle)))
        raise UserError(
            f"loss/horizons={config.horizons}: no part of loss/phases is of {listed}; leave it out"
        )


def _as_alone(entry: Loss, config: WeightedConfig) -> Any:
    """Returns the configuration of a part that would train alone with the settings of the sum."""
    shared = hyperparameters(entry.config).keys() & hyperparameters(WeightedConfig).keys()
    values = {name: getattr(config, name) for name in shared - {"name"}}
    return entry.config(**values)


def _head(config: WeightedConfig, part: Part) -> tuple[str, int]:
    """Returns the head of a part, and its outputs for one horizon."""
    ((name, size),) = look_up(LOSSES, part.loss, "loss").heads(config)
    return name, size


def _times(head: str, horizons: int) -> int:
    """Returns how often the outputs of one horizon stand in a head of so many horizons."""
    return 1 if head in ONE_HORIZON else horizons


@cache
def _terms(names: tuple[str, ...]) -> tuple[Term, ...]:
    """Returns the terms that columns of these names stand for, in the order of their parts."""
    found: dict[str, Term] = {}
    for column in names:
        kind, _, rest = column.partition(" ")
        if kind in (USED, IDLE):
            head, size, name = rest.split(" ")
            loss, at, horizon = name.partition("@")
            part = Part(loss, int(horizon) if at else None)
            if kind == USED or name not in found:
                found[name] = Term(part, head, int(size), kind == USED, column)
    return tuple(found[name] for name in sorted(found))


def _one_a_head(terms: tuple[Term, ...]) -> list[Term]:
    """Returns one term of each head, in the order of the heads."""
    by_head = {term.head: term for term in terms}
    return [by_head[head] for head in HEADS if head in by_head]


def _first_outputs(terms: tuple[Term, ...], horizons: int) -> Mapping[str, int]:
    """Returns where the outputs of each head begin."""
    first, at = {}, 0
    for term in _one_a_head(terms):
        first[term.head] = at
        at += _times(term.head, horizons) * term.size
    return first


def _places(
    term: Term, several: tuple[int | None, ...], facts: RowFacts | None
) -> Iterator[tuple[int, float]]:
    """Yields the horizons of a term by their place, with the share that each has in it."""
    if term.part.horizon is not None:
        yield several.index(term.part.horizon), 1.0
    elif len(several) == 1:
        yield 0, 1.0
    elif term.head in ONE_HORIZON:
        assert facts is not None
        yield facts.traded, 1.0
    else:
        assert facts is not None
        yield from enumerate(shares_of(facts.horizons))


def _of_horizon(targets: Targets, place: int, horizons: int) -> Targets:
    """Returns the targets of one horizon, as a loss of one takes them."""
    if horizons == 1:
        return targets
    y, mask, rows = targets
    assert rows is not None
    one = slice(place, place + 1)
    rows = rows._replace(scale=rows.scale[one], horizons=rows.horizons[one], traded=0)
    return Targets(y[..., place], None if mask is None else mask[..., place], rows)
