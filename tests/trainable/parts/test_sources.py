"""Classes and functions of a notebook as a file of parts: the text of what is there now."""

import linecache
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.fixtures.notebooks import Notebook
from trainable.cli.errors import UserError
from trainable.models import MODELS, InputShape
from trainable.models import gru as ours
from trainable.parts.files import PartsFile
from trainable.parts.registration import registered
from trainable.parts.sources import text_of

SHAPE = InputShape(window=1, features=2)
IMPORTS = "from dataclasses import dataclass\n\nimport torch\nfrom torch import nn\n"
CONFIG = """
@dataclass(frozen=True)
class Config:
    hidden: int = 11
"""
NET = """
class Net(nn.Module):
    scale = 2.0

    def __init__(self, config: Config, shape):
        super().__init__()
        self.head = nn.Linear(shape.size, 1)

    def forward(self, x):
        return self.scale * self.head(x.flatten(1)).squeeze(-1)
"""


@pytest.fixture
def notebook(monkeypatch: pytest.MonkeyPatch) -> Notebook:
    return Notebook(monkeypatch)


@contextmanager
def sent(text: str) -> Iterator[Any]:
    """Has what a worker makes of a text in our tables; yields the entry `mine`."""
    with registered([PartsFile("launch", text)]):
        yield MODELS["mine"]


def scale_of(text: str) -> float:
    """Returns what a worker's network gives for one where its layer gives one."""
    with sent(text) as entry:
        model = entry.build(entry.config(), SHAPE)
        with torch.no_grad():
            model.head.weight.fill_(0.0)
            model.head.bias.fill_(1.0)
            return float(model(torch.zeros(1, 1, 2)))


OTHER = """
class Other(nn.Module):
    @dataclass(frozen=True)
    class Config:
        hidden: int = 99

class Helper:
    class Net(nn.Module):
        scale = 7.0
"""


@pytest.mark.parametrize("later", [OTHER, CONFIG.replace("11", "12").replace("Config", "Plan")])
def test_a_class_is_told_from_others_of_its_name(notebook: Notebook, later: str) -> None:
    names = notebook.run(IMPORTS, CONFIG + NET, later)
    with sent(text_of({"MODELS": {"mine": names["Net"]}})) as entry:
        assert entry.config().hidden == 11


def test_a_class_of_a_file_that_a_traceback_showed_is_not_taken(notebook: Notebook) -> None:
    cell = (CONFIG + NET).replace("Config", "GruConfig")
    names = notebook.run(IMPORTS, cell)
    assert linecache.getlines(str(ours.__code__.co_filename))
    with sent(text_of({"MODELS": {"mine": names["Net"]}})) as entry:
        assert entry.config().hidden == 11


def test_a_class_that_was_defined_again_is_the_one_in_use(notebook: Notebook) -> None:
    names = notebook.run(IMPORTS, CONFIG + NET)
    first = names["Net"]
    names = notebook.run(NET.replace("2.0", "3.0"))
    for net, scale in ((first, 2.0), (names["Net"], 3.0)):
        assert scale_of(text_of({"MODELS": {"mine": net}})) == scale


CHANGES = {
    "value": ("Net.scale = 5.0", 5.0),
    "method": (
        "def forward(self, x):\n    return 6.0 * self.head(x.flatten(1)).squeeze(-1)\n"
        "Net.forward = forward",
        6.0,
    ),
    "property": ("Net.scale = property(lambda self: 4.0)", None),
    "static": ("Net.unit = staticmethod(torch.relu)", None),
    "added": ("FACTOR = 3.0\ndef extra(self):\n    return FACTOR\nNet.extra = extra", 2.0),
    "base": ("class Sub(Net):\n    pass\nNet.scale = 8.0", 8.0),
    "builtin": (
        NET.replace("self.scale * self", "abs(2) * self") + "\ndef abs(x):\n    return 9.0",
        9.0,
    ),
    "word": (
        "batch = torch.ones(3)"
        + NET.replace("config: Config", "config: 'Config'").replace("self, x", "self, x: 'batch'"),
        2.0,
    ),
    "helper": (
        "class Slope:\n    value = 2.0\n" + NET.replace("scale = 2.0", "slope = Slope()").replace(
            "self.scale", "self.slope.value"
        ),
        2.0,
    ),
    "decorated": (NET.replace("    def f", "    @torch.no_grad()\n    def f"), 2.0),
}  # fmt: skip


@pytest.mark.parametrize("case", CHANGES)
def test_what_was_set_later_is_sent_too_or_refused(notebook: Notebook, case: str) -> None:
    cell, scale = CHANGES[case]
    names = notebook.run(IMPORTS, CONFIG + NET, cell)
    if scale is not None:
        net = names.get("Sub", names["Net"])
        assert scale_of(text_of({"MODELS": {"mine": net}})) == scale
        return
    with pytest.raises(UserError, match=r"Net\.\w+ is a \w+, which has no source"):
        text_of({"MODELS": {"mine": names["Net"]}})


def test_a_default_whose_source_is_another_number_now_is_refused(notebook: Notebook) -> None:
    names = notebook.run(IMPORTS + "SIZE = 4\n", CONFIG.replace("11", "SIZE") + NET)
    with sent(text_of({"MODELS": {"mine": names["Net"]}})) as entry:
        assert entry.config().hidden == 4
    names["SIZE"] = 5
    with pytest.raises(UserError, match="Config has other fields than its text makes now; run its"):
        text_of({"MODELS": {"mine": names["Net"]}})


def test_one_name_for_two_values_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    for name, width in (("narrow_part", "4"), ("wide_part", "4"), ("widest_part", "5")):
        text = f"WIDTH = {width}\n\n\ndef {name}(prediction, target):\n    return WIDTH"
        (tmp_path / f"{name}.py").write_text(text + "\n", encoding="utf-8")
    tables: Mapping[str, Any] = {
        name: getattr(__import__(name), name) for name in ("narrow_part", "wide_part")
    }
    assert text_of({"LOSSES": tables}).count("WIDTH = 4") == 1
    more = {**tables, "widest": __import__("widest_part").widest_part}
    with pytest.raises(UserError, match="two things are called WIDTH"):
        text_of({"LOSSES": more})


def test_what_is_decorated_is_sent_with_its_decorator(notebook: Notebook) -> None:
    cell = "@torch.no_grad()\ndef mean(predictions, labels, bars):\n    return 1.0\n"
    names = notebook.run(IMPORTS, cell)
    text = text_of({"METRICS": {"mean": names["mean"]}})
    assert "@torch.no_grad()\ndef mean" in text
    assert "import torch" in text
