import warnings
from pathlib import Path

import optuna
import pytest
from optuna import Trial
from optuna.distributions import CategoricalDistribution, FloatDistribution

from search.space.validation import check_space, fixed, load_space
from trainable.cli.errors import UserError


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
    assert facts.batch_sizes == (16, 32)
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


def test_constants_win_over_suggestions_of_the_same_name():
    def overruled(trial: Trial) -> dict:
        trial.suggest_int("data/window", 1, 60)
        return {"data/window": 10}

    facts = check_space(load_space(overruled), {}, 10)
    assert (facts.max_window, facts.n_searched) == (10, 0)


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
