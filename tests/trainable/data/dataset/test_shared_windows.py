"""The windows of a worker's cohorts: made once, shared by length, and not kept for ever."""

import gc
import weakref

import pytest
import torch

from tests.fixtures.trainings import market
from trainable.config import DataConfig
from trainable.data.dataset import windows as module
from trainable.data.dataset.windows import MAX_SHARED, SharedWindows, make_windows


def test_windows_of_all_lengths_share_the_features() -> None:
    made = SharedWindows(market())
    first, longer = made.of(DataConfig(window=1)), made.of(DataConfig(window=3))
    assert first.x is longer.x
    rows = first.train_rows[:5]
    for window, one in ((1, first), (3, longer)):
        alone = make_windows(market(), DataConfig(window=window))
        assert torch.equal(one.at(rows), alone.at(rows))


def test_a_window_longer_than_the_dataset_was_made_for_is_refused() -> None:
    made = SharedWindows(market())
    made.of(DataConfig(window=1))
    with pytest.raises(ValueError, match="data/window=9 on a dataset made for at most 3"):
        made.of(DataConfig(window=9))


def test_the_latest_windows_are_kept_and_those_in_use_live(monkeypatch: pytest.MonkeyPatch) -> None:
    count = []
    monkeypatch.setattr(module, "make_windows", lambda *a: (count.append(a), make_windows(*a))[1])
    made = SharedWindows(market())
    configs = [DataConfig(winsorise=float(10 + k)) for k in range(MAX_SHARED + 2)]
    in_use = made.of(configs[0])
    unused = weakref.ref(made.of(configs[1]).x)
    for config in configs:
        made.of(config)
    made.of(configs[-1])
    gc.collect()
    assert len(count) == len(configs)
    assert unused() is None
    assert torch.isfinite(in_use.x).all()
    made.of(configs[1])
    assert len(count) == len(configs) + 1
