"""What the plan says before a search: bars a year and why, and what is searched."""

from hashlib import sha256
from io import StringIO
from pathlib import Path
from typing import Any

import optuna
import pandas as pd
import pytest
from rich.console import Console

from search.planning.plan import Plan, make_plan
from search.planning.preview import show_plan
from search.session.provenance import describe
from search.settings.reading import settings_from
from search.space.validation import load_space
from tests.fixtures import tiny
from tests.fixtures.markets import make_market
from trainable.cli.errors import UserError


def planned(folder: Path, days: pd.DatetimeIndex, *words: str) -> tuple[Plan, str]:
    """The plan of a search on closes of these days, and its text."""
    frame = tiny.bars(len(days))
    frame["timestamp"] = days.repeat(len(tiny.SYMBOLS)).strftime("%Y%m%d")
    tiny.write_inputs(folder, frame)
    plan = make_plan(
        settings_from(
            ["name=x", f"space={folder / 'tiny.py'}", f"data.path={folder / 'bars.csv'}", *words]
        )
    )
    text = StringIO()
    show_plan(plan, Console(file=text, width=200))
    return plan, text.getvalue()


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ASHARPE_CACHE", str(tmp_path / "cache"))


def test_a_bar_every_third_day_is_counted_and_said(tmp_path: Path) -> None:
    plan, text = planned(tmp_path, pd.date_range("2018-01-01", periods=240, freq="3D"))
    assert "bars a year  121.75: counted: 7 weekdays, a bar every 3 days" in text
    described = describe(plan, [])
    assert described["data"]["periods_per_year"] == pytest.approx(365.25 / 3)
    assert described["data_quality"]["calendar"] == {
        "bars_a_year": 121.75,
        "counted": 121.75,
        "why": "counted: 7 weekdays, a bar every 3 days",
    }
    assert described["data_quality"]["read_as"] == ["timestamps: digits yyyymmdd"]


def test_a_number_that_was_set_stands_beside_the_one_that_was_found(tmp_path: Path) -> None:
    days = pd.bdate_range("2018-01-01", periods=240)
    _, text = planned(tmp_path, days, "data.periods_per_year=250")
    assert "250: set by data.periods_per_year (found: 252, 5 weekdays, daily)" in text


def idle(trial: optuna.Trial) -> dict[str, Any]:
    trial.suggest_float("optimizer/lr", 1e-4, 1e-2, log=True)
    trial.suggest_float("optimizer/momentum", 0.0, 0.9)
    trial.suggest_float("loss/delta", 0.5, 2.0)
    return {"optimizer/name": "adamw", "loss/name": "mse", "schedule/name": "constant"}


@pytest.mark.parametrize(
    ("words", "searched", "named"),
    [
        ((), 1, "loss/delta (mse has none), optimizer/momentum (adamw has none)"),
        (("fix.optimizer/name=sgd",), 2, "loss/delta (mse has none)"),
        (("fix.optimizer/name=sgd", "fix.loss/name=huber"), 3, None),
        (("objective=val_loss",), 1, "loss/delta (mse has none), optimizer/momentum (adamw has no"),
    ],
)
def test_what_has_no_effect_in_any_trial_is_named_and_not_counted(
    words: tuple[str, ...], searched: int, named: str | None
) -> None:
    settings = settings_from(["name=x", "trials=4", "epochs=4", *words])
    console = Console(record=True, width=300)
    show_plan(make_plan(settings, load_space(idle), make_market), console)
    said = console.export_text()
    assert f"idle: {searched} parameter" in said
    begins = "Suggested without effect, and not counted: "
    assert (f"{begins}{named}" in said) if named else ("without effect" not in said)


def test_what_is_held_fixed_and_has_no_effect_is_named() -> None:
    words = ("fix.optimizer/hessian_scale=0.1", "fix.train/time_mask=0.3", "fix.model/kernel=5")
    settings = settings_from(["name=x", "trials=4", "epochs=4", "fix.model/dropout=0.1", *words])
    console = Console(record=True, width=300)
    show_plan(make_plan(settings, load_space(idle), make_market), console)
    fixed = "model/kernel (mlp has none), optimizer/hessian_scale (adamw has none), train/time_mask"
    assert f"Held fixed without effect: {fixed}." in console.export_text()


@pytest.mark.parametrize("chance", [0.3, 0.6])
def test_symbols_held_out_are_counted_and_named(chance: float, tmp_path: Path) -> None:
    first = {name: sha256(name.encode()).hexdigest()[:16] for name in tiny.SYMBOLS}
    out = [name for name, digits in first.items() if int(digits, 16) / 16**16 < chance]
    days = pd.bdate_range("2018-01-01", periods=240)
    plan, text = planned(tmp_path, days, f"data.holdout_symbols={chance}")
    assert set(plan.dataset.symbols) == set(tiny.SYMBOLS) - set(out)
    assert (
        f"Held out: {len(out)} of 6 symbols (data.holdout_symbols={chance} is the chance of each; "
        f"a hash of its name decides): {', '.join(out)}." in text
    )
    _, text = planned(tmp_path, days)
    assert "Held out" not in text


def test_the_plan_says_what_is_finished_on_the_side_and_what_it_costs(tmp_path: Path) -> None:
    days = pd.bdate_range("2020-01-01", periods=240)
    words = ["rungs=1", "trials=40", "epochs=5", "reduction_factor=4"]
    _, text = planned(tmp_path, days, *words, "regret=0.05")
    (line,) = [line for line in text.splitlines() if line.startswith("regret")]
    assert "about 2 stopped trials (5% of those that rungs stop" in line  # 0.05 · 30
    assert line.rstrip().endswith("finished on the side: about 8 epochs")
    _, text = planned(tmp_path, days, *words)
    assert "on the side" not in text


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        ([], "after epochs 1 and 2: by the validation loss, later by the mean rank of IC, rank IC"),
        (["pruning=objective", "objective=rank_ic"], "after epochs 1 and 2: by rank_ic"),
        (["pruning=none"], "after epochs 1 and 2; none stops a trial"),
        (["pruning=racing"], "by sharpe, and only whom the returns of the same days tell from"),
        (["pruning=loss"], "after epochs 1 and 2: by the validation loss"),
    ],
)
def test_the_plan_says_what_rungs_score_by(words: list[str], wanted: str, tmp_path: Path) -> None:
    _, text = planned(tmp_path, pd.bdate_range("2020-01-01", periods=240), "rungs=1,2", *words)
    (line,) = [line for line in text.splitlines() if line.startswith("rungs")]
    assert wanted in line


def many(trial: optuna.Trial) -> dict[str, Any]:
    trial.suggest_float("optimizer/lr", 1e-5, 1e-3, log=True)
    trial.suggest_categorical("model/hidden_dims", ["64-32", "32-16"])
    trial.suggest_int("train/batch_size", 32, 96)
    trial.suggest_float("model/dropout", 0.1, 0.3)
    trial.suggest_float("optimizer/weight_decay", 1e-5, 1e-3, log=True)
    return {}


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        ([], "the centre of the space: lr 0.0001, 64-32, batch_size 64, …"),
        (
            ["fix.model/hidden_dims=16"],
            "the centre of the space: lr 0.0001, batch_size 64, dropout 0.2, …",
        ),
        (["try_default=false"], None),
    ],
)
def test_the_plan_says_in_one_line_what_the_default_is(
    words: list[str], wanted: str | None
) -> None:
    plan = make_plan(settings_from(["name=x", *words]), load_space(many), make_market)
    text = StringIO()
    show_plan(plan, Console(file=text, width=80))
    found = [line.rstrip() for line in text.getvalue().splitlines() if "centre of" in line]
    assert found == ([] if wanted is None else [f"first trial  {wanted}"])


def test_the_plan_names_a_sampler_that_is_not_the_default(tmp_path: Path) -> None:
    days = pd.bdate_range("2020-01-01", periods=240)
    assert "sampler" not in planned(tmp_path, days)[1]
    _, text = planned(tmp_path, days, "sampler=qmc")
    assert [line.split() for line in text.splitlines() if line.startswith("sampler")] == [
        [
            "sampler",
            "qmc,",
            "once",
            "16",
            "trials",
            "have",
            "ended;",
            "those",
            "asked",
            "before",
            "are",
            "random",
        ]
    ]
    _, text = planned(tmp_path, days, "sampler=qmc", "trials=16")
    assert "qmc, once 16 trials have ended: never of so few" in " ".join(text.split())


def test_the_plan_says_what_ends_the_asking(tmp_path: Path) -> None:
    days = pd.bdate_range("2020-01-01", periods=240)
    _, text = planned(tmp_path, days, "patience_trials=8")
    wanted = "asks no further once 8 more trials are expected to raise the best by less than 0.05"
    assert wanted in " ".join(text.split())
    assert "asks no further" not in planned(tmp_path, days, "patience_trials=none")[1]


def test_what_brute_force_cannot_try_is_refused_before_anything_begins(tmp_path: Path) -> None:
    days = pd.bdate_range("2020-01-01", periods=240)
    with pytest.raises(UserError, match=r"model/dropout and optimizer/lr have no steps.*qmc works"):
        planned(tmp_path, days, "sampler=optuna:BruteForceSampler")
