"""python -m search.refit: later dates, the same rules, and through no window that is shut."""

import json
import shutil
import signal
from contextlib import chdir
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pandas as pd
import pytest
from safetensors.torch import load_file

from search import holdout, launch, refit
from search.backend.local import Local
from search.planning.plan import make_plan
from search.settings.reading import settings_from
from search.winner import ended_run, refitting
from tests.fixtures import tiny
from tests.search.winner.conftest import WORDS
from trainable.cli.commands import status_of
from trainable.cli.errors import UserError
from trainable.data.dataset.build import refit_dataset
from trainable.data.dataset.dataset import learned_rows
from trainable.data.market import Market, until
from trainable.data.settings import DataSettings
from trainable.data.sources import market_from_frame
from trainable.prediction import load
from trainable.training.fixed_length import train_for


@pytest.fixture
def home(made: Path, tmp_path: Path) -> Path:
    return shutil.copytree(made, tmp_path / "home")


def do(folder: Path, *words: str) -> int:
    with chdir(folder):
        return status_of(lambda: refit.main(["runs/x", *words]))


def weights(folder: Path) -> dict[int, Any]:
    found = load(folder / "runs/x", "refit")
    return {
        one.number: {k: v.numpy() for k, v in one.predictor.model.state_dict().items()}
        for one in found.members
    }


def same(a: dict[int, Any], b: dict[int, Any]) -> bool:
    return a.keys() == b.keys() and all(
        np.array_equal(a[number][name], b[number][name]) for number in a for name in a[number]
    )


def split(folder: Path) -> dict[str, list[str]]:
    return json.loads((folder / "runs/x/run.json").read_text(encoding="utf-8"))["split"]


def test_it_trains_all_seeds_of_the_first_on_the_dates_up_to_the_gate(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As the training loop itself does on the search's own dataset with these rows."""
    assert do(home) == 0
    said = " ".join(capsys.readouterr().out.split())
    best, found = load(home / "runs/x"), load(home / "runs/x", "refit")
    members = [one for one in best.members if one.configuration == best.first]
    assert [one.number for one in found.members] == [one.number for one in members]
    with chdir(home):
        words = [f"{key}={value}" for key, value in WORDS.items() if key != "name"]
        dataset = make_plan(settings_from(words)).dataset
    rows = learned_rows(dataset, (0, dataset.split.valid[1]))
    assert f"on {len(rows)} rows up to {split(home)['valid'][1][:10]}" in said
    end = len(dataset.timestamps)
    whole = replace(dataset, train_rows=rows, split=replace(
        dataset.split, train=(0, dataset.split.valid[1]), valid=(end, end), gate=(end, end),
        test=(end, end)))  # fmt: skip
    steps = round(12 * len(rows) / len(dataset.train_rows))
    assert f"of {steps} steps each instead of 12" in said
    epochs = sorted(int(one.predictor.facts["ranking_epoch"]) for one in members)
    length = epochs[(len(epochs) - 1) // 2]
    configs = {
        one.number: replace(
            one.predictor.config, train=replace(one.predictor.config.train, steps_per_epoch=steps)
        )
        for one in members
    }
    for trained in train_for(configs, dict.fromkeys(configs, length), whole):
        assert trained.predictor is not None
        wanted = trained.predictor.model.state_dict()
        mine = found.member(trained.number).predictor.model.state_dict()
        for name, tensor in wanted.items():
            np.testing.assert_allclose(mine[name], tensor, rtol=1e-5, atol=1e-7)
    assert found.more["refit"]["rows"] == len(rows)
    table = found.predict(tiny.bars())
    assert set(table["symbol"]) == set(tiny.SYMBOLS)


@pytest.mark.parametrize("poison", [np.nan, 1e30])
def test_nothing_after_the_date_is_read(home: Path, poison: float) -> None:
    assert do(home) == 0
    clean = weights(home)
    last = np.datetime64(split(home)["valid"][1])
    plain = ended_run.load_market

    def poisoned(settings: Any) -> Market:
        market = plain(settings)
        late = market.timestamps > last
        for grid in (*market.fields.values(), *market.extra.values()):
            grid[late] = poison
        return market

    with patch.object(ended_run, "load_market", poisoned):
        assert do(home) == 0
    assert same(weights(home), clean)
    assert do(home, f"until={split(home)['valid'][0][:10]}") == 0
    assert not same(weights(home), clean)


def test_windows_that_are_shut_are_not_trained_through(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    dates = split(home)
    for part, name in (("gate", "the gate"), ("test", "the sealed test")):
        for date in (dates[part][0], dates[part][1][:10]):
            assert do(home, f"until={date}") == 2
            line = capsys.readouterr().err
            assert line.count("\n") == 1
            assert f"until={date[:10]} reaches into {name}, which begins on " in line.replace(
                "T00:00:00", ""
            )
        assert not (home / "runs/x/best_refit").exists()
        with chdir(home):
            sealed = ["sealed=true"] if part == "test" else []
            assert holdout.main(["runs/x", *sealed]) == 0
        assert do(home, f"until={dates[part][1][:10]}") == 0
        assert load(home / "runs/x", "refit").more["refit"]["until"] == dates[part][1][:10]
        shutil.rmtree(home / "runs/x/best_refit")
        capsys.readouterr()


def test_no_label_reaches_beyond_the_date(home: Path) -> None:
    """Nor that of a symbol that is silent there, though the file knows what it did later."""
    frame = tiny.bars()
    days = sorted(frame["timestamp"].unique())
    date = days[150]
    frame = frame[(frame["symbol"] != "AA") | (frame["timestamp"] < days[148])
                  | (frame["timestamp"] > days[160])]  # fmt: skip
    ended = ended_run.open_ended(home / "runs/x")
    market = market_from_frame(frame, DataSettings())
    with patch.object(refitting, "SAME", 0.0):
        todo = refitting.refit_of(ended, market, date)
    data = todo.dataset
    assert str(data.timestamps[-1])[:10] == date
    last = data.time[data.train_rows].max()
    assert data.timestamps[last] == data.timestamps[-2]
    mine = data.train_rows[data.symbol[data.train_rows] == data.symbols.index("AA")]
    assert str(data.timestamps[data.time[mine].max()])[:10] == days[146]


def test_a_ready_label_of_a_silent_symbol_is_left_out() -> None:
    """The file has it, and it ends when the symbol trades again: after the date."""
    frame = tiny.ready()
    days = sorted(frame["timestamp"].unique())
    silent = (frame["symbol"] == "AA") & frame["timestamp"].between(days[148], days[160])
    settings = DataSettings(features="feat_*", target="label", returns="next")
    market = market_from_frame(frame[~silent], settings)
    data = refit_dataset(until(market, 151), settings, ("feat_a", "feat_b"), 1)
    mine = data.train_rows[data.symbol[data.train_rows] == data.symbols.index("AA")]
    others = data.train_rows[data.symbol[data.train_rows] == data.symbols.index("BB")]
    assert str(data.timestamps[data.time[mine].max()])[:10] == days[146]
    assert str(data.timestamps[data.time[others].max()])[:10] == days[149]


def test_data_that_have_grown_are_taken_and_others_refused(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert do(home) == 0
    clean = weights(home)
    grown = pd.concat([tiny.bars(), later(tiny.bars())], ignore_index=True)
    grown.to_csv(home / "grown.csv", index=False)
    assert do(home, "data.path=grown.csv") == 0
    assert same(weights(home), clean)
    tiny.bars(seed=3).to_csv(home / "other.csv", index=False)
    capsys.readouterr()
    assert do(home, "data.path=other.csv") == 2
    assert "other.csv is not what runs/x was searched on, nor that with later rows" in (
        capsys.readouterr().err
    )
    with chdir(home):
        assert holdout.main(["runs/x", "sealed=true"]) == 0
    assert do(home, "data.path=grown.csv", "until=2021-01-01") == 0
    assert load(home / "runs/x", "refit").more["refit"]["until"] == "2021-01-01"


def later(frame: pd.DataFrame) -> pd.DataFrame:
    """Forty more days of the same market."""
    more = tiny.bars(40, seed=8)
    stamps = pd.bdate_range("2020-12-02", periods=40).strftime("%Y-%m-%d")
    last: Any = frame.groupby("symbol")["close"].last()
    close = more["close"] / 100 * last[more["symbol"]].to_numpy()
    return more.assign(timestamp=np.repeat(stamps.to_numpy(), 6), close=close.round(6))


def test_a_signal_leaves_what_was_there(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def interrupted(*arguments: Any) -> Any:
        signal.raise_signal(signal.SIGINT)
        look = arguments[-1]
        look()

    with patch.object(refitting, "train_for", interrupted):
        assert do(home) == 130
    assert "nothing was written" in capsys.readouterr().out
    assert not (home / "runs/x/best_refit").exists()
    assert do(home) == 0
    before = weights(home)
    with patch.object(refitting, "train_for", interrupted):
        assert do(home, f"until={split(home)['valid'][0][:10]}") == 130
    assert same(weights(home), before)


def test_dates_that_are_none_are_refused(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for word, said in (
        ("until=soon", "until=soon is no date; write it as 2015-01-31"),
        ("until=2019-01-01", "is before the data, which begin on 2020-01-01"),
        ("until=2020-02-20", "rows to learn from, at least 200 are needed; a later date works"),
    ):
        assert do(home, word) == 2
        assert said in capsys.readouterr().err


def test_a_run_from_a_table_is_trained_on_a_table(tmp_path: Path) -> None:
    (tmp_path / "tiny.py").write_text(tiny.SPACE, encoding="utf-8")
    with chdir(tmp_path):
        run = launch("tiny.py", tiny.bars(), backend=lambda settings: Local(), trials=2, epochs=2,
                     steps_per_epoch=12, finalist_seeds=1, pruning="none", name="x",
                     try_default=False, report=False)  # fmt: skip
        assert run is not None
        with pytest.raises(UserError, match="table in memory, which is not stored: give it in Py"):
            refit.refit(Path("runs/x"))
        found = refit.refit(Path("runs/x"), data=tiny.bars())
        assert found is not None
        assert len(found.predict(tiny.bars())) > 1000
        (opened,) = holdout.holdout(Path("runs/x"), data=tiny.bars())
        assert opened.gate.window == "gate"
        with pytest.raises(UserError, match="the search was on a table in memory"):
            found.predict()


def test_models_of_the_refit_are_others_and_best_stays(home: Path) -> None:
    number = load(home / "runs/x").first
    file = home / f"runs/x/best/members/{number}/model.safetensors"
    before = load_file(file)
    assert do(home, "--json") == 0
    after = load_file(file)
    made = load_file(home / f"runs/x/best_refit/members/{number}/model.safetensors")
    assert all(before[name].equal(after[name]) for name in before)
    assert not all(before[name].equal(made[name]) for name in before)
