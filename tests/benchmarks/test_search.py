"""The benchmark of whole searches: both sides do the same work, and count it alike."""

import json
from pathlib import Path

import numpy as np
import optuna
import pandas as pd
import pytest

from benchmarks.search import __main__ as search
from benchmarks.search import comparison, sides
from benchmarks.search.sides import Work
from search.settings.reading import settings_from
from search.space.validation import check_space, load_space
from trainable.cli.errors import UserError
from trainable.config import from_params, to_params


def table(folder: Path, dates: int = 60, symbols: int = 5) -> Path:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.standard_normal((dates * symbols, 3)).astype("float32"))
    frame.columns = ["feat_00", "feat_01", "feat_02"]
    frame["target"] = 0.02 * frame["feat_00"]
    frame["symbol"] = np.tile([f"S{i}" for i in range(symbols)], dates)
    frame["timestamp"] = np.repeat(pd.bdate_range("2001-01-01", periods=dates), symbols)
    frame.to_parquet(folder / "table.parquet", index=False)
    return folder / "table.parquet"


@pytest.mark.parametrize(("hidden", "batch"), [(None, 32), ("512-256", 64)])
def test_spaces_are_the_peers(hidden: str | None, batch: int, tmp_path: Path) -> None:
    file = table(tmp_path)
    work = Work(file, trials=8, epochs=10, hidden=hidden, batch=batch)
    cut = sides.cut_of(file)
    words = sides.our_command(work, cut, 3, tmp_path / "run", sides.EQUAL)
    settings = settings_from(words[3:])
    assert settings.seed == 3
    assert settings.rungs == (1, 4, 10)
    assert settings.finalist_seeds == 1
    assert not settings.try_default
    assert settings.folder == tmp_path / "run"
    facts = check_space(load_space(settings.space), settings.fix, samples=30)
    assert {config.train.batch_size for config in facts.configs} == {batch}
    widths = {to_params(config)["model/hidden_dims"] for config in facts.configs}
    assert widths == ({hidden} if hidden else {"32-16", "64-32", "64-32-16"})
    searched = {"dropout", "lr", "weight_decay", "clip"} | (set() if hidden else {"hidden_dims"})
    assert {name.split("/")[1] for name in facts.distributions} == searched


def test_wide_space_names_known_parameters() -> None:
    space = load_space(str(sides.SPACES / "peer_wide.py"))
    trial = optuna.create_study().ask()
    constants = space.function(trial)
    config = from_params({**trial.params, **constants})
    assert config.loss.name == "mse"
    assert to_params(config)["optimizer/momentum"] == 0
    wide = {"dropout", "lr", "weight_decay", "clip", "hidden_dims", "norm", "name"}
    assert {name.split("/")[1] for name in trial.params} == wide


def test_split_is_the_peers(tmp_path: Path) -> None:
    file = table(tmp_path, dates=60)
    cut = sides.cut_of(file)
    dates = np.unique(pd.read_parquet(file)["timestamp"].to_numpy())
    assert pd.Timestamp(cut.valid_from) == dates[int(60 * 0.7)]
    assert pd.Timestamp(cut.gate_from) == dates[int(60 * 0.85)]
    assert cut.train_rows == (42 - 1) * 5  # the last date's label is of the validation part


def test_warm_up_is_the_peers_or_half_of_all_steps(tmp_path: Path) -> None:
    cut = sides.Cut("", "", "", train_rows=13980)
    assert sides.warmup_of(Work(tmp_path, 1, 10), cut) == 2000
    assert sides.warmup_of(Work(tmp_path, 1, 10, batch=64), cut) == 1090


def test_rungs_stay_within_the_epochs(tmp_path: Path) -> None:
    file = table(tmp_path)
    words = sides.our_command(Work(file, 1, 3), sides.cut_of(file), 0, tmp_path, sides.EQUAL)
    assert "rungs=1,3" in words


def test_peers_command_and_findings(tmp_path: Path) -> None:
    work = Work(Path("t.parquet"), 8, 10, wide=True, hidden="8-4", batch=64)
    words = sides.peer_command(work, 5, Path("peer.py"), reuse=True)
    said = "peer.py --table t.parquet --trials 8 --epochs 10 --batch 64 --seed 5 --hidden 8-4"
    assert " ".join(words[1:]) == f"{said} --wide --reuse"
    log = tmp_path / "log"
    log.write_text('warning\n{"trials": 8, "epochs": 20, "best_sharpe": NaN}\nbye\n')
    assert sides.peer_findings(log) == {"trials": 8, "epochs": 20, "best_sharpe": None}
    log.write_text("no memory\n")
    with pytest.raises(UserError, match="its last line: no memory"):
        sides.peer_findings(log)


def test_findings_of_a_run_count_as_the_peers_do(tmp_path: Path) -> None:
    trials = {
        "number": [0, 1, 2, 3],
        "kind": ["search", "search", "seed", "baseline"],
        "stop_reason": ["completed", "asha_rung", "completed", "completed"],
        "sharpe": [0.5, 0.9, 0.7, 2.0],
    }
    epochs = {"number": [0, 0, 1, 2], "epoch": [2, 1, 1, 1], "sharpe": [1.5, 9.0, 1.0, 8.0]}
    pd.DataFrame(trials).to_parquet(tmp_path / "trials.parquet")
    pd.DataFrame(epochs).to_parquet(tmp_path / "epochs.parquet")
    (tmp_path / "run.json").write_text(json.dumps({"best": 1}))
    assert sides.our_findings(tmp_path) == {
        "trials": 2,
        "epochs": 4,
        "best_sharpe": 1.5,
        "winner_sharpe": 0.9,
        "reasons": {"completed": 2, "asha_rung": 1},
    }


def test_ratios_are_of_pairs_and_scaled_runs_have_no_sharpe() -> None:
    def made(seconds: float, best: float, **more: float) -> dict[str, float]:
        used = {"seconds": seconds, "cpu_seconds": 2 * seconds, "peak_mib": 100.0}
        return {**used, "best_sharpe": best, "winner_sharpe": best + 1, "trials": 128, **more}

    ours = [made(2, 1.0), made(4, 2.0), made(5, 2.0)]
    theirs = [made(20, 0.5), made(20, 1.0), made(20, 2.0)]
    found = comparison.ratios(theirs, ours)
    assert found["seconds"] == {"median": 5, "low": 4, "high": 10}
    assert found["peak_mib"] == {"median": 1, "low": 1, "high": 1}
    assert found["sharpe_gain"]["mean"] == pytest.approx(0.5)
    assert found["sharpe_gain"]["standard_error"] == pytest.approx(0.5 / 3**0.5)
    assert found["named_gain"]["mean"] == pytest.approx(1.5)
    once = [comparison.scaled(made(64, 0.5), 1024)]
    assert once[0]["seconds"] == 512
    assert once[0]["scaled_from_trials"] == 128
    found = comparison.ratios(once, ours)
    assert found["seconds"] == {"median": 128, "low": 512 / 5, "high": 256}
    assert "sharpe_gain" not in found
    assert comparison.medians(ours)["best_sharpe"] == {"median": 2, "low": 1, "high": 2}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--table", "none.parquet"], "--table none.parquet: there is no such file"),
        (["--table", __file__, "--peer-default"], "--peer-default needs --peer PATH"),
        (["--table", __file__, "--trials", "0"], "are at least 1"),
        (["--table", __file__], "cannot be read"),
    ],
)
def test_bad_input_of_search_is_one_line(words: list[str], said: str) -> None:
    with pytest.raises(UserError, match=said) as caught:
        search.main(words)
    assert "\n" not in str(caught.value)
