"""The picture of a learning-rate range test."""

import numpy as np

from analysis.pictures.rate_range import rate_range

RATES = np.geomspace(1e-6, 1.0, 7)


def test_losses_of_still_networks_are_in_the_picture_and_a_blow_up_does_not_flatten_it() -> None:
    loss = np.array([1.6, 1.6, 1.5, 1.2, 1.1, 90.0, np.nan])
    (axes,) = rate_range("test", RATES, loss, loss / 2, (1e-4, 1e-2)).axes
    low, high = axes.get_ylim()
    assert low < 0.55
    assert 1.6 < high < 5
    crosses = [line for line in axes.lines if line.get_marker() == "x"]
    assert [np.asarray(line.get_xdata()).tolist() for line in crosses] == [[1.0]]
