"""The benchmark of steps, tiny."""

import json
from pathlib import Path

import pytest

from benchmarks.step import __main__ as step
from benchmarks.step.networks import entry_of
from trainable.cli.errors import UserError
from trainable.models import MODELS


def test_steps_are_measured(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "step.json"
    words = "--shapes 8-4:16 --members 1,3 --seconds 0.02 --repeats 2 --dates 420 --device cpu"
    assert step.main([*words.split(), "--out", str(out)]) == 0
    found = json.loads(out.read_text())
    rows = found["steps"]
    named = [(row["way"], row["members"]) for row in rows]
    alone = [("DataLoader + autograd", 1), ("tensors + autograd", 1), ("solo", 1), ("serial", 1)]
    assert named == [*alone, ("cohort", 1), ("cohort", 3)]
    for row in rows:
        assert 0 < row["low"] <= row["model_steps_per_s"] <= row["high"]
        assert row["us_per_model_step"] == pytest.approx(1e6 / row["model_steps_per_s"], rel=0.01)
    assert rows[0]["against_loader"] == 1
    assert found["picked"]["8-4:16"] in (2, 3)
    assert found["peak_mib"] > 100
    printed = capsys.readouterr().out
    assert "cohort 3" in printed
    assert "a search picks" in printed


def test_networks_without_a_form_by_hand_are_measured_as_vmapped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = "convolutions4x1w3"
    monkeypatch.setitem(MODELS, network, entry_of(network))
    out = tmp_path / "step.json"
    words = f"--shapes {network}:8 --members 2 --seconds 0.02 --repeats 1 --dates 420 --device cpu"
    assert step.main([*words.split(), "--out", str(out)]) == 0
    found = json.loads(out.read_text())
    assert [row["way"] for row in found["steps"]][-2:] == ["serial", "vmapped"]
    assert all(row["model_steps_per_s"] > 0 for row in found["steps"])
    assert found["picked"] == {f"{network}:8": 2}


@pytest.mark.parametrize("text", ["64-32", "64-32:1", "64-x:32", "64:³", "convolutions4x1:8"])
def test_shapes_are_checked(text: str) -> None:
    with pytest.raises(UserError):
        step.Shape.of(text)
