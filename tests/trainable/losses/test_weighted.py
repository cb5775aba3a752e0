"""A weighted sum against its parts, by horizon, head and phase."""

from typing import Any

import numpy as np
import pytest
import torch

from tests.fixtures.losses import Batch, batch
from tests.fixtures.trainings import config, finish, narrow, starts
from trainable.losses import LOSSES, Loss
from trainable.losses.base import Columns, LossResult, RowFacts, Targets
from trainable.losses.weighted import WeightedConfig
from trainable.training.loop import Training

ALL = '{"0": {"huber": 0.3, "ic@5": 0.2, "cross_entropy": 0.7, "quantile": 0.5}}'
SUM = LOSSES["weighted"]
H = (1, 5, 20)


def part_of(b: Batch, name: str, prediction: torch.Tensor, place: int, **settings: Any):
    """Returns what a loss alone makes of a horizon of a batch."""
    y, mask, rows = b.targets
    assert mask is not None
    assert rows is not None
    loss = LOSSES[name]
    configs = [loss.config(**settings)] * len(y)
    columns = loss.columns_of(configs, y.device, y.dtype, [0] * len(y))
    facts = RowFacts(rows.scale[[place]], rows.returns, rows.symbols, rows.cost, (H[place],))
    targets = Targets(y[..., place], mask[..., place], facts)
    return loss.of_batch(prediction, targets, columns, True)


def test_a_sum_is_that_of_its_parts_on_their_own_outputs() -> None:
    b = batch("weighted", {"phases": ALL, "horizons": "1-5-20"}, horizons=H, traded=2)
    assert SUM.heads(WeightedConfig(phases=ALL, horizons="1-5-20")) == (
        ("return", 3),
        ("action", 3),
        ("quantile", 9),
    )
    p = b.prediction
    shares = torch.tensor([1 / h**0.5 for h in H], dtype=p.dtype)
    shares = (shares / shares.sum()).tolist()
    huber = [part_of(b, "huber", p[..., i], i) for i in range(3)]
    ic = part_of(b, "ic", p[..., 1], 1)
    action = part_of(b, "cross_entropy", p[..., 3:6], 2)
    quantile = [part_of(b, "quantile", p[..., 6 + 3 * i : 9 + 3 * i], i) for i in range(3)]
    parts = {
        "huber": sum(s * each.loss for s, each in zip(shares, huber, strict=True)),
        "ic@5": ic.loss,
        "cross_entropy": action.loss,
        "quantile": sum(s * each.loss for s, each in zip(shares, quantile, strict=True)),
    }
    result = b.result()
    assert {*result.parts} == {*parts}
    for name, value in parts.items():
        torch.testing.assert_close(result.parts[name], value)
    wanted = {"huber": 0.3, "ic@5": 0.2, "cross_entropy": 0.7, "quantile": 0.5}
    torch.testing.assert_close(result.loss, sum(w * parts[name] for name, w in wanted.items()))
    slope = torch.zeros_like(p)
    for i, share in enumerate(shares):
        slope[..., i] += 0.3 * share * huber[i].slope
        slope[..., 6 + 3 * i : 9 + 3 * i] += 0.5 * share * quantile[i].slope
    slope[..., 1] += 0.2 * ic.slope
    slope[..., 3:6] += 0.7 * action.slope
    torch.testing.assert_close(result.slope, slope)


def test_settings_of_parts_are_those_of_the_sum() -> None:
    """Each that a part has changes the sum; system C had a weight that was read by no code."""
    phases = """{"0": {"huber": 1, "rank_ic": 1, "variance": 1, "quantile": 1, "cross_entropy": 1,
        "sharpe": 1}}"""
    first = batch("weighted", {"phases": phases})
    first.prediction *= 0.05
    for name, value in (
        ("delta", 0.1), ("threshold", 0.02), ("smoothing", 0.3), ("quantiles", "0.2-0.5-0.9"),
        ("rank_temperature", 2.0), ("variance_floor", 0.9),
    ):  # fmt: skip
        other = batch("weighted", {"phases": phases, name: value})
        other.prediction *= 0.05
        assert (other.result().loss != first.result().loss).all(), name


def test_one_part_of_weight_1_is_that_loss_bit_for_bit() -> None:
    for name in ("huber", "mse", "ic", "sharpe", "cross_entropy", "quantile"):
        alone = batch(name)
        summed = batch("weighted", {"phases": f'{{"0": {{"{name}": 1}}}}'})
        assert torch.equal(alone.result().loss, summed.result().loss)
        assert torch.equal(alone.result().slope, summed.result().slope)
        assert torch.equal(alone.result().loss, summed.result().parts[name])


PHASES = '{"0": {"huber": 1}, "3": {"mse": 2, "ic": 1}}'


def at_epochs(*epochs: int) -> Batch:
    b = batch("weighted", members=len(epochs))
    settings = [WeightedConfig(phases=PHASES)] * len(epochs)
    b.columns = SUM.columns_of(settings, b.prediction.device, b.prediction.dtype, epochs)
    return b


def test_each_member_is_in_the_phase_of_its_own_epoch() -> None:
    b = at_epochs(0, 3, 2**31)
    huber, mse, ic = (batch(name).result() for name in ("huber", "mse", "ic"))
    result = b.result()
    both = 2 * mse.loss + ic.loss
    torch.testing.assert_close(result.loss, torch.stack([huber.loss[0], both[1], both[2]]))
    torch.testing.assert_close(result.slope[0], huber.slope[0])
    torch.testing.assert_close(result.slope[2], 2 * mse.slope[2] + ic.slope[2])
    alone = {name: part.isnan().all() for name, part in at_epochs(0).result().parts.items()}
    assert alone == {"huber": False, "mse": True, "ic": True}
    shown = {name: (~part.isnan()).tolist() for name, part in result.parts.items()}
    ended = [False, True, True]
    assert shown == {"huber": [True, False, False], "mse": ended, "ic": ended}


def test_a_member_is_the_same_bit_for_bit_beside_members_of_another_phase() -> None:
    apart, together = (at_epochs(0, 0, 0), at_epochs(3, 3, 3)), at_epochs(0, 3, 0)
    for k, own in ((0, apart[0]), (1, apart[1]), (2, apart[0])):
        one, several = own.result(), together.result()
        assert torch.equal(one.loss[k], several.loss[k])
        assert torch.equal(one.slope[k], several.slope[k])


def test_what_no_member_needs_is_not_computed(monkeypatch: pytest.MonkeyPatch) -> None:
    called: list[str] = []

    def watched(name: str) -> Loss:
        loss = LOSSES[name]

        def of_batch(
            prediction: torch.Tensor, targets: Targets, columns: Columns, training: bool
        ) -> LossResult:
            called.append(name)
            return loss.of_batch(prediction, targets, columns, training)

        return Loss(loss.config, of_batch, loss.columns, batches=loss.batches)

    for name in ("huber", "mse", "ic"):
        monkeypatch.setitem(LOSSES, name, watched(name))
    for epochs, wanted in (((0, 0), {"huber"}), ((3, 9), {"mse", "ic"}), ((0, 9), None)):
        called.clear()
        at_epochs(*epochs).result()
        assert {*called} == (wanted or {"huber", "mse", "ic"})


def test_an_infinite_part_of_a_neighbours_phase_changes_nothing() -> None:
    b = at_epochs(0, 3)
    huge = b.prediction.clone()
    huge[0, 0] = 1e200  # its square is infinite, its Huber loss is not
    y = b.targets.y.nan_to_num()
    result = b.result(prediction=huge, y=y, mask=None)
    assert torch.isinf(LOSSES["mse"].of_batch(huge, Targets(y), {}, True).loss[0])
    assert torch.isfinite(result.loss[0])
    assert torch.isfinite(result.slope[0]).all()


def test_what_batches_and_facts_a_sum_needs_is_what_its_parts_need() -> None:
    for phases, horizons, order, facts in (
        ('{"0": {"huber": 1, "quantile": 1}}', "", "rows", False),
        ('{"0": {"huber": 1}}', "1-5", "rows", True),
        ('{"0": {"huber": 1, "cross_entropy": 1}}', "", "rows", True),
        ('{"0": {"huber": 1}, "5": {"sharpe": 1}}', "", "days", True),
    ):
        settings = WeightedConfig(phases=phases, horizons=horizons)
        assert SUM.batches_of(settings) == order
        assert SUM.needs_facts(settings) == facts
    for name, order, facts in (("mse", "rows", False), ("rank_ic", "days", True)):
        assert LOSSES[name].batches_of(LOSSES[name].config()) == order
        assert LOSSES[name].needs_facts(LOSSES[name].config()) == facts


def test_what_is_traded() -> None:
    p = torch.arange(2.0 * 15).view(2, 15)

    def traded(
        phases: str, outputs: int, horizon: int = 5, horizons: str = "1-5-20"
    ) -> list[float]:
        settings = WeightedConfig(phases=phases, horizons=horizons)
        assert sum(size for _, size in SUM.heads(settings)) == outputs
        given = p[:, :outputs] if outputs > 1 else p[:, 0]
        return SUM.signal(settings, given, horizon).tolist()

    assert traded(ALL, 15) == [1.0, 16.0]
    assert traded('{"0": {"quantile": 1}}', 9) == [4.0, 19.0]
    assert traded('{"0": {"quantile": 1}}', 9, 20) == [7.0, 22.0]
    assert traded('{"0": {"huber": 1}}', 1, 7, "") == [0.0, 15.0]
    buys = traded('{"0": {"quantile": 1, "cross_entropy": 1}}', 6, 7, "")
    assert buys == pytest.approx([0.5752, 0.5752], abs=1e-3)  # logits 0, 1, 2 and 15, 16, 17
    assert LOSSES["huber"].signal(LOSSES["huber"].config(), p, 1) is p


@pytest.mark.parametrize("executor", ["cohort", "serial", "solo"])
def test_training_passes_from_phase_to_phase(executor: str) -> None:
    """The first two epochs are those of the first phase alone; the third is not."""
    one, two = '{"0": {"mse": 1}}', '{"0": {"mse": 1}, "2": {"huber": 0.1}}'
    runs = []
    for phases in (one, two):
        each = config(
            loss__name="weighted", loss__phases=phases, train__epochs=3, train__steps_per_epoch=5
        )
        runs.append(finish(Training(starts([each]), narrow(), executor)))
    losses = [[report.values["train_loss"] for report in run] for run in runs]
    assert losses[0][:2] == losses[1][:2]
    assert losses[0][2] != losses[1][2]
    # The validation loss is that of the last phase at every epoch.
    squared, robust = [[r.values["val_loss"] or np.nan for r in run] for run in runs]
    assert all(b < 0.06 * a for a, b in zip(squared, robust, strict=True))


def test_a_sum_trains_as_its_only_part_does() -> None:
    def trained(**loss: object) -> list[float | None]:
        each = config(**loss, train__epochs=2, train__steps_per_epoch=5)
        reports = finish(Training(starts([each]), narrow(), "cohort"))
        return [report.values["val_loss"] for report in reports]

    assert trained(loss__name="huber") == trained(loss__name="weighted")
