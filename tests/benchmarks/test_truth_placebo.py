"""Placebos of markets whose truth is known: what is kept of one, and how far p is from uniform."""

from pathlib import Path

import numpy as np
import pytest
from scipy.stats import kstest

from analysis.verdict.placebo import FILE
from benchmarks.truth import placebo


def test_a_market_is_searched_once_with_its_placebos(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny = {"trials": 2, "epochs": 1, "rungs": (1,), "steps_per_epoch": 4, "finalist_seeds": 1}
    monkeypatch.setattr(placebo, "SETTINGS", placebo.SETTINGS | tiny)
    market, _ = placebo.search(tmp_path, "none", 0, 1)
    assert {market.best, market.choice} <= {0.5, 1.0}
    assert 0 < market.verdict <= 1
    folder = tmp_path / "none-0"
    assert not (folder / "placebos").exists(), "what they found is enough"
    before = (folder / FILE).stat().st_mtime_ns
    assert placebo.search(tmp_path, "none", 0, 1)[0] == market
    assert (folder / FILE).stat().st_mtime_ns == before


def test_uniform_p_values_are_as_near_as_can_be() -> None:
    exact = [k / 10 for k in range(1, 11)] * 10
    found = placebo.figures(exact, 9)
    assert found["largest deviation"] == pytest.approx(0.0, abs=1e-12)
    assert found["its p"] == 1.0
    assert (found["mean"], found["at most 0.1"]) == (pytest.approx(0.55), 0.1)


def test_p_values_that_are_too_small_are_far_from_uniform() -> None:
    found = placebo.figures([0.1] * 20 + [k / 10 for k in range(1, 11)] * 4, 9)
    assert found["largest deviation"] == pytest.approx(24 / 60 - 0.1)
    assert found["its p"] < 0.001


def test_of_many_placebos_it_is_the_usual_test() -> None:
    rng = np.random.default_rng(0)
    for power in (1.0, 1.3):
        p = np.ceil(200 * rng.random(60) ** power) / 200
        found = placebo.figures(list(p), 199)
        known = kstest(p, "uniform")
        assert found["largest deviation"] == pytest.approx(known.statistic, abs=0.006)
        assert found["its p"] == pytest.approx(known.pvalue, abs=0.03)
