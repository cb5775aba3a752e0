"""Networks over a window are searched as the perceptron is, and refused where they do not fit."""

from pathlib import Path

import pytest

from tests.fixtures import tiny

SPACE = '''"""Tiny networks over a window."""

EPOCHS = 2


def space(trial):
    trial.suggest_categorical("model/name", ["gru", "lstm", "tcn", "tabm", "transformer"])
    trial.suggest_categorical("data/window", [2, 4])
    trial.suggest_categorical("model/attention_heads", [1, 2])
    return {"model/hidden": 4, "model/layers": 1, "model/hidden_dims": "4", "train/batch_size": 32}
'''


def test_networks_over_a_window_are_searched(tmp_path: Path) -> None:
    tiny.write_inputs(tmp_path, space=SPACE)
    run = tiny.search(tmp_path, tiny.WORDS | {"trials": 6})
    trials = tiny.table(run, "trials").query("kind == 'search'")
    assert len(trials) == 6
    assert set(trials["state"]) <= {"COMPLETE", "PRUNED"}
    assert trials["params.model/name"].nunique() > 1
    assert trials["n_parameters"].gt(0).all()


@pytest.mark.parametrize(
    ("fixed", "message"),
    [
        (
            {"fix.model/name": "transformer", "fix.model/attention_heads": 3},
            "model/hidden=4 is not divisible by model/attention_heads=3; ",
        ),
        (
            {"fix.model/name": "ensemble", "fix.data/features": "price"},
            "there are price features alone; fix.model/name=mlp works",
        ),
    ],
)
def test_what_does_not_fit_is_refused_before_the_start(
    fixed: dict[str, object],
    message: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    tiny.write_inputs(tmp_path, space=SPACE)
    tiny.search(tmp_path, tiny.WORDS | fixed, status=2)
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line
    assert not (tmp_path / "runs").exists()


def test_the_plan_says_which_network_an_ensemble_lacks(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The market of these tests has closes, and no volume."""
    tiny.write_inputs(tmp_path, space=SPACE)
    tiny.search(tmp_path, tiny.WORDS | {"fix.model/name": "ensemble", "trials": 1})
    said = " ".join(capsys.readouterr().out.split())
    assert "Ensembles have no network on volume: bars.csv has no such features." in said
