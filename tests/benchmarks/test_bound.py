"""The benchmark of the bound on told trials, tiny."""

import json
from pathlib import Path

import pytest

from benchmarks import bound
from trainable.cli.errors import UserError


def test_a_bound_that_is_never_reached_costs_nothing_and_the_search_learns(tmp_path: Path) -> None:
    out = tmp_path / "bound.json"
    words = "--bounds 20,60 --parameters 2 --trials 80 --searches 2"
    assert bound.main([*words.split(), "--out", str(out)]) == 0
    rows = json.loads(out.read_text())["cost"]
    assert [(row["parameters"], row["bound"]) for row in rows] == [(2, 20), (2, 60)]
    for row in rows:
        assert len(row["each"]) == 2
        assert row["mean"] == pytest.approx(row["chosen"] - row["chosen_without"])
        assert row["chosen"] > 0.5 * bound.BEST  # a point at random has WORST on average
    assert bound.chosen(2, 40, 50, 0, 1) == bound.chosen(2, 40, 41, 0, 1)


@pytest.mark.parametrize(
    ("words", "said"), [("--trials 1000", "no trial is asked after 1000"), ("--searches 1", "two")]
)
def test_bad_input_is_one_line(words: str, said: str) -> None:
    with pytest.raises(UserError, match=said):
        bound.main(words.split())
