"""What placebos say of a winner: p by its definition, and the words for it."""

import json
from math import inf
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.load import Run, load_run
from analysis.ranking import rank, summary_sentences
from analysis.verdict.placebo import Found, placebo_p, placebos
from analysis.verdict.skill import skill
from tests.fixtures.runs import make_run
from trainable.cli.errors import UserError

TRIALS, EPOCHS = 24, 50


def run_with(folder: Path, *found: tuple[float | None, float | None], epochs: int = EPOCHS) -> Run:
    """A run that has ended, and placebos that have found this."""
    make_run(folder, TRIALS, edge=1.0)
    file = folder / "run.json"
    record = json.loads(file.read_text())
    record |= {"state": "ended", "epochs": EPOCHS}
    record["data"]["symbols"] = ["A", "B"]
    file.write_text(json.dumps(record))
    entries = [
        {"number": n, "trials": TRIALS, "epochs": epochs, "best": best, "choice": choice,
         "wall_s": 1.0}
        for n, (best, choice) in enumerate(found, start=1)
    ]  # fmt: skip
    (folder / "placebos.json").write_text(json.dumps({"placebos": entries}))
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
        "Placebo: in 2 of 19 searches of the same data with labels moved in time and over symbols "
        f"the winner reached {found.real.best:.2f} or more (p = 0.15); the cross-validated ratio "
        f"reached {found.real.choice:.2f} in 1 (p = 0.10)."
    ) in summary_sentences(run)
    assert "cannot show" not in " ".join(summary_sentences(run))


def test_few_placebos_say_what_they_cannot_show(tmp_path: Path) -> None:
    said = summary_sentences(run_with(tmp_path / "a", *[(0.0, 0.0)] * 4))
    assert "4 placebos cannot show a p below 0.20; 19 can show 0.05." in said
    assert any("in none of 4 searches" in sentence for sentence in said)


def test_placebos_of_another_length_do_not_count(tmp_path: Path) -> None:
    run = run_with(tmp_path / "a", (9.0, 9.0), epochs=20)
    said = " ".join(summary_sentences(run))
    assert "Placebo:" not in said
    assert "1 placebo is not counted, having searched with other trials or epochs" in said


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    run = run_with(tmp_path / "a", (0.0, 0.0))
    file = run.folder / "placebos.json"
    content = json.loads(file.read_text()) | {"crc32": "00000000"}
    file.write_text(json.dumps(content))
    with pytest.raises(UserError, match=r"placebos.json is damaged .*remove it"):
        summary_sentences(run)
