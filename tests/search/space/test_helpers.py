"""Helpers: what a space suggests to make fields of; and spaces that return what they suggested."""

import json
from pathlib import Path
from typing import Any

import pytest
from optuna import Trial

from analysis.load import load_run
from analysis.ranking import varied_params
from search.planning.plan import make_plan
from search.settings.reading import settings_from
from search.space.validation import check_space, load_space
from tests.fixtures.here import search_here
from tests.fixtures.searches import MARKET, write_space
from trainable.cli.errors import UserError
from trainable.config import to_params

DEEP = '''"""Layers of one width."""

EPOCHS = 2


def space(trial):
    depth = trial.suggest_int("depth", 1, 3)
    width = trial.suggest_categorical("width", [4, 8])
    trial.suggest_float("optimizer/lr", 3e-4, 1e-2, log=True)
    return {"model/hidden_dims": "-".join([str(width)] * depth), "train/batch_size": 64}
'''


def all_returned(trial: Trial) -> dict:
    trial.suggest_int("data/window", 1, 60)
    trial.suggest_categorical("loss/name", ["mse", "huber"])
    trial.suggest_int("schedule/warmup_steps", 100, 900)
    return {**trial.params, "train/batch_size": 32}


def test_a_space_that_returns_what_it_suggested_searches_it():
    facts = check_space(load_space(all_returned), {}, 40)
    assert set(facts.distributions) == {"data/window", "loss/name", "schedule/warmup_steps"}
    assert (facts.max_window, facts.max_warmup) == (60, 900)  # of the ranges, not of the samples


def test_a_field_that_is_made_of_its_own_suggestion_is_searched():
    def half(trial: Trial) -> dict:
        window = trial.suggest_int("data/window", 1, 60)
        return {"data/window": max(window, 30)}

    facts = check_space(load_space(half), {}, 40)
    assert (facts.n_searched, facts.max_window) == (1, 60)
    assert min(config.data.window for config in facts.configs) == 30


def test_its_losses_cannot_be_compared_by_loss():
    words = [*MARKET, "objective=val_loss", "trials=4"]
    with pytest.raises(UserError, match=r"val_loss cannot compare trials that differ in loss/name"):
        make_plan(settings_from(words), load_space(all_returned))


def test_its_rungs_leave_the_loss_out():
    words = [*MARKET, "trials=4", "epochs=55"]
    with pytest.raises(UserError, match=r"pruning=loss cannot compare .*pruning=ranks works"):
        make_plan(settings_from([*words, "pruning=loss"]), load_space(all_returned))
    plan = make_plan(settings_from(words), load_space(all_returned))
    assert plan.rung_rule.figures(first=True) == plan.rung_rule.figures(first=False)
    assert plan.rung_rule.figures(first=True) == ("ic", "rank_ic")
    plain = make_plan(settings_from(words), load_space(of_training))
    assert plain.rung_rule.figures(first=True) == ("loss",)


def of_training(trial: Trial) -> dict:
    trial.suggest_float("loss/dead_zone", 0.0, 0.004)
    trial.suggest_float("loss/rank_temperature", 0.1, 1.0)
    return {"loss/name": "rank_ic"}


def test_settings_of_training_alone_leave_losses_comparable():
    words = [*MARKET, "objective=val_loss", "trials=4"]
    plan = make_plan(settings_from(words), load_space(of_training))
    assert set(plan.facts.distributions) == {"loss/dead_zone", "loss/rank_temperature"}


def by_helper(trial: Trial) -> dict:
    robust = trial.suggest_categorical("robust", [True, False])
    return {"loss/name": "huber" if robust else "mse"}


def test_losses_made_of_a_helper_cannot_be_compared_by_loss():
    words = [*MARKET, "objective=val_loss", "trials=4"]
    with pytest.raises(UserError, match=r"val_loss cannot compare trials that differ in loss/name"):
        make_plan(settings_from(words), load_space(by_helper))


def test_a_field_made_of_helpers_has_the_ends_of_the_helpers():
    def months(trial: Trial) -> dict:
        return {"data/window": 1 + 21 * trial.suggest_int("months", 1, 10**5) // 10**4}

    facts = check_space(load_space(months), {}, 20)
    assert list(facts.distributions) == ["months"]
    assert facts.max_window == 211  # 1 + 21 · 10^5 / 10^4, which no random sample meets


def test_the_ends_of_a_helper_are_checked_although_no_sample_meets_them():
    def edge(trial: Trial) -> dict:
        return {"model/dropout": trial.suggest_int("share", 0, 900001) / 1e6}

    with pytest.raises(UserError, match=r"edge: model/dropout=0\.900001 must be"):
        check_space(load_space(edge), {}, 3)


@pytest.mark.parametrize(
    ("suggested", "returned", "said"),
    [
        ("optimizer/lrr", {}, "unknown parameter 'optimizer/lrr'; did you mean 'optimizer/lr'"),
        ("lr", {}, "unknown parameter 'lr': it is no GROUP/FIELD, and no field that the"),
        ("dept", {}, "unknown parameter 'dept'"),
        ("share", {"depth": 3}, "unknown parameter 'depth'"),
        ("share", {"optimizer/lrr": 3}, "unknown parameter 'optimizer/lrr'; did you mean"),
    ],
)
def test_a_name_that_is_no_field_and_makes_none_is_an_error(suggested, returned, said):
    def wrong(trial: Trial) -> dict:
        trial.suggest_float(suggested, 0.0, 1.0)
        return returned

    with pytest.raises(UserError) as raised:
        check_space(load_space(wrong), {}, 5)
    assert str(raised.value).startswith(f"wrong: {said}")


def test_a_helper_of_one_choice_and_one_of_a_rare_branch_are_no_errors():
    def rare(trial: Trial) -> dict:
        extra = trial.suggest_int("extra", 1, 5)
        only = trial.suggest_categorical("only", ["16"])
        deep = trial.suggest_float("model/dropout", 0.0, 0.5) > 0.45
        return {"model/hidden_dims": "-".join([only] * (extra if deep else 1))}

    facts = check_space(load_space(rare), {})
    assert set(facts.distributions) == {"extra", "only", "model/dropout"}


def test_a_helper_held_fixed():
    def space(trial: Trial) -> dict:
        depth, wide = trial.suggest_int("depth", 1, 3), trial.suggest_categorical("wide", [4, 8])
        return {"model/hidden_dims": "-".join([str(wide)] * depth)}

    facts = check_space(load_space(space), {"depth": "2", "wide": "8"}, 5)
    assert facts.n_searched == 0
    assert {to_params(config)["model/hidden_dims"] for config in facts.configs} == {"8-8"}
    for key, text, said in (
        ("depht", "2", r"fix\.depht: unknown parameter 'depht': .*; did you mean 'depth'\\?"),
        ("depth", "two", r"fix\.depth=two: expected a whole number"),
        ("wide", "5", r"fix\.wide=5: expected one of 4, 8"),
        ("depth", "4", r"fix\.depth=4 is outside of what .*, 1 … 3; fix\.depth=3 works"),
        ("depth", "0", r"fix\.depth=0 is outside of what .*, 1 … 3; fix\.depth=1 works"),
    ):
        with pytest.raises(UserError, match=said):
            check_space(load_space(space), {key: text}, 5)


def test_a_helper_held_fixed_between_its_steps():
    def space(trial: Trial) -> dict:
        width = trial.suggest_int("width", 8, 32, step=8)
        share = trial.suggest_float("share", 0.0, 0.5, step=0.1)
        return {"model/hidden_dims": str(width), "model/dropout": share}

    facts = check_space(load_space(space), {"width": "24", "share": "0.3"}, 5)
    made = [to_params(config) for config in facts.configs]
    assert {(one["model/hidden_dims"], one["model/dropout"]) for one in made} == {("24", 0.3)}
    with pytest.raises(UserError, match=r"8 … 32 in steps of 8; fix\.width=16 works"):
        check_space(load_space(space), {"width": "20"}, 5)
    with pytest.raises(UserError, match=r"share=0\.25 is none of .* in steps of 0\.1"):
        check_space(load_space(space), {"share": "0.25"}, 5)


def test_a_helper_that_only_a_fixed_field_is_made_of_is_not_searched():
    def space(trial: Trial) -> dict:
        trial.suggest_float("optimizer/lr", 1e-4, 1e-2)
        return {"model/hidden_dims": "-".join(["8"] * trial.suggest_int("depth", 1, 3))}

    facts = check_space(load_space(space), {"model/hidden_dims": "4"}, 5)
    assert list(facts.distributions) == ["optimizer/lr"]
    assert {to_params(config)["model/hidden_dims"] for config in facts.configs} == {"4"}


def test_helpers_are_recorded_resumed_ranked_and_repeated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_space(tmp_path, DEEP, "deep.py")
    first = [{"depth": 3, "width": 4}]
    Path("first.json").write_text(json.dumps(first), encoding="utf-8")
    words = [*MARKET, "space=deep.py", "name=deep", "enqueue=first.json", "rungs=2"]
    assert search_here(*words, "trials=4", "finalist_seeds=2") == 0
    assert search_here("name=deep", "resume=true", "trials=6") == 0
    run = load_run(tmp_path / "runs" / "deep")
    trials: Any = run.trials[run.trials["kind"] != "baseline"]
    depths, widths = (trials[f"params.{name}"].astype(int) for name in ("depth", "width"))
    made = ["-".join([str(width)] * depth) for width, depth in zip(widths, depths, strict=True)]
    assert trials["params.model/hidden_dims"].tolist() == made
    assert made[0] == "4-4-4"
    assert len(run.searched) == 6
    depth_of = dict(zip(trials["number"], depths, strict=True))
    seeds = trials[trials["kind"] == "seed"]
    assert len(seeds)
    for number, parent in zip(seeds["number"], seeds["parent"].astype(int), strict=True):
        assert depth_of[number] == depth_of[parent]
    assert {"params.depth", "params.optimizer/lr"} <= set(varied_params(run))
    recorded = json.loads((run.folder / "run.json").read_text(encoding="utf-8"))["space"]
    assert set(recorded["parameters"]) == {"depth", "width", "optimizer/lr"}
