"""`python -m trainable.train`: one configuration from the shell."""

import json
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

from trainable import train
from trainable.cli.errors import UserError
from trainable.config import to_params
from trainable.train import main, read_config

SMALL = {
    "model/hidden_dims": "8-4",
    "optimizer/lr": 1e-3,
    "train/epochs": 2,
    "train/steps_per_epoch": 10,
}
DATA = ["data=synthetic", "data.synthetic.bars=400", "data.synthetic.symbols=6"]


@pytest.fixture
def file(tmp_path: Path) -> str:
    path = tmp_path / "config.json"
    path.write_text(json.dumps(SMALL), encoding="utf-8")
    return str(path)


def shell(*words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "trainable.train", *words]
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, check=False)


def test_it_works_from_the_shell_and_leaves_nothing(file: str, tmp_path: Path) -> None:
    done = shell(file, *DATA, "epochs=3", cwd=tmp_path)
    assert done.stderr == ""
    assert done.returncode == 0
    lines = done.stdout.splitlines()
    assert lines[0].split() == ["epoch", "steps", "train", "loss", "val", "loss", "Sharpe", "IC"]
    assert [line.split()[:2] for line in lines[1:4]] == [["1", "10"], ["2", "20"], ["3", "30"]]
    assert lines[4] == 'completed: {"epoch": 3}'
    assert [path.name for path in tmp_path.iterdir()] == ["config.json"]


def test_an_error_is_one_line_and_status_2(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["trainable.train", "missing.json"])
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(train.__file__, run_name="__main__")
    assert ended.value.code == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err == "error: missing.json does not exist; name a JSON file of GROUP/FIELD names\n"


@pytest.mark.parametrize("executor", ["solo", "cohort"])
def test_either_executor(file: str, executor: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([file, *DATA, f"executor={executor}", "device=cpu"]) == 0
    assert "completed" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([], "name a configuration"),
        (["data=synthetic"], "name a configuration"),
        (["FILE", "epochs=two"], "epochs"),
        (["FILE", "epochs=-1"], "train/epochs=-1"),
        (["FILE", "epoch=2"], "did you mean 'epochs'"),
        (["FILE", *DATA, "executor=chort"], "did you mean 'cohort'"),
        (["FILE", *DATA, "device=gpu"], "Available: auto, cpu"),
        (["FILE", "data=synthetik"], "synthetic"),
        (["FILE", "data=us20", "data.path=x.csv"], "data= and data.path= name two sources"),
        (["FILE", "data.source=us20", "data.path=x.csv"], "data.source= and data.path= name two"),
        (["FILE", "data=us20", "data.source=sp500"], "are the same key"),
    ],
)
def test_bad_words_are_the_persons_error(file: str, words: list[str], expected: str) -> None:
    with pytest.raises(UserError) as caught:
        main([file if word == "FILE" else word for word in words])
    assert expected in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("{", "config.json:1: not JSON"),
        ("[]", "expected an object"),
        ('{"params": 3}', "params must be an object"),
        ('{"optimizer/rl": 1}', "did you mean 'optimizer/lr'"),
        ('{"optimizer/lr": "fast"}', "optimizer/lr='fast'"),
        ('{"train/batch_size": 1}', "train/batch_size=1 must be"),
        ('{"train/batch_size": 100000}', "training rows"),
        ('{"schedule/warmup_steps": 100000}', "more than half"),
        ('{"model/name": "mpl"}', "did you mean 'mlp'"),
        ('{"data/features": "price+prise"}', "prise"),
        ('{"loss/dead_zone": 0.9}', "loss/dead_zone=0.9"),
    ],
)
def test_bad_configurations_are_the_persons_error(file: str, content: str, expected: str) -> None:
    Path(file).write_text(content, encoding="utf-8")
    with pytest.raises(UserError) as caught:
        main([file, *DATA])
    assert expected in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_configuration_of_a_trained_model_can_be_trained_again(tmp_path: Path) -> None:
    path = tmp_path / "best.json"
    path.write_text(json.dumps({"params": SMALL, "facts": {}}), encoding="utf-8")
    assert to_params(read_config(path))["model/hidden_dims"] == "8-4"
