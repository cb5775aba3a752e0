"""Ranks, against an independent library."""

import numpy as np
from scipy.stats import rankdata

from trainable.metrics.information_coefficient import ranks


def test_ranks_are_scipys() -> None:
    rng = np.random.default_rng(1)
    values = rng.integers(0, 5, size=(3, 40, 9)) / 4.0
    values[0] = rng.normal(size=(40, 9))
    values[1, 0] = 0.0
    values[1, 0, ::2] = -0.0
    mask = rng.random((40, 9)) < 0.7
    expected = np.where(mask, rankdata(np.where(mask, values, np.inf), axis=-1), 0.0)
    np.testing.assert_array_equal(ranks(values, mask), expected)
