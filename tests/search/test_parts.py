"""Searches over parts of one's own: from a file and from a notebook, resumed, used to predict."""

import json
import os
import signal
import sys
import types
from contextlib import chdir
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from search.api import launch
from search.backend.local import Local
from search.session.observer import SearchObserver
from tests.fixtures import here, tiny
from tests.fixtures.notebooks import Notebook
from tests.fixtures.parts import EXAMPLE, FLAT, FLAT_MODEL, WORDS, write
from tests.fixtures.searches import SEARCH_LOCALLY, check_whole, started
from trainable import predict
from trainable.cli.errors import UserError
from trainable.data.dataset.build import evaluation_dataset
from trainable.data.settings import DataSettings
from trainable.data.sources import market_from_frame
from trainable.parts.loaded import loaded_files
from trainable.prediction import load
from trainable.train import main as train_one


def test_a_file_is_searched_and_its_winner_predicts_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = write(tmp_path)
    run, said = tiny.search_and_listen(tmp_path, WORDS)
    assert "mine.py: model my_gru, loss capped" in " ".join(said.split())
    check_whole(run, searched=2)
    record = json.loads((run / "run.json").read_text(encoding="utf-8"))
    assert record["settings"]["parts"] == ["mine.py"]
    assert [(part["name"], part["source"]) for part in record["parts"]] == [("mine", EXAMPLE)]
    assert (run / "parts" / "mine.py").read_text(encoding="utf-8") == EXAMPLE
    assert loaded_files() == ()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    with pytest.raises(UserError, match=r"made of mine\.py, which is code; load\(…, parts='stored"):
        predict.load(run / "best")
    fresh = [new_rows(predict.load(run / "best", parts)) for parts in ("stored", file)]
    assert len(fresh[0]) > 100
    np.testing.assert_array_equal(fresh[0], fresh[1])
    assert fresh[0].std() > 0
    winner = load(run, parts="stored")
    assert len(winner.predict(tiny.bars(seed=9))) > 1000
    assert loaded_files() == ()
    file.write_text(EXAMPLE.replace("16", "17"), encoding="utf-8")
    with pytest.raises(UserError, match=r"mine\.py was another text when the model was trained"):
        predict.load(run / "best", file)


def new_rows(predictor: predict.Predictor) -> np.ndarray:
    settings = DataSettings()
    market = market_from_frame(tiny.bars(seed=9), settings)
    dataset = evaluation_dataset(market, settings, predictor.scaler.names, max_window=4)
    return predictor.predict(dataset, dataset.valid_rows)


def test_a_stored_text_that_was_changed_is_not_run(tmp_path: Path) -> None:
    write(tmp_path)
    run = tiny.search(tmp_path, WORDS)
    for config in run.glob("best/members/*/config.json"):
        config.write_text(config.read_text(encoding="utf-8").replace("cannot dominate", "x"))
    with pytest.raises(UserError, match="damaged"):
        predict.load(run / "best", "stored")


def test_a_run_goes_on_with_the_same_text_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    file = write(tmp_path)
    with monkeypatch.context() as patched:
        patched.setattr(SearchObserver, "tick", here.interrupt_after(1))
        tiny.search(tmp_path, WORDS, status=130)
    again = {"name": "x", "resume": "true"}
    file.write_text(EXAMPLE + "\n", encoding="utf-8")
    tiny.search(tmp_path, again, status=2)
    assert "cannot go on with other content of mine.py" in capfd.readouterr().err
    file.unlink()
    tiny.search(tmp_path, again, status=2)
    said = capfd.readouterr().err
    assert "parts=mine.py: there is no such file; the run has kept a copy" in said
    assert said.count("\n") == 1
    tiny.search(tmp_path, again | {"parts": ""}, status=2)
    assert "parts= is empty" in capfd.readouterr().err
    (tmp_path / "other.py").write_text(FLAT_MODEL, encoding="utf-8")
    tiny.search(tmp_path, again | {"parts": "runs/x/parts/mine.py,other.py"}, status=2)
    assert "cannot go on with parts=runs/x/parts/mine.py,other.py instead of" in (
        capfd.readouterr().err
    )
    run = tiny.search(tmp_path, again | {"parts": "runs/x/parts/mine.py"})
    check_whole(run, searched=2)


def test_a_search_that_is_killed_goes_on(tmp_path: Path) -> None:
    """Another process resumes it, from another folder, by the name of the run and its folder."""
    file = write(tmp_path)
    words = [f"{key}={text}" for key, text in WORDS.items() if key != "parts"]
    more = ["trials=3", "epochs=30", "rungs=30"]
    kept = [
        word for word in words if word.partition("=")[0] not in ("trials", "data.path", "space")
    ]
    place = [f"data.path={tmp_path / 'bars.csv'}", f"space={tmp_path / 'tiny.py'}"]
    command = (*kept, *more, *place, f"parts={file}", f"runs_dir={tmp_path / 'runs'}")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    folder = tmp_path / "runs" / "x"
    with started(elsewhere, *command, program=SEARCH_LOCALLY) as search:
        search.until(lambda: len(list(folder.glob("shards/*.parquet"))) > 0)
        search.send(signal.SIGKILL)
        assert search.wait() == -signal.SIGKILL
    again = ("name=x", f"runs_dir={tmp_path / 'runs'}", "resume=true")
    with chdir(elsewhere):
        assert here.search_here(*again) == 0
    check_whole(folder, searched=3)
    assert predict.load(folder / "best", "stored").config.model.name == "my_gru"


CELLS = (
    """
from dataclasses import dataclass

import torch
from torch import nn

WIDTH = 2


@dataclass(frozen=True)
class MineConfig:
    hidden: int = 3
""",
    """
def squeezed(x):
    return x.squeeze(-1)


class Mine(nn.Module):
    def __init__(self, config: MineConfig, shape):
        super().__init__()
        self.body = nn.Sequential(nn.Flatten(), nn.Linear(shape.size, WIDTH * config.hidden))
        self.head = nn.Linear(WIDTH * config.hidden, 1)

    def forward(self, x):
        return squeezed(self.head(torch.tanh(self.body(x))))


def absolute(prediction, target):
    return (prediction - target).abs()


def space(trial):
    trial.suggest_int("model/hidden", 2, 4)
    return {"model/name": "mine", "loss/name": "absolute", "train/batch_size": 32}
""",
)


@pytest.fixture
def notebook(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the cells of a notebook have defined."""
    return Notebook(monkeypatch).run(*CELLS)


def test_classes_of_a_notebook_are_searched(notebook: dict[str, Any], tmp_path: Path) -> None:
    tables = {"models": {"mine": notebook["Mine"]}, "losses": {"absolute": notebook["absolute"]}}
    with chdir(tmp_path):
        run = launched(notebook["space"], tables)
        assert run.run["parts"][0]["name"] == "launch"
        notebook["WIDTH"] = 1  # the next launch takes what is there now
        wider = launched(notebook["space"], tables, name="b")
    found = [predict.load(tmp_path / one.folder / "best", "stored") for one in (run, wider)]
    widths = [one.model.get_parameter("head.weight").shape[1] for one in found]
    hidden = [one.config.model.hidden for one in found]  # pyright: ignore[reportAttributeAccessIssue]
    assert widths == [2 * hidden[0], hidden[1]]
    notebook["WIDTH"] = 5
    with (
        chdir(tmp_path),
        pytest.raises(UserError, match="cannot go on with other content of parts launch"),
    ):
        launched(notebook["space"], tables, resume=True)


def launched(space: Any, parts: Any, **settings: Any) -> Any:
    given = {"name": "a", "trials": 2, "epochs": 2, "steps_per_epoch": 4, "finalist_seeds": 1}
    given |= {"report": False}
    return launch(space, tiny.bars(), parts=parts, backend=lambda _: Local(), **(given | settings))


def test_a_module_and_a_path_are_taken_and_what_has_no_source_is_refused(
    notebook: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, FLAT_MODEL, "flat_part.py")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    module = __import__("flat_part")
    monkeypatch.setitem(sys.modules, "flat_part", module)
    for parts in (module, "flat_part.py", [Path("flat_part.py")], types.SimpleNamespace(
        MODELS={"flat": module.Flat}
    )):  # fmt: skip
        assert launched(flat_space, parts, dry_run=True) is None
    notebook["WIDTH"] = np.ones(3)
    lost = notebook["Mine"]
    for parts, says in (
        (3, "parts is of type int; it must be the path of a Python file"),
        ({"MODEL": {}}, "unknown table of parts 'MODEL'; did you mean 'MODELS'"),
        ({"MODELS": [lost]}, "parts: MODELS is a list; it must be a dict"),
        ({"MODELS": {"a": lost}}, "WIDTH, which Mine uses, is a ndarray, which has no source"),
        ({"MODELS": {"a": module.Flat(types.SimpleNamespace(size=2))}}, "is a Flat, which has no"),
        ({"LOSSES": {"a": eval("lambda p, y: p - y")}}, r"LOSSES\['a'\] has no source"),  # noqa: S307
        ("none.py", r"parts=\['none\.py'\]: there is no such file"),
    ):
        with pytest.raises(UserError, match=says):
            launched(flat_space, parts, dry_run=True)


def flat_space(trial: Any) -> dict[str, object]:
    trial.suggest_float("optimizer/lr", 1e-3, 1e-2)
    return {"model/name": "flat", "train/batch_size": 32}


OTHERS = (
    "import numpy as np\nfrom trainable.data.features.table import Feature\n"
    + FLAT
    + '''
def hit_rate(predictions, labels, bars):
    """Share of rows whose sign is right."""
    assert len(predictions) == len(labels) == len(bars)
    return float((np.sign(predictions) == np.sign(labels)).mean())


def gap(bars):
    return np.diff(bars.close, prepend=np.nan) / bars.close


MODELS = {"flat": Flat}
FEATURES = {"jump": Feature("jumps", 1, gap)}
METRICS = {"hit_rate": hit_rate, "nothing": lambda predictions, labels, bars: None}
'''
)
OTHER_SPACE = '''"""On a feature of its own."""

EPOCHS = 2


def space(trial):
    trial.suggest_float("optimizer/lr", 1e-3, 1e-2)
    return {"model/name": "flat", "data/features": "jumps+extra", "train/batch_size": 32}
'''


def test_a_feature_is_chosen_by_its_group_and_a_metric_is_a_column(tmp_path: Path) -> None:
    write(tmp_path, OTHERS, space=OTHER_SPACE)
    run = tiny.search(tmp_path, WORDS)
    trials, epochs = tiny.table(run, "trials"), tiny.table(run, "epochs")
    trained = trials[trials["kind"] == "search"].set_index("number")
    assert trained["metric.hit_rate"].between(0.2, 0.8).all()
    assert trained["metric.nothing"].isna().all()
    ranked = epochs.set_index(["number", "epoch"])["metric.hit_rate"]
    for number, row in trained.iterrows():
        assert ranked[number, row["ranking_epoch"]] == row["metric.hit_rate"]
    best = predict.load(run / "best", "stored")
    assert best.scaler.names == ("jump", "hint")
    settings = DataSettings()
    market = market_from_frame(tiny.bars(seed=9), settings)
    with pytest.raises(UserError, match="unknown feature 'jump'"):
        evaluation_dataset(market, settings, best.scaler.names)
    with best.with_parts():
        dataset = evaluation_dataset(market, settings, best.scaler.names)
    assert np.isfinite(best.predict(dataset, dataset.valid_rows)).all()


def test_one_configuration_is_trained_with_parts(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path, FLAT_MODEL)
    params = {"model/name": "flat", "train/epochs": 1, "train/steps_per_epoch": 2}
    (tmp_path / "c.json").write_text(json.dumps(params))
    with chdir(tmp_path):
        assert train_one(["c.json", "data.path=bars.csv", "parts=mine.py"]) == 0
        assert "completed" in capfd.readouterr().out
        with pytest.raises(UserError, match="unknown model/name 'flat'"):
            train_one(["c.json", "data.path=bars.csv"])
    assert os.listdir(tmp_path).count("parts") == 0  # noqa: PTH208
