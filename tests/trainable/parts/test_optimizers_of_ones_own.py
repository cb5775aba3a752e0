"""Optimizers of one's own: groups with rates of their own, counters, and what is no optimizer."""

from pathlib import Path
from typing import Any

import pytest
import torch

from tests.fixtures.trainings import config, final, narrow, starts
from trainable.cli.errors import UserError
from trainable.parts.files import read_files
from trainable.parts.registration import registered
from trainable.training.loop import Training
from trainable.training.member import MemberStart

COUNTING = '''
import torch


class Counting(torch.optim.SGD):
    """Its rate falls with a counter that stands among its settings."""

    def __init__(self, parameters, lr):
        super().__init__(parameters, lr=lr)
        for group in self.param_groups:
            group["k"] = 0

    def step(self, closure=None):
        for group in self.param_groups:
            group["k"] += 1
            for p in group["params"]:
                p.data.add_(p.grad, alpha=-group["lr"] / group["k"])


def counting(parameters, config):
    return Counting(parameters, config.lr)


def grouped(parameters, config):
    first, *rest = parameters
    return torch.optim.SGD(
        [{"params": [first], "lr": 0.0}, {"params": rest, "lr": config.lr}], lr=config.lr
    )


def nothing(parameters, config):
    return None


OPTIMIZERS = {"counting": counting, "grouped": grouped, "nothing": nothing}
'''


@pytest.fixture
def parts(tmp_path: Path) -> Any:
    path = tmp_path / "mine.py"
    path.write_text("\ufeff" + COUNTING, encoding="utf-8")  # as Windows writes it
    with registered(read_files([str(path)])):
        yield


def settings(name: str) -> dict[str, Any]:
    return {"optimizer__name": name, "optimizer__lr": 0.1, "train__steps_per_epoch": 8}


@pytest.mark.usefixtures("parts")
def test_a_counter_that_began_at_0_goes_on_after_a_resume() -> None:
    each = config(**settings("counting"))
    whole = Training(starts([each]), narrow())
    whole.advance()
    resumed = Training([MemberStart(0, each, whole.saved(0))], narrow())
    whole.advance()
    resumed.advance()
    assert torch.equal(final(whole, 0), final(resumed, 0))


@pytest.mark.usefixtures("parts")
def test_a_group_keeps_its_share_of_the_rate() -> None:
    training = Training(starts([config(**settings("grouped"))]), narrow())
    before = training.executor.weights(0)
    training.advance()
    after = training.executor.weights(0)
    still = [name for name in before if torch.equal(before[name], after[name])]
    assert still == [next(iter(before))]


@pytest.mark.usefixtures("parts")
def test_what_is_no_optimizer_is_said() -> None:
    with pytest.raises(UserError, match="it returned None, not a torch optimizer"):
        Training(starts([config(**settings("nothing"))]), narrow())
