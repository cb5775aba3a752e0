"""What a search leaves in best/, held against its ranking; new rows that fit, and that do not."""

import json
import re
import shutil
from collections.abc import Sequence
from contextlib import chdir
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pandas as pd
import pytest
from safetensors.torch import load_file

from analysis.load import load_run
from analysis.ranking import note_sentences
from analysis.verdict.ensemble import ensemble
from search.session import self_check as self_check_module
from search.session.best_model import FinalistModels
from search.session.self_check import self_check
from tests.fixtures import tiny
from tests.search.winner.conftest import WORDS
from trainable.cli.commands import status_of
from trainable.cli.errors import UserError
from trainable.data.dataset.build import build_dataset
from trainable.data.settings import DataSettings
from trainable.data.sources import market_from_frame
from trainable.prediction import command, files, load
from trainable.prediction.files import MemberFiles, write_ensemble


@pytest.fixture
def home(made: Path) -> Path:
    """The search; nothing is changed there."""
    return made


@pytest.fixture
def fresh(made: Path, tmp_path: Path) -> Path:
    """A copy of the search that a test may change."""
    return shutil.copytree(made, tmp_path / "fresh")


def test_best_holds_the_rankings_ensemble(home: Path) -> None:
    run = load_run(home / "runs/x")
    together = ensemble(run)
    assert together is not None
    winner = load(home / "runs/x")
    assert winner.first == run.run["best"]
    found: dict[int, list[int]] = {}
    for one in winner.members:
        found.setdefault(one.configuration, []).append(one.number)
    assert {key: sorted(value) for key, value in found.items()} == {
        key: sorted(value) for key, value in together.members.items()
    }
    assert len(winner.members) > len(found) > 1
    content = json.loads((home / "runs/x/best/config.json").read_text(encoding="utf-8"))
    assert sum(one["weight"] for one in content["members"]) == pytest.approx(1.0)
    assert content["data"]["sha256"] == run.run["data"]["sha256"]
    for one in winner.members:
        models = [
            load_file(home / "runs/x" / part / str(one.number) / "model.safetensors")
            for part in ("trials", "best/members")
        ]
        assert all(models[0][name].equal(models[1][name]) for name in models[0])


def test_old_rows_are_predicted_as_then_and_earn_what_was_ranked(home: Path) -> None:
    run = load_run(home / "runs/x")
    with chdir(home):
        made = load("runs/x").by_member("bars.csv")
    both = run.predictions.merge(made, on=["number", "timestamp", "symbol"], suffixes=("", ".now"))
    assert len(both) == len(run.predictions) > 500
    np.testing.assert_allclose(both["prediction.now"], both["prediction"], rtol=0, atol=1e-6)
    close = tiny.wide(tiny.bars(), "close")
    forward = close.shift(-1) / close - 1
    net = []
    for _, own in both.groupby("number"):
        held: Any = own.pivot(index="timestamp", columns="symbol", values="position")
        change = held - held.shift(1, fill_value=0.0)
        gross = (held * forward.loc[held.index]).sum(axis=1)
        net.append(gross - 1e-4 * change.abs().sum(axis=1))
    book = np.mean(net, axis=0)
    together = ensemble(run)
    assert together is not None
    ratio = book.mean() / book.std(ddof=1) * 252**0.5
    assert ratio == pytest.approx(together.sharpe, rel=1e-6)


def test_the_ensembles_columns_are_means_of_its_members(home: Path) -> None:
    winner = load(home / "runs/x")
    table, each = winner.predict(tiny.bars()), winner.by_member(tiny.bars())
    assert list(table.columns) == ["timestamp", "symbol", "prediction", "position"]
    mean = each.groupby(["timestamp", "symbol"])[["prediction", "position"]].mean()
    found = table.set_index(["timestamp", "symbol"])
    pd.testing.assert_frame_equal(found.sort_index(), mean.sort_index())
    assert f"{table['timestamp'].max():%Y-%m-%d}" == max(tiny.bars()["timestamp"])


def test_later_rows_change_nothing(home: Path) -> None:
    """Not even where they are other numbers altogether: a position knows its past alone."""
    winner, frame = load(home / "runs/x"), tiny.bars()
    day = sorted(frame["timestamp"].unique())[190]
    changed = frame.copy()
    changed.loc[frame["timestamp"] > day, ["close", "hint"]] *= 3.0
    whole, other, cut = (
        winner.predict(each)
        for each in (frame, changed, frame[frame["timestamp"] <= day].reset_index(drop=True))
    )
    before = whole[whole["timestamp"] <= pd.Timestamp(day)]
    pd.testing.assert_frame_equal(other[other["timestamp"] <= pd.Timestamp(day)], before)
    pd.testing.assert_frame_equal(cut, before, atol=1e-6)


def refused(home: Path, frame: pd.DataFrame) -> str:
    with pytest.raises(UserError) as error:
        load(home / "runs/x").predict(frame)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_new_rows_that_do_not_fit_are_refused_in_a_line(home: Path) -> None:
    frame, winner = tiny.bars(), load(home / "runs/x")
    assert "frame lacks the column 'hint'" in refused(home, frame.drop(columns="hint"))
    more = frame.assign(mood=np.random.default_rng(0).normal(size=len(frame)))
    assert "frame has the column 'mood', which the data of the search (bars.csv)" in refused(
        home, more
    )
    assert winner.predicted(more, strict=False).notes[0].startswith("frame has the column 'mood'")
    percent = frame.assign(hint=frame["hint"] * 100)
    assert "column 'hint' is 98 times that in bars.csv" in refused(home, percent)
    days = pd.to_datetime(frame["timestamp"])
    weekly = frame.assign(
        timestamp=days.min() + (days.rank(method="dense") - 1) * pd.Timedelta("7D")
    )
    assert "52 bars a year, and the models were trained on 252: another calendar" in refused(
        home, weekly
    )
    hourly = frame.assign(
        timestamp=days.min() + (days.rank(method="dense") - 1) * pd.Timedelta("1h")
    )
    assert "has intraday bars" in refused(home, hourly)
    others = frame.assign(symbol="Z" + frame["symbol"])
    assert "none of them is there" in refused(home, others)
    open_end = frame.copy()
    open_end.loc[open_end["timestamp"] == open_end["timestamp"].max(), "hint"] = np.nan
    assert "nothing can be predicted at the newest bar, 2020-12-01: the column 'hint' empty" in (
        refused(home, open_end)
    )


def broken(bars_ago: int, factor: float, symbols: Sequence[str], column: str) -> pd.DataFrame:
    """The market with some values multiplied so many bars before its newest one."""
    frame = tiny.bars()
    day = sorted(frame["timestamp"].unique())[-1 - bars_ago]
    at = (frame["timestamp"] == day) & frame["symbol"].isin(symbols)
    frame.loc[at, column] *= factor
    return frame


@pytest.mark.parametrize("bars_ago", [0, 1, 2])
@pytest.mark.parametrize("factor", [10.0, 0.1, 0.5])
def test_newest_prices_that_are_hardly_prices_are_refused(
    home: Path, bars_ago: int, factor: float
) -> None:
    frame = tiny.bars()
    for day in sorted(frame["timestamp"].unique())[-1 - bars_ago :]:  # and none comes back
        at = (frame["timestamp"] == day) & (frame["symbol"] == "BB")
        frame.loc[at, "close"] *= factor
    said = refused(home, frame)
    assert "frame: BB 2020-1" in said
    closes = frame.loc[frame["symbol"] == "BB", "close"].to_numpy()[-2 - bars_ago :]
    assert f" {closes[1] / closes[0] - 1:+.1%}" in said
    assert "strict=false predicts all the same" in said
    (note,) = load(home / "runs/x").predicted(frame, strict=False).notes
    assert note.startswith("frame: BB")


def test_so_are_those_of_all_symbols_and_what_came_back_is_not(home: Path) -> None:
    assert "among the newest bars" in refused(home, broken(0, 10.0, tiny.SYMBOLS, "close"))
    assert load(home / "runs/x").predicted(broken(40, 10.0, ["BB"], "close")).notes == ()


def test_a_large_move_that_is_no_split_is_a_move(home: Path) -> None:
    assert load(home / "runs/x").predicted(broken(0, 1.22, ["BB"], "close")).notes == ()


def test_a_newest_feature_far_outside_of_all_before_is_named(home: Path) -> None:
    winner, frame = load(home / "runs/x"), broken(0, 1.0, ["CC"], "hint")
    mean, std = winner.facts.usual["hint"]
    newest = (frame["timestamp"] == frame["timestamp"].max()) & (frame["symbol"] == "CC")
    frame.loc[newest, "hint"] = mean + 25 * std
    (note,) = winner.predicted(frame).notes
    assert note.startswith("At the newest bar 'hint' of CC is 25 standard deviations from")
    frame.loc[newest, "hint"] = mean + 6 * std
    assert winner.predicted(frame).notes == ()


def test_as_many_bars_as_are_said_to_be_needed_are_enough(home: Path) -> None:
    frame, winner = tiny.bars(), load(home / "runs/x")
    need = winner.facts.bars_needed
    assert need == winner.facts.lookback + winner.facts.max_window

    def last(bars: int) -> pd.DataFrame:
        return frame.tail(bars * len(tiny.SYMBOLS)).reset_index(drop=True)

    assert f"frame: {need - 1} bars up to the newest one, and at least {need}" in refused(
        home, last(need - 1)
    )
    found = winner.predict(last(need))
    assert found["prediction"].notna().all()
    assert len(found) == len(tiny.SYMBOLS)


def test_symbols_that_were_not_searched_are_left_out_and_missing_ones_named(home: Path) -> None:
    winner, frame = load(home / "runs/x"), tiny.bars()
    stranger = frame[frame["symbol"] == "AA"].assign(symbol="ZZ")
    more = winner.predicted(pd.concat([frame, stranger], ignore_index=True))
    assert more.notes == ("Left out, as the search was not on them: ZZ.",)
    pd.testing.assert_frame_equal(more.table, winner.predict(frame))
    fewer = winner.predicted(frame[frame["symbol"] != "FF"])
    assert fewer.notes == ("Searched on, and not in frame: FF.",)
    assert set(fewer.table["symbol"]) == set(tiny.SYMBOLS) - {"FF"}


def test_the_command_prints_the_newest_weights_and_writes_all(
    fresh: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wanted = load(fresh / "runs/x").predict(tiny.bars())
    with chdir(fresh):
        words = ("runs/x", "data.path=bars.csv", "out=weights.parquet")
        assert status_of(lambda: command.main([*words, "--json"])) == 0
        shown = json.loads(capsys.readouterr().out)
        assert status_of(lambda: command.main(words)) == 0
        said = capsys.readouterr().out
        assert status_of(lambda: command.main(["runs/x", "out=weights.csv"])) == 0
        again = pd.read_csv("weights.csv", parse_dates=["timestamp"])
        capsys.readouterr()
        assert status_of(lambda: command.main(["runs/x", "data.path=no.csv", "--json"])) == 2
        failed = capsys.readouterr()
        assert status_of(lambda: command.main(["runs/x", "which=refit"])) == 2
        unmade = capsys.readouterr()
    pd.testing.assert_frame_equal(pd.read_parquet(fresh / "weights.parquet"), wanted)
    pd.testing.assert_frame_equal(again, wanted, check_dtype=False)
    newest = wanted[wanted["timestamp"] == wanted["timestamp"].max()]
    assert {row["symbol"]: row["position"] for row in shown["weights"]} == dict(
        zip(newest["symbol"], newest["position"], strict=True)
    )
    assert shown["newest"] == "2020-12-01"
    for row in newest.to_dict("records"):
        assert f"{row['position']:+.4f}".replace("-", "−") in said
    assert (failed.out, failed.err.count("\n")) == ("", 1)
    assert "python -m search.refit writes it" in unmade.err


def test_a_search_checks_its_winner_and_says_loudly_where_it_is_another(fresh: Path) -> None:
    run = load_run(fresh / "runs/x")
    together = ensemble(run)
    assert together is not None
    found = run.run["winner"]
    assert found["equal"] is True
    assert found["again"] == pytest.approx(together.sharpe, rel=1e-6)
    assert found["as_one"] > found["again"]  # what its members save by trading with each other
    assert 0 < found["apart"] < 1e-6
    assert found["rows"] == run.run["data"]["valid_rows"]
    assert not [line for line in note_sentences(run) if "WRONG" in line]
    plain = FinalistModels.stored
    others = [one.number for one in load(fresh / "runs/x").members]

    def mixed_up(self: FinalistModels, number: int, *more: Any) -> MemberFiles:
        made = plain(self, others[0], *more)
        return replace(made, number=number)

    (fresh / "runs/x/best/config.json").unlink()  # or nothing would be left to do
    with patch.object(FinalistModels, "stored", mixed_up):
        _, said = tiny.search_and_listen(fresh, {**WORDS, "resume": "true"})
    assert "WRONG: the Sharpe ratio of the models in best/ is " in " ".join(said.split())
    broken = load_run(fresh / "runs/x")
    assert broken.run["winner"]["equal"] is False
    assert [line for line in note_sentences(broken) if line.startswith("WRONG")]


def test_of_large_models_few_rows_are_predicted_again(fresh: Path) -> None:
    run = load_run(fresh / "runs/x")
    market = market_from_frame(tiny.bars(), DataSettings())
    dataset = build_dataset(market, DataSettings(), 1)
    with patch.object(self_check_module, "FEW_ROWS", 50):
        quick = self_check(run, dataset, operations=1.0)
    assert quick is not None
    assert quick.rows <= 50 < len(dataset.valid_rows)
    assert quick.equal
    assert quick.again == pytest.approx(quick.sharpe, abs=1e-12)  # of predictions as stored


def test_a_kill_at_any_moment_leaves_one_ensemble_or_the_other(fresh: Path, tmp_path: Path) -> None:
    winner = load(fresh / "runs/x")
    first, *rest = (
        MemberFiles(
            one.number,
            one.configuration,
            json.loads((winner.folder / f"members/{one.number}/config.json").read_text("utf-8")),
            (winner.folder / f"members/{one.number}/model.safetensors").read_bytes(),
        )
        for one in winner.members
    )
    old, new = [first, rest[0]], [replace(rest[1], number=first.number), rest[2]]
    plain, outcomes = files.write_atomic, set()
    for survived in range(8):
        folder = tmp_path / str(survived)
        write_ensemble(folder, 1, winner.facts, old, {})
        before = load(folder).predict(tiny.bars())
        left = iter(range(survived))

        def killed(path: Path, content: bytes, left: Any = left) -> None:
            if next(left, None) is None:
                raise KeyboardInterrupt
            plain(path, content)

        with patch.object(files, "write_atomic", killed):
            try:
                write_ensemble(folder, 2, winner.facts, new, {})
            except KeyboardInterrupt:
                found = load(folder)
                outcomes.add("old")
                assert found.first == 1
                pd.testing.assert_frame_equal(found.predict(tiny.bars()), before)
        write_ensemble(folder, 2, winner.facts, new, {})
        after = load(folder)
        outcomes.add("new")
        assert [one.number for one in after.members] == [one.number for one in new]
        assert not after.predict(tiny.bars()).equals(before)
        assert len(list(folder.glob("members/*"))) == 2
    assert outcomes == {"old", "new"}


def test_a_damaged_or_incomplete_ensemble_is_named(fresh: Path) -> None:
    best = fresh / "runs/x/best"
    members = sorted(best.glob("members/*"))
    model = members[-1] / "model.safetensors"
    whole = model.read_bytes()
    model.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    with pytest.raises(UserError, match=rf"members/{members[-1].name}/model.safetensors"):
        load(fresh / "runs/x")
    model.unlink()
    again = re.escape(f"name=x runs_dir={fresh / 'runs'} resume=true")
    with pytest.raises(UserError, match=f"restore it from a copy, or write it anew: .* {again}"):
        load(best)
    model.write_bytes(whole)
    config = best / "config.json"
    text = config.read_text(encoding="utf-8")
    config.write_text(text.replace('"members/', '"../members/'), encoding="utf-8")
    with pytest.raises(UserError, match=r"best/config\.json is not of an ensemble"):
        load(best)
    config.unlink()
    with pytest.raises(UserError, match="best/ does not exist or has no config"):
        load(fresh / "runs/x")


def test_a_best_of_an_older_version_is_an_ensemble_of_one(fresh: Path) -> None:
    winner = load(fresh / "runs/x")
    old = fresh / "old"
    shutil.copytree(fresh / f"runs/x/best/members/{winner.first}", old)
    found = load(old)
    assert [one.number for one in found.members] == [winner.first]
    each = winner.by_member(tiny.bars())
    wanted = each[each["number"] == winner.first].drop(columns="number").reset_index(drop=True)
    made = found.predict(tiny.bars()).merge(wanted[["timestamp", "symbol"]])
    pd.testing.assert_frame_equal(made, wanted)
    with pytest.raises(UserError, match="is the model of one trial"):
        load(fresh / f"runs/x/trials/{winner.first}")


def test_ready_features_need_no_label_on_new_rows(tmp_path: Path) -> None:
    frame = tiny.ready()
    frame.to_csv(tmp_path / "ready.csv", index=False)
    (tmp_path / "tiny.py").write_text(tiny.SPACE, encoding="utf-8")
    tiny.search(tmp_path, WORDS | {
        "data.path": "ready.csv", "data.features": "feat_*", "data.target": "label",
        "data.returns": "next", "trials": 2,
    })  # fmt: skip
    winner = load(tmp_path / "runs/x")
    labelled = winner.predict(frame)
    assert len(labelled) == len(frame)
    pd.testing.assert_frame_equal(winner.predict(frame.drop(columns=["label", "next"])), labelled)
    newest = frame.copy()
    newest.loc[newest["timestamp"] == newest["timestamp"].max(), ["label", "next"]] = np.nan
    pd.testing.assert_frame_equal(winner.predict(newest), labelled)
    assert "lacks the column 'feat_b'" in refused_of(winner, frame.drop(columns="feat_b"))


def refused_of(winner: Any, frame: pd.DataFrame) -> str:
    with pytest.raises(UserError) as error:
        winner.predict(frame)
    return str(error.value)


def test_one_symbol_with_lag_says_what_to_order_now(tmp_path: Path) -> None:
    frame = tiny.bars(700, symbols=("AA",))
    tiny.write_inputs(tmp_path, frame)
    words = WORDS | {"trials": 2, "data.lag": 2, "data.horizon": 3, "finalist_seeds": 1}
    tiny.search(tmp_path, words)
    run, winner = load_run(tmp_path / "runs/x"), load(tmp_path / "runs/x")
    each = winner.by_member(frame)
    for number, own in each.groupby("number"):
        member = winner.member(int(str(number)))
        std, mean = member.scale.std.item(), member.scale.mean_position.item()
        epochs = run.epochs[run.epochs["number"] == number].set_index("epoch")
        ranked = epochs.loc[run.row_of[int(str(number))]["ranking_epoch"]]
        assert (std, mean) == (ranked["position_std"], ranked["position_mean"])
        decided = (own["prediction"] / std).clip(-1, 1) - mean
        wanted: Any = decided.rolling(3, min_periods=1).mean()
        np.testing.assert_allclose(own["ordered"], wanted, atol=1e-6)
        np.testing.assert_allclose(own["position"], wanted.shift(2, fill_value=0.0), atol=1e-6)


def test_who_has_no_prediction_at_the_newest_bar_is_said_and_why(home: Path) -> None:
    frame = tiny.bars()
    day = frame.groupby("symbol").cumcount()
    newest = day == day.max()
    frame.loc[newest & (frame["symbol"] == "BB"), "hint"] = np.nan
    late = newest & (frame["symbol"] == "AA")
    ended = (day > day.max() - 50) & (frame["symbol"] == "CC")
    notes = load(home / "runs/x").predicted(frame[~(late | ended)]).notes
    when = max(frame["timestamp"])
    assert notes[-2:] == (
        f"frame has no row at the newest bar, {when}, of AA: taken for late, and what is held of "
        "it stays.",
        f"No prediction at the newest bar, {when}, of BB: a feature lacks there.",
    )
    assert not any("CC" in note for note in notes)
