"""Bad input as a person meets it: one line, exit status 2, nothing left behind, no Ray started."""

import errno
import os
import runpy
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import optuna
import pandas as pd
import pytest
import ray
from ray._private import services

from search.backend.local_ray import LocalRay

ROOT = Path(__file__).parents[2]
SEARCH, CHECK = "search/run.py", "trainable/data/check.py"
TRAIN, RANK = "trainable/train.py", "analysis/rank.py"
NEW = "space=quick_test steps_per_epoch=100 trials=2"  # 4 epochs; at most 200 steps of warm-up
MADE = "data=synthetic data.synthetic.bars=600 data.synthetic.symbols=3 name=r"
FILE = f"{NEW} name=r data.path=p.csv"
NO_HEADER = "2024-01-01,1.0,2.0,0.5,1.5,100\n2024-01-02,1.5,2.0,1.0,1.6,100\n"
Prepare = Callable[[], object]


def test_the_files_are_where_the_commands_find_them():
    assert all((ROOT / name).is_file() for name in (SEARCH, CHECK, TRAIN, RANK))


# Builders: what lies in the working folder before the command is typed. ---------------------------


def put(name: str, content: str | bytes) -> Prepare:
    def prepare() -> None:
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_bytes(content if isinstance(content, bytes) else content.encode())

    return prepare


def both(*prepares: Prepare) -> Prepare:
    return lambda: [prepare() for prepare in prepares]


def space(body: str, head: str = "EPOCHS = 2") -> Prepare:
    lines = "".join(f"    {line}\n" for line in body.splitlines())
    return put("mine.py", f"{head}\n\ndef space(trial):\n{lines}")


def bars(count: int = 400) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    parts = []
    for symbol in ("A", "B"):
        close = 50 * np.exp(np.cumsum(rng.normal(0, 0.01, count)))
        parts.append(
            pd.DataFrame(
                {
                    "timestamp": pd.bdate_range("2018-01-01", periods=count).astype(str),
                    "symbol": symbol,
                    "high": close * 1.01,
                    "low": close * 0.99,
                    "close": close,
                    "volume": rng.integers(1000, 9000, count),
                }
            )
        )
    return pd.concat(parts, ignore_index=True)


def table(
    change: Callable[[pd.DataFrame], pd.DataFrame] | None = None, count: int = 400
) -> Prepare:
    def prepare() -> None:
        frame = bars(count)
        (frame if change is None else change(frame)).to_csv("p.csv", index=False)

    return prepare


def cell(column: str, value: object, row: int = 7) -> Prepare:
    def change(frame: pd.DataFrame) -> pd.DataFrame:
        frame[column] = frame[column].astype(object)
        frame.loc[row, column] = value
        return frame

    return table(change)


def parquet(damage: Callable[[bytes], bytes]) -> Prepare:
    def prepare() -> None:
        bars().to_parquet("p.parquet")
        Path("p.parquet").write_bytes(damage(Path("p.parquet").read_bytes()))

    return prepare


def cut_csv() -> None:
    table()()
    Path("p.csv").write_bytes(Path("p.csv").read_bytes()[:-37])


def zoned(*zones: str) -> Prepare:
    def change(frame: pd.DataFrame) -> pd.DataFrame:
        marks = [zones[i % len(zones)] for i in range(len(frame))]
        return frame.assign(timestamp=frame["timestamp"] + " 00:00:00" + pd.Series(marks))

    return table(change)


def leaking(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.assign(hint=frame.groupby("symbol")["close"].shift(-1) / frame["close"] - 1)


def ready(frame: pd.DataFrame) -> pd.DataFrame:
    y = np.random.default_rng(1).normal(0, 0.01, len(frame))
    noise = np.random.default_rng(2).normal(size=len(frame))
    return frame[["timestamp", "symbol"]].assign(y=y, feat_a=y, feat_b=noise, feat_c=1.0)


# The cases: what is typed, what the line says, what lies there. -----------------------------------


@dataclass(frozen=True)
class Case:
    words: str | Sequence[str]
    says: Sequence[str]
    prepare: Prepare | None = None
    command: str = SEARCH

    @property
    def argv(self) -> list[str]:
        return self.words.split() if isinstance(self.words, str) else list(self.words)


LR = "trial.suggest_float('optimizer/lr', 1e-4, 1e-3)\n"
HAND = '[{"optimizer/lr": 1e-3}, {"optimizer/lr": 1.0}]'
CASES = {
    # the command line
    "unknown space": Case("space=conservativ", ["'conservativ'; did you mean 'conservative'?"]),
    "unknown key": Case("trails=3", ["unknown key 'trails'; did you mean 'trials'?"]),
    "unknown data key": Case("data.horizn=3", ["did you mean 'data.horizon'?"]),
    "wrong type": Case("trials=many", ["trials=many: expected a whole number"]),
    "plus": Case("+trials=3", ["no + needed; write trials=3"]),
    "dashes": Case("--trials=3", ["no -- needed; write trials=3"]),
    "no equals": Case("conservative", ["expected key=value"]),
    "trials=0": Case("trials=0", ["trials=0 must be at least 1; trials=64 works"]),
    "too many trials": Case("trials=99999999999", ["must be at most 1000000"]),
    "negative epochs": Case("epochs=-1", ["epochs=-1 must be at least 1"]),
    "horizon=0": Case("data.horizon=0", ["data.horizon=0 must be at least 1"]),
    "huge seed": Case("seed=99999999999", ["seed=99999999999 must be at least 0, at most"]),
    "name with a slash": Case("name=a/b", ["name='a/b' must be one folder name"]),
    "empty name": Case("name=", ["name= is empty"]),
    "empty runs_dir": Case("runs_dir=", ["runs_dir= is empty"]),
    "empty address": Case("address=", ["address= is empty; write auto or HOST:PORT"]),
    "two sources": Case("data=us20 data.path=p.csv", ["name two sources: keep one"], table()),
    "unknown source": Case(f"{NEW} data=us30", ["unknown data source 'us30'; did you mean 'us20'"]),
    "a file as source": Case(f"{NEW} data=p.csv", ["a file is data.path=p.csv"], table()),
    "rungs too late": Case(f"{NEW} {MADE} rungs=1,2,9", ["rungs=1,2,9", "epochs=4"]),
    "more cores than there are": Case("cpus_per_trial=9999", ["this machine has", "CPU cores"]),
    "more GPUs than there are": Case("gpus_per_trial=99", ["this machine has", "GPUs"]),
    # the space
    "a space that raises": Case(
        "space=mine.py", ["mine.py:4: ZeroDivisionError: division by zero"], space("return 1 / 0")
    ),
    "a space that raises without words": Case(
        "space=mine.py", ["mine.py:4: AssertionError"], space("assert False")
    ),
    "a space that raises in several lines": Case(
        "space=mine.py", ["mine.py:4: ValueError: a b"], space("raise ValueError('a\\nb')")
    ),
    "a space that cannot be imported": Case(
        "space=mine.py", ["mine.py:1: ModuleNotFoundError"], put("mine.py", "import nothing_such\n")
    ),
    "no space in the file": Case(
        "space=mine.py", ["has no function space(trial)"], put("mine.py", "EPOCHS = 3\n")
    ),
    "no EPOCHS in the file": Case("space=mine.py", ["has no EPOCHS"], space("return {}", "")),
    "a space without return": Case("space=mine.py", ["returned None", "dict"], space("pass")),
    "no such space file": Case("space=nope.py", ["space=nope.py: there is no such file"]),
    "an unknown parameter": Case(
        "space=mine.py",
        ["mine.py: unknown parameter 'optimizer/lrr'; did you mean 'optimizer/lr'?"],
        space("return {'optimizer/lrr': 1e-3}"),
    ),
    "a parameter of the wrong type": Case(
        "space=mine.py", ["optimizer/lr='fast': expected a number"],
        space("return {'optimizer/lr': 'fast'}"),
    ),
    "a range upside down": Case(
        "space=mine.py", ["mine.py:4: ValueError"],
        space("trial.suggest_float('optimizer/lr', 1e-2, 1e-3)\nreturn {}"),
    ),
    **{
        f"unknown {key}": Case(
            "space=mine.py", [f"mine.py: unknown {key} '{name}'", "Available:", known],
            space(f"return {{'{key}': '{name}'}}"),
        )
        for key, name, known in (
            ("model/name", "mlq", "did you mean 'mlp'"),
            ("loss/name", "hubr", "did you mean 'huber'"),
            ("optimizer/name", "adam2", "did you mean 'adamw'"),
            ("schedule/name", "cosine", "warmup_cosine"),
        )
    },
    "an unknown fixed name": Case(f"{NEW} fix.model/name=mlq", ["did you mean 'mlp'"]),
    # files
    "no such CSV": Case(FILE, ["p.csv: no such file"]),
    "no such Parquet": Case(f"{NEW} data.path=p.parquet", ["p.parquet: no such file"]),
    "a folder": Case(FILE, ["p.csv: not a file"], lambda: Path("p.csv").mkdir()),
    "another kind of file": Case(
        f"{NEW} data.path=p.xls", ["unknown kind of file"], put("p.xls", "x")
    ),
    "empty CSV": Case(FILE, ["p.csv: the file is empty"], put("p.csv", "")),
    "empty Parquet": Case(
        f"{NEW} data.path=p.parquet", ["p.parquet: the file is empty"], put("p.parquet", "")
    ),
    "only a header": Case(FILE, ["a header but no data rows"], put("p.csv", "timestamp,close\n")),
    "truncated CSV": Case(FILE, ["p.csv: data row 800: ", "(truncated file?)"], cut_csv),
    "truncated Parquet": Case(
        f"{NEW} data.path=p.parquet", ["p.parquet: damaged or truncated"],
        parquet(lambda content: content[:-37]),
    ),
    "overwritten Parquet": Case(
        f"{NEW} data.path=p.parquet", ["p.parquet: damaged column"],
        parquet(lambda content: content[:2000] + b"\0" * 400 + content[2400:]),
    ),
    # data
    "text among numbers": Case(
        FILE, ["p.csv: data row 8 (2018-01-10, A): 'abc' in column 'close' is not a number"],
        cell("close", "abc"),
    ),
    "text in the volume": Case(FILE, ["data row 8", "column 'volume'"], cell("volume", "abc")),
    "duplicate rows": Case(
        FILE, ["p.csv: data row 801 repeats data row 6: timestamp 2018-01-08, symbol A"],
        table(lambda frame: pd.concat([frame, frame.iloc[[5]]])),
    ),
    "negative price": Case(
        FILE, ["data row 8", "'close' is -1, must be positive"], cell("close", -1.0)
    ),
    "zero price": Case(FILE, ["data row 8", "'low' is 0, must be positive"], cell("low", 0)),
    "negative volume": Case(FILE, ["data row 8", "'volume' is -4"], cell("volume", -4)),
    "high below low": Case(FILE, ["data row 8", "'high' 1 is below 'low'"], cell("high", 1.0)),
    "infinite price": Case(FILE, ["data row 8", "'close' is infinite"], cell("close", "inf")),
    "zones and none": Case(FILE, ["data row 2", "mixed time zones"], zoned("+00:00", "")),
    "two zones": Case(FILE, ["data row 2", "mixed time zones"], zoned("+00:00", "+02:00")),
    "no date": Case(FILE, ["data row 8 (A): 'soon'", "is not a date"], cell("timestamp", "soon")),
    "no timestamps": Case(
        FILE, ["no timestamp column"], table(lambda frame: frame.drop(columns="timestamp"))
    ),
    "no close": Case(FILE, ["no 'close' column"], table(lambda frame: frame.drop(columns="close"))),
    "constant price": Case(
        FILE, ["column 'open' is constant (5 throughout)"],
        table(lambda frame: frame.assign(open=5.0)),
    ),
    "a slip in a column's name": Case(
        FILE, ["no column 'volume', but 'volumne'; rename it"],
        table(lambda frame: frame.rename(columns={"volume": "volumne"})),
    ),
    "no header": Case(FILE, ["no header: the first line holds data"], put("p.csv", NO_HEADER)),
    "a feature that is the target": Case(
        FILE, ["p.csv: feature 'hint' is the label itself"], table(leaking)
    ),
    "a ready feature that is the target": Case(
        [*FILE.split(), "data.features=feat_a,feat_b", "data.target=y"],
        ["feature 'feat_a' is the label itself"], table(ready),
    ),
    "a constant ready feature": Case(
        [*FILE.split(), "data.features=feat_c", "data.target=y"],
        ["all features are constant or empty: feat_c"], table(ready),
    ),
    "ready features without target": Case(
        f"{FILE} data.features=v*", ["data.features needs data.target"], table()
    ),
    "an unknown symbol": Case(f"{FILE} data.symbols=A,C", ["unknown symbol 'C'"], table()),
    # the split
    "too few rows": Case(FILE, ["training rows, at least 200 are needed"], table(count=60)),
    "two bars": Case(FILE, ["the data has 2 bars"], table(count=2)),
    "a batch larger than the rows of a file": Case(
        f"{FILE} fix.train/batch_size=5000", ["train/batch_size=5000 is more than"], table()
    ),
    "a window longer than the data": Case(
        f"{FILE} fix.data/window=500", ["0 training rows", "a window of 500"], table()
    ),
    "a horizon longer than the data": Case(
        f"{FILE} data.horizon=300", ["a label of 300 bars"], table()
    ),
    "a date outside": Case(
        f"{FILE} data.valid_from=2030-01-01", ["data.valid_from=2030-01-01 is outside"], table()
    ),
    "a date that is none": Case(f"{FILE} data.gate_from=soon", ["'soon' is no date"], table()),
    "a batch larger than the rows": Case(
        f"{NEW} {MADE} fix.train/batch_size=5000",
        ["train/batch_size=5000 is more than the", "fix.train/batch_size=32 works"],
    ),
    "a warm-up of more than half": Case(
        f"{NEW} {MADE} fix.schedule/warmup_steps=201",
        ["schedule/warmup_steps=201 is more than half of all 400 steps", "works"],
    ),
    # trials by hand
    "no such trials": Case(f"{NEW} {MADE} enqueue=e.json", ["enqueue=e.json: there is no such"]),
    "trials that are no JSON": Case(
        f"{NEW} {MADE} enqueue=e.json", ["enqueue=e.json:2: not JSON"], put("e.json", "[\n{")
    ),
    "trials that are no objects": Case(
        f"{NEW} {MADE} enqueue=e.json", ["expected a list of objects"], put("e.json", "[3]")
    ),
    "trials with unknown names": Case(
        f"{NEW} {MADE} enqueue=e.json", ["trial 1: unknown parameter", "did you mean"],
        put("e.json", '[{"optimizer/lrr": 1}]'),
    ),
    "trials outside of the space": Case(
        f"{NEW} {MADE} enqueue=e.json", ["enqueue=e.json: trial 2: optimizer/lr=1.0 is outside"],
        put("e.json", HAND),
    ),
    "trials outside of the space, dry": Case(
        f"{NEW} {MADE} enqueue=e.json dry_run=true", ["trial 2"], put("e.json", HAND)
    ),
    "more trials by hand than trials": Case(
        f"{NEW} {MADE} enqueue=e.json", ["has 3 trials, more than trials=2; trials=3 works"],
        put("e.json", "[{}, {}, {}]"),
    ),
    # the run folder
    "a second start": Case(
        f"{NEW} {MADE}", ["run 'r' exists; add resume=true"], put("runs/r/run.json", "{}")
    ),
    "resume without a name": Case("resume=true", ["write name=NAME"]),
    "resume of nothing": Case(f"{MADE} resume=true", ["no run 'r' to resume"]),
    "resume of a misspelt run": Case(
        f"{MADE} resume=true", ["did you mean 'rr'?"], put("runs/rr/run.json", "{}")
    ),
    "resume of a damaged run": Case(
        f"{NEW} {MADE} resume=true", ["runs/r/run.json is damaged"], put("runs/r/run.json", "{")
    ),
    "resume of half a record": Case(
        f"{NEW} {MADE} resume=true", ["runs/r/run.json is damaged: it lacks started"],
        put("runs/r/run.json", '{"arguments": []}'),
    ),
    "a file as runs_dir": Case(
        f"{NEW} {MADE} runs_dir=f", ["cannot write to f/r: f is no folder", "runs_dir=PATH"],
        put("f", "x"),
    ),
    "a runs_dir that cannot be made": Case(
        f"{NEW} {MADE} runs_dir=/proc/none", ["cannot write to /proc/none/r", "runs_dir=PATH"]
    ),
    # cluster and storage
    "nobody at the address": Case(
        f"{NEW} {MADE} address=127.0.0.1:1", ["127.0.0.1:1 does not answer", "leave address"]
    ),
    "a dashboard of another's": Case(
        f"{NEW} {MADE} address=10.0.0.5:6379 dashboard=false", ["dashboard=false", "leave one"]
    ),
    "no address": Case(f"{NEW} {MADE} address=nonsense", ["expected auto or HOST:PORT"]),
    "a port too high": Case(f"{NEW} {MADE} address=h:99999", ["expected auto or HOST:PORT"]),
    "a cluster and a database": Case(
        f"{NEW} {MADE} address=127.0.0.1:1 storage=sqlite:///new.db", ["does not answer"]
    ),
    "a database in no folder": Case(
        f"{NEW} {MADE} storage=sqlite:////nonexistent/x.db", ["there is no folder /nonexistent"]
    ),
    "a database that is none": Case(
        f"{NEW} {MADE} storage=sqlite:///f.db", ["storage=sqlite:///f.db: cannot be opened"],
        put("f.db", "this is no database at all" * 99),
    ),
    "a database that does not answer": Case(
        f"{NEW} {MADE} storage=postgresql://u@127.0.0.1:1/x",
        ["storage=postgresql://u@127.0.0.1:1/x: cannot be opened"],
    ),
    "a storage that is no URL": Case("storage=study.db", ["must be a URL", "sqlite:///study.db"]),
    # the other commands
    "check nothing": Case("", ["no file or source named"], command=CHECK),
    "check a missing file": Case("p.csv", ["p.csv: no such file"], command=CHECK),
    "check an unknown source": Case("us2", ["did you mean 'us20'"], command=CHECK),
    "check an unknown key": Case("p.csv data.horizn=1", ["data.horizon"], table(), CHECK),
    "check horizon=0": Case("p.csv data.horizon=0", ["data.horizon=0"], table(), CHECK),
    "check a bad cell": Case("p.csv", ["data row 8"], cell("close", "abc"), CHECK),
    "check a leak": Case("p.csv", ["'hint' is the label itself"], table(leaking), CHECK),
    "train nothing": Case("", ["name a configuration"], command=TRAIN),
    "train a missing file": Case("c.json", ["c.json does not exist"], command=TRAIN),
    "train no JSON": Case("c.json", ["c.json:1: not JSON"], put("c.json", "{"), TRAIN),
    "train a list": Case("c.json", ["expected an object"], put("c.json", "[]"), TRAIN),
    "train no parameters": Case(
        "c.json", ["params must be an object"], put("c.json", '{"params": 3}'), TRAIN
    ),
    "train an unknown name": Case(
        "c.json", ["did you mean 'mlp'"], put("c.json", '{"model/name": "mlq"}'), TRAIN
    ),
    "train on no device": Case(
        "c.json device=tpu", ["unknown device 'tpu'"], put("c.json", "{}"), TRAIN
    ),
    "train with no executor": Case(
        "c.json executor=duo", ["unknown executor 'duo'"], put("c.json", "{}"), TRAIN
    ),
    "train on two sources": Case(
        "c.json data=us20 data.path=p.csv", ["name two sources"], put("c.json", "{}"), TRAIN
    ),
    "train on a bad table": Case(
        "c.json data.path=p.csv", ["'low' is 0"], both(put("c.json", "{}"), cell("low", 0)), TRAIN
    ),
    "train a warm-up of more than half": Case(
        "c.json data.path=p.csv epochs=1",
        ["schedule/warmup_steps=500 is more than half", "; schedule/warmup_steps="],
        both(put("c.json", '{"schedule/warmup_steps": 500}'), table()), TRAIN,
    ),
    "rank nothing": Case("", ["no run folder named"], command=RANK),
    "rank a missing run": Case("runs/x", ["no run folder runs/x"], command=RANK),
    "rank what is no run": Case("runs/x", ["run.json is missing"], put("runs/x/a", ""), RANK),
    "rank a damaged run": Case("runs/x", ["cannot be read"], put("runs/x/run.json", "{"), RANK),
    "rank a run without tables": Case(
        "runs/x", ["trials.parquet is missing", "resume=true"], put("runs/x/run.json", "{}"), RANK
    ),
    "rank with an unknown key": Case("runs/x topp=3", ["did you mean 'top'"], command=RANK),
    "rank none": Case("runs/x top=0", ["top=0: expected at least 1"], command=RANK),
}  # fmt: skip


# Running a command as `python -m` does, in this process and in one of its own. --------------------


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder, with its own cache and temporary folder beside it."""
    for name in ("here", "tmp"):
        (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setenv("ASHARPE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    return tmp_path


@pytest.fixture
def no_ray(monkeypatch: pytest.MonkeyPatch) -> None:
    def started(*args: object, **kwargs: object) -> None:
        raise AssertionError("Ray was started")

    monkeypatch.setattr(ray, "init", started)
    monkeypatch.setattr(LocalRay, "start", lambda self: None)  # early, and ended again: test_head


def run(command: str, argv: Sequence[str], monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(sys, "argv", [command, *argv])
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(ROOT / command), run_name="__main__")
    assert isinstance(ended.value.code, int)
    return ended.value.code


def content(folder: Path) -> dict[str, bytes | None]:
    """Everything in a folder; the cache's own folder may stay."""
    files = {path.relative_to(folder): path for path in folder.rglob("*")}
    files.pop(Path("cache"), None)
    return {str(key): p.read_bytes() if p.is_file() else None for key, p in files.items()}


def assert_one_line(shown: str, says: Sequence[str]) -> None:
    assert shown.startswith("error: "), shown
    assert shown.count("\n") == 1, shown
    for part in says:
        assert part in shown
    assert "hunter2" not in shown


@pytest.mark.usefixtures("no_ray")
@pytest.mark.parametrize("name", CASES)
def test_one_line_status_2_and_nothing_left(name, here, monkeypatch, capsys):
    case = CASES[name]
    if case.prepare is not None:
        case.prepare()
    before = content(here)
    assert run(case.command, case.argv, monkeypatch) == 2
    shown = capsys.readouterr()
    assert_one_line(shown.err, case.says)
    assert "hunter2" not in shown.out
    assert content(here) == before


@pytest.mark.usefixtures("no_ray")
def test_a_full_disk_is_found_before_the_start(here, monkeypatch, capsys):
    def full(path: Path, data: bytes) -> None:
        path.write_bytes(data[:1000])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("search.run_folder.folder.write_bytes", full)
    assert run(SEARCH, f"{NEW} {MADE}".split(), monkeypatch) == 2
    assert_one_line(capsys.readouterr().err, ["No space left on device; free some space there"])
    assert content(here) == {"here": None, "tmp": None}


def test_no_cluster_to_find(here, monkeypatch, capsys):
    def none(*args: object, **kwargs: object) -> None:
        raise ConnectionError("Could not find any running Ray instance.\nStart one.")

    monkeypatch.setattr(services, "canonicalize_bootstrap_address_or_die", none)
    words = f"{NEW} {MADE} address=auto storage=sqlite:///new.db"
    assert run(SEARCH, words.split(), monkeypatch) == 2
    assert_one_line(capsys.readouterr().err, ["address=auto: no Ray cluster", "ray start --head"])
    assert content(here) == {"here": None, "tmp": None}


def test_a_database_that_was_there_keeps_what_it_holds(monkeypatch, capsys):
    optuna.create_study(storage="sqlite:///old.db", study_name="other")
    words = f"{NEW} {MADE} address=127.0.0.1:1 storage=sqlite:///old.db"
    assert run(SEARCH, words.split(), monkeypatch) == 2
    assert_one_line(capsys.readouterr().err, ["does not answer"])
    assert optuna.get_all_study_names("sqlite:///old.db") == ["other"]


@pytest.mark.usefixtures("no_ray")
def test_commas_equals_signs_questions_and_parentheses_work(here, monkeypatch, capsys):
    name = "a (1), b=c?"
    space(f"{LR}return {{}}")()
    Path("mine.py").rename(f"{name}.py")
    table()()
    Path("p.csv").rename(f"{name}.csv")
    words = [f"space={name}.py", f"data.path={name}.csv", "name=1.10", "runs_dir=my, (r)=?"]
    assert run(SEARCH, [*words, "dry_run=true"], monkeypatch) == 0
    shown = capsys.readouterr()
    assert shown.err == ""
    for part in ("my, (r)=?/1.10", f"{name}: 1 parameter, ", f"{name}.csv: 2 symbols"):
        assert part in shown.out
    assert sorted(path.name for path in (here / "here").iterdir()) == [f"{name}.csv", f"{name}.py"]
    assert len(list((here / "cache").iterdir())) == 1  # what can be used is kept


def test_a_defect_of_ours_keeps_its_traceback(here, monkeypatch):
    def broken(*args: object, **options: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("search.planning.plan.make_plan", broken)
    with pytest.raises(ZeroDivisionError):
        run(SEARCH, ["space=quick_test"], monkeypatch)
    assert content(here) == {"here": None, "tmp": None}


def test_true_commands(here):
    """As typed in a shell: nothing that imports print or warn about may join our line."""
    cell("close", -1.0)()
    before = content(here)
    typed = {
        f"search.run {NEW} {MADE} address=127.0.0.1:1": ["does not answer"],
        "trainable.data.check p.csv": ["'close' is -1"],
        "analysis.rank runs/x": ["no run folder runs/x"],
    }
    started = {
        words: subprocess.Popen(
            [sys.executable, "-m", *words.split()],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for words in typed
    }
    for words, says in typed.items():
        _, err = started[words].communicate(timeout=120)
        assert started[words].returncode == 2, err
        assert_one_line(err, says)
    assert content(here) == before
