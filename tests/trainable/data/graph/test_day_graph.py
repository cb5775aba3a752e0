"""The graph of each bar: nothing later is in it, and absent symbols are connected with nobody."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.fixtures.markets import changed_after, holes, make_market
from tests.fixtures.panels import noise, panel
from trainable.data.dataset.build import build_dataset
from trainable.data.dataset.dataset import Dataset
from trainable.data.graph import day_graph as module
from trainable.data.graph.day_graph import DayGraph, day_graph, shown_rows
from trainable.data.settings import DataSettings
from trainable.models.base import GraphSettings

SETTINGS = GraphSettings(window=15, neighbours=3)


def bits(graph: DayGraph, until: int) -> list[torch.Tensor]:
    days = graph.days(torch.arange(until), torch.float64)
    return [days.neighbours, days.edges, days.connected]


@pytest.mark.parametrize("lag", [0, 1])
@pytest.mark.parametrize("bar", [150, 340])
def test_no_later_price_changes_the_graph_of_a_bar(bar: int, lag: int) -> None:
    market = holes(make_market(400, 6))
    settings = DataSettings(lag=lag)
    before = day_graph(build_dataset(market, settings), SETTINGS)
    after = day_graph(build_dataset(changed_after(market, bar), settings), SETTINGS)
    same = [
        torch.equal(a, b) for a, b in zip(bits(before, bar + 1), bits(after, bar + 1), strict=True)
    ]
    assert same == [True] * 3
    assert not torch.equal(before.correlation[bar + 1 :], after.correlation[bar + 1 :])


def gappy(bars: int = 60, symbols: int = 6) -> Dataset:
    """A panel with missing bars, one symbol listed late and one that ends."""
    present = np.random.default_rng(1).random((bars, symbols)) > 0.1
    present[:30, 1] = False
    present[40:, 2] = False
    common = 0.01 * np.random.default_rng(2).normal(size=(bars, 1))
    return panel(noise(bars, symbols) + common, present=present)


def test_absent_symbols_are_connected_with_nobody() -> None:
    dataset = gappy()
    graph = day_graph(dataset, SETTINGS)
    days = graph.days(torch.arange(60), torch.float32)
    assert np.array_equal(days.present.numpy(), dataset.tradable)
    assert not days.connected[~days.present].any()
    theirs = days.present.unsqueeze(1).expand(-1, 6, -1).gather(2, days.neighbours)
    assert theirs[days.connected].all()
    assert days.connected[days.present][:, 0].all(), "everybody present is connected with himself"
    assert (days.neighbours[..., 0] == torch.arange(6)).all()
    assert days.connected[20:, :, 1:].any()


def test_an_edge_says_correlation_and_group() -> None:
    dataset = replace(gappy(), symbol_group=np.array([0, 0, 1, 1, -1, -1]))
    graph = day_graph(dataset, SETTINGS)
    days = graph.days(torch.tensor([55]), torch.float32)
    group = np.array([0, 0, 1, 1, 8, 9])
    for i in range(6):
        for j, (how, same) in zip(days.neighbours[0, i], days.edges[0, i], strict=True):
            assert bool(same) == (i not in (4, 5) and group[i] == group[j])
            assert abs(float(how)) <= 1.0
        assert (days.edges[0, i, 1:, 0] < 1).all()
    assert (days.edges[..., 0, 0] == 1).all()
    alone = day_graph(gappy(), SETTINGS).days(torch.tensor([55]), torch.float32)
    assert (alone.edges[..., 1] == 0).all()
    assert torch.equal(alone.edges[..., 0], days.edges[..., 0])


def test_members_of_a_cohort_have_days_of_their_own() -> None:
    graph = day_graph(gappy(), SETTINGS)
    bars = torch.tensor([[5, 6], [50, 51]])
    both = graph.days(bars, torch.float32)
    for k in range(2):
        for mine, one in zip(both.member(k), graph.days(bars[k], torch.float32), strict=True):
            assert torch.equal(mine, one)


def test_it_does_not_matter_how_many_bars_are_worked_on_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    whole = day_graph(gappy(), SETTINGS)
    monkeypatch.setattr(module, "VALUES", 700)
    for a, b in zip(bits(whole, 60), bits(day_graph(gappy(), SETTINGS), 60), strict=True):
        torch.testing.assert_close(a, b, atol=1e-3, rtol=0)


def test_who_is_shown_does_not_depend_on_what_becomes_of_him() -> None:
    dataset = gappy()
    rows = shown_rows(dataset)
    assert np.array_equal(rows >= 0, dataset.tradable)
    last = np.flatnonzero(dataset.tradable[:, 2])[-1]
    assert rows[last, 2] not in dataset.train_rows, "its label is unknown"
    assert rows[last, 2] >= 0


def test_rows_without_a_feature_or_a_full_window_are_not_shown() -> None:
    dataset = gappy()
    dataset.features[7, 0] = np.nan
    rows = shown_rows(dataset, 3, dataset.feature_names)
    assert 7 not in rows
    assert 7 in shown_rows(dataset, 1, dataset.feature_names[1:])
    assert dataset.age[rows[rows >= 0]].min() == 3
