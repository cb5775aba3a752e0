"""1 − IC and 1 − rank IC against NumPy, SciPy and the metrics that rank trials."""

import numpy as np
import pytest
import torch
from scipy.stats import rankdata, spearmanr
from torch import Tensor

from tests.fixtures.losses import Batch, batch, rows_of
from tests.fixtures.trainings import config, market, trained
from trainable.cli.errors import UserError
from trainable.config import without_effect
from trainable.losses import LOSSES
from trainable.losses.base import Trained
from trainable.losses.information_coefficient import IcConfig, ranks
from trainable.metrics.information_coefficient import mean_correlation, standardise

both = pytest.mark.parametrize("name", ["ic", "rank_ic"])


def spearman(p: np.ndarray, y: np.ndarray) -> float:
    """Returns SciPy's rank correlation."""
    return float(np.asarray(spearmanr(p, y))[0])


def days_of(b: Batch, k: int, symbols: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Returns predictions and targets of those present on each day of a member."""
    mask = b.targets.mask
    assert mask is not None
    cells = [t[k].view(-1, symbols).numpy() for t in (b.prediction, b.targets.y, mask)]
    return [(p[there], y[there]) for p, y, there in zip(*cells, strict=True)]


def test_ic_is_the_mean_of_numpys_correlations() -> None:
    b = batch("ic", symbols=7, absent=0.4, days=9)
    for k, loss in enumerate(b.result().loss):
        each = [np.corrcoef(p, y)[0, 1] for p, y in days_of(b, k, 7) if len(p) >= 3]
        assert 5 < len(each) <= 9
        assert 1 - float(loss) == pytest.approx(np.mean(each), abs=1e-10)


def test_ic_is_the_metric_that_is_reported() -> None:
    b = batch("ic", absent=0.0, days=5)
    p, y = (t.view(-1, 5, 6).numpy() for t in (b.prediction, b.targets.y))
    every = np.ones((5, 6), dtype=bool)
    lines, count = np.ones((3, 5), dtype=bool), np.full(5, 6)
    metric = mean_correlation(standardise(p, every), standardise(y, every), lines, count)
    np.testing.assert_allclose(1 - b.result().loss.numpy(), metric, rtol=0, atol=1e-10)


def test_rank_ic_approaches_spearmans_as_the_temperature_falls() -> None:
    errors = []
    for temperature in (1.0, 0.1, 0.01, 1e-5):
        b = batch("rank_ic", {"rank_temperature": temperature}, symbols=9, days=5, seed=3)
        b.prediction[:, 3] = b.prediction[:, 4]  # ties of predictions and of targets
        b.targets.y[:, 10] = b.targets.y[:, 12]
        wanted = [np.mean([spearman(p, y) for p, y in days_of(b, k, 9)]) for k in range(3)]
        errors.append(np.abs(1 - b.result().loss.numpy() - wanted).max())
    assert errors[0] > errors[1] > errors[2]
    assert errors[3] < 1e-9


@pytest.mark.parametrize("temperature", [0.01, 10.0])
def test_rank_ic_is_evaluated_as_spearmans_by_day_whatever_the_temperature(
    temperature: float,
) -> None:
    b = batch("rank_ic", {"rank_temperature": temperature}, symbols=9, days=5, absent=0.4, seed=3)
    b.prediction[:, 3] = b.prediction[:, 4]
    for k, several in enumerate(days_of(b, k, 9) for k in range(3)):
        wanted = np.mean([spearman(p, y) for p, y in several if len(p) >= 3])
        with torch.no_grad():
            assert 1 - float(b.result(training=False).loss[k]) == pytest.approx(wanted, abs=1e-9)


def test_ranks_are_scipys_with_ties_at_their_mean() -> None:
    y = torch.tensor([[3.0, 1.0, 3.0, -2.0, 0.0, 0.0, 9.0, 3.0]])
    present = torch.tensor([[True, True, True, True, True, True, False, True]])
    wanted = rankdata(y[present].numpy())
    assert ranks(y, present)[present].tolist() == wanted.tolist()
    assert ranks(y, present)[0, 6] == 0


@both
def test_system_c2_ic_of_a_constant_is_none_in_any_order_of_the_rows(name: str) -> None:
    """Ranking a constant by argsort gave it a fixed correlation that the order of rows decided."""
    y = torch.randn(4, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    for constant in (0.0, 0.3, -41.0):
        for order in (slice(None), torch.arange(8).flip(0), torch.tensor([3, 1, 0, 2, 7, 5, 6, 4])):
            loss, targets, columns = rows_of(name, y[:, order])
            p = torch.full((32,), constant, dtype=torch.float64)
            result = loss.of_batch(p, targets, columns, True)
            assert float(result.loss) == pytest.approx(1, abs=1e-9)
            assert torch.isfinite(result.slope).all()


@both
def test_days_that_cannot_be_compared_are_left_out(name: str) -> None:
    b = batch(name, absent=0.0, days=4)
    first = b.result()
    y, mask = b.targets.y.clone(), b.targets.mask
    assert mask is not None
    fewer = mask.clone()
    y[:, 6:12] = 0.7  # on the second day all earn the same
    fewer[:, 20:24] = False  # on the last two are left
    result = b.result(y=y, mask=fewer)
    assert (result.slope[:, 6:12] == 0).all()
    assert (result.slope[:, 18:] == 0).all()
    kept = torch.tensor([*range(6), *range(12, 18)])
    only = b.result(y=y, mask=torch.zeros_like(mask).index_fill(1, kept, True))
    torch.testing.assert_close(result.loss, only.loss, rtol=1e-12, atol=0)
    assert (result.loss != first.loss).all()


@both
def test_scale_and_level_of_predictions_do_not_matter(name: str) -> None:
    b = batch(name)
    first = b.result()
    for factor, level in ((0.01, 0.0), (50.0, 0.0), (1.0, 3.0)):
        moved = b.result(prediction=factor * b.prediction + level)
        torch.testing.assert_close(moved.loss, first.loss, rtol=0, atol=1e-6)


@pytest.mark.parametrize("name", ["ic", "rank_ic"])
def test_descent_raises_spearmans_correlation(name: str) -> None:
    y = torch.randn(3, 10, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    loss, targets, columns = rows_of(name, y)
    p = torch.randn(30, generator=torch.Generator().manual_seed(2), dtype=torch.float64)

    def correlation(p: Tensor) -> float:
        days = zip(p.view(3, 10).numpy(), y.numpy(), strict=True)
        return float(np.mean([spearman(a, b) for a, b in days]))

    assert abs(correlation(p)) < 0.5
    for _ in range(150):
        p = p - 3 * loss.of_batch(p, targets, columns, True).slope
    assert correlation(p) > 0.9


@both
def test_single_rows_are_an_error(name: str) -> None:
    b = batch(name)
    y, mask, rows = b.targets
    assert rows is not None
    with pytest.raises(ValueError, match="whole days"):
        b.loss.of_batch(
            b.prediction, type(b.targets)(y, mask, type(rows)(*rows[:2], 0, 0.0)), b.columns, True
        )


def test_data_with_two_symbols_are_refused() -> None:
    ic = LOSSES["ic"]
    ic.check(IcConfig(), None)
    ic.check(IcConfig(), Trained(horizon=1, symbols=3, epochs=5))
    with pytest.raises(UserError, match=r"loss ic compares the symbols of a day and needs 3; .* 2"):
        ic.check(IcConfig(), Trained(horizon=1, symbols=2, epochs=5))


@pytest.mark.parametrize("loss", ["ic", "rank_ic"])
def test_a_target_scaled_by_day_teaches_nothing_else(loss: str) -> None:
    """So a search does not count `data/target` as searched beside it."""
    found = []
    for target in ("scaled", "z_by_day"):
        each = config(loss__name=loss, data__target=target, train__epochs=1)
        assert "data/target" in without_effect(each)
        _, reports = trained([each], market())
        found.append(reports[-1].values["val_loss"])
    assert found[0] == pytest.approx(found[1], rel=1e-3)
    assert "data/target" not in without_effect(config(loss__name="sharpe"))
