"""What a search finds out about its result at its end, computed again from what it wrote."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from analysis.load import load_run
from analysis.ranking import summary_sentences
from analysis.robustness import robustness
from search.session.robustness import one_bar_later
from tests.fixtures import tiny
from trainable import predict
from trainable.data.dataset.build import build_dataset
from trainable.data.settings import DataSettings
from trainable.data.sources import market_from_frame

WORDS = tiny.WORDS | {"trials": "4", "finalist_seeds": "2", "epochs": "3"}


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A finished search whose data have a column that knows the next return, and its output."""
    folder = tmp_path_factory.mktemp("robust")
    tiny.write_inputs(folder)
    return tiny.search_and_listen(folder, WORDS)


def forward(frame: pd.DataFrame) -> pd.DataFrame:
    """The return from each day to the next, [day, symbol]."""
    close = tiny.wide(frame, "close")
    return (close.shift(-1) / close - 1).fillna(0.0)


def ratio(returns: pd.Series) -> float:
    return float(returns.mean() / returns.std(ddof=1) * np.sqrt(252))


def test_every_finalist_and_seed_is_traded_one_bar_later(searched: tuple[Path, str]) -> None:
    run, _ = searched
    trials = tiny.table(run, "trials")
    ended = trials.query("state == 'COMPLETE' and kind != 'baseline'")["number"]
    found = load_run(run).run["one_bar_later"]
    assert {int(number) for number in found} == set(ended)
    returns = forward(tiny.bars())
    for number, sharpe in found.items():
        predictions = tiny.predictions_of(run, int(number))
        in_time = tiny.earned(predictions, returns)
        np.testing.assert_allclose(in_time, tiny.returns_of(run, int(number)), atol=1e-9)
        later = tiny.earned(predictions.iloc[:-1], returns.shift(-1).fillna(0.0))
        assert sharpe == pytest.approx(ratio(later), abs=1e-5)
    beside = robustness(load_run(run))
    assert np.isfinite(beside["one_bar_later"].to_numpy()).all()
    first = beside.iloc[0]
    assert first["one_bar_later"] < first["sharpe_mean"] - 2, "it knows one return"


def test_what_is_too_good_is_traced_to_its_feature(searched: tuple[Path, str]) -> None:
    run, out = searched
    record = load_run(run).run["permutation"]
    number = load_run(run).run["best"]
    trials = tiny.table(run, "trials").set_index("number")
    model = predict.load(run / "best")
    assert record["trial"] == number
    assert record["ic"] == pytest.approx(trials.loc[number, "ic"], abs=1e-5)
    assert list(record["without"]) == list(model.scaler.names)
    assert min(record["without"], key=lambda name: record["without"][name]) == "hint"
    assert record["without"]["hint"] < 0.3 * record["ic"]
    alarm = summary_sentences(load_run(run))[0]
    assert (
        f"What permuting a feature costs trial {number}'s IC of {record['ic']:.2f}: hint" in alarm
    )
    assert alarm in " ".join(out.split())


def test_positions_of_few_symbols_are_those_of_the_search(tmp_path: Path) -> None:
    """Without an alarm no feature is permuted."""
    frame = tiny.bars(symbols=("AA", "BB"))
    frame["hint"] = np.random.default_rng(1).standard_normal(len(frame))
    tiny.write_inputs(tmp_path, frame)
    run = load_run(tiny.search(tmp_path, tiny.WORDS | {"trials": "2"}))
    assert run.run.get("permutation") is None
    returns, epochs = forward(frame), run.epochs.set_index(["number", "epoch"])
    trials = run.trials.set_index("number")
    assert run.run["one_bar_later"]
    for number, sharpe in run.run["one_bar_later"].items():
        scale = epochs.loc[(int(number), trials.loc[int(number), "ranking_epoch"])]
        p = tiny.predictions_of(run.folder, int(number)) / scale["position_std"]
        held = ((p.clip(-1, 1) - scale["position_mean"]) / 2).iloc[:-1]
        moved = held.diff().fillna(held.iloc[[0]]).abs().sum(axis=1)
        net = (held * returns.shift(-1).loc[held.index]).sum(axis=1) - 1e-4 * moved
        assert sharpe == pytest.approx(ratio(net), abs=1e-4)


def test_predictions_that_are_not_those_of_the_ratio_are_left_out(
    searched: tuple[Path, str],
) -> None:
    run = load_run(searched[0])
    settings = DataSettings()
    dataset = build_dataset(market_from_frame(tiny.bars(), settings), settings)
    assert one_bar_later(run, dataset) == run.run["one_bar_later"]
    changed = load_run(searched[0])
    table = changed.predictions
    turned = np.where(table["number"] == 0, -1, 1).astype(np.float32)
    table["prediction"] *= turned
    assert one_bar_later(changed, dataset).keys() == run.run["one_bar_later"].keys() - {"0"}
    short = load_run(searched[0])
    short.__dict__["predictions"] = short.predictions.iloc[1:]
    assert "0" not in one_bar_later(short, dataset)
