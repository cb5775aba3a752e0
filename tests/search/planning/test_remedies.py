"""What a refusal says would work is followed, and works."""

import re
from typing import Any

import numpy as np
import pytest
from optuna import Trial

from search.planning.plan import make_plan
from search.settings.reading import settings_from
from search.space.validation import load_space
from tests.fixtures.markets import make_market
from trainable.cli.errors import UserError

SHORT = ["name=x", "trials=4", "epochs=4"]


def whole_range(trial: Trial) -> dict[str, Any]:
    """A warm-up whose longest no sample meets, beside batches that shorten an epoch."""
    trial.suggest_int("schedule/warmup_steps", 1, 100_000)
    trial.suggest_int("train/batch_size", 8, 200)
    return {}


def by_branch(trial: Trial) -> dict[str, Any]:
    """Long warm-ups with small batches only."""
    batch = trial.suggest_categorical("train/batch_size", [8, 64])
    trial.suggest_int("schedule/warmup_steps", 0, 9_000 if batch == 8 else 10)
    return {}


def rarely(trial: Trial) -> dict[str, Any]:
    """One configuration of twenty has a warm-up, some of them a long one."""
    if trial.suggest_float("optimizer/lr", 0.0, 1.0) > 0.95:
        trial.suggest_int("schedule/warmup_steps", 20, 80, step=20)
    return {}


def by_helpers(trial: Trial) -> dict[str, Any]:
    warm, size = trial.suggest_int("warm", 1, 9), trial.suggest_int("size", 3, 7)
    return {"schedule/warmup_steps": 10**warm // 9**5, "train/batch_size": 2**size}


def large_batches(trial: Trial) -> dict[str, Any]:
    trial.suggest_int("train/batch_size", 2, 10**6)
    return {}


def wide_zone(trial: Trial) -> dict[str, Any]:
    trial.suggest_float("loss/dead_zone", 1e-4, 1.0)
    trial.suggest_int("train/batch_size", 8, 700)
    return {}


def kinds_of_loss(trial: Trial) -> dict[str, Any]:
    trial.suggest_categorical("loss/name", ["mse", "huber"])
    trial.suggest_float("loss/delta", 0.5, 2.0)
    return {}


def loss_of_a_helper(trial: Trial) -> dict[str, Any]:
    return {"loss/name": trial.suggest_categorical("kind", ["mse", "huber"])}


def layers(trial: Trial) -> dict[str, Any]:
    return {"model/hidden_dims": "-".join(["8"] * trial.suggest_int("depth", 1, 3))}


def out_of_range(trial: Trial) -> dict[str, Any]:
    trial.suggest_float("model/dropout", 0.0, 0.99)
    return {}


CASES = {
    "warm-up of a range": (whole_range, []),
    "warm-up of a branch": (by_branch, []),
    "warm-up of helpers": (by_helpers, []),
    "warm-up of few steps": (whole_range, ["steps_per_epoch=1"]),
    "warm-up of a space that comes with the project": ("conservative", []),
    "warm-up that only some learning rates have": ("quick_test", ["epochs=1"]),
    "warm-up of a rare branch": (rarely, ["epochs=1"]),
    "batches": (large_batches, []),
    "dead zone": (wide_zone, []),
    "losses": (kinds_of_loss, ["objective=val_loss"]),
    "losses of a helper": (loss_of_a_helper, ["objective=val_loss"]),
    "value out of range": (out_of_range, []),
    "cores": (layers, ["cpus_per_trial=9999"]),
    "GPUs": (layers, ["gpus_per_trial=9999"]),
}
VALUES = {"fix.loss/name=…": "fix.loss/name=mse", "fix.loss/delta=…": "fix.loss/delta=1"}


def remedies(said: str) -> list[list[str]]:
    """The words that a refusal offers: alternatives, each of one or more words."""
    offered = said.partition(" (sampled: ")[0].rpartition("; ")[2]
    found: list[list[str]] = [
        re.findall(r"[\w./]+=[^\s,;]+", part) for part in re.split(r"\bor\b", offered)
    ]
    return [[VALUES.get(word, word) for word in words] for words in found if words]


@pytest.mark.parametrize("name", CASES)
def test_what_a_refusal_offers_is_accepted(name: str) -> None:
    space, words = CASES[name]
    market = make_market(600, 3)

    def plan(*more: str) -> object:
        last = {word.partition("=")[0]: word for word in (*SHORT, *words, *more)}
        return make_plan(settings_from(list(last.values())), load_space(space), lambda: market)

    with pytest.raises(UserError, match="works") as refused:
        plan()
    offered = remedies(str(refused.value))
    assert offered, refused.value
    for more in offered:
        if "HOST:PORT" not in " ".join(more):
            plan(*more)


def test_the_epochs_that_are_offered_are_the_fewest() -> None:
    """The longest warm-up of the range and the largest batch: 2 · 100,000 ÷ (rows ÷ 200)."""
    market = make_market(600, 3)
    with pytest.raises(UserError, match=r"epochs=\d+ works") as refused:
        make_plan(settings_from(SHORT), load_space(whole_range), lambda: market)
    (epochs,) = re.findall(r"or epochs=(\d+) works", str(refused.value))
    words = [*SHORT[:2], f"epochs={epochs}"]
    rows = len(make_plan(settings_from(words), load_space(whole_range), lambda: market)
               .dataset.train_rows)  # fmt: skip
    assert int(epochs) == int(np.ceil(200_000 / (rows // 200)))
    fewer = settings_from([*SHORT[:2], f"epochs={int(epochs) - 1}"])
    with pytest.raises(UserError, match="more than half"):
        make_plan(fewer, load_space(whole_range), lambda: market)


@pytest.mark.parametrize(
    "word",
    ["trials=0", "epochs=0", "seed=-1", "reduction_factor=1", "finalist_seeds=0", "cohort=0",
     "max_concurrent=0", "time_budget_s=0", "patience_s=0", "checkpoint_steps=0", "rungs=4,1",
     "storage=study", "cpus_per_trial=-1", "gpus_per_trial=-1", "data.horizon=0", "data.lag=-1",
     "data.cost_bps=-1", "data.delisting_return=1", "data.fraction=0", "data.holdout_symbols=1",
     "data.synthetic.signal=1", "data.synthetic.bars=1", "data.periods_per_year=0"],
)  # fmt: skip
def test_what_a_refused_setting_offers_is_accepted(word: str) -> None:
    with pytest.raises(UserError, match="works") as refused:
        settings_from([word])
    offered = remedies(str(refused.value))
    if word.startswith("storage"):
        offered = [["storage=sqlite:///study.db"], ["storage=postgresql://user@host/name"]]
        assert all(more[0].partition("=")[2] in str(refused.value) for more in offered)
    assert offered
    for more in offered:
        settings_from(more)
