"""Seeds of a search: of each trial by its place among the searched, of each finalist's repeats."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.fixtures import tiny

WORDS = tiny.WORDS | {"rungs": "3", "finalist_seeds": 3, "cohort": 1, "seed": 7}


def derived(*entropy: int) -> int:
    """31 bits that are well mixed of whole numbers."""
    return int(np.random.SeedSequence(entropy).generate_state(1)[0]) % 2**31


def trials_of(run: Path) -> Any:
    trials = tiny.table(run, "trials").query("kind != 'baseline'")
    assert (trials["seed"] == trials["params.train/seed"]).all()
    return trials


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three searches: of four trials, the same grown from two, and one of another seed."""
    path = tmp_path_factory.mktemp("seeds")
    tiny.write_inputs(path)
    tiny.search(path, WORDS | {"name": "whole", "trials": 4})
    tiny.search(path, WORDS | {"name": "grown", "trials": 2})
    tiny.search(path, {"name": "grown", "resume": "true", "trials": 4})
    tiny.search(path, WORDS | {"name": "other", "trials": 4, "seed": 8})
    return path / "runs"


@pytest.mark.parametrize(("name", "seed"), [("whole", 7), ("grown", 7), ("other", 8)])
def test_a_trials_seed_is_of_the_searchs_seed_and_its_place_among_the_searched(
    folder: Path, name: str, seed: int
) -> None:
    searched = trials_of(folder / name).query("kind == 'search'")
    assert searched["seed"].tolist() == [derived(seed, 1, place) for place in range(4)]


@pytest.mark.parametrize("name", ["whole", "grown", "other"])
def test_repeats_of_a_finalist_have_seeds_of_their_own(folder: Path, name: str) -> None:
    trials = trials_of(folder / name).set_index("number")
    for number, first in trials.query("kind == 'search'").iterrows():
        repeats = trials[trials["parent"] == number]["seed"].tolist()
        assert repeats == [derived(first["seed"], 2, turn) for turn in range(len(repeats))]
    assert trials["parent"].value_counts().max() == 2
    assert len(set(trials["seed"])) == len(trials)


def test_a_grown_search_has_the_trials_of_the_whole_one(folder: Path) -> None:
    """Though its last two come after the seeds of the first two, so that their rows differ."""
    whole, grown = (trials_of(folder / name).query("kind == 'search'") for name in
                    ("whole", "grown"))  # fmt: skip
    assert whole["number"].tolist() == [0, 1, 2, 3]
    assert grown["number"].tolist()[:2] == [0, 1]
    assert grown["number"].tolist()[2] > 2
    for column in ("seed", "params.optimizer/lr", "params.model/dropout", "val_loss", "sharpe"):
        assert grown[column].tolist() == whole[column].tolist(), column


def test_another_seed_searches_and_trains_otherwise(folder: Path) -> None:
    whole, other = (trials_of(folder / name).query("kind == 'search'") for name in
                    ("whole", "other"))  # fmt: skip
    for column in ("seed", "params.optimizer/lr", "params.model/dropout", "val_loss"):
        assert not set(whole[column]) & set(other[column]), column


def test_trials_and_repeats_learn_differently_from_their_first_epoch(folder: Path) -> None:
    epochs = tiny.table(folder / "whole", "epochs").query("epoch == 1")
    assert len(epochs) > 4
    for column in ("train_loss", "val_loss", "sharpe", "grad_norm"):
        assert len(set(epochs[column])) == len(epochs), column
