"""Parts that fail, or answer in another shape than training takes: one line, nothing left."""

import json
from contextlib import chdir
from pathlib import Path

import pytest

from tests.fixtures import here
from tests.fixtures.parts import WORDS, write
from trainable.cli.commands import status_of
from trainable.parts.loaded import loaded_files
from trainable.train import main as train_one

PARTS = """
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from trainable.data.features.table import Feature


@dataclass(frozen=True)
class NetConfig:
    hidden: int = 3


class Net(nn.Module):
    def __init__(self, config: NetConfig, shape):
        super().__init__()
        self.body = nn.Linear(shape.size, config.hidden)
        self.head = nn.Linear(config.hidden, 1)

    def forward(self, x):
        return self.head(torch.tanh(self.body(x.flatten(1)))).squeeze(-1)


def absolute(prediction, target):
    return (prediction - target).abs()


def adam(parameters, config):
    return torch.optim.Adam(parameters, lr=config.lr)


def constant(config, steps, total):
    return np.ones(len(steps))


def gap(bars):
    return np.diff(bars.close, prepend=np.nan) / bars.close


def hits(predictions, labels, bars):
    return float((np.sign(predictions) == np.sign(labels)).mean())


MODELS = {"net": Net}
LOSSES = {"absolute_error": absolute}
OPTIMIZERS = {"own_adam": adam}
SCHEDULES = {"own_constant": constant}
FEATURES = {"jump": Feature("jumps", 1, gap)}
METRICS = {"hits": hits}
"""
CHOSEN = {
    "model/name": "net",
    "loss/name": "absolute_error",
    "optimizer/name": "own_adam",
    "schedule/name": "own_constant",
    "data/window": 2,
    "train/batch_size": 32,
}
SPACE = f'''"""All of one's own."""

EPOCHS = 2


def space(trial):
    trial.suggest_int("model/hidden", 2, 4)
    return {CHOSEN}
'''
OUTPUT = "self.head(torch.tanh(self.body(x.flatten(1)))).squeeze(-1)"
STEP = "torch.optim.Adam(parameters, lr=config.lr)"
STATEFUL = """Own(parameters, lr=config.lr)


class Own(torch.optim.SGD):
    def step(self, closure=None):
        super().step(closure)
        self.state[self.param_groups[0]["params"][0]]["phase"] = """
# What is written instead of what, and what is said of it.
FAULTS = {
    "a column": (".squeeze(-1)", "", "(24, 1) for 24 rows (24, 2, 18); it must return (24,)"),
    "several answers": (OUTPUT, f"{OUTPUT}, x", "forward returns a tuple"),
    "an error of forward": ("torch.tanh(", "torch.tanh(1 / 0 * ", "@ model net: ZeroD"),
    "an error of the constructor": (
        "        super().__init__()", "        self.a = nn.Linear(2, 2)",
        "@ model net: AttributeError: cannot assign module",
    ),
    "an error of the settings": (
        "    hidden: int = 3", "    hidden: int = 3\n\n    def __post_init__(self):\n"
        "        if self.hidden == 4:\n            raise ValueError('not four')",
        "model net: ValueError: not four",
    ),
    "a layer of no shape": ("nn.Linear(shape.size,", "nn.LazyLinear(", "is of a lazy layer"),
    "an answer that is cut off": (OUTPUT, f"{OUTPUT}.detach()", "so nothing is learnt"),
    "another argument": ("forward(self, x)", "forward(self, x, days)", "missing 1 required posit"),
    "a loss that is a mean": (".abs()", ".abs().mean()", "the loss is () for predictions (2, 24)"),
    "a loss of numpy": ("(prediction - target).abs()", "target.abs()", "so it has no slope"),
    "an error of the loss": ("target).abs()", "target).absolut()", "@ loss absolute_err"),
    "an optimizer's text": (STEP, f"{STATEFUL}'warm'", "own_adam: the optimizer keeps a str"),
    "an optimizer's None": (STEP, f"{STATEFUL}None", "keeps a NoneType as state 'phase'"),
    "an optimizer with a closure": (
        STEP, "torch.optim.LBFGS(parameters, lr=config.lr)",
        "mine.py: optimizer own_adam: TypeError: LBFGS.step() missing 1",
    ),
    "one share for all steps": ("np.ones(len(steps))", "1.0", "returns () for 10 steps"),
    "an error of the schedule": ("np.ones(len(steps))", "steps.ones", "@ schedule own_c"),
    "a feature that is short": ("np.diff(bars.close, prepend=np.nan) / bars.close",
                                "bars.close[1:]", "FEATURES['jump']: it returns ("),
    "an error of the feature": ("np.diff(bars.close,", "np.dif(bars.close,",
                                "@ feature jump: AttributeError"),
    "a feature that looks ahead": (
        "/ bars.close\n", "/ bars.close.std()\n",
        "mine.py: feature jump looks ahead: its value of 2020-01-02 for AA changes where the bars ",
    ),
    "a feature of random numbers": (
        "np.diff(bars.close, prepend=np.nan) / bars.close\n",
        "np.random.default_rng().random(len(bars.close))\n",
        "mine.py: feature jump gives another value for the same bars: its value of 2020-01-01",
    ),
    "a metric of text": ("float((np.sign(predictions) == np.sign(labels)).mean())", "'good'",
                         "METRICS['hits']: it returns a str; a number or None is wanted"),
    "an error of the metric": (".mean())\n\n\nMODELS", ".means())\n\n\nMODELS",
                               "@ metric hits: AttributeError"),
}  # fmt: skip
# Likewise, of what can be trained all the same.
WARNED = (
    ("", "", ""),
    (
        "np.ones(len(steps))",
        "2 * np.ones(len(steps))",
        "schedule own_constant: its shares are 2 … 2",
    ),
    (
        "x.flatten(1)",
        "(x - x.mean(0)).flatten(1)",
        "model net: a row's prediction changes when the",
    ),
)
TRAIN = ["c.json", "data.path=bars.csv", "parts=mine.py"]
RUNS = (
    lambda words: here.search_here(*words, "dry_run=true"),
    lambda words: here.search_here(*words),
    lambda words: status_of(lambda: train_one(TRAIN)),
)
EVERYWHERE = (
    "a column",
    "a feature that looks ahead",
    "an error of forward",
    "an error of the settings",
    "a metric of text",
)


@pytest.mark.parametrize("fault", FAULTS)
def test_it_is_said_in_one_line_before_anything_starts(
    fault: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    old, new, says = FAULTS[fault]
    before, *after = PARTS.split(old)
    assert len(after) == 1
    says = says.replace("@", f"mine.py:{before.count(chr(10)) + 1}:")
    write(tmp_path, PARTS.replace(old, new), space=SPACE)
    (tmp_path / "c.json").write_text(json.dumps(CHOSEN | {"model/hidden": 4}))
    there = sorted(tmp_path.iterdir())
    words = [f"{key}={text}" for key, text in WORDS.items()]
    with chdir(tmp_path):
        for run in RUNS if fault in EVERYWHERE else RUNS[:1]:
            assert run(words) == 2
            out, said = capfd.readouterr()
            assert says in said
            assert said.startswith("error: ")
            assert said.count("\n") == 1
            assert "Traceback" not in out + said
            assert sorted(tmp_path.iterdir()) == there
    assert loaded_files() == ()


def test_an_error_of_a_later_step_is_one_line_too(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    late = f"return {OUTPUT} / (1 if len(x) < 30 else 1 // 0)"
    write(tmp_path, PARTS.replace(f"return {OUTPUT}", late), space=SPACE)
    (tmp_path / "c.json").write_text(json.dumps(CHOSEN))
    words = [f"{key}={text}" for key, text in WORDS.items()]
    with chdir(tmp_path):
        for run in (RUNS[0], RUNS[2]):  # the dry run measures a step
            assert run(words) == 2
            said = capfd.readouterr().err
            assert said.startswith("error: mine.py:23: model net: ZeroDivisionError")
            assert said.count("\n") == 1
        assert not (tmp_path / "runs").exists()
        RUNS[1](words)
        captured = capfd.readouterr()
        assert "Traceback" not in captured.out + captured.err
        assert "see runs/x/trials/0/error.txt" in " ".join(captured.out.split())
    assert "ZeroDivisionError" in (tmp_path / "runs/x/trials/0/error.txt").read_text()


def test_a_network_of_one_output_cannot_take_a_loss_of_several(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path, PARTS, space=SPACE.replace("absolute_error", "quantile"))
    with chdir(tmp_path):
        assert here.search_here(*(f"{key}={text}" for key, text in WORDS.items())) == 2
    said = capfd.readouterr().err
    assert "mine.py: model net with loss quantile: forward returns (24,) for 24 rows" in said
    assert "it must return (24, 3), shape.outputs = 3 numbers a row" in said
    assert said.count("\n") == 1


def test_what_can_be_trained_and_misleads_is_a_warning(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    words = [f"{key}={text}" for key, text in WORDS.items()]
    with chdir(tmp_path):
        for old, new, says in WARNED:
            write(tmp_path, PARTS.replace(old, new), space=SPACE)
            assert here.search_here(*words, "dry_run=true") == 0
            said = " ".join(capfd.readouterr().out.split())
            assert says in said
            assert said.count("warning: mine.py") == bool(says)


def test_a_loss_of_ones_own_trains_the_networks_of_tabm(tmp_path: Path) -> None:
    """In training the network answers [k, B], and each of its networks has a loss of its own."""
    space = SPACE.replace("'model/name': 'net'", "'model/name': 'tabm'")
    write(tmp_path, PARTS, space=space.replace('trial.suggest_int("model/hidden", 2, 4)', ""))
    with chdir(tmp_path):
        assert here.search_here(*(f"{key}={text}" for key, text in WORDS.items())) == 0
