"""Trainings with every loss of the table: they end, learn, say their parts, and can be resumed."""

from typing import Any

import pytest
import torch

from tests.fixtures.members import interrupted_after, never_interrupted
from tests.fixtures.trainings import config, final, market, narrow, starts, trained
from trainable.cli.errors import UserError
from trainable.losses import LOSSES
from trainable.training.loop import Training
from trainable.validation import check

PHASES = '{"0": {"huber": 0.3, "ic": 0.2}, "2": {"sharpe": 0.5, "huber@5": 0.1}}'
SETTINGS: dict[str, dict[str, Any]] = {
    "cross_entropy": {"loss__threshold": 0.002},
    "weighted": {"loss__phases": PHASES, "loss__horizons": "1-5"},
}
ALONE = [name for name in LOSSES if name != "variance"]  # which is a part of a sum only


@pytest.mark.parametrize("name", ALONE)
def test_learns_a_planted_signal(name: str) -> None:
    settings = {"optimizer__lr": 3e-3, "train__batch_size": 48, "train__steps_per_epoch": 60}
    each = config(loss__name=name, **settings, **SETTINGS.get(name, {}))
    members, reports = trained([each], market(6, 1000))
    stop = reports[-1].stop
    assert stop is not None
    assert stop.reason == "completed"
    values = [report.values for report in reports]
    assert all(value["val_loss"] is not None for value in values)
    best = members[0].best_epoch
    ic = values[best - 1]["ic"]
    assert ic is not None
    assert ic > 0.1  # the signal is 0.3 strong


def test_each_part_of_a_sum_stands_in_the_report_of_its_phase() -> None:
    each = config(loss__name="weighted", train__batch_size=48, **SETTINGS["weighted"])
    _, reports = trained([each], market())
    for report in reports:
        before = {name for name, value in report.values.items() if name.startswith("train_loss.")}
        assert before == {f"train_loss.{part}" for part in ("huber", "ic", "sharpe", "huber@5")}
        active = {name for name in before if report.values[name] is not None}
        expected = ("huber", "ic") if report.epoch <= 2 else ("sharpe", "huber@5")
        assert active == {f"train_loss.{part}" for part in expected}
    total = reports[-1].values["train_loss"]
    sharpe, huber = (reports[-1].values[f"train_loss.{part}"] for part in ("sharpe", "huber@5"))
    assert total is not None
    assert sharpe is not None
    assert huber is not None
    assert total == pytest.approx(0.5 * sharpe + 0.1 * huber, rel=1e-5)


def test_the_validation_loss_of_all_phases_has_the_weights_of_the_last() -> None:
    alone = '{"0": {"sharpe": 0.5, "huber@5": 0.1}}'
    last = config(
        loss__name="weighted", train__batch_size=48, loss__phases=alone, loss__horizons="1-5",
        optimizer__lr=1e-12, train__epochs=1,
    )  # fmt: skip
    still = config(**SETTINGS["weighted"], loss__name="weighted", optimizer__lr=1e-12,
                   train__batch_size=48)  # fmt: skip
    (_, phased), (_, plain) = trained([still], market()), trained([last], market())
    expected = plain[0].values["val_loss"]
    assert expected is not None
    # The heads are the same, so both have the same first weights and hardly move.
    assert [r.values["val_loss"] for r in phased] == pytest.approx([expected] * 3, rel=1e-6)


@pytest.mark.parametrize("epochs", [0, 2])
def test_a_member_saved_within_an_epoch_keeps_the_parts_of_its_loss(
    epochs: int, tmp_path: Any
) -> None:
    each = config(loss__name="weighted", train__batch_size=48, **SETTINGS["weighted"])
    whole = never_interrupted("auto", each)
    resumed = interrupted_after(tmp_path, "auto", each, epochs=epochs, steps=8)
    for before, after in zip(whole.reports, resumed.reports, strict=True):
        speeds = {name: after.values[name] for name in ("steps_per_s", "tokens_per_s")}
        assert after.values == before.values | speeds
    assert (resumed.weights == whole.weights).all()


def test_who_stays_when_another_leaves_keeps_the_weights_of_the_phase() -> None:
    phases = '{"0": {"huber": 1.0}, "1": {"mse": 5.0}}'
    configs = [
        config(loss__name="weighted", loss__phases=phases, train__seed=seed) for seed in range(3)
    ]
    together, alone = (
        Training(starts(part), narrow(), "cohort") for part in (configs, configs[:1])
    )
    for training in (together, alone):
        training.advance()
        training.advance(steps=8)
    together.retire([1, 2])
    for training in (together, alone):
        training.advance()
    assert torch.equal(final(together, 0), final(alone, 0))


def test_one_horizon_may_be_named_as_several_are() -> None:
    phases = '{"0": {"huber@1": 1.0}}'
    named = config(loss__name="weighted", loss__phases=phases, loss__horizons="1")
    check(named, market())
    plain = config(loss__name="weighted", loss__phases='{"0": {"huber": 1.0}}')
    (_, one), (_, other) = trained([named], narrow()), trained([plain], narrow())
    losses = [report.values["val_loss"] for report in other]
    assert [report.values["val_loss"] for report in one] == pytest.approx(losses, rel=1e-5)


def test_a_sum_with_a_small_unit_has_not_diverged() -> None:
    """Predicting nothing loses 0 by the Sharpe ratio, and hardly more with a small part beside."""
    phases = '{"0": {"huber": 1.0}, "1": {"sharpe": 1.0, "huber": 0.0003}}'
    each = config(loss__name="weighted", loss__phases=phases, train__batch_size=48)
    _, reports = trained([each], market())
    stop = reports[-1].stop
    assert stop is not None
    assert stop.reason == "completed"


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        (
            {"loss__name": "weighted", "loss__phases": '{"0": {"huber": 1}, "1": {"quantile": 1}}'},
            "no part of the last phase trains the return of data.horizon=1",
        ),
        (
            {"loss__name": "weighted", "loss__horizons": "1-5", "train__accumulate": 2},
            "each of several horizons has rows of its own",
        ),
        (
            {
                "loss__name": "weighted",
                "train__accumulate": 2,
                "loss__phases": '{"0": {"huber": 1, "variance": 1}}',
            },
            "the variance is one of a whole batch",
        ),
    ],
)
def test_what_would_train_in_vain_or_otherwise_is_refused(
    changes: dict[str, Any], expected: str
) -> None:
    with pytest.raises(UserError, match=expected):
        check(config(**changes), market())
