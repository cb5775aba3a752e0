"""Which features are left out, and what is said about it."""

from dataclasses import replace

import numpy as np

from tests.fixtures.markets import make_market, without
from trainable.data.features.screen import screen
from trainable.data.features.table import FeatureTable, feature_table
from trainable.data.market import Market


def with_columns(**columns: np.ndarray) -> Market:
    market = make_market(bars=1000, symbols=2, closes_only=True)
    extra = {name: np.broadcast_to(x, (1000, 2)).astype(np.float32) for name, x in columns.items()}
    return replace(market, extra=extra)


def reasons(table: FeatureTable) -> dict[str, str]:
    kept, left_out = screen(table, (0, 600))
    assert len(kept) + len(left_out) == len(table.names)
    return {entry["feature"]: entry["why"] for entry in left_out}


def column(*values: float | np.ndarray) -> np.ndarray:
    """[1000, 1] noise, with the first, second … hundred bars replaced by the values."""
    x = np.random.default_rng(0).normal(size=(1000, 1))
    for n, value in enumerate(values):
        x[100 * n : 100 * n + 100, 0] = value
    return x


def test_system_a8_constant_columns_are_left_out_and_named() -> None:
    late = column(*[20.0] * 6)  # begins to move only after the training dates
    tiny = 20.0 + 1e-6 * column()
    found = reasons(feature_table(with_columns(vix=late, tiny=tiny, fine=column())))
    assert found == {
        "vix": "it is constant (20) on the training dates",
        "tiny": "it is constant (20) on the training dates",
    }


def test_system_a8_a_constant_average_true_range_is_left_out() -> None:
    market = make_market(bars=1000, symbols=2)
    close = np.full((1000, 2), 100.0)
    fields = {**market.fields, "close": close, "open": close, "high": close + 1, "low": close - 1}
    found = reasons(feature_table(replace(market, fields=fields)))
    assert found["atr_ratio"].startswith("it is constant (0.02)")
    assert found["close_location"].startswith("it is constant (0)")


def test_values_that_are_missing() -> None:
    nan = np.nan
    found = reasons(
        feature_table(
            with_columns(never=column(*[nan] * 6), hundred=column(1.0, 2.0, nan), warm=column())
        )
    )
    assert found == {
        "never": "it has no value on the training dates",
        "hundred": "it is missing in 18.5% of the training rows from its first value on",
    }


def test_a_start_without_values_is_warm_up_and_not_missing() -> None:
    x = column()
    x[:60] = np.nan
    assert reasons(feature_table(with_columns(slow=x))) == {}
    x[:190] = np.nan  # of 600
    assert reasons(feature_table(with_columns(slow=x))) == {}
    x[:210] = np.nan
    assert reasons(feature_table(with_columns(slow=x))) == {
        "slow": "it begins late: 35% of the training rows are before its first value; give more "
        "history, or a shorter look-back"
    }


def test_holes_count_from_each_symbols_first_value_on() -> None:
    x = np.repeat(column(), 2, axis=1)
    x[:150, 1] = np.nan
    assert reasons(feature_table(with_columns(late=x))) == {}
    x[200:300, 1] = np.nan  # of 2 · 600 − 60 − 150 rows
    assert reasons(feature_table(with_columns(late=x))) == {
        "late": "it is missing in 10.1% of the training rows from its first value on"
    }
    x[:, 1] = np.nan
    assert reasons(feature_table(with_columns(one=x))) == {
        "one": "it is missing in 50.0% of the training rows from its first value on"
    }


def test_a_short_market_keeps_columns_that_are_defined_from_the_start() -> None:
    table = feature_table(with_columns(fine=column(), slow=column(np.nan), never=column()))
    table.values[:, table.names.index("never")] = np.nan
    for bars in (50, 150):
        kept, left_out = screen(table, (0, bars))
        assert "fine" in [table.names[j] for j in kept]
        why = {entry["feature"]: entry["why"] for entry in left_out}
        assert why["never"] == "it has no value on the training dates"
    assert why["slow"] == "its warm-up of 60 bars would cost 40% of the training rows"


def test_a_long_warm_up_may_not_eat_the_training_rows() -> None:
    market = make_market(bars=2000, symbols=2, intraday=True)
    _, left_out = screen(feature_table(market), (0, 1200))
    assert left_out == [
        {
            "feature": "vwap_720",
            "why": "its warm-up of 719 bars would cost 60% of the training rows",
        }
    ]
    _, left_out = screen(feature_table(make_market(bars=6000, symbols=1, intraday=True)), (0, 3600))
    assert left_out == []


def test_what_comes_after_the_training_dates_has_no_say() -> None:
    market = with_columns(a=column(), b=column(*[np.nan] * 6))
    hidden = np.zeros((1000, 2), bool)
    hidden[600:, 0] = True
    assert reasons(feature_table(without(market, hidden))) == reasons(feature_table(market))
