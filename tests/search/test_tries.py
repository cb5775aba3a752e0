"""Whole searches on the same data under other names: their tries add up."""

import json
import math
import re
import shutil
from datetime import UTC, datetime
from pathlib import Path
from statistics import NormalDist
from typing import Any

import pandas as pd
import pytest

from analysis.load import load_run
from analysis.tries import Tries
from analysis.verdict.luck import luck
from search.api import launch
from search.backend.local import Local
from search.session.observer import SearchObserver
from search.settings.settings import SearchSettings
from search.status import read_status, snapshot
from tests.fixtures import tiny
from tests.fixtures.here import interrupt_after
from trainable.cli.errors import UserError

WORDS = tiny.WORDS | {"trials": 4, "epochs": 2}


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one search of four trials."""
    folder = tmp_path_factory.mktemp("tries")
    tiny.write_inputs(folder)
    tiny.search(folder, WORDS | {"name": "first"})
    return folder


@pytest.fixture
def home(begun: Path, tmp_path: Path) -> Path:
    return shutil.copytree(begun, tmp_path / "home")


def described(run: Path) -> Any:
    return json.loads((run / "run.json").read_text(encoding="utf-8"))


def expected_maximum(tries: int, run: Path) -> float:
    """Bailey and López de Prado (2014), equation 1."""
    periods = len(tiny.table(run, "returns")["timestamp"].unique())
    quantile, euler = NormalDist().inv_cdf, 0.5772156649015329
    high, higher = quantile(1 - 1 / tries), quantile(1 - 1 / (tries * math.e))
    return ((1 - euler) * high + euler * higher) * math.sqrt(252 / periods)


def flat(said: str) -> str:
    return re.sub(r"\s+", " ", said)


def line_of(run: Path) -> float:
    chance = luck(load_run(run))
    assert chance is not None
    return chance.one_seed


def test_the_same_search_under_a_second_name_is_held_against_both(home: Path) -> None:
    run, said = tiny.search_and_listen(home, WORDS | {"name": "second", "seed": 1})
    line = expected_maximum(8, run)
    sentence = "4 configurations here and 4 in 1 other run on these data (first) make 8 tries."
    plan, _, rest = flat(said).partition("Luck line: ")
    assert sentence in plan
    assert rest.startswith(f"8 useless trials on 35 days would reach {line:.2f}.")
    display, _, ranking = rest.partition("second: 4 configurations tried")
    assert f"each {line:.2f} on 35 days" in display
    made_of = sentence.removesuffix(" make 8 tries.")
    assert f"the best of 8 tries to {line:.2f}: {made_of}." in ranking
    record = described(run)
    assert record["luck_line"] == pytest.approx(line)
    assert record["tries"] == {
        "total": 8, "here": 4, "other_runs": {"first": 4}, "prior": 0, "unread": []
    }  # fmt: skip
    shown = snapshot(read_status(run), datetime.now(UTC))
    assert (shown.tries, shown.luck, shown.total) == (8, pytest.approx(line), 4)
    for name in ("first", "second"):
        assert line_of(home / "runs" / name) == pytest.approx(line), "whichever is looked at later"
        shown = snapshot(read_status(home / "runs" / name), datetime.now(UTC))
        assert (shown.tries, shown.luck) == (8, pytest.approx(line))


@pytest.mark.parametrize("words", [{"data.horizon": 2}, {"data.lag": 1}], ids=str)
def test_with_another_label_they_do_not_add_up(words: dict[str, object], home: Path) -> None:
    run, said = tiny.search_and_listen(home, WORDS | words | {"name": "second"})
    assert "other run" not in said
    assert "Luck line: 4 useless trials" in flat(said)
    assert load_run(run).tries == Tries(4, {})
    assert line_of(run) == pytest.approx(expected_maximum(4, run))


def converted(frame: pd.DataFrame, home: Path) -> dict[str, object]:
    frame.iloc[::-1].to_parquet(home / "p.parquet")
    return {"data.path": "p.parquet"}


def grown(frame: pd.DataFrame, home: Path) -> dict[str, object]:
    """By a tenth; its validation part begins and ends later."""
    later = tiny.bars(264).iloc[len(frame) :]
    pd.concat([frame, later]).to_csv(home / "grown.csv", index=False)
    return {"data.path": "grown.csv"}


def described_otherwise(frame: pd.DataFrame, home: Path) -> dict[str, object]:
    frame.assign(more=frame["hint"] ** 2).drop(columns="hint").to_csv(home / "o.csv", index=False)
    return {"data.path": "o.csv", "data.cost_bps": 5}


@pytest.mark.parametrize("change", [converted, grown, described_otherwise])
def test_no_other_file_of_the_same_rows_resets_luck(change: Any, home: Path) -> None:
    words = WORDS | {"name": "second"} | change(tiny.bars(), home)
    run, said = tiny.search_and_listen(home, words)
    assert load_run(run).tries == Tries(4, {"first": 4})
    assert "(first) make 8 tries" in flat(said)
    before, now = (described(home / "runs" / n)["data"]["sha256"] for n in ("first", "second"))
    assert before != now


def test_other_prices_of_the_same_days_are_other_data(home: Path) -> None:
    tiny.bars(seed=3).to_csv(home / "other.csv", index=False)
    run = tiny.search(home, WORDS | {"name": "second", "data.path": "other.csv"})
    assert load_run(run).tries == Tries(4, {})


def test_a_search_that_was_interrupted_counts_what_it_trained(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(SearchObserver, "tick", interrupt_after(2))
        words = WORDS | {"name": "second", "trials": 9, "cohort": 1}
        second = tiny.search(home, words, status=130)
    trials = tiny.table(second, "trials")
    trained = int(((trials["kind"] == "search") & (trials["epochs"] >= 1)).sum())
    assert 0 < trained < 9
    assert load_run(home / "runs" / "first").tries == Tries(4, {"second": trained})
    # As a kill would have left it: without tables.
    record = described(second)
    del record["crc32"]
    (second / "run.json").write_text(json.dumps(record | {"state": "running"}), encoding="utf-8")
    (second / "trials.parquet").unlink()
    assert load_run(home / "runs" / "first").tries == Tries(4, {"second": trained})
    _, said = tiny.search_and_listen(home, WORDS | {"name": "third", "dry_run": "true"})
    names = f"{4 + trained} in 2 other runs on these data (first, second)"
    assert f"4 configurations here and {names} make {8 + trained} tries." in flat(said)
    assert not (home / "runs" / "third").exists()


def test_a_run_that_goes_on_is_no_other_run_and_takes_back_no_prior_tries(home: Path) -> None:
    run = home / "runs" / "first"
    again: dict[str, object] = {"name": "first", "resume": "true"}
    _, said = tiny.search_and_listen(home, again | {"trials": 5, "tries.prior": 20})
    assert "5 configurations here and 20 made elsewhere (tries.prior) make 25 tries." in flat(said)
    assert described(run)["luck_line"] == pytest.approx(expected_maximum(25, run))
    before = (run / "run.json").read_bytes()
    tiny.search(home, again | {"tries.prior": 19}, status=2)
    assert (run / "run.json").read_bytes() == before
    _, said = tiny.search_and_listen(home, again | {"trials": 6})
    assert "make 26 tries" in flat(said), "it is kept as other settings are"
    _, said = tiny.search_and_listen(home, WORDS | {"name": "second", "dry_run": "true"})
    assert "4 configurations here, 6 in 1 other run on these data (first) and 20 made" in flat(said)


def local(settings: SearchSettings) -> Local:
    return Local()


def test_prior_tries_from_python(begun: Path, tmp_path: Path) -> None:
    words = {
        key.replace(".", "_"): value
        for key, value in tiny.WORDS.items()
        if key not in ("space", "data.path", "name")
    }

    def run(name: str, **more: Any) -> Any:
        place = {"runs_dir": str(tmp_path), "name": name}
        return launch(begun / "tiny.py", tiny.bars(), backend=local, **(words | place | more))

    found = run("a", trials=2, epochs=1, tries_prior=30)
    assert found.tries == Tries(2, {}, 30)
    group = run("b", trials=2, epochs=1, tries={"prior": 40})
    assert group.tries == Tries(2, {"a": 2}, 40)
    with pytest.raises(UserError, match=r"tries_prior=3 is less than the 30 of run 'a' so far"):
        run("a", trials=2, epochs=1, tries_prior=3, resume=True)
