"""Whole searches whose configurations something else than TPE suggests."""

import json
from pathlib import Path

import pytest

from search.session.observer import SearchObserver
from tests.fixtures import tiny
from tests.fixtures.here import interrupt_after

WORDS = tiny.WORDS | {"trials": 30, "deterministic": "true", "cohort": "auto"}
PARAMS = ["params.optimizer/lr", "params.model/dropout", "state", "stop_reason"]


@pytest.mark.parametrize("sampler", ["qmc", "gp"])
def test_an_interrupted_search_is_the_unbroken_one(
    sampler: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny.write_inputs(tmp_path)
    words = WORDS | {"sampler": sampler}
    whole, said = tiny.search_and_listen(tmp_path, words | {"name": "whole"})
    assert f"sampler      {sampler}" in said
    with monkeypatch.context() as patched:
        patched.setattr(SearchObserver, "tick", interrupt_after(2))
        tiny.search(tmp_path, words | {"name": "cut"}, status=130)
    cut = tiny.search(tmp_path, {"name": "cut", "resume": "true"})
    of_tpe = tiny.search(tmp_path, WORDS | {"name": "of_tpe"})
    found, wanted, usual = (
        tiny.table(run, "trials").query("kind == 'search'").sort_values("number")
        for run in (cut, whole, of_tpe)
    )
    assert len(found) == 30
    assert found[PARAMS].to_dict("list") == wanted[PARAMS].to_dict("list")
    assert found[PARAMS[0]].tolist() != usual[PARAMS[0]].tolist()
    record = json.loads((cut / "run.json").read_text(encoding="utf-8"))
    assert record["settings"]["sampler"] == sampler


def test_a_run_goes_on_with_its_sampler_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tiny.write_inputs(tmp_path)
    tiny.search(tmp_path, tiny.WORDS | {"sampler": "random"})
    again = {"name": "x", "resume": "true", "trials": "4"}
    tiny.search(tmp_path, again | {"sampler": "tpe"}, status=2)
    assert "run 'x' cannot go on with sampler=tpe instead of random; " in capsys.readouterr().err
    tiny.search(tmp_path, again)
