"""Values of large tables in another order."""

from types import SimpleNamespace

import numpy as np
import pytest

from trainable.data import gather
from trainable.data.gather import by_symbol, columns_on, release_memory, sampled, symbol_blocks


@pytest.mark.parametrize("features", [1, 3, 4, 9])
@pytest.mark.parametrize("size", [1, 7, 1000])
def test_columns_on_rows(features: int, size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gather, "ROWS", size)
    rng = np.random.default_rng(0)
    table = rng.normal(size=(50, features)).astype(np.float32)
    table.flags.writeable = False  # as workers have it
    rows = rng.permutation(50)[:20]
    columns = rng.permutation(features)
    for chosen in (None, columns, columns[:1]):
        found = list(columns_on(table, rows, chosen))
        expected = table[rows] if chosen is None else table[rows][:, chosen]
        np.testing.assert_array_equal(np.stack(found, axis=1), expected)
        assert all(column.flags.c_contiguous for column in found)
    assert [len(column) for column in columns_on(table, rows[:0])] == [0] * features


def test_a_sample_is_the_same_each_time_and_in_order() -> None:
    rows = np.arange(100) * 3
    assert sampled(rows, 100) is rows
    few = sampled(rows, 20)
    np.testing.assert_array_equal(few, sampled(rows, 20))
    assert (np.diff(few) > 0).all()
    assert set(few) < set(rows)
    assert len(few) == 20


@pytest.mark.parametrize("symbols", [1, 2, 16, 17, 40])
def test_rows_are_by_symbol_then_time(symbols: int) -> None:
    rng = np.random.default_rng(0)
    grid = rng.normal(size=(30, symbols))
    present = rng.random(grid.shape) < 0.7
    present[:, 0] = False
    np.testing.assert_array_equal(by_symbol(grid, present), grid.T[present.T])
    parts = [np.arange(symbols)[part] for part in symbol_blocks(symbols)]
    np.testing.assert_array_equal(np.concatenate(parts), np.arange(symbols))


def test_freed_memory_is_given_back_where_that_is_possible(monkeypatch: pytest.MonkeyPatch) -> None:
    release_memory()  # the real libraries take the call
    asked: list[str] = []
    pool = SimpleNamespace(release_unused=lambda: asked.append("Arrow"))
    library = SimpleNamespace(malloc_trim=lambda keep: asked.append(f"C, but for {keep}"))
    monkeypatch.setattr(gather.pa, "default_memory_pool", lambda: pool)
    monkeypatch.setattr(gather.ctypes, "CDLL", lambda name: library)
    monkeypatch.setattr(gather.sys, "platform", "elsewhere")
    release_memory()
    assert asked == ["Arrow"]
    monkeypatch.setattr(gather.sys, "platform", "linux")
    release_memory()
    assert asked[1:] == ["Arrow", "C, but for 0"]
    del library.malloc_trim
    release_memory()
    assert asked[3:] == ["Arrow"]
