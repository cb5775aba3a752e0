"""The text of `loss/phases`: what it means, and what is refused with a line."""

import math

import pytest

from trainable.cli.errors import UserError
from trainable.config import from_params
from trainable.losses import LOSSES
from trainable.losses.base import Trained
from trainable.losses.phases import Part, horizons_of, phases_of, shares_of, weights_at
from trainable.validation import validate

TEXT = '{"0": {"huber": 0.3}, "10": {"sharpe": 0.5, "rank_ic@5": 0.1}}'
HUBER, SHARPE, RANK_IC = Part("huber"), Part("sharpe"), Part("rank_ic", 5)


def sum_of(phases: str, horizons: str = "", **settings: object) -> dict[str, object]:
    named = {f"loss/{name}": value for name, value in settings.items()}
    return {"loss/name": "weighted", "loss/phases": phases, "loss/horizons": horizons, **named}


def on_data(params: dict[str, object], horizon: int = 1, symbols: int = 20, epochs: int = 50):
    loss = from_params(params).loss
    LOSSES[loss.name].check(loss, Trained(horizon, symbols, epochs))


def test_a_phase_lasts_until_the_next_and_the_last_forever() -> None:
    first, later = (
        {HUBER: 0.3, SHARPE: 0.0, RANK_IC: 0.0},
        {HUBER: 0.0, SHARPE: 0.5, RANK_IC: 0.1},
    )
    for epoch, weights in ((0, first), (9, first), (10, later), (49, later), (2**31, later)):
        assert weights_at(TEXT, epoch) == weights
    backwards = '{"10": {"sharpe": 0.5, "rank_ic@5": 0.1}, "0": {"huber": 0.3}}'
    assert phases_of(backwards) == phases_of(TEXT)
    assert [str(part) for part in weights_at(TEXT, 0)] == ["huber", "rank_ic@5", "sharpe"]


def test_horizons_share_by_one_over_the_root_of_their_length() -> None:
    assert horizons_of("1-5-10-20") == (1, 5, 10, 20)
    assert horizons_of("") == ()
    shares = shares_of([1, 4, 25])
    assert shares == pytest.approx([10 / 17, 5 / 17, 2 / 17])
    assert math.fsum(shares) == pytest.approx(1)


@pytest.mark.parametrize(
    ("phases", "message"),
    [
        ("huber", r"loss/phases='huber' is not JSON: .* works"),
        ("", r"is not JSON"),
        ("[1]", r"must be an object of phases"),
        ("{}", r"must be an object of phases"),
        ('{"0": 1}', r"phase 0 must be an object of weights"),
        ('{"0": {}}', r"phase 0 must be an object of weights"),
        ('{"0": {"hubr": 1}}', r"unknown loss in loss/phases: 'hubr'; did you mean 'huber'"),
        ('{"0": {"weighted": 1}}', r"unknown loss in loss/phases: 'weighted'"),
        ('{"0": {"huber": -1}}', r"weight -1 of huber in phase 0 must be a finite number"),
        ('{"0": {"huber": NaN}}', r"weight nan of huber in phase 0 must be a finite number"),
        ('{"0": {"huber": Infinity}}', r"weight inf of huber"),
        ('{"0": {"huber": 1e400}}', r"weight inf of huber"),
        ('{"0": {"huber": true}}', r"weight True of huber"),
        ('{"0": {"huber": "1"}}', r"weight '1' of huber"),
        ('{"0": {"huber": 0}}', r"phase 0 has no weight above 0"),
        ('{"0": {"huber": 1, "mse": 0}}', r"mse never has a weight above 0; leave it"),
        ('{"0": {"huber": 1, "huber": 2}}', r"huber stands twice in phase 0"),
        ('{"0": {"huber": 1}, "0": {"mse": 1}}', r"two phases begin at one epoch"),
        ('{"0": {"huber": 1}, "00": {"mse": 1}}', r"two phases begin at one epoch"),
        ('{"5": {"huber": 1}}', r'no phase begins at "0"'),
        ('{"0": {"huber": 1}, "1.5": {"mse": 1}}', r"phase '1.5' must be a whole number"),
        ('{"0": {"huber": 1}, "-1": {"mse": 1}}', r"phase '-1' must be a whole number"),
        ('{"0": {"huber@": 1}}', r"'huber@' must end with a horizon in bars, such as huber@5"),
        ('{"0": {"huber@x": 1}}', r"'huber@x' must end with a horizon"),
        ('{"0": {"huber@0": 1}}', r"'huber@0' must end with a horizon"),
        ('{"0": {"huber@5": 1}}', r"huber@5 is of horizon 5, .* fix\.loss/horizons=5 works"),
        ('{"0": {"bce": 1, "huber": 1}}', r"bce reads .* a logit and huber as a return"),
        ('{"0": {"bce": 1}, "3": {"mse": 1}}', r"bce reads .* a logit and mse as a return"),
        ('{"0": {"variance": 1}}', r"variance in phase 0 says nothing of the target"),
        ('{"0": {"variance": 1, "quantile": 1}}', r"variance in phase 0 says nothing"),
        ('{"0": {"ic": 1}, "9": {"variance": 1}}', r"variance in phase 9 says nothing"),
    ],
)
def test_what_means_nothing_is_refused(phases: str, message: str) -> None:
    with pytest.raises(UserError, match=message) as raised:
        validate(from_params(sum_of(phases)))
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("horizons", ["5-1", "1-1", "0-1", "1-", "a", "1.5", "-1"])
def test_horizons_that_are_none_are_refused(horizons: str) -> None:
    with pytest.raises(UserError, match="increasing whole numbers of bars"):
        validate(from_params(sum_of('{"0": {"huber": 1}}', horizons)))


@pytest.mark.parametrize(
    ("phases", "horizons", "message"),
    [
        ('{"0": {"huber@5": 1}}', "1", r"loss/horizons=1 does not have; .*horizons=1-5 works"),
        ('{"0": {"cross_entropy@1": 1, "cross_entropy@5": 1}}', "1-5", r"share one output"),
    ],
)
def test_parts_that_do_not_fit_the_horizons_are_refused(
    phases: str, horizons: str, message: str
) -> None:
    with pytest.raises(UserError, match=message):
        validate(from_params(sum_of(phases, horizons)))


@pytest.mark.parametrize(
    ("phases", "horizons", "data", "message"),
    [
        (
            '{"0": {"huber": 1}}', "5-20", {},
            r"loss/horizons=5-20 must have data\.horizon=1, .*horizons=1-5-20 or data\.horizon=5",
        ),
        ('{"0": {"huber@5": 1}}', "1-5", {}, r"last phase trains the return of data\.horizon=1"),
        (
            '{"0": {"huber@5": 1, "variance@1": 1}}', "1-5", {},
            r"last phase trains the return of data\.horizon=1",
        ),
        ('{"0": {"quantile@5": 1}}', "1-5", {}, r"phase trains the quantile of data\.horizon=1"),
        ('{"0": {"cross_entropy@5": 1}}', "1-5", {}, r"last phase trains the action of data"),
        ('{"0": {"huber@1": 1}}', "1-5-20", {}, r"no part of loss/phases is of 5, 20; leave it"),
        ('{"0": {"cross_entropy": 1}}', "1-5", {}, r"no part of loss/phases is of 5; leave it out"),
        (
            '{"0": {"huber": 1}, "9": {"mse": 1}}', "", {"epochs": 9},
            r"a phase after 9 epochs, and training has 9; .* epochs=10 works",
        ),
        ('{"0": {"ic": 1}}', "", {"symbols": 2}, r"loss ic compares .* the data have 2"),
    ],
)  # fmt: skip
def test_a_sum_that_does_not_fit_the_data_is_refused(
    phases: str, horizons: str, data: dict[str, int], message: str
) -> None:
    validate(from_params(sum_of(phases, horizons)))
    with pytest.raises(UserError, match=message):
        on_data(sum_of(phases, horizons), **data)


@pytest.mark.parametrize(
    ("phases", "horizons"),
    [
        (TEXT, "1-5"),
        ('{"0": {"bce": 1, "ic": 1}}', ""),
        ('{"0": {"huber@1": 1, "cross_entropy@5": 1}}', "1-5"),
        ('{"0": {"mse": 1, "variance": 1}, "10": {"sharpe": 1, "variance": 2, "mse": 0}}', ""),
    ],
)
def test_sums_that_are_allowed(phases: str, horizons: str) -> None:
    params = sum_of(phases, horizons)
    validate(from_params(params))
    on_data(params)


def test_a_loss_of_a_persons_own_that_has_settings_cannot_be_summed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A sum has the settings of the losses that come with the project."""
    huber = LOSSES["huber"]
    own = type(huber)(huber.config, huber.of_batch, ("gamma",))
    monkeypatch.setitem(LOSSES, "focal", own)
    with pytest.raises(UserError, match=r"focal has settings of its own \(gamma\)"):
        validate(from_params(sum_of('{"0": {"focal": 1}}')))
