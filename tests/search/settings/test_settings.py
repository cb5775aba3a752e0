from dataclasses import asdict, replace
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest

from search.settings import masking
from search.settings.checks import check, default_name
from search.settings.help import help_for_search
from search.settings.reading import settings_from, settings_of
from search.settings.settings import SearchSettings, masked
from trainable.cli.errors import UserError
from trainable.data.settings import SyntheticSettings

NOW = datetime(2026, 11, 20, 10, 15, 0)


def test_defaults_are_the_default_search():
    settings = settings_from([])
    assert (settings.space, settings.data.source, settings.trials) == ("conservative", "us20", 64)
    assert settings.name is None  # chosen as the run folder is made
    assert settings.cohort_size is None


def test_every_key_of_the_contract_is_there():
    keys = set(asdict(SearchSettings())) | {f"data.{k}" for k in asdict(SearchSettings())["data"]}
    assert keys >= {
        "space", "data", "trials", "epochs", "steps_per_epoch", "seed", "name", "runs_dir",
        "resume", "time_budget_s", "objective", "rungs", "reduction_factor", "finalist_seeds",
        "enqueue", "fix", "max_concurrent", "cohort", "cpus_per_trial", "gpus_per_trial",
        "address", "storage", "storage_path", "dry_run", "data.path", "data.horizon", "data.lag",
        "data.returns", "data.features", "data.target", "data.cost_bps", "data.periods_per_year",
        "data.symbols", "data.holdout_symbols", "data.fraction", "data.valid_from",
        "data.gate_from", "data.test_from", "tries",
    }  # fmt: skip


def test_a_full_command_line():
    settings = settings_from(
        [
            "space=medium", "data=synthetic", "data.synthetic.signal=0.15", "trials=16",
            "rungs=1,4,10", "fix.optimizer/lr=1e-4", "fix.model/hidden_dims=64-32", "name=1.10",
            "cohort=32", "dry_run=true", "storage=postgresql://u:p@h/db?sslmode=require",
            "data.symbols=AAPL,MSFT", "time_budget_s=90",
        ],
    )  # fmt: skip
    assert settings.data.source == "synthetic"
    assert settings.data.symbols == ("AAPL", "MSFT")
    assert settings.rungs == (1, 4, 10)
    assert settings.fix == {"optimizer/lr": "1e-4", "model/hidden_dims": "64-32"}
    assert settings.run_name == "1.10"
    assert settings.cohort_size == 32
    assert settings.storage == "postgresql://u:p@h/db?sslmode=require"


def test_values_from_python_are_those_of_a_command_line():
    said = settings_from(
        ["trials=16", "rungs=1,4", "data.symbols=A,B", "data.horizon=5", "cohort=32", "space=s.py",
         "fix.model/hidden_dims=64-32", "dashboard=false", "time_budget_s=90", "data.path=p.csv",
         "data.synthetic.bars=400", "fix.model/x=true", "cpus_per_trial=2"],
    )  # fmt: skip
    values = {
        "trials": 16, "rungs": [1, 4], "data.symbols": ("A", "B"), "data.horizon": np.int64(5),
        "cohort": 32, "space": Path("s.py"), "fix": {"model/hidden_dims": "64-32", "model/x": True},
        "dashboard": False, "time_budget_s": 90, "data.path": Path("p.csv"), "epochs": None,
        "data.synthetic": {"bars": 400}, "cpus_per_trial": np.float64(2.0),
    }  # fmt: skip
    assert settings_of(values) == said
    texts = {"trials": "16", "rungs": "1,4", "data.symbols": "A,B", "dashboard": "false"}
    of_class = {"data.synthetic": SyntheticSettings(bars=400)}
    assert settings_of({**values, **texts, **of_class}) == said


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"trials": 3.5}, "trials=3.5: expected a whole number"),
        ({"trials": True}, "trials=True: expected a whole number"),
        ({"trials": [3]}, r"trials=\[3\]: expected a whole number"),
        ({"trials": "ten"}, "trials=ten: expected a whole number"),
        ({"dashboard": 1}, "dashboard=1: expected true or false"),
        ({"rungs": 3}, "rungs=3: expected a whole number, several joined by commas"),
        ({"rungs": [1, 2.5]}, "rungs=2.5: expected a whole number"),
        ({"time_budget_s": float("nan")}, "time_budget_s=nan: expected a finite number"),
        ({"fix": "optimizer/lr"}, "fix='optimizer/lr': expected a dict"),
        ({"trails": 3}, "trails.*trials"),
        ({"data.synthetic": {"bar": 3}}, "data.synthetic.bar.*bars"),
        ({"data.synthetic": 3}, "data.synthetic is a group of keys"),
        ({"name": ""}, "name= is empty"),
        ({"data.source": "us20", "data.path": "p.csv"}, "name two sources"),
    ],
)
def test_a_value_from_python_of_the_wrong_type_is_named(values, message):
    with pytest.raises(UserError, match=message):
        settings_of(values)


@pytest.mark.parametrize("name", ["a,b", "x=1", "what?", "run (2)", "ünï", "${oc.env:HOME}"])
def test_odd_but_good_names_work(name):
    assert settings_from([f"name={name}"]).run_name == name


def test_data_path_alone_is_a_file():
    assert settings_from(["data.path=my,file=1.csv"]).data.path == "my,file=1.csv"


@pytest.mark.parametrize(
    ("tokens", "message"),
    [
        (["trials=0"], "trials=0 must be at least 1; trials=64 works"),
        (["trials=ten"], "trials=ten: expected a whole number"),
        (["epochs=-3"], "epochs=-3 must be at least 1"),
        (["epochs=0"], "epochs=0 must be at least 1"),
        (["steps_per_epoch=-1"], "steps_per_epoch=-1 must be at least 0"),
        (["reduction_factor=1"], "reduction_factor=1 must be at least 2"),
        (["finalist_seeds=0"], "finalist_seeds=0 must be at least 1"),
        (["regret=-0.1"], "regret=-0.1 must be at least 0, at most 1; regret=0.05 works"),
        (["tries.prior=-1"], "tries.prior=-1 must be at least 0, at most 1,000,000,000"),
        (["tries.prior=2000000000"], "tries.prior=2000000000 must be at least 0"),
        (["tries.prior=2.5"], "tries.prior=2.5: expected a whole number"),
        (["tries=3"], "tries is a group of keys: write one of tries.prior"),
        (["placebo=-1"], "placebo=-1 must be at least 0; placebo=19 works"),
        (["placebo=1000"], "placebo=1000 must be at most 999; placebo=19 works"),
        (["regret=5"], "regret=5.0 must be at least 0, at most 1; regret=0.05 works"),
        (["time_budget_s=0"], "time_budget_s=0.0 must be above 0"),
        (["max_concurrent=0"], "max_concurrent=0 must be at least 1"),
        (["cpus_per_trial=-1"], "cpus_per_trial=-1.0 must be at least 0"),
        (["gpus_per_trial=-1"], "gpus_per_trial=-1.0 must be at least 0"),
        (["objective=sharp"], "did you mean 'sharpe'? Available: rank_ic, sharpe, val_loss"),
        (["cohort=0"], "cohort=0 must be auto or a number above 0"),
        (["cohort=many"], "cohort=many must be auto or a number above 0"),
        (["rungs=4,1"], "rungs=4,1 must be rising epochs"),
        (["rungs=0,1"], "rungs=0,1 must be rising epochs"),
        (["rungs=1,4,100", "epochs=50"], "rungs=1,4,100 go past epochs=50"),
        (["resume=true"], "resume=true needs the run to go on with; write name=NAME"),
        (["name=a/b"], "name='a/b' must be one folder name"),
        (["name=.."], "must be one folder name"),
        (["name=" + "x" * 200], "must be one folder name"),
        (["name=a\nb"], "must be one folder name"),
        (["data.horizon=0"], "data.horizon=0 must be at least 1; data.horizon=1 works"),
        (["data.lag=-1"], "data.lag=-1 must be at least 0"),
        (["data.cost_bps=-1"], "data.cost_bps=-1.0 must be at least 0"),
        (["data.cost_bps=inf"], "data.cost_bps=inf: expected a finite number"),
        (["data.fraction=0"], "data.fraction=0.0 must be above 0 and at most 1"),
        (["data.fraction=1.5"], "data.fraction=1.5 must be above 0 and at most 1"),
        (["data.holdout_symbols=1"], "data.holdout_symbols=1.0 must be at least 0 and below 1"),
        (["data.periods_per_year=0"], "data.periods_per_year=0.0 must be above 0"),
        (["data.synthetic.signal=1"], "data.synthetic.signal=1.0 must be at least 0 and below 1"),
        (["data=us20", "data.path=x.csv"], "data= and data.path= name two sources"),
        (["data.source=us20", "data.path=x.csv"], "name two sources"),
        (["data=us20", "data.source=sp500"], "are the same key"),
        (["data=us20", "data=us20"], "data.source is given twice"),
        (["data=prices.csv"], "a file is data.path=prices.csv"),
        (["data.path="], "data.path= is empty; write the path"),
        (["fix.train/epochs=3"], "fix.train/epochs is set by the search; write epochs=3"),
        (["trails=3"], "did you mean 'trials'"),
        (["+trials=3"], "no + needed; write trials=3"),
    ],
)
def test_bad_input_names_the_key_the_value_and_what_would_work(tokens, message):
    with pytest.raises(UserError) as raised:
        settings_from(tokens)
    assert message in str(raised.value)
    assert "\n" not in str(raised.value)


def test_check_refuses_from_python_what_the_command_line_refuses():
    with pytest.raises(UserError, match="time_budget_s=nan"):
        check(replace(SearchSettings(), time_budget_s=float("nan")))
    with pytest.raises(UserError, match="trials=0"):
        check(replace(SearchSettings(), trials=0))


def test_the_default_name_of_a_file_is_a_folder_name():
    assert default_name("../my spaces/a b.py", NOW) == "a_b-20261120-101500"


@pytest.mark.parametrize(
    ("text", "hidden"),
    [
        ("postgresql://user:secret@host:5432/db", "postgresql://user:***@host:5432/db"),
        ("postgresql://user:s:e@cr@et@host/db", "postgresql://user:***@host/db"),
        ("redis://:secret@host", "redis://:***@host"),
        ("https://h/p?token=secret&x=1", "https://h/p?token=***&x=1"),
        ("mysql://h/db?user=me&PASSWORD=secret", "mysql://h/db?user=me&PASSWORD=***"),
        ("host=h password=secret dbname=d", "host=h password=*** dbname=d"),
        ("s3://b/p?X-Amz-Signature=secret", "s3://b/p?X-Amz-Signature=***"),
        ("s3://b?aws_secret_access_key=secret", "s3://b?aws_secret_access_key=***"),
        ("postgresql://user@host/db", "postgresql://user@host/db"),
        ("sqlite:////tmp/a:b.db", "sqlite:////tmp/a:b.db"),
        ("name@host", "name@host"),
    ],
)
def test_secrets_are_hidden_and_nothing_else(text, hidden):
    assert masking.mask(text) == hidden
    assert masking.mask(hidden) == hidden


def test_masked_settings_hold_no_secret_at_any_depth():
    settings = settings_from(
        ["storage=postgresql://u:secret@h/db?password=secret", "data.path=s3://b?token=secret"]
    )
    shown = masked(settings)
    assert "secret" not in repr(shown)
    assert shown["data"]["source"] == "us20"
    assert settings.storage is not None
    assert "secret" in settings.storage


def test_masking_keeps_the_kinds_of_containers():
    value = {"a": ["x", ("redis://:p@h", 1)], "b": None}
    assert masking.masked(value) == {"a": ["x", ("redis://:***@h", 1)], "b": None}


def test_help_shows_the_short_form_of_data(capsys):
    help_for_search()
    text = " ".join(capsys.readouterr().out.split())
    assert "data short for data.source; not together with data.path" in text
    assert "fix.KEY" in text
