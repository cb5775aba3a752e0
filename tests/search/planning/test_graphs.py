"""Graphs of many symbols take long: the plan says how long, or refuses them."""

from typing import Any

import optuna
import pytest
from rich.console import Console

from search.planning import graphs
from search.planning.plan import Plan, make_plan
from search.planning.preview import show_plan
from search.settings.reading import settings_from
from search.space.validation import load_space
from tests.fixtures.markets import make_market
from trainable.cli.errors import UserError


def plan_of(model: str, *words: str) -> Plan:
    def space(trial: optuna.Trial) -> dict[str, Any]:
        trial.suggest_float("optimizer/lr", 1e-4, 1e-2, log=True)
        return {"model/name": model, "schedule/name": "constant", "train/batch_size": 24}

    settings = settings_from(["name=x", "trials=4", "epochs=4", *words])
    return make_plan(settings, load_space(space), lambda: make_market(300, 5))


def test_quick_graphs_are_not_timed() -> None:
    assert plan_of("graph").graph_s == 0


def test_slow_graphs_are_timed_on_a_few_bars_and_refused_where_a_worker_would_hang(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(graphs, "QUICK", 0)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 0)
    assert plan_of("mlp").graph_s == 0
    assert 0 < plan_of("graph").graph_s < 60
    monkeypatch.setattr(graphs, "seconds_to_make", lambda *_: 240.0)
    show_plan(plan_of("graph"), Console(width=300))
    assert "first makes the graph of 300 bars: about 4 min, once for" in capsys.readouterr().out
    with pytest.raises(
        UserError, match=r"5 symbols at 300 bars take .* about 4 min .*_s=500 works"
    ):
        plan_of("graph", "patience_s=479")
