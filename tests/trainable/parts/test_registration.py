"""Parts of one's own: what a file may hold, what is refused in one line, nothing left behind."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.fixtures.parts import EXAMPLE, FLAT, FLAT_MODEL, loaded
from trainable.cli.errors import UserError
from trainable.config import (
    FEATURE_GROUPS,
    FIELDS,
    PER_MEMBER,
    TrialConfig,
    from_params,
    shape_key,
    to_params,
)
from trainable.hyperparameter import hyperparameters
from trainable.losses import LOSSES
from trainable.losses.base import Targets
from trainable.models import InputShape, build_model, count_parameters
from trainable.parts.files import PartsFile, read_files
from trainable.parts.loaded import loaded_files
from trainable.parts.registration import registered
from trainable.parts.tables import TABLES
from trainable.schedules import SCHEDULES
from trainable.validation import validate

SHAPE = InputShape(4, 3)


def everything() -> object:
    """All that loading changes."""
    names = {name: list(table.entries) for name, table in TABLES.items()}
    modules = {name for name in sys.modules if name.startswith("parts_")}
    return names, dict(FIELDS), set(PER_MEMBER), list(FEATURE_GROUPS), modules, loaded_files()


def test_the_example_is_a_part_like_ours_and_nothing_of_it_stays() -> None:
    before, count = everything(), len(EXAMPLE.splitlines())
    assert 35 <= count <= 50
    with loaded(EXAMPLE):
        config = from_params({"model/name": "my_gru", "model/hidden": 5, "loss/name": "capped"})
        assert str(config.model) == "my_gru hidden=5"
        assert from_params(to_params(config)) == config
        assert to_params(config)["loss/limit"] == 3.0
        assert dict(shape_key(config))["model/hidden"] == 5
        assert hyperparameters(type(config.model))["dropout"] == FIELDS["model/dropout"]
        assert build_model(config.model, SHAPE, 0)(torch.zeros(2, 4, 3)).shape == (2,)
        assert count_parameters(config.model, SHAPE) == 3 * 5 * (3 + 5 + 2) + 6
        with pytest.raises(UserError, match=r"model/dropout=0\.95 must be at least 0 and at most"):
            validate(from_params({"model/name": "my_gru", "model/dropout": 0.95}))
        with pytest.raises(UserError, match=r"unknown parameter 'model/hiden'; did you mean"):
            from_params({"model/hiden": 5})
    assert everything() == before
    assert from_params({}) == TrialConfig()


def test_a_loss_of_each_row_has_its_slope_also_with_a_mask_and_in_a_cohort() -> None:
    rng = torch.Generator().manual_seed(0)
    p, y = torch.randn(2, 2, 8, generator=rng, dtype=torch.float64)
    mask = torch.arange(8).expand(2, 8) % 3 > 0
    limits = torch.tensor([[0.5], [2.0]], dtype=torch.float64)
    with loaded(EXAMPLE), torch.inference_mode():
        columns = {"limit": limits}
        loss, slope, _ = LOSSES["capped"].of_batch(p, Targets(y, mask), columns, training=True)
    each = np.minimum((p - y).numpy() ** 2, limits.numpy() ** 2)
    kept = mask.numpy()
    np.testing.assert_allclose(loss.numpy(), (each * kept).sum(1) / kept.sum(1))
    moves = ((p - y).numpy() ** 2 < limits.numpy() ** 2) & kept
    wanted = 2 * (p - y).numpy() * moves / kept.sum(1, keepdims=True)
    np.testing.assert_allclose(slope.numpy(), wanted, atol=1e-12)


def test_the_same_text_is_loaded_once_and_goes_with_its_last_block() -> None:
    file = PartsFile("mine", FLAT_MODEL)
    with registered([file]):
        kept = TABLES["MODELS"].entries["flat"]
        with registered([PartsFile("mine", FLAT_MODEL, "elsewhere/mine.py")]):
            assert TABLES["MODELS"].entries["flat"] is kept
        assert "flat" in TABLES["MODELS"].entries
        with pytest.raises(UserError, match=r"another mine\.py is loaded already"):
            loaded_again(PartsFile("mine", EXAMPLE))
    assert "flat" not in TABLES["MODELS"].entries


def loaded_again(file: PartsFile) -> None:
    with registered([file]):
        pass


def test_a_class_may_bring_its_settings_inside_and_a_schedule_its_own() -> None:
    text = (
        FLAT.replace("(self, shape)", "(self, config, shape)").replace(
            "class Flat(nn.Module):",
            "from dataclasses import dataclass\n\n\nclass Flat(nn.Module):\n"
            "    @dataclass(frozen=True)\n    class Config:\n        width: int = 3\n",
        )
        + "def half(config, steps, total):\n    return 0.5 + 0 * steps\n\n\n"
        + 'MODELS = {"flat": Flat}\nSCHEDULES = {"half": half}\n'
    )
    with loaded(text):
        config = from_params({"model/name": "flat", "model/width": 4, "schedule/name": "half"})
        assert (getattr(config.model, "width"), config.model.dropout) == (4, 0.0)  # noqa: B009
        assert config.schedule.warmup_steps == 0
        share = SCHEDULES["half"].share(config.schedule, np.arange(1, 4), 3)
        np.testing.assert_array_equal(share, [0.5, 0.5, 0.5])
        assert "schedule/name" in PER_MEMBER


def test_an_entry_of_our_own_type_is_taken_as_it_is() -> None:
    text = (
        "from dataclasses import dataclass\nfrom trainable.hyperparameter import hyperparameter\n"
        "from trainable.models import Model\n" + FLAT.replace("(self, shape)", "(self, config, s)")
        .replace("shape.size", "s.size")
        + "@dataclass(frozen=True)\nclass C:\n"
        '    width: int = hyperparameter(8, "width", low=1, high=9)\n\n\n'
        'MODELS = {"flat": Model(C, Flat, batches="rows")}\n'
    )  # fmt: skip
    with loaded(text), pytest.raises(UserError, match=r"model/width=10 must be .* at most 9"):
        validate(from_params({"model/name": "flat", "model/width": 10}))


CONFIGURED = (
    "from dataclasses import dataclass, field\n"
    + FLAT.replace("(self, shape)", "(self, config: 'C', shape)")
    + "{}class C:\n    {}\n\n\nMODELS = {{'flat': Flat}}\n"
)
FROZEN = "@dataclass(frozen=True)\n"
FEATURE = (
    "from trainable.data.features.table import Feature\nFEATURES = {{'a': Feature('own', {})}}\n"
)
WRONG = {
    "no tables": ("x = 1", "has none of the tables MODELS, LOSSES"),
    "a misspelt table": ("MODEL = {'a': 1}", "unknown table in mine.py: 'MODEL'; did you mean"),
    "an empty table": ("MODELS = {}", "its tables are empty"),
    "a list": ("MODELS = []", "MODELS is a list; it must be a dict"),
    "our own table": ("from trainable.models import MODELS", "MODELS is our own table"),
    "a name of ours": (FLAT + "MODELS = {'mlp': Flat}", "ours has that name; choose another"),
    "a name that is none": (FLAT + "MODELS = {'a/b': Flat}", "a name is a word of letters"),
    "a number": ("MODELS = {'flat': 3}", "is of type int; it must be an nn.Module class"),
    "a network that is built": (
        FLAT + "from trainable.models import InputShape\n"
        "MODELS = {'flat': Flat(InputShape(1, 3))}",
        "a network that is built already; write Flat, its class",
    ),
    "a class that is no network": ("class A: pass\nMODELS = {'a': A}", "A is no network"),
    "another number of arguments": (
        FLAT.replace("(self, shape)", "(self)") + "MODELS = {'flat': Flat}",
        "takes 0 arguments without a default; it must take (config, shape)",
    ),
    "settings of no class": (
        FLAT.replace("(self, shape)", "(self, config, shape)") + "MODELS = {'flat': Flat}",
        "Annotate the first argument: (config: FlatConfig, shape)",
    ),
    "an annotation that is missing": (
        FLAT.replace("(self, shape)", "(self, config: 'Nowhere', shape)")
        + "MODELS = {'flat': Flat}",
        "the annotation of config cannot be read (name 'Nowhere' is not defined)",
    ),
    "no dataclass": (CONFIGURED.format("", "a = 1"), "C is no configuration class"),
    "not frozen": (CONFIGURED.format("@dataclass\n", "a: int = 1"), "write @dataclass(frozen="),
    "no default": (CONFIGURED.format(FROZEN, "a: int"), "C.a needs a default"),
    "a list of widths": (
        CONFIGURED.format(FROZEN, "a: tuple[int, ...] = (1,)"),
        "C.a must be int, float, bool or str",
    ),
    "a setting that is worked out": (
        "from dataclasses import field\n"
        + CONFIGURED.format(FROZEN, "a: int = field(default=0, init=False)"),
        "C.a is worked out (init=False), so it is no setting",
    ),
    "a number that is none": (
        CONFIGURED.format(FROZEN, "a: float = float('inf')"), "C.a = inf cannot be stored",
    ),
    "a text that is a number": (CONFIGURED.format(FROZEN, "a: str = 1"), "C.a = 1 is no str"),
    "another meaning": (
        CONFIGURED.format(FROZEN, "dropout: int = 1"),
        "model/dropout (a whole number) means something else in model mlp (a number, at least 0",
    ),
    "a loss of another shape": (
        "LOSSES = {'a': lambda prediction: 0}", "it takes 1 arguments without a default",
    ),
    "a loss with a text": (
        "from dataclasses import dataclass\n\n\n" + FROZEN + "class C:\n    kind: str = 'a'\n\n\n"
        "def a(p, t, config: C):\n    return p\n\n\nLOSSES = {'a': a}",
        "C.kind must be a number",
    ),
    "our own table, changed": (
        FLAT + "from trainable import models\nmodels.MODELS['flat'] = Flat",
        "it changes our own MODELS; write a dict of your own",
    ),
    "our own table, changed before an error": (
        FLAT + "from trainable import models\nmodels.MODELS['flat'] = Flat\n1 / 0",
        "ZeroDivisionError",
    ),
    "the shape first": (
        CONFIGURED.format(FROZEN, "a: int = 1").replace("config: 'C', shape", "shape, config: 'C'"),
        "the configuration comes first: write (config: …, shape)",
    ),
    "the configuration alone": (
        CONFIGURED.format(FROZEN, "a: int = 1").replace("config: 'C', shape", "config: 'C'"),
        "takes config alone; write (config: …, shape)",
    ),
    "a shape by name only": (
        CONFIGURED.format(FROZEN, "a: int = 1").replace("'C', shape", "'C', *, shape"),
        "shape can be given by name only",
    ),
    "a type that is not there": (
        CONFIGURED.format(FROZEN, "a: 'Foo' = 1"), "cannot be read (name 'Foo' is not defined)",
    ),
    "a list that is made": (
        CONFIGURED.format(FROZEN, "a: list = field(default_factory=list)"),
        "C.a must be int, float, bool or str",
    ),
    "a setting without a type": (
        CONFIGURED.format(FROZEN, "a = 16"), "C.a = 16 has no type, so it is no setting;",
    ),
    "a default out of range": (
        CONFIGURED.format(FROZEN, "dropout: float = 0.95"),
        "the default model/dropout=0.95 must be at least 0 and at most 0.9",
    ),
    "a setting called check": (
        CONFIGURED.format(FROZEN, "check: int = 1"), "C.check must be a method check(self)",
    ),
    "a check of something": (
        CONFIGURED.format(FROZEN, "a: int = 1\n\n    def check(self, value):\n        pass"),
        "C.check must be a method check(self)",
    ),
    "settings that are made": (
        CONFIGURED.format(FROZEN, "a: int = 1").replace("MODELS", "from trainable.models import "
        "Model\nMODELS").replace("'flat': Flat", "'flat': Model(C(), Flat)"),
        "its config is a C; give the class, without ()",
    ),
    "the target first": (
        "LOSSES = {'a': lambda target, prediction: target - prediction}",
        "it takes (target, prediction); the prediction comes first",
    ),
    "the target first, the answer by another name": (
        "LOSSES = {'a': lambda y_true, forecast: y_true - forecast}",
        "it takes (y_true, forecast); the prediction comes first",
    ),
    "the labels of a metric first": (
        "METRICS = {'a': lambda y_true, y_pred, bars: 0.0}",
        "it takes (y_true, y_pred); the prediction comes first",
    ),
    "a loss that is a layer": (
        "from torch import nn\nLOSSES = {'a': nn.HuberLoss(reduction='none')}",
        "LOSSES['a'] is of type HuberLoss; it must be a function of (prediction, target, config)",
    ),
    "a loss that is a class": (
        "from torch import nn\nLOSSES = {'a': nn.HuberLoss}", "is the class HuberLoss; it must be",
    ),
    "other bars": (FEATURE.format("1, abs, bars='dayly'"), "unknown bars 'dayly'; did you mean"),
    "other fields": (FEATURE.format("1, abs, needs=('vol',)"), "unknown field in its needs 'vol'"),
    "a negative warm-up": (FEATURE.format("-1, abs"), "its warm-up is -1; it must be a number of"),
    "a feature without a warm-up": ("FEATURES = {'a': abs}", "it must be Feature(group, warmup"),
    "a syntax error": ("x = (\n", "mine.py:1: SyntaxError: '(' was never closed"),
    "an error of its own": ("x = 1\ny = {}['a']\n", "mine.py:2: KeyError: 'a'"),
    "what is not installed": ("import nowhere_at_all\n", "mine.py:1: ModuleNotFoundError: No"),
    "an exit": ("raise SystemExit(3)", "mine.py:1: SystemExit: 3"),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_is_said_in_one_line_and_nothing_stays(case: str) -> None:
    text, says = WRONG[case]
    before = everything()
    with pytest.raises(UserError) as error, loaded(text):
        pass
    said = str(error.value)
    assert says in said, said
    assert said.startswith("mine.py") or "unknown table" in said
    assert "\n" not in said
    assert everything() == before


def test_two_files_may_not_bring_one_name() -> None:
    before = everything()
    with pytest.raises(UserError, match=r"mine1\.py: MODELS\['flat'\]: mine\.py has that name"):
        loaded_both(FLAT_MODEL, FLAT_MODEL)
    assert everything() == before


def loaded_both(*texts: str) -> None:
    with loaded(*texts):
        pass


def test_an_error_of_a_part_is_one_line_for_whoever_uses_it() -> None:
    text = FLAT_MODEL.replace("return self.body", "return 1 / 0 + self.body")
    before = everything()
    line = "return 1 / 0 \\+ self.body\\(x.flatten\\(1\\)\\).squeeze\\(-1\\)"
    says = rf"^mine\.py:11: model flat: ZeroDivisionError: division by zero, in the line '{line}'$"
    with pytest.raises(UserError, match=says), loaded(text):
        build_model(from_params({"model/name": "flat"}).model, SHAPE, 0)(torch.zeros(2, 4, 3))
    with pytest.raises(ZeroDivisionError), loaded(text):  # of another
        raise ZeroDivisionError
    assert everything() == before


def test_a_network_that_cannot_be_built_says_its_own_line() -> None:
    text = FLAT_MODEL.replace("        self.body", "        1 / 0\n        self.body")
    with loaded(text):
        config = from_params({"model/name": "flat"})
        with pytest.raises(UserError, match=r"^mine\.py:8: model flat: ZeroDivisionError: div"):
            build_model(config.model, SHAPE, 0)


def test_a_file_is_read_and_nothing_in_it_runs(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("import os\nos._exit(7)\n")
    (file,) = read_files([tmp_path / "mine.py"])
    assert (file.name, file.path) == ("mine", str(tmp_path / "mine.py"))
    assert PartsFile.from_record(file.record()) == PartsFile("mine", file.source)
    with pytest.raises(ValueError, match="not the one that was stored"):
        PartsFile.from_record(file.record() | {"source": "x = 1"})


def test_files_that_cannot_be_read_are_refused(tmp_path: Path) -> None:
    for name in ("a.py", "b/a.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(FLAT_MODEL)
    (tmp_path / "bytes.py").write_bytes(b"x = '\xff'\n")
    for given, says in (
        ([tmp_path / "none.py"], "there is no such file"),
        ([tmp_path / "a.txt"], "must be a Python file"),
        ([tmp_path / "a.py", tmp_path / "b/a.py"], "has the same name; rename one"),
        ([tmp_path / "bytes.py"], "is not Python: byte 5 is not UTF-8"),
    ):
        with pytest.raises(UserError, match=says):
            read_files(given)


@pytest.mark.parametrize(
    "line",
    [
        "import helper",
        "from helper import x",
        "from . import helper",
        "__import__('helper')",
        "import importlib; importlib.import_module('helper')",
    ],
)
def test_a_file_that_needs_its_neighbour_is_refused(
    line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where it lies in the folder that the person works in."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sub").mkdir()
    for folder in (tmp_path, tmp_path / "sub"):
        (folder / "mine.py").write_text(f"import torch\n{line}\n{FLAT_MODEL}")
    (tmp_path / "helper.py").write_text("x = 1\n")
    for name in ("mine.py", "sub/mine.py"):
        with pytest.raises(UserError, match=rf"^{name}:2: imports .* from a file beside it"):
            read_files([name])
