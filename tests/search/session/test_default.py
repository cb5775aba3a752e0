"""Whole searches whose first trial is the default, from their plan to their summary."""

import json
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from pandas.testing import assert_frame_equal

from analysis.load import load_run
from analysis.ranking import outcome, rank, summary_sentences
from search.session.observer import SearchObserver
from search.study.study import stored_rows
from search.study.trials import default_of
from tests.fixtures import tiny
from tests.fixtures.here import interrupt_after
from trainable.run_format import TRIAL_COLUMNS

WORDS = tiny.WORDS | {
    "trials": 12, "epochs": 4, "rungs": "1,2", "finalist_seeds": 3, "try_default": "true",
    "reduction_factor": 2, "cohort": 6,
}  # fmt: skip
# One that takes anything but the middle of its learning rates.
PICKY = tiny.SPACE.replace(
    "    return {",
    '    if abs(trial.params["optimizer/lr"] / 10**-2.5 - 1) < 1e-9:\n'
    '        raise ValueError("not in the middle")\n'
    "    return {",
)


def record(run: Path) -> dict[str, Any]:
    return json.loads((run / "run.json").read_text(encoding="utf-8"))


def searched(run: Path) -> Any:
    """The table of trials without what two searches never share."""
    trials = tiny.table(run, "trials").drop(columns=["seconds", "started", "ended", "cohort"])
    return trials[trials["kind"] != "baseline"]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    folder = tmp_path_factory.mktemp("default")
    tiny.write_inputs(folder)
    return tiny.search_and_listen(folder, WORDS)


def test_the_default_is_trained_to_its_end_and_written_down(whole: tuple[Path, str]) -> None:
    run, _ = whole
    assert record(run)["default"] == load_run(run).default == 0
    assert default_of(stored_rows(run / "study.log", "x")) == 0
    trials = tiny.table(run, "trials")
    assert [name for name in trials if name in TRIAL_COLUMNS] == list(TRIAL_COLUMNS)
    assert not [name for name in trials if "default" in name]
    first = trials.set_index("number").loc[0]
    assert (first["kind"], first["state"], first["epochs"]) == ("search", "COMPLETE", 4)
    assert first["params.optimizer/lr"] == pytest.approx(10**-2.5)
    assert (trials["stop_reason"] == "asha_rung").any()


def test_the_default_has_as_many_seeds_as_the_winner(whole: tuple[Path, str]) -> None:
    ranking = rank(load_run(whole[0])).set_index("number")
    assert ranking.loc[0, "sharpe_seeds"] == ranking["sharpe_seeds"].iloc[0] == 3


def test_winner_minus_default_follows_what_was_earned(whole: tuple[Path, str]) -> None:
    """An alarm comes first: these data have a column that knows the next return."""
    run, said = whole
    alarm, verdict, together, best, beside, *_ = sentences = summary_sentences(load_run(run))
    assert alarm.startswith("Too good, so look for a leak first: ")
    assert "Suspicious since before the training: hint. " in alarm
    assert " chance" in verdict
    assert together.startswith("All ")
    assert " ranks first: " in best
    more = beside.startswith("Trial ") and " than the default, trial 0 (95 % " in beside
    assert more or beside == "Nothing beats the default, trial 0."
    assert f"{outcome(load_run(run))} {' '.join(sentences)}" in " ".join(said.split())


def test_the_plan_says_in_one_line_where_a_search_begins(whole: tuple[Path, str]) -> None:
    (line,) = [line for line in whole[1].splitlines() if line.startswith("first trial")]
    assert line.strip() == "first trial  the centre of the space: dropout 0.2, lr 0.00316"
    assert len(line) <= 80


def test_what_a_person_enqueued_comes_first(tmp_path: Path) -> None:
    tiny.write_inputs(tmp_path)
    (tmp_path / "hand.json").write_text('[{"optimizer/lr": 0.002}]', encoding="utf-8")
    words = WORDS | {"enqueue": "hand.json", "trials": 2, "finalist_seeds": 1}
    run, said = tiny.search_and_listen(tmp_path, words)
    assert record(run)["default"] == 1
    assert "first trial  the centre of the space, after 1 enqueued: dropout 0.2, …" in said
    assert tiny.table(run, "trials")["kind"].tolist()[-2:] == ["enqueued", "search"]
    run, said = tiny.search_and_listen(tmp_path, words | {"name": "all", "trials": 1})
    assert record(run)["default"] is None
    assert "first trial" not in said


def test_a_space_that_refuses_its_centre_is_searched_without_a_default(tmp_path: Path) -> None:
    tiny.write_inputs(tmp_path, space=PICKY)
    few = WORDS | {"trials": 4}
    run, said = tiny.search_and_listen(tmp_path, few)
    assert record(run)["default"] is None
    assert "No default to beat: the space refuses its centre." in said
    assert "not in the middle" in " ".join(said.split())
    assert "first trial" not in said
    assert len(load_run(run).searched) == 4
    assert "the default" not in " ".join(summary_sentences(load_run(run)))
    usual = tiny.search(tmp_path, few | {"name": "usual", "try_default": "false"})
    assert_frame_equal(searched(run), searched(usual))


def test_an_interrupted_search_ends_as_an_unbroken_one(tmp_path: Path) -> None:
    tiny.write_inputs(tmp_path)
    words = WORDS | {"deterministic": "true"}
    unbroken = tiny.search(tmp_path, words | {"name": "unbroken"})
    for shards in (1, 3):
        name = f"after_{shards}"
        with patch.object(SearchObserver, "tick", interrupt_after(shards)):
            tiny.search(tmp_path, words | {"name": name}, status=130)
        assert record(tmp_path / "runs" / name)["default"] == 0
        again, said = tiny.search_and_listen(tmp_path, {"name": name, "resume": "true"})
        assert "first trial" not in said
        assert record(again)["default"] == 0
        assert_frame_equal(searched(again), searched(unbroken))


def test_a_run_of_an_earlier_version_goes_on_without_a_default(tmp_path: Path) -> None:
    tiny.write_inputs(tmp_path)
    words = WORDS | {"deterministic": "true", "try_default": "false"}
    unbroken = tiny.search(tmp_path, words | {"name": "unbroken"})
    with patch.object(SearchObserver, "tick", interrupt_after(2)):
        old = tiny.search(tmp_path, words, status=130)
    run = record(old)
    del run["settings"]["try_default"], run["default"], run["crc32"]
    run["arguments"].remove("try_default=false")
    (old / "run.json").write_text(json.dumps(run), encoding="utf-8")
    assert load_run(old).default is None
    again = tiny.search(tmp_path, {"name": "x", "resume": "true"})
    assert record(again)["settings"]["try_default"] is True, "nobody said otherwise"
    assert record(again)["default"] is None
    assert_frame_equal(searched(again), searched(unbroken))
