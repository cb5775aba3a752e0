"""Tables of others: read without running anything of them, searched, and their regrets."""

import itertools
import json
import pickle
from pathlib import Path

import pytest

from benchmarks import hpo_tables
from benchmarks.hpo_tables import NASBENCH, read, regret
from trainable.cli.errors import UserError


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A table whose best configuration is all zeros; two seeds, one a little better."""
    keys = ("".join(key) for key in itertools.product("01234", repeat=6))
    scores = {key: [-float(sum(map(int, key))), 0.1 - sum(map(int, key))] for key in keys}
    file = tmp_path / "nasbench201" / "planted.pkl"
    file.parent.mkdir()
    file.write_bytes(pickle.dumps(scores))
    return file


def test_a_table_is_read_as_it_was_written(path: Path) -> None:
    table = read(path, NASBENCH, 1.0)
    assert len(table.scores) == 5**6
    assert table.of({name: 1 for name in NASBENCH}) == [-6.0, -5.9]
    assert read(path, NASBENCH, -1.0).of({name: 0 for name in NASBENCH}) == [0.0, -0.1]


def test_nothing_of_a_table_is_run(path: Path, tmp_path: Path) -> None:
    class Harm:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return Path.touch, (str(tmp_path / "harm"),)

    path.write_bytes(pickle.dumps({"000000": Harm()}))
    with pytest.raises(UserError, match="holds more than lists of numbers"):
        read(path, NASBENCH, 1.0)
    assert not (tmp_path / "harm").exists()
    path.write_bytes(pickle.dumps({"000000": [1.0]}))
    with pytest.raises(UserError, match="is not a table of all configurations of"):
        read(path, NASBENCH, 1.0)


def test_a_longer_search_finds_better(path: Path) -> None:
    table = read(path, NASBENCH, 1.0)
    short, long = (
        sum(regret(table, "tpe", trials, seed) for seed in range(4)) for trials in (8, 80)
    )
    assert 0 <= long < short
    assert regret(table, "random", 8, 0) == regret(table, "random", 8, 0)


def test_the_command_compares_with_random_and_with_ours(path: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.json"
    words = ["--searches", "2", "--trials", "20", "--samplers", "qmc", "--out", str(out)]
    assert hpo_tables.main([str(tmp_path), *words]) == 0
    rows = json.loads(out.read_text(encoding="utf-8"))["rows"]
    assert [row["sampler"] for row in rows] == ["random", "tpe", "qmc"]
    assert rows[2]["over_random"] == pytest.approx(rows[0]["regret"] - rows[2]["regret"])
    with pytest.raises(UserError, match="holds no table of hpolib or hpobench or nasbench201"):
        hpo_tables.main([str(path.parent), "--out", str(out)])
