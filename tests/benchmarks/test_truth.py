"""Curves whose truth is known: what is true of them, how they are kept, searches over them."""

import json
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution
from optuna.samplers import RandomSampler

from benchmarks.truth import curves, flat, make, patience, pruning, samplers, seeds
from benchmarks.truth.markets import DAYS_PER_YEAR, KINDS, SYMBOLS, Truth, make_market
from benchmarks.truth.nearest import NearestStrategy
from benchmarks.truth.outcomes import at_ranking_epoch, markets_of, outcome, quality
from benchmarks.truth.replay import NEVER_FLAT, Setup, replay
from search.sampler.history import History
from search.sampler.strategies import strategy_of
from search.sampler.strategies.base import Ask
from trainable.cli.errors import UserError

# The first 20 configurations of a market of `benchmarks.truth.make`: 3 seeds, 25 epochs, 250 days.
SMALL = Path(__file__).parents[1] / "fixtures" / "strong-0"


@pytest.fixture(scope="module")
def small() -> curves.Curves:
    return curves.read(SMALL)


def test_the_true_sharpe_ratio_is_that_of_many_realised_returns() -> None:
    """The noise of the returns is drawn again and again; what all symbols share cancels."""
    rng = np.random.default_rng(0)
    expected = 3e-4 * rng.standard_normal((400, SYMBOLS))
    truth = Truth(expected, own_variance=0.012**2, cost=1e-4)
    predictions = (expected + 2e-4 * rng.standard_normal(expected.shape)).reshape(1, -1)
    (sharpe,), (ic,) = truth.of(predictions)
    p = predictions.reshape(expected.shape)
    weights = p - p.mean(axis=1, keepdims=True)
    weights /= np.abs(weights).sum(axis=1, keepdims=True)
    turnover = np.abs(np.diff(weights, axis=0, prepend=0.0)).sum(axis=1)
    nets, correlations = [], []
    for _ in range(400):
        shared = 0.02 * rng.standard_normal((400, 1))
        returns = expected + shared + 0.012 * rng.standard_normal(expected.shape)
        nets.append((weights * returns).sum(axis=1) - 1e-4 * turnover)
        r = returns - returns.mean(axis=1, keepdims=True)  # weights sum to 0 already
        lengths = np.linalg.norm(weights, axis=1) * np.linalg.norm(r, axis=1)
        correlations.append(np.mean((weights * r).sum(axis=1) / lengths))
    net = np.concatenate(nets)
    assert sharpe == pytest.approx(net.mean() / net.std() * np.sqrt(DAYS_PER_YEAR), abs=0.1)
    assert ic == pytest.approx(np.mean(correlations), abs=0.003)
    nothing = truth.of(np.zeros_like(predictions))[0]
    assert np.isnan(nothing).all()


@pytest.mark.parametrize("kind", KINDS)
def test_a_market_has_the_signal_that_its_kind_says(kind: str) -> None:
    dataset, truth = make_market(kind, 0)
    _, (ic,) = truth.of(truth.expected.reshape(1, -1))
    if kind == "none":
        assert np.isnan(ic)
    else:
        # Of `regime` the two halves may be of unequal strength.
        least, most = (0.5, 1.5) if kind == "regime" else (0.8, 1.2)
        assert least * KINDS[kind].signal < ic < most * KINDS[kind].signal
    rows = dataset.rows_of("test")
    later = dataset.target[rows].reshape(-1, SYMBOLS)
    assert later.shape == truth.expected.shape
    error = float(np.mean(later - truth.expected)) / 0.015
    assert abs(error) < 4 / np.sqrt(later.size) * np.sqrt(1 + SYMBOLS * 0.2)


def test_compressed_returns_are_near_and_errors_do_not_add_up() -> None:
    rng = np.random.default_rng(0)
    level = 0.01 * rng.standard_normal((3, 1, 200))
    returns = level + np.cumsum(5e-4 * rng.standard_normal((3, 40, 200)), axis=1)
    returns[1, :2] = np.nan
    found = curves.expand(*curves.compress(returns))
    assert np.array_equal(np.isnan(found), np.isnan(returns))
    error = found - returns
    assert np.nanstd(error[:, -1]) < 2 * np.nanstd(error[:, 5]) < 5e-5


def test_what_is_written_is_read(small: curves.Curves, tmp_path: Path) -> None:
    curves.write(small, tmp_path)
    again = curves.read(tmp_path)
    assert (again.market, again.params, again.stops) == ("strong-0", small.params, small.stops)
    for name, values in small.values.items():
        assert np.array_equal(again.values[name], values, equal_nan=True)
    np.testing.assert_allclose(again.returns, small.returns, atol=5e-4)


def test_trained_curves_are_those_of_the_training_and_every_epoch_has_its_truth() -> None:
    dataset, truth = make_market("strong", 1)
    params = curves.draw_configurations(2, seed=0)
    made = curves.train(dataset, truth, "strong-1", params, seeds=2, epochs=2)
    assert made.values["sharpe"].shape == (2, 2, 2)
    assert all(np.isfinite(values).all() for values in made.values.values())
    stored = made.returns[0, 1].astype(float)
    ratio = stored.mean() / stored.std(ddof=1) * np.sqrt(DAYS_PER_YEAR)
    assert ratio == pytest.approx(made.values["sharpe"][0, 0, 1], rel=1e-2)


def test_a_replayed_search_is_repeated_by_its_seed_and_trains_each_trial_once(
    small: curves.Curves,
) -> None:
    setup = Setup("ranks", first=2, trials=16, flat=NEVER_FLAT)
    one, two, other = (replay(small, setup, seed) for seed in (0, 0, 1))
    ends = [(row.number, row.state, row.reason, row.facts["epochs"]) for row in one.rows]
    assert ends == [(r.number, r.state, r.reason, r.facts["epochs"]) for r in two.rows]
    assert {r.reason for r in one.rows} >= {"asha_rung", "completed"}
    assert len({row for row, _ in one.where.values()}) == 16
    assert set(one.where.values()) != set(other.where.values())
    assert one.epochs["search"] == sum(row.facts["epochs"] for row in one.rows)
    assert one.makespan >= one.epochs["search"] / 2


def test_no_pruning_trains_all_and_stops_none_of_the_best(small: curves.Curves) -> None:
    ended = replay(small, Setup("none", trials=16, flat=NEVER_FLAT), 0)
    found = outcome(small, ended, quality(small))
    assert {r.state for r in ended.rows if r.reason not in ("collapsed",)} == {"COMPLETE"}
    assert found.best_stopped == 0
    finished = [r for r in ended.rows if r.state == "COMPLETE"]
    chosen = max(
        (at_ranking_epoch(small, ended.where[r.number][0], 0, 25) for r in finished),
        key=lambda each: each["sharpe"],
    )
    assert found.chosen == pytest.approx(chosen["true_sharpe"]), "of single seeds the highest"


def test_seeds_of_a_replay_are_those_of_the_table(small: curves.Curves) -> None:
    ended = replay(small, Setup("ranks", first=2, trials=16, finalist_seeds=3), 0)
    seeds_of = [row for row in ended.rows if row.kind == "seed"]
    assert seeds_of
    for row in seeds_of:
        assert row.parent is not None
        assert ended.where[row.number][0] == ended.where[row.parent][0]
        assert ended.where[row.number][1] > 0


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """What `benchmarks.truth.make` leaves: a folder a market."""
    (tmp_path / "curves").mkdir()
    (tmp_path / "curves" / "strong-0").symlink_to(SMALL)
    return tmp_path / "curves"


def written(command: Any, folder: Path, searches: int = 1, jobs: int = 1) -> Any:
    """Runs a command with few searches, here or in a process; returns the JSON that it leaves."""
    out = folder.parent / "out.json"
    words = ["--searches", str(searches), "--jobs", str(jobs), "--out", str(out)]
    assert command.main([str(folder), *words]) == 0
    return json.loads(out.read_text(encoding="utf-8"))


def test_rules_are_compared_at_equal_trials_and_at_equal_cost(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    few = {"a": Setup("objective", trials=16), "none": Setup("none", trials=16, flat=NEVER_FLAT)}
    monkeypatch.setattr(pruning, "SETUPS", few)
    found = written(pruning, folder)
    same, equal = found["same_trials"], found["same_epochs"]
    assert same[0]["gain"] == 0
    assert same[1]["epochs"] > 2 * same[0]["epochs"]
    assert same[1]["best_stopped"] == 0
    assert equal[1]["trials"] < 16
    said = capsys.readouterr().out
    assert "none" in said
    assert "best 5 % stopped" in said


def test_the_flat_rule_is_tried_on_every_configuration(folder: Path) -> None:
    rules = {row["rule"]: row for row in written(flat, folder)["rules"]}
    assert set(rules) == set(flat.RULES)
    hasty, default = (rules[f"window 5, 1 in a row, patience {n}"] for n in (0, 10))
    assert hasty["stopped"] >= default["stopped"]
    assert 0 <= default["false"] <= hasty["false"] <= 1


def test_seeds_cost_epochs_as_their_limit_says(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    few = {n: Setup("ranks", first=2, trials=16, finalist_seeds=seeds) for n, seeds in
           (("16 trials, at most 1 seeds", 1), ("16 trials, at most 3 seeds", 3))}  # fmt: skip
    assert {name.partition(",")[0] for name in seeds.SETUPS} == {"64 trials", "100 trials"}
    monkeypatch.setattr(seeds, "SETUPS", few)
    one, three = written(seeds, folder, jobs=2)["rows"]
    assert (one["seed_epochs"], one["gain"]) == (0, 0)
    assert three["seed_epochs"] > 0
    assert three["epochs"] == pytest.approx(one["epochs"], rel=0.05), "seeds change who waits"


def test_patience_searches_no_more_trials_than_there_are(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    few = {n: Setup("ranks", first=2, trials=20, patience_trials=more) for n, more in
           (("never", None), ("patience_trials=64", 64))}  # fmt: skip
    monkeypatch.setattr(patience, "SETUPS", few)
    rows = written(patience, folder)["rows"]
    assert [(row["market"], row["trials"]) for row in rows] == [("all", 20)] * 2 + [
        ("strong", 20)
    ] * 2


@pytest.mark.parametrize("sampler", ["random", "tpe", "qmc"])
def test_a_sampler_searches_the_rows_of_the_table(sampler: str, small: curves.Curves) -> None:
    setup = Setup("ranks", first=2, trials=18, sampler=sampler)
    one, two, other = (replay(small, setup, seed) for seed in (0, 0, 1))
    assert len({row for row, _ in one.where.values()}) == 18
    assert one.where == two.where != other.where
    for record in one.rows:
        row = small.params[one.where[record.number][0]]
        told = {name: row[name] for name in record.params if name != "train/seed"}
        assert {**told, "train/epochs": 25}.items() <= record.params.items()


def test_a_suggestion_gets_the_nearest_row_that_is_left() -> None:
    space: dict[str, Any] = {
        "lr": FloatDistribution(1e-4, 1.0, log=True),
        "kind": CategoricalDistribution(["a", "b"]),
    }
    rows = [{"lr": lr, "kind": kind} for lr in (1e-4, 1e-2, 1.0) for kind in "ab"]
    table = NearestStrategy(strategy_of("random"), rows, space, lambda: {0, 3})
    for index in range(8):
        wanted = RandomSampler(Ask(0, index, 16).seed)
        trial = optuna.create_study(sampler=wanted).ask(space)
        sampler = table.propose(History(), Ask(0, index, 16)).sampler
        found = optuna.create_study(sampler=sampler).ask(space).params
        left = [row for number, row in enumerate(rows) if number not in (0, 3)]
        apart = [
            (np.log10(row["lr"] / trial.params["lr"]) / 4) ** 2
            + (row["kind"] != trial.params["kind"])
            for row in left
        ]
        assert found == left[int(np.argmin(apart))]


def test_samplers_are_compared_with_random_and_with_ours(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    few = {samplers.name_of(name, 18): Setup("ranks", first=2, trials=18, sampler=name)
           for name in ("tpe", "random", "gp")}  # fmt: skip
    assert {name.partition(",")[0] for name in samplers.SETUPS} == {"64 trials", "32 trials"}
    monkeypatch.setattr(samplers, "SETUPS", few)
    tpe, random, gp = written(samplers, folder, searches=2)["rows"]
    assert (tpe["over_tpe"], random["over_random"]) == (0, 0)
    assert tpe["over_random"] == -random["over_tpe"]
    assert (tpe["searches"], gp["searches"]) == (2, 1)
    assert "18 trials, gp" in capsys.readouterr().out


def test_a_folder_without_markets_is_the_persons_error(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"holds no curves; python -m benchmarks.truth.make"):
        markets_of(tmp_path)


def test_a_market_is_made_whole_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    short = partial(curves.train, seeds=2, epochs=2)
    monkeypatch.setattr(curves, "train", short)
    said = make.make(tmp_path, "weak", 3, 2)
    assert said.startswith("weak-3: ")
    assert [path.name for path in tmp_path.iterdir()] == ["weak-3"]
    assert curves.read(tmp_path / "weak-3").values["sharpe"].shape == (2, 2, 2)

    def fails(*args: object) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(curves, "write", fails)
    with pytest.raises(OSError, match="no space"):
        make.make(tmp_path, "weak", 4, 2)
    assert not (tmp_path / "weak-4").exists()
