"""What placebos say of a winner: p by its definition, and the words for it."""

import json
from collections.abc import Mapping
from dataclasses import replace
from math import inf
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.load import Run, load_run
from analysis.ranking import rank, summary_sentences
from analysis.verdict.placebo import Effort, Found, placebo_p, placebos
from analysis.verdict.skill import skill
from tests.fixtures.placebos import add_placebos
from tests.fixtures.runs import make_run
from trainable.cli.errors import UserError
from trainable.stop_reasons import NUMERIC_FAILURES

TRIALS = 24
Record = Mapping[str, Any]


def run_with(
    folder: Path,
    *found: tuple[float | None, float | None],
    settings: Record | None = None,
    **other: int,
) -> Run:
    """A run that has ended, and placebos that have found this, as long as it but for `other`."""
    make_run(folder, TRIALS, edge=1.0)
    add_placebos(folder, *found, settings=settings, **other)
    return load_run(folder)


@pytest.mark.parametrize(
    ("real", "others", "p"),
    [
        (1.0, [0.5, 0.9, 0.2, 0.1], 1 / 5),
        (1.0, [1.5, 0.9, 0.2, 0.1], 2 / 5),
        (1.0, [1.0, 0.9, 0.2, 0.1], 2 / 5),  # as good is not better
        (1.0, [None] * 4, 1 / 5),
        (None, [None, 0.3, -2.0, None], 1.0),  # where nothing survived, nothing is better
        (-1.0, [0.0, 0.0, None, 0.0], 4 / 5),
        (1.0, [0.0] * 19, 1 / 20),
    ],
)
def test_p_is_the_share_of_searches_as_good_the_real_one_included(
    real: float | None, others: list[float | None], p: float
) -> None:
    assert placebo_p(real, others) == pytest.approx(p)


@given(st.lists(st.one_of(st.none(), st.floats(-9, 9)), min_size=2, max_size=30))
def test_of_searches_alike_in_kind_p_is_at_most_a_level_no_more_often_than_that(
    figures: list[float | None],
) -> None:
    """Each of them is as likely to be the real one; then p is valid, ties included."""
    p = [placebo_p(x, figures[:i] + figures[i + 1 :]) for i, x in enumerate(figures)]
    for level in np.arange(1, len(figures) + 1) / len(figures):
        assert np.mean(np.array(p) <= level + 1e-12) <= level + 1e-12
    order = np.argsort([-inf if x is None else x for x in figures])
    assert np.all(np.diff(np.array(p)[order]) <= 1e-12), "the better, the smaller"


def test_both_figures_are_those_of_ranking_and_verdict(tmp_path: Path) -> None:
    run = run_with(tmp_path / "a", (0.1, 0.2))
    ranking, tested = rank(run), skill(run)
    found = Found.of(run, ranking)
    assert tested is not None
    assert found.best == ranking["sharpe_shrunk"].iloc[0] != ranking["sharpe_mean"].iloc[0]
    assert found.choice == pytest.approx(tested.choice.sharpe)


def test_a_search_without_a_survivor_has_found_nothing(tmp_path: Path) -> None:
    run = load_run(make_run(tmp_path / "a", 6, survivors=False))
    assert Found.of(run, rank(run)).best is None


def test_the_sentences_hold_the_figures(tmp_path: Path) -> None:
    figures = [(9.0, 9.0), (9.0, 0.1), *[(-0.5, None)] * 17]
    run = run_with(tmp_path / "a", *figures)
    found = placebos(run, rank(run))
    assert found is not None
    assert (found.p_best, found.p_choice) == (3 / 20, 2 / 20)
    assert found.real.best is not None
    assert found.real.choice is not None
    assert (
        "Placebo: 2 of 19 searches of the same data with labels moved in time and over symbols "
        f"had a winner as good ({found.real.best:.2f}, shrunk; p = 0.15); 1 had a cross-validated "
        f"ratio of {found.real.choice:.2f} or more (p = 0.10)."
    ) in summary_sentences(run)
    assert "cannot show" not in " ".join(summary_sentences(run))


def test_few_placebos_say_what_they_cannot_show(tmp_path: Path) -> None:
    said = summary_sentences(run_with(tmp_path / "a", *[(0.0, 0.0)] * 4))
    assert "4 placebos cannot show a p below 0.20; 19 can show 0.05." in said
    assert any("Placebo: 0 of 4 searches" in sentence for sentence in said)


def test_placebos_of_another_length_do_not_count(tmp_path: Path) -> None:
    run = run_with(tmp_path / "a", (9.0, 9.0), epochs=20)
    said = " ".join(summary_sentences(run))
    assert "Placebo:" not in said
    assert (
        "1 placebo is not counted, having searched with other trials, epochs, seeds or patience"
        in said
    )


@pytest.mark.parametrize("other", [{"trials": 25}, {"finalist_seeds": 1}, {"patience_trials": 8}])
def test_placebos_that_were_asked_for_something_else_do_not_count(
    other: dict[str, int], tmp_path: Path
) -> None:
    run = run_with(tmp_path / "a", (9.0, 9.0), settings={"finalist_seeds": 3}, **other)
    found = placebos(run, rank(run))
    assert found is not None
    assert (len(found.found), found.others, found.broken) == (0, 1, 0)


def test_a_search_that_never_trained_is_no_evidence(tmp_path: Path) -> None:
    run = run_with(tmp_path / "a", *[(None, None)] * 19, trained=0, lost=24, rows=24)
    said = " ".join(summary_sentences(run))
    assert "Placebo:" not in said
    assert (
        "19 placebos are not counted, since machines failed and less of them was trained than of "
        f"the search; python -m search.placebo {run.folder} placebos=19 trains them anew."
    ) in said


def test_from_python_the_remedy_is_a_call(tmp_path: Path) -> None:
    folder = run_with(tmp_path / "a", (None, None), trained=0).folder
    record = json.loads((folder / "run.json").read_text()) | {"arguments": None}
    (folder / "run.json").write_text(json.dumps(record))
    said = " ".join(summary_sentences(load_run(folder)))
    assert "launch(…, name='a', resume=True, placebo=1) trains it anew." in said


SEARCH = Effort(
    trials=60, epochs=5, finalist_seeds=3, patience_trials=None, trained=57, rows=80, lost=4
)


@pytest.mark.parametrize(
    ("change", "whole"),
    [
        ({}, True),
        ({"lost": 5}, False),  # 4 of 80
        ({"lost": 5, "rows": 81}, True),  # 4.05 of 81 may be: no half of a trial fails
        ({"lost": 1, "rows": 3, "trained": 57}, True),
        ({"lost": 2, "rows": 3, "trained": 57}, False),
        ({"trained": 55}, True),
        ({"trained": 54}, False),
        ({"trained": 0, "patience_trials": 20}, True),  # patience is a part of the search
        ({"trained": 60, "patience_trials": 20, "lost": 9}, False),
    ],
)
def test_a_placebo_is_whole_where_machines_failed_no_larger_share_of_it(
    change: dict[str, int], whole: bool
) -> None:
    assert replace(SEARCH, **change).is_whole(SEARCH) is whole


def test_where_no_machine_failed_in_the_search_none_may_in_a_placebo() -> None:
    search = replace(SEARCH, lost=0)
    assert search.is_whole(search)
    assert not replace(search, lost=1, rows=200).is_whole(search)


def test_effort_is_counted_by_why_trials_ended(tmp_path: Path) -> None:
    run = load_run(make_run(tmp_path / "a", 40, seed=3))
    record: dict[str, Any] = run.run | {"epochs": 50}
    why = {int(row["number"]): row["stop_reason"] for row in run.searched_rows}
    assert "time_budget" not in why.values()
    effort = Effort.of(replace(run, run=record))
    assert (effort.trials, effort.trained) == (40, 40)
    assert effort.lost == [*why.values()].count("out_of_memory") > 0
    assert effort.rows == 40 + (run.trials["kind"] == "seed").sum()
    never = run.trials.assign(epochs=run.trials["epochs"].where(run.trials["number"] > 9, 0))
    trained = [n for n, reason in why.items() if n > 9 or reason in NUMERIC_FAILURES]
    effort = Effort.of(replace(run, run=record, trials=never))
    assert (effort.trials, effort.trained) == (40, len(trained))
    fewer = record | {"settings": run.run["settings"] | {"trials": 30}}
    assert Effort.of(replace(run, run=fewer)).trials == 40, "asked before"


@pytest.mark.parametrize("now", [True, False])
def test_of_a_search_of_limited_time_what_was_trained_is_asked(now: bool, tmp_path: Path) -> None:
    run = load_run(make_run(tmp_path / "a", 40, seed=3))
    settings = run.run["settings"] | {"time_budget_s": 60.0 if now else None}
    late = (run.trials["number"] > 29) & (run.trials["kind"] != "baseline")
    trials = run.trials.assign(epochs=run.trials["epochs"].mask(late, 0))
    if not now:  # an earlier session's time was up
        trials["stop_reason"] = trials["stop_reason"].mask(late, "time_budget")
    record = run.run | {"epochs": 50, "settings": settings}
    effort = Effort.of(replace(run, run=record, trials=trials))
    numeric = trials["stop_reason"].isin(NUMERIC_FAILURES) & (trials["kind"] != "seed") & late
    assert effort.trials == effort.trained == 30 + numeric.sum() < 40


def test_a_file_without_efforts_is_damaged(tmp_path: Path) -> None:
    run = run_with(tmp_path / "a", (0.0, 0.0))
    file = run.folder / "placebos.json"
    content = json.loads(file.read_text())
    del content["placebos"][0]["lost"]
    file.write_text(json.dumps(content))
    with pytest.raises(UserError, match=r"placebos.json is damaged \('lost'\); remove it"):
        summary_sentences(run)


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    run = run_with(tmp_path / "a", (0.0, 0.0))
    file = run.folder / "placebos.json"
    content = json.loads(file.read_text()) | {"crc32": "00000000"}
    file.write_text(json.dumps(content))
    with pytest.raises(UserError, match=r"placebos.json is damaged .*remove it"):
        summary_sentences(run)
