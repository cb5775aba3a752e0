import json
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from analysis.load import load_run, newest_run
from tests.fixtures.runs import make_run
from trainable.cli.errors import UserError
from trainable.run_format import EPOCH_COLUMNS, TRIAL_COLUMNS


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return make_run(tmp_path / "demo", trials=12)


def test_tables_are_read(folder: Path) -> None:
    run = load_run(folder)
    assert run.name == "demo"
    assert len(run.searched) == 12
    assert run.periods == 1247
    assert run.periods_per_year == 252.0
    assert set(run.predictions) == {"number", "timestamp", "symbol", "prediction"}
    assert run.epochs.groupby("number")["epoch"].is_monotonic_increasing.all()


def test_large_tables_wait_until_they_are_asked_for(folder: Path) -> None:
    (folder / "epochs.parquet").write_bytes(b"torn")
    run = load_run(folder)
    with pytest.raises(UserError, match=r"epochs\.parquet is no readable Parquet file"):
        _ = run.epochs


def test_null_is_nan_whatever_the_type_on_disk(folder: Path) -> None:
    trials = pd.read_parquet(folder / "trials.parquet")
    trials["ic"] = None
    trials.to_parquet(folder / "trials.parquet")
    assert np.isnan(np.asarray(load_run(folder).trials["ic"])).all()


def test_curve_is_the_one_of_lowest_validation_loss(folder: Path) -> None:
    run = load_run(folder)
    number = int(np.asarray(run.searched.query("state == 'COMPLETE'")["number"])[0])
    losses = run.epochs.query("number == @number")
    ranking = int(np.asarray(losses["epoch"])[np.argmin(losses["val_loss"])])
    returns = pd.read_parquet(folder / "returns.parquet")
    mine = returns[(returns["number"] == number) & (returns["epoch"] == ranking)]
    other = mine.assign(epoch=ranking + 1, net_return=9.0)
    pd.concat([returns, other]).to_parquet(folder / "returns.parquet")
    curve = load_run(folder).curve(number)
    np.testing.assert_array_equal(curve["net_return"], mine["net_return"])
    assert load_run(folder).curve(10**6).empty


def test_missing_folder_offers_the_closest(folder: Path) -> None:
    with pytest.raises(UserError, match=r"did you mean .*demo"):
        load_run(folder.parent / "demmo")
    with pytest.raises(UserError, match="holds demo"):
        load_run(folder.parent / "another")
    with pytest.raises(UserError, match="no run folder"):
        load_run(folder / "no" / "such")


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("run.json", None, "is no run folder: run.json is missing"),
        ("run.json", b'{"name": ', "cannot be read"),
        ("run.json", b"[1]", "holds no JSON object"),
        ("run.json", b"\xff\xfe", "cannot be read"),
        ("trials.parquet", None, "start it again with name=demo resume=true"),
        ("trials.parquet", b"PAR1torn", "no readable Parquet file"),
        ("trials.parquet", b"", "no readable Parquet file"),
    ],
)
def test_broken_file_is_named(folder: Path, file: str, content: bytes | None, message: str) -> None:
    (folder / file).unlink()
    if content is not None:
        (folder / file).write_bytes(content)
    with pytest.raises(UserError, match=message):
        load_run(folder)


def test_missing_column_text_and_double_rows_are_named(folder: Path) -> None:
    trials = pd.read_parquet(folder / "trials.parquet")
    trials.drop(columns="val_loss").to_parquet(folder / "trials.parquet")
    with pytest.raises(UserError, match="lacks the column val_loss"):
        load_run(folder)
    trials.assign(sharpe="high").to_parquet(folder / "trials.parquet")
    with pytest.raises(UserError, match="column of numbers"):
        load_run(folder)
    pd.concat([trials, trials[:1]]).to_parquet(folder / "trials.parquet")
    with pytest.raises(UserError, match="trial 0 has more than one row"):
        load_run(folder)


def test_missing_periods_a_year_is_no_guess(folder: Path) -> None:
    (folder / "run.json").write_text(json.dumps({"name": "demo", "data": {}}))
    with pytest.raises(UserError, match="periods_per_year is missing"):
        _ = load_run(folder).periods_per_year


def test_newest_run(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no run folder in"):
        newest_run(tmp_path)
    for age, name in enumerate(["b", "a"]):
        run = make_run(tmp_path / name, trials=1) / "run.json"
        os.utime(run, (1_000_000 - age, 1_000_000 - age))
    assert newest_run(tmp_path).name == "b"


def test_fixture_has_the_columns_that_a_search_writes(folder: Path) -> None:
    clock = {"started", "ended"}
    trials = {c for c in pd.read_parquet(folder / "trials.parquet") if not c.startswith("params.")}
    assert trials == set(TRIAL_COLUMNS) - clock
    epochs = pd.read_parquet(folder / "epochs.parquet")
    assert {c for c in epochs if not c.startswith("grad_norm.")} == set(EPOCH_COLUMNS)
