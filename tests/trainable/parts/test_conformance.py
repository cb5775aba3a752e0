"""The checks of parts: all of ours pass, and each check finds a part that breaks it on purpose."""

import re

import pytest

from tests.fixtures.parts import EXAMPLE, FEATURE, FLAT_MODEL, loaded
from trainable.config import from_params
from trainable.models import InputShape, count_parameters
from trainable.parts.conformance.finding import Finding
from trainable.parts.conformance.suite import check_entry
from trainable.parts.tables import TABLES

OURS = [(table, name) for table in TABLES.values() for name in table.entries]
NET = """
import numpy as np
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self, shape):
        super().__init__()
        self.size = shape.size
        self.body = nn.Linear(shape.size, 4)
        self.head = nn.Linear(4, 1)
        {init}

    def forward(self, x):
        h = torch.tanh(self.body(x.flatten(1)))
        {forward}


MODELS = {{"net": Net}}
"""
PLAIN = "return self.head(h).squeeze(-1)"
# By check: what the constructor and forward do, and what is said of it.
NETWORKS = {
    "a second dimension": ("output", "", "return self.head(h)", r"\(8, 1\) for 8 rows"),
    "one row squeezed away": (
        "output", "", "return self.head(h).squeeze()", r"\(\) for one row .*squeeze\(-1\)",
    ),
    "several answers": ("output", "", "return self.head(h), h", "returns a tuple"),
    "whole numbers": (
        "output", "", "return (self.head(h).squeeze(-1) > 0).long()", "returns torch.int64",
    ),
    "division by a spread": (
        "finite predictions", "", "return self.head(h).squeeze(-1) / x.std(1).sum(-1)",
        "windows of zeros are not finite",
    ),
    "a layer that nothing uses": (
        "gradients", "self.spare = nn.Linear(2, 2)", PLAIN, "no gradient reaches spare",
    ),
    "a layer that is cut off": (
        "gradients", "", "return self.head(h.detach()).squeeze(-1)", "no gradient reaches body",
    ),
    "a slope that is not finite": (
        "gradients", "", "return torch.sqrt(0 * self.head(h).squeeze(-1))",
        r"the gradient of \w+ \(\w+\.\w+\) is not finite",
    ),
    "a seed of its own": (
        "same seed, same result", "torch.manual_seed(42); self.body = nn.Linear(shape.size, 4); "
        "self.head = nn.Linear(4, 1)", PLAIN, "every seed gives the same first weights",
    ),
    "weights of another generator": (
        "same seed, same result",
        "self.body.weight.data += float(np.random.default_rng().random())", PLAIN,
        "the same seed gives other first weights",
    ),
    "noise as it predicts": (
        "same seed, same result", "", "return self.head(h).squeeze(-1) + torch.rand(len(x))",
        "predicting the same rows twice gives two answers",
    ),
    "noise of another generator": (
        "same seed, same result", "",
        "return self.head(h).squeeze(-1) * (np.random.rand() if self.training else 1.0)",
        "training draws random numbers that the seed does not decide",
    ),
    "a tensor that is no buffer": (
        "save and load", "self.shift = torch.randn(4)",
        "return self.head(h + self.shift).squeeze(-1)", r"predicts otherwise .*\(shift\)",
    ),
    "layers in a list": (
        "save and load", "self.more = [nn.Linear(4, 4)]",
        "return self.head(self.more[0](h)).squeeze(-1)", r"predicts otherwise .*\(more\)",
    ),
    "a number that follows training": (
        "save and load", "self.mean = 0.0",
        "self.mean += 0.1 * self.training\n        return self.head(h).squeeze(-1) + self.mean",
        "predicts otherwise",
    ),
    "a number of batches": (
        "remembers in buffers only", "self.steps = 0",
        "self.steps += self.training\n"
        "        return self.head(h * (1 if self.steps < 500 else 0.5)).squeeze(-1)",
        "self.steps changes with each batch and is no buffer",
    ),
    "attention over the batch": (
        "looks at its own row only", "",
        "return self.head(torch.softmax(h @ h.T, -1) @ h).squeeze(-1)",
        "a row's prediction changes when the others change",
    ),
    "the batch's mean": (
        "looks at its own row only", "", "return self.head(h - h.mean(0)).squeeze(-1)",
        "forward mixes the rows of a batch",
    ),
    "the present row left out": (
        "learns a planted signal", "",
        "x = x.clone(); x[:, -1] = 0\n"
        "        return self.head(torch.tanh(self.body(x.flatten(1)))).squeeze(-1)",
        "of the target's variance is left on new rows",
    ),
    "a narrow output": (
        "learns a planted signal", "", "return 0.01 * torch.sigmoid(self.head(h)).squeeze(-1)",
        "is its output free of bounds",
    ),
    "an error of its own": ("output", "", "return h @ h", "it fails: mine.py:17: Runtime"),
}  # fmt: skip


def of(text: str, table: str, name: str) -> dict[str, Finding]:
    """What the checks say of a part in a text, by check."""
    with loaded(text) as (file,):
        findings = check_entry(TABLES[table], name, file.shown)
    return {finding.check: finding for finding in findings}


@pytest.mark.parametrize(("table", "name"), OURS, ids=lambda each: getattr(each, "one", each))
def test_ours_pass(table, name: str) -> None:
    findings = check_entry(table, name)
    assert [finding for finding in findings if finding.is_fault] == []
    assert len(findings) >= 1


def test_the_example_passes() -> None:
    assert len(EXAMPLE) > 0
    for text, table, name in (
        (EXAMPLE, "MODELS", "my_gru"),
        (EXAMPLE, "LOSSES", "capped"),
        (FEATURE, "FEATURES", "below_high"),
    ):
        found = of(text, table, name)
        assert [finding for finding in found.values() if finding.is_fault] == []
        assert len(found) >= 2


@pytest.mark.parametrize("case", NETWORKS)
def test_a_network_that_breaks_a_check_is_found(case: str) -> None:
    check, init, forward, says = NETWORKS[case]
    found = of(NET.format(init=init or "pass", forward=forward), "MODELS", "net")
    assert found[check].is_fault
    assert_said(found[check], says)


# By what is no fault: what the constructor and forward do, and what a note says of it.
ALLOWED = {
    "tied weights": (
        "self.again = nn.Linear(4, 1); self.again.weight = self.head.weight",
        "return (self.head(h) + self.again(h)).squeeze(-1)", "its inputs", "None",
    ),
    "a layer that is frozen": (
        "self.fixed = nn.Linear(4, 4).requires_grad_(False)",
        "return self.head(h + self.fixed(h)).squeeze(-1)", "gradients", "None",
    ),
    "inputs that are changed": (
        "", "x *= 0.9\n        h = torch.tanh(self.body(x.flatten(1)))\n        " + PLAIN,
        "its inputs", "forward changes its inputs in place",
    ),
    "a wide kernel": (
        "self.wide = nn.Conv1d(shape.features, 1, 8)",
        "return self.head(h).squeeze(-1) + 0.1 * self.wide(x.transpose(1, 2)).mean((1, 2))",
        "window and features",
        "a window of 4 rows and 3 features .Calculated padded .* with 8 rows and 3 features",
    ),
    "an even number of features": (
        "assert shape.features % 2 == 0, 'odd'", PLAIN, "window and features",
        "mine.py:13: model net: AssertionError: odd.*; it is checked with 4 rows and 4 features",
    ),
    "a number that is read as it is built": (
        "self.slope = torch.linspace(0.5, 1, 3)[1].item()",
        "return self.slope * self.head(h).squeeze(-1)", "many as one program", "None",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", ALLOWED)
def test_a_network_that_is_unusual_is_no_fault(case: str) -> None:
    init, forward, check, says = ALLOWED[case]
    text = NET.format(init=init or "pass", forward=forward)
    found = of(text, "MODELS", "net")
    assert [finding for finding in found.values() if finding.is_fault] == []
    assert_said(found[check], says)
    with loaded(text):
        config = from_params({"model/name": "net"}).model
        assert count_parameters(config, InputShape(8, 4)) > 0


def test_a_batch_normalisation_without_statistics_is_named() -> None:
    text = NET.format(
        init="self.norm = nn.BatchNorm1d(4, track_running_stats=False)",
        forward="return self.head(self.norm(h)).squeeze(-1)",
    )
    found = of(text, "MODELS", "net")
    assert list(found) == ["output"]  # the others would find what follows from it
    assert_said(found["output"], r"nn\.BatchNorm1d \(norm\) without running statistics")


def test_a_file_that_fails_as_settings_are_made_is_told() -> None:
    text = EXAMPLE.replace("dropout: float = 0.1", "dropout: float = 0.1\n\n"
        "    def __post_init__(self):\n        raise ValueError('never')")  # fmt: skip
    found = of(text, "MODELS", "my_gru")
    assert_said(found["settings"], r"it fails: mine\.py:15: ValueError: never")


def test_a_network_without_parameters_is_found() -> None:
    text = FLAT_MODEL.replace("self.body = nn.Linear(shape.size, 1)", "pass").replace(
        "self.body(x.flatten(1)).squeeze(-1)", "x[:, -1, 0]"
    )
    assert_said(of(text, "MODELS", "flat")["output"], "it has no parameters")


FUSED = {
    "a number that is looked at": (
        "pass", f"h.sum().item()\n        {PLAIN}",
        r"it trains alone: it reads a tensor's value with item\(\)",
    ),
    "nothing": ("pass", PLAIN, "None"),
}  # fmt: skip


@pytest.mark.parametrize("case", FUSED)
def test_a_network_that_cannot_be_fused_is_told_and_no_fault(case: str) -> None:
    init, forward, says = FUSED[case]
    note = of(NET.format(init=init, forward=forward), "MODELS", "net")["many as one program"]
    assert not note.is_fault
    assert_said(note, says)


def test_a_network_that_answers_one_number_alone_is_told() -> None:
    note = of(FLAT_MODEL, "MODELS", "flat")["several outputs"]
    assert not note.is_fault
    assert_said(note, "also where shape.outputs says more")
    wide = FLAT_MODEL.replace("shape.size, 1", "shape.size, shape.outputs").replace(
        "return self.body(x.flatten(1)).squeeze(-1)",
        "y = self.body(x.flatten(1))\n        return y.squeeze(-1) if y.shape[-1] == 1 else y",
    )
    assert of(wide, "MODELS", "flat")["several outputs"].said is None


LOSS = "import torch\n{}\n\nLOSSES = {{'mine': mine}}\n"
ENTRY = (
    "from dataclasses import dataclass\nimport torch\nfrom trainable.losses import Loss\n"
    "from trainable.losses.base import LossResult\n\n\n@dataclass(frozen=True)\nclass C:\n"
    "    scale: float = 1.0\n\n\ndef of_batch(p, targets, columns, training):\n"
    "    y, mask, _ = targets\n"
    "    rows = torch.ones_like(p) if mask is None else mask.to(p.dtype)\n"
    "    count = rows.sum(-1, keepdim=True).clamp(min=1)\n    e = p - y\n    {}\n"
    "    return LossResult(loss, slope)\n\n\nLOSSES = {{'mine': Loss(C, of_batch)}}\n"
)
GOOD = "loss, slope = (e**2 * rows).sum(-1) / count.squeeze(-1), 2 * e * rows / count"
LOSSES = {
    "nothing to learn": (
        "value and slope of each member", ENTRY.format(GOOD + "; slope = 0 * slope"),
        "its slope is 0 on random predictions",
    ),
    "a slope of half the size": (
        "slope against finite differences",
        ENTRY.format(GOOD.replace("2 * e", "e")), "finite differences give",
    ),
    "a mask that is not read": (
        "mask", ENTRY.format(GOOD.replace(" * rows", "").replace("/ count.squeeze(-1)", "")),
        "rows that the mask leaves out change its value",
    ),
    "a slope of rows that do not count": (
        "mask", ENTRY.format(GOOD + "; slope = slope + (1 - rows)"),
        "rows that the mask leaves out have a slope",
    ),
    "nothing divided by nothing": (
        "mask", ENTRY.format(f"count = rows.sum(-1, keepdim=True); {GOOD}"), "where no row counts",
    ),
    "one loss for all": (
        "value and slope of each member", ENTRY.format(GOOD + "; loss = loss.sum()"),
        r"the loss of 2 members is \(\)",
    ),
    "a slope of another shape": (
        "value and slope of each member", ENTRY.format(GOOD + "; slope = slope[0]"),
        r"the slope is \(24,\) for predictions \(2, 24\)",
    ),
    "members that meet": (
        "members by themselves", ENTRY.format(f"e = e - 0 * e + e.mean(0) * 0.1; {GOOD}"),
        "changes with the predictions of another",
    ),
    "a logarithm of what is negative": (
        "value and slope of each member",
        LOSS.format("def mine(p, y):\n    return torch.log(p - y)"), "not finite on random",
    ),
    "a mean of its own": (
        "value and slope of each member",
        LOSS.format("def mine(p, y):\n    return ((p - y) ** 2).mean()"),
        "it must return a number for each row",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", LOSSES)
def test_a_loss_that_breaks_a_check_is_found(case: str) -> None:
    check, text, says = LOSSES[case]
    assert_said(of(text, "LOSSES", "mine")[check], says)


def test_a_loss_of_our_own_type_passes() -> None:
    found = of(ENTRY.format(GOOD), "LOSSES", "mine")
    assert [finding.said for finding in found.values()] == [None] * 4


OPTIMIZER = (
    "import torch\n\n\nclass Own(torch.optim.Optimizer):\n    def __init__(self, parameters, lr):\n"
    "        super().__init__(parameters, {{'lr': lr}})\n        self.lr, self.steps = lr, 0\n\n"
    "    @torch.no_grad()\n    def step(self):\n        self.steps += 1\n"
    "        for group in self.param_groups:\n            for p in group['params']:\n"
    "                {}\n\n\n"
    "def mine(parameters, config):\n    return Own(parameters, config.lr)\n\n\n"
    "OPTIMIZERS = {{'mine': mine}}\n"
)
OPTIMIZERS = {
    "lowers a quadratic": ("p += group['lr'] * p.grad", "the sum of squares from .* it must fall"),
    "learning rate": ("p -= self.lr * p.grad", "weights move at a learning rate of 0"),
    "save and load": (
        "p -= group['lr'] * p.grad / self.steps", "with its state saved and loaded it goes on",
    ),
    "save and load ": (
        "p -= group['lr'] * p.grad; self.state[p]['phase'] = 'warm'",
        "the optimizer keeps a str as state 'phase'; a search stores tensors and numbers",
    ),
}  # fmt: skip


@pytest.mark.parametrize("check", OPTIMIZERS)
def test_an_optimizer_that_breaks_a_check_is_found(check: str) -> None:
    step, says = OPTIMIZERS[check]
    assert_said(of(OPTIMIZER.format(step), "OPTIMIZERS", "mine")[check.strip()], says)


@pytest.mark.parametrize(
    ("built", "check", "says"),
    [
        ("SGD(parameters, lr=0.05)", "learning rate", "its rate is 0.05 whatever config.lr is"),
        ("SGD(parameters[:1], lr=config.lr)", "lowers a quadratic", "the bias .* never moves"),
    ],
)
def test_an_optimizer_of_torch_that_is_built_wrongly_is_found(
    built: str, check: str, says: str
) -> None:
    text = f"import torch\n\n\ndef mine(parameters, config):\n    return torch.optim.{built}\n\n\n"
    assert_said(of(text + "OPTIMIZERS = {'mine': mine}\n", "OPTIMIZERS", "mine")[check], says)


@pytest.mark.parametrize("name", ["Adamax", "Adadelta", "Adagrad"])
def test_an_optimizer_of_torch_passes(name: str) -> None:
    text = (
        "import torch\n\n\ndef mine(parameters, config):\n"
        f"    return torch.optim.{name}(parameters, lr=config.lr)\n\n\n"
        "OPTIMIZERS = {'mine': mine}\n"
    )
    assert [finding.said for finding in of(text, "OPTIMIZERS", "mine").values()] == [None] * 3


SCHEDULES = {
    "2.0 + 0 * steps": ("shares of 0 … 1", "its shares are 2 … 2; they must lie in 0 … 1"),
    "-steps / total": ("shares of 0 … 1", "they must lie in 0 … 1"),
    "0.0 * steps": ("shares of 0 … 1", "nothing would be trained"),
    "steps[:3] / total": ("shares of 0 … 1", r"it returns \(3,\) for 200 steps"),
    "1 / (steps - 1)": ("shares of 0 … 1", "a share is not finite"),
    "(steps - steps[0] + 1) / total": ("steps by themselves", "count from its number"),
}


@pytest.mark.parametrize("formula", SCHEDULES)
@pytest.mark.filterwarnings("ignore:divide by zero")
def test_a_schedule_that_breaks_a_check_is_found(formula: str) -> None:
    check, says = SCHEDULES[formula]
    text = f"def mine(config, steps, total):\n    return {formula}\n\n\nSCHEDULES = {{'m': mine}}\n"
    assert_said(of(text, "SCHEDULES", "m")[check], says)


FEATURES = {
    "np.roll(bars.close, -1) / bars.close": ("no look-ahead", "it looks ahead: its value at bar"),
    "bars.close / bars.close.mean()": ("no look-ahead", "changes where the bars after bar"),
    "np.r_[[np.nan] * 2, np.lib.stride_tricks.sliding_window_view(bars.close, 3)[:, 0]]": (
        "few bars", "a symbol of one bar .window shape cannot be larger",
    ),
    "bars.close[:-1]": ("one value a bar", r"returns \(\d+,\) for \d+ bars"),
    "bars.prices": ("one value a bar", "it fails: mine.py:6: AttributeError: 'Bars' object has"),
    "bars.volume": ("one value a bar", r"returns no numbers for .* needs=\('volume',\)"),
    "bars.close.sort()": ("one value a bar", "it fails: mine.py:6: ValueError: .*read-only"),
    "bars.close / 0.0": ("one value a bar", "a value is infinite"),
    "np.r_[bars.close[2:], [np.nan] * 2][:len(bars.close)]": ("no look-ahead", "it looks ahead"),
    "np.r_[np.full(9, bars.close[:10].mean()), bars.close[9:]][:len(bars.close)]": (
        "no look-ahead", "it looks ahead: its value at bar 1 changes where the bars after bar 3",
    ),
    "np.r_[bars.close[1:] * 0 + bars.close[:-1], [np.nan]]": (
        "defined after its warm-up", "its last 1 values are undefined: does it use later bars",
    ),
    "np.random.default_rng().random(len(bars.close))": (
        "no look-ahead", "it gives other values for the same bars",
    ),
    "np.full(len(bars.close), 3.0)": ("defined after its warm-up", "it is constant"),
    "np.concatenate([np.full(5, np.nan), bars.close[5:]])[:len(bars.close)]": (
        "defined after its warm-up",
        "after its warm-up of 2 bars is undefined; its first value is that of bar 6",
    ),
}  # fmt: skip


@pytest.mark.parametrize("formula", FEATURES)
@pytest.mark.filterwarnings("ignore:divide by zero")
def test_a_feature_that_breaks_a_check_is_found(formula: str) -> None:
    check, says = FEATURES[formula]
    text = (
        "import numpy as np\nfrom trainable.data.features.table import Feature\n\n\n"
        f"def mine(bars):\n    return {formula}\n\n\nFEATURES = {{'m': Feature('own', 2, mine)}}\n"
    )
    assert_said(of(text, "FEATURES", "m")[check], says)


METRICS = {
    "predictions": r"METRICS\['m'\]: it returns a ndarray; a number or None",
    "np.random.default_rng().random()": "for the same random predictions it returns",
    "predictions[0]": "it fails: mine.py:5: IndexError",
}


@pytest.mark.parametrize("formula", METRICS)
def test_a_metric_that_breaks_its_check_is_found(formula: str) -> None:
    text = (
        "import numpy as np\n\n\ndef mine(predictions, labels, bars):\n"
        f"    return {formula}\n\n\nMETRICS = {{'m': mine}}\n"
    )
    assert_said(of(text, "METRICS", "m")["a number or None"], METRICS[formula])


def test_a_metric_may_be_undefined() -> None:
    text = "METRICS = {'m': lambda predictions, labels, bars: None}\n"
    assert of(text, "METRICS", "m")["a number or None"].said is None


def assert_said(finding: Finding, says: str) -> None:
    said = str(finding.said)
    assert re.search(says, said), said
    assert "\n" not in said
