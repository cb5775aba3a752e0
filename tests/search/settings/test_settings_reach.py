"""Every setting reaches its place: a search with it changed differs where it should.

Each case changes one setting of a small search and looks at what is left of it. What is wanted is
worked out here, from the inputs.
"""

import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from analysis.statistics.snooping.luck_line import luck_line
from search.settings.settings import SearchSettings, TriesSettings
from tests.fixtures import tiny
from trainable.data.settings import DataSettings, SyntheticSettings
from trainable.data.sources import load_market

BASE = tiny.WORDS | {"trials": 8, "cohort": 1, "pruning": "objective"}
STEPS = 4  # of an epoch
SIGNS = {"sharpe": 1.0, "rank_ic": 1.0, "val_loss": -1.0}


@dataclass(frozen=True)
class Outcome:
    """What a search left and said."""

    run: Path
    said: str

    def table(self, name: str) -> Any:
        return tiny.table(self.run, name)

    @property
    def json(self) -> dict[str, Any]:
        return json.loads((self.run / "run.json").read_text(encoding="utf-8"))

    def trials(self, *kinds: str) -> Any:
        """The trials of some kinds, by number; those searched by default."""
        trials = self.table("trials").set_index("number", drop=False)
        return trials[trials["kind"].isin(kinds or ("search", "enqueued"))]

    def finalist(self) -> int:
        trials = self.trials()
        return int(trials[trials["state"] == "COMPLETE"]["number"].iloc[0])


Look = Callable[[Outcome, Outcome], None]  # at the search as it is, and as it is when changed
CASES: dict[str, tuple[dict[str, object], Look]] = {}
# Settings that no look of the others of the group sees: one search is looked at for all of them.
TOGETHER = (
    ("name", "patience_s", "gpus_per_trial", "storage", "enqueue"),
    ("runs_dir", "fix", "finalist_seeds", "tries.prior"),
    ("storage_path", "report"),
    ("data.horizon", "data.test_from"),
    ("data.lag", "try_default"),
    ("data.symbols", "data.valid_from", "checkpoint_steps"),
    ("data.cost_bps", "data.gate_from", "steps_per_epoch"),
    ("data.path", "data.periods_per_year", "space"),
    ("data.holdout_symbols", "data.fraction", "sampler"),
    ("data.returns", "data.features"),
)
# Where the others are seen: what they are for is not in a process of a test, or not in this data.
ELSEWHERE = {
    "data.overnight": "search/test_recomputed.py",
    "data.delisting_return": "search/test_recomputed.py",
    "parts": "search/test_parts.py",
    "address": "search/backend/test_cluster.py",
    "data.groups": "trainable/data/ingest/test_groups.py",
    "patience_trials": "search/scheduling/test_patience_trials.py",
    "open_cluster": "search/backend/test_cluster.py",
    "dashboard": "search/backend/test_local_ray.py",
    "placebo": "search/test_placebo.py",
}


def case(field: str, **words: object) -> Callable[[Look], Look]:
    """Enters a look at a search with these words changed, in which `__` stands for a dot."""

    def enter(look: Look) -> Look:
        CASES[field] = {k.replace("__", "."): v for k, v in words.items()}, look
        return look

    return enter


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("settings")
    tiny.write_inputs(path)
    tiny.bars(seed=3).to_csv(path / "other.csv", index=False)
    tiny.ready().to_csv(path / "ready.csv", index=False)
    (path / "other.py").write_text(tiny.SPACE.replace('"4"', '"6"'), encoding="utf-8")
    (path / "hand.json").write_text('[{"optimizer/lr": 0.00321}]', encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def base(folder: Path) -> Outcome:
    return Outcome(*tiny.search_and_listen(folder, BASE | {"name": "base"}))


@pytest.fixture(scope="module")
def changed(folder: Path) -> Callable[[str], Outcome]:
    """Returns the search with a setting changed, and those that are looked at with it."""

    @cache
    def of_group(group: tuple[str, ...]) -> Outcome:
        words: dict[str, object] = {**BASE, "name": group[0]}
        for field in group:
            words |= CASES[field][0]
        given = {key: text for key, text in words.items() if text is not None}
        return Outcome(*tiny.search_and_listen(folder, given))

    groups = {field: group for group in TOGETHER for field in group}
    return lambda field: of_group(groups.get(field, (field,)))


@pytest.mark.parametrize(
    "field",
    [
        *(f.name for f in fields(SearchSettings) if f.name not in ("data", "tries")),
        *(f"tries.{f.name}" for f in fields(TriesSettings)),
        *(f"data.{f.name}" for f in fields(DataSettings) if f.name != "synthetic"),
    ],
)
def test_a_setting_reaches_its_place(
    field: str, base: Outcome, changed: Callable[[str], Outcome]
) -> None:
    if field in ELSEWHERE:
        file = Path(__file__).parents[2] / ELSEWHERE[field]
        assert field in file.read_text(encoding="utf-8")
        return
    assert field in CASES, f"{field}: say how this setting is seen: add a case"
    CASES[field][1](base, changed(field))


def same(a: pd.Series, b: pd.Series) -> bool:
    return a.tolist() == b.tolist()


def check_rungs(found: Outcome, objective: str, levels: list[int], factor: int) -> None:
    """Replays the rungs on trials that came one after another: who is cut, and held to what."""
    assert found.json["rungs"] == levels
    epochs = found.table("epochs").set_index(["number", "epoch"])[objective] * SIGNS[objective]
    trials = found.trials()
    cut = 0
    for level in levels[:-1]:
        before: list[float] = []
        for number, trial in trials[trials["epochs"] >= level].iterrows():
            value = epochs[number].loc[max(1, level - 2) : level].mean()
            limit = np.percentile(before, 100 * (1 - 1 / factor)) if len(before) >= factor else None
            before.append(value)
            out = trial["stop_reason"] == "asha_rung" and trial["stop_epoch"] == level
            assert out == (limit is not None and value < limit), (number, level)
            if out:
                evidence = json.loads(trial["stop_evidence"])
                assert evidence["value"] == pytest.approx(value)
                assert evidence["cutoff"] == pytest.approx(limit)
                assert (evidence["level"], evidence["count"]) == (level, len(before) - 1)
                cut += 1
    assert cut == (trials["stop_reason"] == "asha_rung").sum() > 0
    assert set(trials[trials["state"] == "COMPLETE"]["epochs"]) == {levels[-1]}


def earns(found: Outcome, forward: pd.DataFrame, **how: Any) -> None:
    """What the first finalist earned is what its predictions earn of these returns."""
    number = found.finalist()
    predictions = tiny.predictions_of(found.run, number)
    stored = tiny.returns_of(found.run, number)
    wanted = tiny.earned(predictions, forward, **how)
    assert list(stored.index) == list(wanted.index)
    np.testing.assert_allclose(stored, wanted, atol=1e-9)


def forward(lag: int = 0, frame: pd.DataFrame | None = None) -> pd.DataFrame:
    """The return from the close `lag` days ahead to the next."""
    closes = tiny.wide(tiny.bars() if frame is None else frame, "close")
    return closes.shift(-1 - lag) / closes.shift(-lag) - 1


def days(count: int = 240) -> pd.DatetimeIndex:
    return pd.bdate_range("2020-01-01", periods=count)


def test_the_search_as_it_is(base: Outcome) -> None:
    check_rungs(base, "sharpe", [1, 3], 4)
    earns(base, forward())
    assert base.json["best"] is not None


# The search


@case("space", space="other.py")
def _(base: Outcome, found: Outcome) -> None:
    assert found.json["space"]["name"] == "other"
    assert set(found.trials()["params.model/hidden_dims"]) == {"6"}
    assert set(base.trials()["params.model/hidden_dims"]) == {"4"}
    assert same(found.trials()["params.optimizer/lr"], base.trials()["params.optimizer/lr"])


@case("trials", trials=10)
def _(base: Outcome, found: Outcome) -> None:
    assert len(base.trials()) == 8
    assert found.trials()["number"].tolist() == list(range(10))
    for column in ("params.optimizer/lr", "val_loss", "stop_reason"):
        assert same(found.trials()[column].head(8), base.trials()[column])


@case("epochs", epochs=5)
def _(base: Outcome, found: Outcome) -> None:
    check_rungs(found, "sharpe", [1, 4, 5], 4)
    assert (base.json["epochs"], found.json["epochs"]) == (3, 5)
    assert set(found.trials()["params.train/epochs"]) == {5}


@case("steps_per_epoch", steps_per_epoch=0)
def _(base: Outcome, found: Outcome) -> None:
    """One pass over the training rows, in batches of 32."""
    whole = found.json["data"]["train_rows"] // 32
    assert whole > STEPS
    for outcome, steps in ((base, STEPS), (found, whole)):
        epochs = outcome.table("epochs")
        assert (epochs["steps"] == steps * epochs["epoch"]).all()


@case("seed", seed=1)
def _(base: Outcome, found: Outcome) -> None:
    assert found.json["seeds"] == {"search": 1, "finalists": 1}
    for column in ("seed", "params.optimizer/lr", "params.model/dropout", "val_loss"):
        assert not set(found.trials()[column]) & set(base.trials()[column])


@case("name", name="a name of its own")
def _(base: Outcome, found: Outcome) -> None:
    assert found.run == base.run.parent / "a name of its own"
    assert found.json["name"] == "a name of its own"


@case("runs_dir", runs_dir="elsewhere/deep")
def _(base: Outcome, found: Outcome) -> None:
    assert found.run == base.run.parents[1] / "elsewhere" / "deep" / "runs_dir"
    assert (found.run / "trials.parquet").exists()


@case("resume", name="base", resume="true")
def _(base: Outcome, found: Outcome) -> None:
    assert found.run == base.run
    assert "Run 'base' has ended: 8 configurations" in found.said
    assert len(found.trials()) == 8


@case("time_budget_s", time_budget_s=1e-6)
def _(base: Outcome, found: Outcome) -> None:
    assert set(found.trials()["stop_reason"]) <= {"time_budget"}
    assert "time_budget" not in set(base.trials()["stop_reason"])
    assert found.json["best"] is None if "best" in found.json else True


@case("objective", objective="val_loss")
def _(base: Outcome, found: Outcome) -> None:
    check_rungs(found, "val_loss", [1, 3], 4)


@case("sampler", sampler="qmc")
def _(base: Outcome, found: Outcome) -> None:
    """Of eight points of the sequence each eighth of a range has one."""
    low, high = 0.1, 0.3
    eighths = (8 * (found.trials()["params.model/dropout"] - low) / (high - low)).astype(int)
    assert sorted(eighths) == list(range(8))
    assert found.json["settings"]["sampler"] == "qmc"


@case("pruning", pruning="loss")
def _(base: Outcome, found: Outcome) -> None:
    check_rungs(found, "val_loss", [1, 3], 4)


@case("rungs", rungs="2")
def _(base: Outcome, found: Outcome) -> None:
    check_rungs(found, "sharpe", [2, 3], 4)


@case("reduction_factor", reduction_factor=2)
def _(base: Outcome, found: Outcome) -> None:
    check_rungs(found, "sharpe", [1, 2, 3], 2)


@case("finalist_seeds", finalist_seeds=3)
def _(base: Outcome, found: Outcome) -> None:
    assert base.trials("seed").empty
    ended = found.trials()[found.trials()["state"] == "COMPLETE"]["number"]
    seeds = found.trials("seed")
    assert set(seeds["parent"]) <= set(ended)
    assert seeds["parent"].value_counts().max() == 2, "of the one that leads"
    assert found.json["seeds"]["finalists"] == 3


@case("try_default", try_default="true")
def _(base: Outcome, found: Outcome) -> None:
    """The middle of a range from 0.1 to 0.3, and of a log range from 1e-3 to 1e-2."""
    columns = ["params.model/dropout", "params.optimizer/lr"]
    tried, usual = found.trials()[columns], base.trials()[columns]
    assert tried.loc[0].to_list() == pytest.approx([0.2, 10**-2.5])
    assert tried.loc[1:].equals(usual.loc[1:]), "random as before, while TPE has not begun"
    assert (base.json["default"], found.json["default"]) == (None, 0)


@case("report", report="true")
def _(base: Outcome, found: Outcome) -> None:
    assert not (base.run / "report.html").exists()
    assert (found.run / "report.html").exists()


@case("regret", regret=1)
def _(base: Outcome, found: Outcome) -> None:
    assert base.trials("regret").empty
    stopped = found.trials()[found.trials()["stop_reason"] == "asha_rung"]["number"]
    assert sorted(found.trials("regret")["parent"]) == sorted(stopped)
    assert set(found.trials("regret")["epochs"]) == {3}
    for column in ("params.optimizer/lr", "stop_reason", "val_loss"):
        assert same(found.trials()[column], base.trials()[column])


@case("tries.prior", tries__prior=500)
def _(base: Outcome, found: Outcome) -> None:
    assert found.json["luck_line"] == pytest.approx(luck_line(508, 35, 252))
    assert found.json["settings"]["tries"] == {"prior": 500}
    assert "508 useless" in found.said  # in the plan
    assert found.said.count("508") >= 3  # and meanwhile
    assert "the best of 508 tries" in " ".join(found.said.split())


@case("enqueue", enqueue="hand.json")
def _(base: Outcome, found: Outcome) -> None:
    first = found.trials().iloc[0]
    assert (first["kind"], first["params.optimizer/lr"]) == ("enqueued", 0.00321)
    assert found.trials()["kind"].tolist() == ["enqueued", *["search"] * 7]


@case("fix", **{"fix.optimizer/lr": 0.00123})
def _(base: Outcome, found: Outcome) -> None:
    assert set(found.trials()["params.optimizer/lr"]) == {0.00123}
    assert len(set(base.trials()["params.optimizer/lr"])) == 8
    assert len(set(found.trials()["params.model/dropout"])) == 8


def interleaved(found: Outcome) -> bool:
    """Whether a trial began to report before the one asked before it had ended."""
    arrived = found.table("epochs").groupby("number")["batch"]
    first, last = arrived.min(), arrived.max()
    return bool((first.iloc[1:].to_numpy() < last.iloc[:-1].to_numpy()).any())


@case("max_concurrent", max_concurrent=None, epochs=8)
def _(base: Outcome, found: Outcome) -> None:
    """Two workers on the two cores that there are."""
    assert not interleaved(base)
    assert interleaved(found)


@case("deterministic", deterministic="true", cohort="auto")
def _(base: Outcome, found: Outcome) -> None:
    """All that are in flight train one epoch, then all of it is judged at once."""
    assert (base.json["repeats"]["exactly"], found.json["repeats"]["exactly"]) == (False, True)
    batches = found.table("epochs").groupby("batch")
    assert (batches["epoch"].nunique() == 1).all(), "none has more than one epoch of a trial"
    assert batches["number"].nunique().iloc[0] == 8


@case("cpus_per_trial", max_concurrent=None, epochs=8, cpus_per_trial=2)
def _(base: Outcome, found: Outcome) -> None:
    """One worker of both cores."""
    assert not interleaved(found)


@case("cohort", cohort=3, epochs=8)
def _(base: Outcome, found: Outcome) -> None:
    """Up to three trials report at once, of a worker."""
    assert base.table("epochs").groupby("batch")["number"].nunique().max() == 1
    assert found.table("epochs").groupby("batch")["number"].nunique().max() in (2, 3)


@case("gpus_per_trial", gpus_per_trial=0)
def _(base: Outcome, found: Outcome) -> None:
    assert found.json["settings"]["gpus_per_trial"] == 0
    assert found.json["device"] == "cpu"


@case("patience_s", patience_s=77)
def _(base: Outcome, found: Outcome) -> None:
    assert found.json["settings"]["patience_s"] == 77


@case("checkpoint_steps", checkpoint_steps=8, steps_per_epoch=20)
def _(base: Outcome, found: Outcome) -> None:
    """Amid an epoch, too, and not only after rungs."""

    def steps(outcome: Outcome) -> set[str]:
        files = outcome.run.glob("trials/*/checkpoint-*")
        return {file.stem.split("-")[2] for file in files}

    assert steps(base) == {"000000000"}
    assert {"000000008", "000000016"} <= steps(found)


@case("storage", storage="sqlite:///study.db")
def _(base: Outcome, found: Outcome) -> None:
    assert (base.run / "study.log").exists()
    assert not (found.run / "study.log").exists()
    assert (found.run.parents[1] / "study.db").stat().st_size > 0


@case("storage_path", storage_path="store")
def _(base: Outcome, found: Outcome) -> None:
    kept = {path.parent.name for path in base.run.glob("trials/*/model.safetensors")}
    store = found.run.parents[1] / "store" / "storage_path"
    assert {path.parent.name for path in store.glob("trials/*/model.safetensors")} == kept
    assert not list(found.run.glob("trials/*/model.safetensors"))


@case("dry_run", dry_run="true", max_concurrent=1)
def _(base: Outcome, found: Outcome) -> None:
    assert not found.run.exists()
    assert re.search(r"(?s)Expected: .* on 1\s+worker\.", found.said)
    assert "Expected" not in base.said


# The data


@case("data.source", data__path=None, data__source="synthetic", data__synthetic__bars=300,
      data__synthetic__symbols=5, trials=1)  # fmt: skip
def _(base: Outcome, found: Outcome) -> None:
    assert (base.json["data"]["name"], found.json["data"]["name"]) == ("bars.csv", "synthetic")
    assert len(found.json["data"]["symbols"]) == 5


@case("data.path", data__path="other.csv")
def _(base: Outcome, found: Outcome) -> None:
    assert found.json["data"]["name"] == "other.csv"
    assert found.json["data"]["sha256"] != base.json["data"]["sha256"]
    earns(found, forward(frame=tiny.bars(seed=3)))


@case("data.horizon", data__horizon=3)
def _(base: Outcome, found: Outcome) -> None:
    assert found.json["data"]["horizon"] == 3
    earns(found, forward(), horizon=3)
    fewer = found.json["data"]["valid_rows"], found.json["data"]["train_rows"]
    assert fewer == tuple(base.json["data"][k] - 2 * 6 for k in ("valid_rows", "train_rows"))


@case("data.lag", data__lag=2)
def _(base: Outcome, found: Outcome) -> None:
    assert (base.json["data"]["lag"], found.json["data"]["lag"]) == (0, 2)
    earns(found, forward(lag=2))
    assert found.json["data"]["valid_rows"] == base.json["data"]["valid_rows"] - 2 * 6


READY = {"data__path": "ready.csv", "data__features": "feat_*", "data__target": "label"}


def ready_grid(column: str) -> pd.DataFrame:
    return tiny.wide(tiny.ready(), column)


@case("data.features", **(READY | {"data__features": "feat_a", "fix__model/norm": "false"}))
def _(base: Outcome, found: Outcome) -> None:
    assert found.json["data"]["features"] == {"ready": ["feat_a"]}


@case("data.target", **READY)
def _(base: Outcome, found: Outcome) -> None:
    assert found.json["data"]["features"] == {"ready": ["feat_a", "feat_b"]}
    earns(found, ready_grid("label"))


@case("data.returns", **READY, data__returns="next")
def _(base: Outcome, found: Outcome) -> None:
    earns(found, ready_grid("next"))


@case("data.cost_bps", data__cost_bps=25)
def _(base: Outcome, found: Outcome) -> None:
    assert found.json["data"]["cost_bps"] == 25
    earns(found, forward(), cost_bps=25)
    with pytest.raises(AssertionError):
        earns(found, forward(), cost_bps=1)


@case("data.periods_per_year", data__periods_per_year=365)
def _(base: Outcome, found: Outcome) -> None:
    for outcome, year in ((base, 252), (found, 365)):
        assert outcome.json["data"]["periods_per_year"] == year
        net = tiny.returns_of(outcome.run, outcome.finalist())
        sharpe = outcome.trials().loc[outcome.finalist(), "sharpe"]
        assert sharpe == pytest.approx(net.mean() / net.std() * np.sqrt(year))


@case("data.symbols", data__symbols="AA,CC,DD,EE,FF")
def _(base: Outcome, found: Outcome) -> None:
    names = ["AA", "CC", "DD", "EE", "FF"]
    assert found.json["data"]["symbols"] == names
    assert list(tiny.predictions_of(found.run, found.finalist()).columns) == names
    earns(found, forward().loc[:, names])


@case("data.holdout_symbols", data__holdout_symbols=0.1)
def _(base: Outcome, found: Outcome) -> None:
    """By a hash of the name alone."""
    digest = {n: int.from_bytes(hashlib.sha256(n.encode()).digest()[:8]) for n in tiny.SYMBOLS}
    held = [name for name, number in digest.items() if number < 0.1 * 2**64]
    assert held
    wanted = [name for name in tiny.SYMBOLS if name not in held]
    assert found.json["data"]["symbols"] == wanted
    assert list(tiny.predictions_of(found.run, found.finalist()).columns) == wanted


@case("data.fraction", data__fraction=0.9)
def _(base: Outcome, found: Outcome) -> None:
    assert base.json["split"]["train"][0] == f"{days()[0]:%Y-%m-%dT%H:%M:%S}"
    assert found.json["split"]["train"][0] == f"{days()[24]:%Y-%m-%dT%H:%M:%S}"
    assert found.json["split"]["test"][1] == f"{days()[-1]:%Y-%m-%dT%H:%M:%S}"


def check_moved(base: Outcome, found: Outcome, part: str, before: str, first: int) -> None:
    """One part begins at another day, the one before it ends there, the others stay."""
    split = {**base.json["split"]}
    split[part] = [f"{days()[first]:%Y-%m-%dT%H:%M:%S}", split[part][1]]
    split[before] = [split[before][0], f"{days()[first - 1]:%Y-%m-%dT%H:%M:%S}"]
    assert found.json["split"] == split
    assert base.json["split"] != split


@case("data.valid_from", data__valid_from=f"{days()[138]:%Y-%m-%d}")
def _(base: Outcome, found: Outcome) -> None:
    check_moved(base, found, "valid", "train", 138)
    scored = tiny.predictions_of(found.run, found.finalist()).index
    assert (scored[0], scored[-1]) == (days()[138], days()[178])


@case("data.gate_from", data__gate_from=f"{days()[188]:%Y-%m-%d}")
def _(base: Outcome, found: Outcome) -> None:
    check_moved(base, found, "gate", "valid", 188)
    assert tiny.predictions_of(found.run, found.finalist()).index[-1] == days()[186]


@case("data.test_from", data__test_from=f"{days()[210]:%Y-%m-%d}")
def _(base: Outcome, found: Outcome) -> None:
    check_moved(base, found, "test", "gate", 210)


# What is only seen by a worker, or by several of it


def test_what_a_worker_is_given(folder: Path, tmp_path: Path) -> None:
    less = {"trials": 1, "runs_dir": tmp_path}
    other = {"patience_s": 77, "checkpoint_steps": 9, "cpus_per_trial": 2, "rungs": "2"}
    as_it_is = tiny.workers_of(folder, BASE | less | {"name": "usual"})
    changed = tiny.workers_of(folder, BASE | less | {"name": "other"} | other)
    wanted = {
        "patience_s": (600.0, 77.0), "save_every": (None, 9), "cpus": (1.0, 2.0),
        "gpus": (0.0, 0.0), "rungs": ((1, 3), (2, 3)),
    }  # fmt: skip
    assert {name: (getattr(as_it_is, name), getattr(changed, name)) for name in wanted} == wanted


def test_other_objectives_are_judged_by_too(folder: Path, tmp_path: Path) -> None:
    words = BASE | {"objective": "rank_ic", "runs_dir": tmp_path}
    check_rungs(Outcome(*tiny.search_and_listen(folder, words)), "rank_ic", [1, 3], 4)


SYNTHETIC = {"signal": 0.3, "symbols": 6, "bars": 320, "seed": 4, "bad_ticks": 3}


def test_the_generated_market_is_the_one_that_is_described(folder: Path, tmp_path: Path) -> None:
    """By the sum of its content, which each of these settings changes."""
    small = SyntheticSettings(**{**SYNTHETIC, "frequency": "day"})
    others = [
        replace(small, **{name: value})
        for name, value in {
            "signal": 0.2, "symbols": 7, "bars": 321, "seed": 5, "bad_ticks": 4,
            "frequency": "minute",
        }.items()
    ]  # fmt: skip
    assert {f.name for f in fields(SyntheticSettings)} == {*SYNTHETIC, "frequency"}
    sums = [
        load_market(DataSettings(source="synthetic", synthetic=each)).sha256
        for each in (small, *others)
    ]
    assert len(set(sums)) == 7
    words = {f"data.synthetic.{name}": value for name, value in SYNTHETIC.items()}
    rest = {key: text for key, text in BASE.items() if key != "data.path"}
    more = {"data": "synthetic", "trials": 1, "runs_dir": tmp_path}
    found = Outcome(*tiny.search_and_listen(folder, rest | words | more))
    assert found.json["data"]["sha256"] == sums[0]
    assert re.search(r"On\s+\d+\s+freshly\s+generated\s+bars", found.said)


WARM = '''"""So slow that it is flat from the start."""

EPOCHS = 25


def space(trial):
    trial.suggest_float("optimizer/lr", 1e-6, 2e-6)
    return {"model/hidden_dims": "4", "train/batch_size": 32, "schedule/name": "warmup",
            "schedule/warmup_steps": WARMUP, "train/patience": 0}
'''


@pytest.mark.parametrize(("warmup", "epoch"), [(0, 8), (31, 17)])
def test_nobody_is_flat_before_a_whole_window_after_the_warm_up(
    warmup: int, epoch: int, tmp_path: Path
) -> None:
    """Rungs by hand do not say when that is. A window of 5, ends of 3."""
    tiny.write_inputs(tmp_path, tiny.bars(480), WARM.replace("WARMUP", str(warmup)))
    # Each epoch is judged before the next is trained.
    words = BASE | {"trials": 1, "rungs": "1", "deterministic": True}
    found = Outcome(*tiny.search_and_listen(tmp_path, words))
    assert found.trials()["stop_reason"].isin(["flat_sharpe", "converged"]).all()
    assert found.trials()["stop_epoch"].tolist() == [epoch]
