"""Suspicious features are said in the plan and by the check, and recorded for run.json."""

import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from search.planning.plan import Plan, make_plan
from search.planning.preview import show_plan
from search.session.provenance import describe
from search.settings.reading import settings_from
from search.space.validation import load_space
from tests.fixtures.markets import make_market
from tests.search.planning.test_estimate import narrow
from trainable.data.check import main
from trainable.data.market import Market

LEAKS = tuple(f"leak_{n}" for n in range(7))


def leaking(columns: int) -> Market:
    """Twenty symbols, and columns of a correlation of 0.15 with the next return."""
    market = make_market(1200, 20)
    close = market.fields["close"]
    later = np.vstack([close[1:] / close[:-1] - 1, np.zeros((1, 20))])
    told = (later - later.mean(axis=1, keepdims=True)) / later.std()
    rng = np.random.default_rng(0)
    extra = {
        name: (0.15 * told + rng.normal(size=told.shape)).astype(np.float32)
        for name in LEAKS[:columns]
    }
    return replace(market, extra=extra)


def planned(market: Market) -> tuple[Plan, str]:
    settings = settings_from(["name=x", "trials=4", "epochs=4"])
    plan, out = make_plan(settings, load_space(narrow), lambda: market), io.StringIO()
    show_plan(plan, Console(file=out, width=400))
    return plan, out.getvalue()


def suspicious(plan: Plan) -> list[dict[str, Any]]:
    return describe(plan, None)["data_quality"]["suspicious_features"]


def test_a_leak_is_a_warning_in_the_plan_and_stands_in_the_record() -> None:
    plan, said = planned(leaking(1))
    (found,) = suspicious(plan)
    assert (found["feature"], found["why"]) == ("leak_0", "too_good")
    assert said.count("warning: feature 'leak_0' is too good to be true: ") == 1
    assert "leak_0" not in "".join(plan.dataset.quality["leak_warnings"]), "0.15 is below 0.2"


def test_at_most_five_have_a_line() -> None:
    plan, said = planned(leaking(7))
    assert {one["feature"] for one in suspicious(plan)} == set(LEAKS)
    assert said.count("is too good to be true") == 5
    assert said.count("warning: and 2 more such features: leak_") == 1


def test_honest_and_generated_markets_have_none() -> None:
    plan, said = planned(leaking(0))
    assert suspicious(plan) == []
    assert "true" not in said
    told = leaking(1)
    plan, said = planned(replace(told, expected=np.zeros(told.present.shape)))
    assert suspicious(plan) == []


def test_the_check_says_it_as_the_plan_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ASHARPE_CACHE", str(tmp_path / "cache"))
    market = leaking(1)
    frame = pd.DataFrame({
        "timestamp": np.repeat(market.timestamps, 20),
        "symbol": np.tile(np.array(market.symbols), 1200),
        "close": market.fields["close"].ravel(),
        "leak_0": market.extra["leak_0"].ravel(),
    })  # fmt: skip
    frame.to_parquet(tmp_path / "bars.parquet")
    out = io.StringIO()
    assert main([str(tmp_path / "bars.parquet")], Console(file=out, width=400)) == 0
    assert "feature 'leak_0' is too good to be true: " in out.getvalue()
