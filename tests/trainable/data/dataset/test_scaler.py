"""The scaler against scikit-learn's, and its corner cases."""

import json

import numpy as np
import pytest
from sklearn.preprocessing import RobustScaler, StandardScaler

from trainable.cli.errors import UserError
from trainable.data.dataset import scaler as module
from trainable.data.dataset.scaler import Scaler, fit_scaler


def sample(n: int = 5000, features: int = 4) -> np.ndarray:
    rng = np.random.default_rng(0)
    x = rng.standard_t(3, (n, features)) * 10.0 ** np.arange(-2, features - 2) + 5.0
    return x.astype(np.float32)


def test_robust_agrees_with_scikit_learn() -> None:
    x = sample()
    oracle = RobustScaler(unit_variance=True).fit_transform(x.astype(np.float64))
    ours = fit_scaler(x, "robust", winsorise=0.0).transform(x)
    np.testing.assert_allclose(ours, oracle, rtol=1e-4, atol=1e-4)


def test_standard_agrees_with_scikit_learn_on_winsorised_values() -> None:
    x = sample()
    low, high = np.percentile(x.astype(np.float64), [2.5, 97.5], axis=0)
    oracle = StandardScaler().fit_transform(np.clip(x.astype(np.float64), low, high))
    ours = fit_scaler(x, "standard", winsorise=2.5).transform(x)
    np.testing.assert_allclose(ours, oracle, rtol=1e-3, atol=1e-4)
    assert ours.dtype == np.float32


def test_winsorising_bounds_what_was_never_seen() -> None:
    x = sample()
    scaler = fit_scaler(x, winsorise=1.0)
    far = scaler.transform(np.full((1, 4), 1e30, np.float32))
    np.testing.assert_allclose(far[0], (scaler.high - scaler.centre) / scaler.scale, rtol=1e-6)
    share = (scaler.transform(x) >= far).mean(axis=0)
    np.testing.assert_allclose(share, 0.01, atol=0.001)
    unlimited = fit_scaler(x, winsorise=0.0).transform(np.full((1, 4), 1e30, np.float32))
    assert (unlimited > 1e25).all()


def test_nan_stays_nan_and_is_left_out_of_the_fit() -> None:
    x = sample()
    holes = np.concatenate([x, np.full((50, 4), np.nan, np.float32)])
    a, b = fit_scaler(x), fit_scaler(holes)
    np.testing.assert_array_equal(a.scale, b.scale)
    z = b.transform(holes)
    assert np.isnan(z[-50:]).all()
    assert np.isfinite(z[:-50]).all()


def test_windows_are_scaled_by_their_last_axis() -> None:
    x = sample()
    scaler = fit_scaler(x)
    windows = x[:60].reshape(3, 20, 4)
    np.testing.assert_array_equal(
        scaler.transform(windows).reshape(60, 4), scaler.transform(x[:60])
    )
    before = x.copy()
    scaler.transform(x)
    np.testing.assert_array_equal(x, before)
    with pytest.raises(ValueError, match="3 features, but the scaler has 4"):
        scaler.transform(x[:, :3])


def test_an_empty_interquartile_range_falls_back_to_the_standard_deviation() -> None:
    rng = np.random.default_rng(0)
    mostly = np.where(rng.random((4000, 1)) < 0.2, rng.normal(size=(4000, 1)), 0.0)
    scaler = fit_scaler(mostly, winsorise=0.0)
    assert scaler.scale[0] == pytest.approx(mostly.std(), rel=1e-5)


def test_a_rare_event_is_not_winsorised_away() -> None:
    x = np.zeros((1000, 1), np.float32)
    x[::250] = 1.0
    z = fit_scaler(x, winsorise=1.0).transform(x)
    assert np.ptp(z) > 1.0
    assert np.ptp(fit_scaler(x, "standard", 1.0).transform(x)) > 1.0


@pytest.mark.parametrize("kind", ["robust", "standard"])
def test_a_constant_becomes_zero_not_infinite(kind: str) -> None:
    x = np.full((100, 1), 1234.567, np.float32)
    np.testing.assert_array_equal(fit_scaler(x, kind).transform(x), 0.0)


@pytest.mark.parametrize("winsorise", [0.0, 1.0, 25.0])
def test_json_brings_back_the_same_bits(winsorise: float) -> None:
    x = sample()
    scaler = fit_scaler(x, "standard", winsorise, names=("a", "b", "c", "d"))
    text = json.dumps(scaler.to_dict(), allow_nan=False)
    again = Scaler.from_dict(json.loads(text))
    np.testing.assert_array_equal(again.transform(x), scaler.transform(x))
    assert (again.names, again.kind, again.winsorise) == (scaler.names, "standard", winsorise)
    assert again.low.dtype == np.float32


def test_many_rows_are_sampled_the_same_way_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    x = sample(20_000)
    whole = fit_scaler(x)
    monkeypatch.setattr(module, "SAMPLE", 5_000)
    a, b = fit_scaler(x), fit_scaler(np.asfortranarray(x))
    np.testing.assert_array_equal(a.scale, b.scale)
    np.testing.assert_allclose(a.scale, whole.scale, rtol=0.1)
    assert (a.scale != whole.scale).any()


@pytest.mark.parametrize("most", [100, 1_000_000])
def test_rows_and_columns_are_chosen_as_if_they_were_cut_out(
    most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SAMPLE", most)
    x = sample(3000, features=6)
    x[::7, 2] = np.nan
    rows, columns = np.flatnonzero(np.arange(3000) % 3), np.array([4, 0, 2])
    names = ("a", "b", "c")
    chosen = fit_scaler(x, "standard", 2.0, names, rows, columns)
    cut = fit_scaler(x[rows][:, columns], "standard", 2.0, names)
    assert chosen.to_dict() == cut.to_dict()
    with pytest.raises(ValueError, match="3 names for 6 features"):
        fit_scaler(x, names=names, rows=rows)


def test_wrong_arguments_are_refused() -> None:
    x = sample(10)
    with pytest.raises(
        UserError, match="data/scaler 'robost' is unknown; available: robust, standard"
    ):
        fit_scaler(x, "robost")
    for percent in (-1.0, 26.0, float("nan")):
        with pytest.raises(UserError, match="data/winsorise must be 0 … 25"):
            fit_scaler(x, winsorise=percent)
    with pytest.raises(UserError, match="feature 'b' has no value"):
        fit_scaler(np.array([[1.0, np.nan]] * 5), names=("a", "b"))
    with pytest.raises(ValueError, match="1 names for 4 features"):
        fit_scaler(x, names=("a",))
