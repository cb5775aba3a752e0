"""Features that know the label."""

import numpy as np
import pytest
from scipy.stats import rankdata

from trainable.cli.errors import UserError
from trainable.data.dataset.leaks import find_leaks, ranks

RNG = np.random.default_rng(0)
LABEL = (RNG.standard_t(4, 4000) * 0.01).astype(np.float32)
NOISE = RNG.normal(size=4000).astype(np.float32)


def test_an_honest_feature_raises_no_warning() -> None:
    weak = (0.1 * LABEL / LABEL.std() + NOISE).astype(np.float32)
    assert find_leaks(np.stack([NOISE, weak]), LABEL, ("noise", "weak"), "made") == []


@pytest.mark.parametrize(
    "leak",
    [
        LABEL,
        -3.0 * LABEL,
        1e4 * LABEL + 7.0,
        LABEL + 1e-5 * NOISE,
        np.arcsinh(1e4 * LABEL),
        LABEL.argsort().argsort().astype(np.float32),
    ],
    ids=["itself", "negative", "scaled", "rounded", "squashed", "ranked"],
)
def test_system_c5_a_feature_that_is_the_label_is_refused(leak: np.ndarray) -> None:
    with pytest.raises(UserError, match="made: feature 'leak' is the label itself"):
        find_leaks(np.stack([NOISE, leak]), LABEL, ("noise", "leak"), "made")


def test_a_correlation_above_a_fifth_is_a_warning_that_names_it() -> None:
    strong = (0.4 * LABEL / LABEL.std() + NOISE).astype(np.float32)
    # Known by its ranks only: a few huge values hide it from the plain correlation.
    hidden = strong.copy()
    hidden[:20] = 1e6 * NOISE[:20]
    found = find_leaks(np.stack([strong, hidden]), LABEL, ("strong", "hidden"), "made")
    assert len(found) == 2
    assert "'strong'" in found[0]
    assert "'hidden' has rank correlation 0.3" in found[1]
    assert "4000 training rows" in found[1]


def test_a_large_sample_is_judged_alike() -> None:
    rng = np.random.default_rng(1)
    label = rng.normal(size=150_000).astype(np.float32)
    strong = (0.25 * label + rng.normal(size=150_000)).astype(np.float32)
    assert len(find_leaks(strong[None], label, ("strong",), "made")) == 1


def test_a_constant_correlates_with_nothing() -> None:
    assert find_leaks(np.ones((1, 4000), np.float32), LABEL, ("one",), "made") == []


@pytest.mark.parametrize("values", [1, 2, 30, 10**6])
def test_ranks_are_scipys(values: int) -> None:
    x = np.random.default_rng(values).integers(0, values, 2000).astype(np.float32)
    np.testing.assert_array_equal(ranks(x), rankdata(x))
    np.testing.assert_array_equal(ranks(x[:1]), [1.0])
