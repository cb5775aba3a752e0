import warnings
from pathlib import Path

import numpy as np
import optuna
import pytest
from optuna import Trial
from optuna.distributions import CategoricalDistribution, FloatDistribution

from search.space.validation import check_space, fixed, load_space
from trainable.cli.errors import UserError
from trainable.config import to_params


def write(tmp_path: Path, text: str) -> str:
    path = tmp_path / "mine.py"
    path.write_text(text, encoding="utf-8")
    return str(path)


def small(trial: Trial) -> dict:
    trial.suggest_float("optimizer/lr", 1e-5, 1e-3, log=True)
    return {"model/name": "mlp"}


def ask() -> Trial:
    return optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=1)).ask()


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("trial.suggest_flot('optimizer/lr', 1, 2)", "{path}:5: AttributeError: "),
        ("trial.suggest_float('optimizer/lr', 2, 1)", "{path}:5: ValueError: "),
        ("return None", "{path}:4: TypeError: space(trial) returned None instead of a dict"),
        ("return 1 / 0", "{path}:5: ZeroDivisionError: division by zero"),
        ("return helper()", "{path}:2: KeyError: 'x'"),
        ("raise SystemExit('bye')", "{path}:5: SystemExit: bye"),
        ("return {'optimizer/lrs': 1}", "{path}: unknown parameter 'optimizer/lrs'; did you mean"),
        ("return {3: 1}", "{path}: unknown parameter '3'"),
        ("trial.suggest_float('lr', 0, 1); return {}", "{path}: unknown parameter 'lr'"),
        ("return {'optimizer/lr': 'x'}", "{path}: optimizer/lr='x': expected a number"),
        ("return {'optimizer/lr': -1}", "{path}: optimizer/lr=-1.0 must be above 0"),
        ("return {'model/name': 'mpl'}", "{path}: unknown model/name 'mpl'; did you mean 'mlp'"),
        ("return {'train/epochs': 3}", "{path}: train/epochs is set by the search; use EPOCHS"),
    ],
)
def test_a_space_that_fails_reports_its_own_line(tmp_path, body, message):
    path = write(
        tmp_path,
        f"def helper():\n    return {{}}['x']\nEPOCHS = 3\ndef space(trial):\n    {body}\n",
    )
    with pytest.raises(UserError) as raised:
        check_space(load_space(path), {}, 5)
    assert str(raised.value).startswith(message.format(path=path))
    assert "\n" not in str(raised.value)


def test_a_space_that_takes_no_trial(tmp_path):
    path = write(tmp_path, "EPOCHS = 3\ndef space():\n    return {}\n")
    with pytest.raises(UserError, match=r"mine\.py:2: TypeError: "):
        check_space(load_space(path), {}, 5)


def test_a_function_that_fails_reports_its_file():
    def failing(trial: Trial) -> dict:
        raise RuntimeError("two\nlines")

    with pytest.raises(UserError, match=r"test_validation\.py:\d+: RuntimeError: two lines"):
        check_space(load_space(failing), {}, 5)


def test_the_first_bad_sample_is_shown_with_its_parameters():
    def rarely(trial: Trial) -> dict:
        rate = trial.suggest_float("model/dropout", 0.0, 0.9)
        return {"optimizer/clip": -1.0} if rate > 0.8 else {}

    with pytest.raises(UserError) as raised:
        check_space(load_space(rarely), {}, 200)
    text = str(raised.value)
    assert "rarely: optimizer/clip=-1.0 must be above 0" in text
    assert "(sampled: model/dropout=0.8" in text


def test_the_ends_of_a_range_are_checked_although_no_sample_meets_them():
    def edge(trial: Trial) -> dict:
        trial.suggest_float("model/dropout", 0.0, 0.900001)
        return {}

    with pytest.raises(UserError, match=r"edge: model/dropout=0\.900001 must be"):
        check_space(load_space(edge), {}, 1)


def conditional(trial: Trial) -> dict:
    trial.suggest_int("data/window", 1, 60)
    trial.suggest_categorical("train/batch_size", [16, 32])
    if trial.suggest_categorical("schedule/name", ["constant", "warmup"]) == "warmup":
        trial.suggest_int("schedule/warmup_steps", 100, 900)
    trial.suggest_float("optimizer/lr", 1e-5, 1e-3, log=True)
    return {"optimizer/clip": 1.0}


def test_facts_of_a_conditional_space():
    facts = check_space(load_space(conditional), {}, 40)
    assert set(facts.distributions) == {
        "data/window", "train/batch_size", "schedule/name", "schedule/warmup_steps", "optimizer/lr"
    }  # fmt: skip
    assert facts.n_searched == 5
    assert facts.distributions["optimizer/lr"] == FloatDistribution(1e-5, 1e-3, log=True)
    assert (facts.max_window, facts.max_warmup) == (60, 900)
    assert {config.train.batch_size for config in facts.configs} == {16, 32}
    assert len(facts.configs) >= 40
    assert len(facts.shapes) <= 40
    asked = {(c.schedule.warmup_steps, c.train.batch_size) for c in facts.configs}
    assert (900, 32) in asked  # the most that a trial can need, though no sample meets it


def test_facts_are_the_same_for_the_same_seed():
    first, second = (check_space(load_space(conditional), {}, 20, 3) for _ in range(2))
    assert first == second


def test_fixed_parameters_are_not_searched_and_bound_the_facts():
    fix = {"data/window": "5", "schedule/name": "warmup", "optimizer/clip": "2.5"}
    facts = check_space(load_space(conditional), fix, 20)
    assert set(facts.distributions) == {
        "train/batch_size", "schedule/warmup_steps", "optimizer/lr"
    }  # fmt: skip
    assert facts.max_window == 5
    assert {config.optimizer.clip for config in facts.configs} == {2.5}
    fix["schedule/name"] = "constant"
    assert check_space(load_space(conditional), fix, 20).max_warmup == 0


def test_a_constant_that_always_overrules_a_suggestion_is_refused(tmp_path):
    body = "trial.suggest_float('optimizer/lr', 1e-4, 1e-2); return {'optimizer/lr': 1e-3}"
    path = write(tmp_path, f"EPOCHS = 3\ndef space(trial):\n    {body}\n")
    space = load_space(path)
    with pytest.raises(UserError) as refused:
        check_space(space, {}, 10)
    assert str(refused.value) == (
        f"{path} suggests optimizer/lr and returns 0.001 for it, so that nothing is searched "
        "there: leave it out of what is returned to search it, or suggest it no longer to hold it "
        "constant"
    )
    facts = check_space(space, {"optimizer/lr": "0.5"}, 10)  # held fixed: neither of them counts
    assert {config.optimizer.lr for config in facts.configs} == {0.5}


def test_a_constant_may_overrule_a_suggestion_under_some_conditions():
    def calm(trial: Trial) -> dict:
        trial.suggest_float("optimizer/lr", 1e-4, 1e-2)
        trial.suggest_int("data/window", 1, 60)
        large = trial.suggest_categorical("model/hidden_dims", ["8", "64"]) == "64"
        return {"optimizer/lr": 1e-5, "data/window": 5} if large else {}

    facts = check_space(load_space(calm), {}, 30)
    assert set(facts.distributions) == {"optimizer/lr", "data/window", "model/hidden_dims"}
    assert facts.max_window == 60
    rates = {c.optimizer.lr for c in facts.configs if to_params(c)["model/hidden_dims"] == "64"}
    assert rates == {1e-5}
    # Where another parameter is held fixed it may always overrule: it is not searched there.
    fixed_large = check_space(load_space(calm), {"model/hidden_dims": "64"}, 30)
    assert (fixed_large.n_searched, fixed_large.max_window) == (0, 5)


def test_a_suggestion_that_is_returned_in_another_unit_is_searched():
    def percent(trial: Trial) -> dict:
        share = trial.suggest_float("model/dropout", 0, 50)
        return {"model/dropout": share / 100}

    facts = check_space(load_space(percent), {}, 30)
    assert list(facts.distributions) == ["model/dropout"]
    assert {0.0, 0.5} <= {config.model.dropout for config in facts.configs}


def test_what_is_suggested_is_what_is_returned_whatever_its_type():
    def same(trial: Trial) -> dict:
        size = trial.suggest_categorical("train/batch_size", [16, 32])
        rate = trial.suggest_float("optimizer/lr", 1e-4, 1e-2)
        return {"train/batch_size": np.int64(size), "optimizer/lr": np.float64(rate)}

    assert check_space(load_space(same), {}, 10).n_searched == 2


def test_one_name_from_two_ranges_in_different_branches():
    def branches(trial: Trial) -> dict:
        if trial.suggest_categorical("model/hidden_dims", ["8", "64"]) == "8":
            trial.suggest_float("model/dropout", 0.0, 0.2)
        else:
            trial.suggest_float("model/dropout", 0.0, 0.5)
        return {}

    assert check_space(load_space(branches), {}, 10).n_searched == 2


def test_one_name_from_two_ranges_in_one_trial():
    def twice(trial: Trial) -> dict:
        trial.suggest_float("model/dropout", 0.0, 0.2)
        trial.suggest_float("model/dropout", 0.0, 0.5)
        return {}

    with pytest.raises(UserError) as refused:
        check_space(load_space(twice), {}, 10)
    said = str(refused.value)
    assert said.startswith("twice: model/dropout is suggested twice in one trial, from FloatDis")
    assert said.endswith("of which the first alone counts: suggest it once")


def test_the_same_suggestion_twice_is_one():
    def again(trial: Trial) -> dict:
        first = trial.suggest_float("model/dropout", 0.0, 0.2)
        assert trial.suggest_float("model/dropout", 0.0, 0.2) == first
        return {}

    assert check_space(load_space(again), {}, 10).n_searched == 1


def test_a_field_of_another_entry_is_not_counted():
    def momentum(trial: Trial) -> dict:
        trial.suggest_float("optimizer/lr", 1e-4, 1e-2)
        trial.suggest_float("optimizer/momentum", 0.0, 0.9)
        trial.suggest_float("loss/delta", 0.5, 2.0)
        trial.suggest_categorical("loss/name", ["mse", "huber"])
        return {"optimizer/name": "adamw"}

    facts = check_space(load_space(momentum), {}, 40)
    assert set(facts.distributions) == {"optimizer/lr", "loss/delta", "loss/name"}
    assert facts.without_effect == ("optimizer/momentum",)
    by_mse = check_space(load_space(momentum), {"loss/name": "mse"}, 40)
    assert by_mse.without_effect == ("loss/delta", "optimizer/momentum")
    by_sgd = check_space(load_space(momentum), {"optimizer/name": "sgd"}, 40)
    assert by_sgd.without_effect == ()


@pytest.mark.parametrize(
    ("fix", "idle"),
    [
        ({}, ()),
        ({"data/window": "1"}, ("train/time_mask",)),
        ({"model/graph_layers": "0"}, ("model/edge_dropout",)),
        ({"model/encoder": "lstm"}, ("model/attention_heads",)),
        ({"loss/phases": '{"0": {"huber": 1}}'}, ("loss/rank_temperature",)),
        ({"loss/phases": '{"0": {"ic": 1, "rank_ic": 1}}'}, ("data/target", "loss/delta")),
        ({"schedule/warmup_steps": "1"}, ("schedule/start",)),
    ],
)
def test_a_field_that_the_other_values_leave_idle_is_not_counted(
    fix: dict[str, str], idle: tuple[str, ...]
):
    def some(trial: Trial) -> dict:
        trial.suggest_float("loss/delta", 0.5, 2.0)
        trial.suggest_float("loss/rank_temperature", 0.1, 2.0)
        trial.suggest_float("train/time_mask", 0.1, 0.5)
        trial.suggest_float("model/edge_dropout", 0.1, 0.5)
        trial.suggest_categorical("model/attention_heads", [2, 4])
        trial.suggest_categorical("data/target", ["scaled", "z_by_day"])
        trial.suggest_float("schedule/start", 0.01, 0.5)
        phases = '{"0": {"huber": 1, "rank_ic": 1}}'
        constants = {"data/window": 8, "model/name": "graph", "schedule/name": "one_cycle"}
        return constants | {"loss/name": "weighted", "loss/phases": phases}

    facts = check_space(load_space(some), fix, 20)
    assert facts.without_effect == idle
    assert len(facts.distributions) == 7 - len(idle)


def test_a_helper_that_makes_fields_of_another_entry_is_not_counted():
    def helped(trial: Trial) -> dict:
        trial.suggest_float("optimizer/lr", 1e-4, 1e-2)
        inertia = trial.suggest_float("inertia", 0.0, 0.9)
        return {"optimizer/name": "adamw", "optimizer/momentum": inertia}

    facts = check_space(load_space(helped), {}, 20)
    assert (list(facts.distributions), facts.without_effect) == (["optimizer/lr"], ("inertia",))


def test_a_fixed_value_reaches_the_space_and_is_never_suggested():
    seen = []

    def watching(trial: Trial) -> dict:
        seen.append(trial.suggest_float("optimizer/lr", 1e-5, 1e-3, log=True))
        seen.append(trial.suggest_categorical("model/hidden_dims", ["32-16"]))
        seen.append(trial.params["optimizer/lr"])
        seen.append(trial.number)
        return {"optimizer/lr": 1.0}

    trial = ask()
    constants = fixed(watching, {"optimizer/lr": "0.25", "train/batch_size": "8"})(trial)
    assert seen == [0.25, "32-16", 0.25, 0]
    assert trial.params == {"model/hidden_dims": "32-16"}
    assert constants == {"optimizer/lr": 0.25, "train/batch_size": 8}


def test_fix_of_an_unknown_parameter():
    with pytest.raises(UserError, match="did you mean 'optimizer/lr'"):
        fixed(small, {"optimizer/lrr": "1"})
    with pytest.raises(UserError, match=r"fix\.optimizer/lr=fast: expected a number"):
        check_space(load_space(small), {"optimizer/lr": "fast"})


def test_sampling_is_silent_and_leaves_optunas_verbosity(capfd):
    before = optuna.logging.get_verbosity()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_space(load_space(small), {}, 3)
    assert optuna.logging.get_verbosity() == before
    assert capfd.readouterr() == ("", "")


def test_choices_are_kept():
    facts = check_space(load_space(conditional), {}, 10)
    assert facts.distributions["train/batch_size"] == CategoricalDistribution([16, 32])
