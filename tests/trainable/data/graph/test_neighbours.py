"""Who is connected with whom: against a second implementation, and the same from both ends."""

from collections.abc import Sequence

import numpy as np
import pytest
import torch

from trainable.data.graph.neighbours import choose
from trainable.models.base import GraphSettings

SYMBOLS = 12
SETTINGS = [
    GraphSettings(neighbours=4, threshold=0.3),
    GraphSettings(neighbours=4, threshold=0.0),
    GraphSettings(neighbours=5, threshold=0.9),
    GraphSettings(neighbours=1, threshold=0.5),
    GraphSettings(neighbours=20, threshold=0.3),
]


def some_correlations(unknown: float = 0.2, bars: int = 6) -> torch.Tensor:
    draw = np.random.default_rng(0)
    found = draw.uniform(-1, 1, (bars, SYMBOLS, SYMBOLS))
    found[draw.random(found.shape) < unknown / 2] = np.nan
    return torch.from_numpy((found + found.transpose(0, 2, 1)) / 2)


def expected(correlation: np.ndarray, settings: GraphSettings) -> list[set[int]]:
    """The neighbours of each symbol at one bar, written as one would say it."""

    def strongest(i: int, of: Sequence[int]) -> list[int]:
        return sorted(of, key=lambda j: -abs(correlation[i, j]))

    chosen: list[set[int]] = []
    for i in range(len(correlation)):
        known = [j for j in range(len(correlation)) if j != i and np.isfinite(correlation[i, j])]
        order = strongest(i, known)[: settings.neighbours]
        strong = [j for j in order if abs(correlation[i, j]) >= settings.threshold]
        anyway = order[: -(-settings.neighbours // 2)]
        chosen.append({*strong, *anyway})
    both = [{j for j in range(len(chosen)) if j in mine or i in chosen[j]} for i, mine in
            enumerate(chosen)]  # fmt: skip
    kept = [set(strongest(i, sorted(mine))[: 2 * settings.neighbours]) for i, mine in
            enumerate(both)]  # fmt: skip
    return [{j for j in mine if i in kept[j]} for i, mine in enumerate(kept)]


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_neighbours_are_those_of_the_rule(settings: GraphSettings) -> None:
    correlation = some_correlations()
    neighbours, strengths = choose(correlation, settings)
    own = torch.arange(SYMBOLS).view(-1, 1)
    for t in range(len(correlation)):
        wanted = expected(correlation[t].numpy(), settings)
        for i, (listed, how) in enumerate(zip(neighbours[t], strengths[t], strict=True)):
            there = listed != own[i]
            assert sorted(listed[there].tolist()) == sorted(wanted[i])
            assert torch.equal(how[there], correlation[t, i, listed[there]])
            assert (how[~there] == 0).all()


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_a_connection_is_one_of_both_ends(settings: GraphSettings) -> None:
    neighbours, _ = choose(some_correlations(), settings)
    linked = torch.zeros(len(neighbours), SYMBOLS, SYMBOLS, dtype=torch.bool)
    linked.scatter_(-1, neighbours, True)
    linked |= torch.eye(SYMBOLS, dtype=torch.bool)
    assert torch.equal(linked, linked.transpose(1, 2))
    assert int(linked.sum(-1).max()) - 1 <= 2 * settings.neighbours


def test_a_hub_keeps_its_strongest_connections() -> None:
    correlation = torch.full((1, SYMBOLS, SYMBOLS), 0.01, dtype=torch.float64)
    correlation[0, 0] = correlation[0, :, 0] = torch.linspace(0.5, 0.9, SYMBOLS)
    neighbours, _ = choose(correlation, GraphSettings(neighbours=2))
    assert sorted(set(neighbours[0, 0].tolist())) == list(range(SYMBOLS - 4, SYMBOLS))


def test_nobody_known_means_no_neighbours() -> None:
    neighbours, strengths = choose(torch.full((3, 4, 4), torch.nan), GraphSettings())
    assert neighbours.shape == strengths.shape == (3, 4, 0)
