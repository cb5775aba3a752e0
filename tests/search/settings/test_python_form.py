"""What a refusal says from Python is written as Python takes it."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from search.api import launch
from search.backend.local import Local
from search.settings.python_form import as_in_python
from tests.fixtures.markets import make_market
from trainable.cli.errors import UserError


@pytest.mark.parametrize(
    ("said", "in_python"),
    [
        ("fix.schedule/warmup_steps=18 works", "fix={'schedule/warmup_steps': 18} works"),
        ("fix.loss/name=huber or epochs=4", "fix={'loss/name': 'huber'} or epochs=4"),
        ("fixed: fix.loss/a=… fix.loss/b=…", "fixed: fix={'loss/a': …, 'loss/b': …}"),
        ("data.lag=1 data.horizon=5 works", "data_lag=1 data_horizon=5 works"),
        ("name another: data.target=COLUMN", "name another: data_target=COLUMN"),
        ("data.synthetic.bars=1000 works", "data_synthetic={'bars': 1000} works"),
        ("set data.lag=0, or use daily bars", "set data_lag=0, or use daily bars"),
        ("my/data.path/x.csv: no such file", "my/data.path/x.csv: no such file"),
        ("data.csv: column 'data.lag' is empty", "data.csv: column 'data.lag' is empty"),
        ("data.symbols=AAA,BBB works", "data_symbols=['AAA', 'BBB'] works"),
        ("data.symbols=AAA, or more data", "data_symbols=['AAA'], or more data"),
        ("rungs=1,4,10 works", "rungs=[1, 4, 10] works"),
        ("data.valid_from=2015-01-31 works", "data_valid_from='2015-01-31' works"),
        ("data.path=x.csv: no such file", "data_path='x.csv': no such file"),
        ("a file is data.path=x.csv", "a file is data_path='x.csv'"),
        ("data.overnight=flat, or hold", "data_overnight='flat', or hold"),
        ("data.horizon=5, of 25 bars.", "data_horizon=5, of 25 bars."),
        ("data.fraction=0.8.", "data_fraction=0.8."),
        ("tries.prior=9 or more works", "tries_prior=9 or more works"),
        ("data.cost_bps=nan must be", "data_cost_bps=nan must be"),
        ("dashboard=false is for our own", "dashboard=False is for our own"),
        ("address=HOST:PORT or address=auto", "address=HOST:PORT or address='auto'"),
        ("write name=NAME", "write name=NAME"),
        ("cohort=0 must be auto; cohort=32 works", "cohort='0' must be auto; cohort='32' works"),
        ("storage=sqlite:///a.db: locked", "storage='sqlite:///a.db': locked"),
        ("data.lag=unset instead of 1", "data_lag=None instead of 1"),
        ("data.features='feat_*' data.target=y", "data_features='feat_*' data_target='y'"),
        ("fix.model/dropout: unknown", "fix={'model/dropout': …}: unknown"),
        ("fix.model/norm=false works", "fix={'model/norm': False} works"),
        ("fix.model/hidden_dims=64-32 works", "fix={'model/hidden_dims': '64-32'} works"),
        ("fix.py:3: NameError: no x", "fix.py:3: NameError: no x"),
        ("fix.model/norm=x fix.py:3: no", "fix={'model/norm': 'x'} fix.py:3: no"),
        ("data.synthetic.bars: too few", "data_synthetic={'bars': …}: too few"),
        ("(sampled: model/name=mlp, train/seed=3)", "(sampled: model/name=mlp, train/seed=3)"),
        ("launch(…, name='x', resume=True)", "launch(…, name='x', resume=True)"),
        ("data= and data_path= name two", "data= and data_path= name two"),
        (
            "see python -m search.status runs/x storage=URL a=b; name=x",
            "see python -m search.status runs/x storage=URL a=b; name='x'",
        ),
        ("fix.optimizer/lr='x y': expected", "fix={'optimizer/lr': 'x y'}: expected"),
        ("fix.optimizer/lr= is empty", "fix.optimizer/lr= is empty"),
        ("data.target= is empty; leave", "data_target= is empty; leave"),
        ("enqueue=a.json: trial 2: wrong", "enqueue='a.json': trial 2: wrong"),
        ("", ""),
    ],
)
def test_a_setting_is_written_as_a_keyword(said: str, in_python: str) -> None:
    assert as_in_python(said) == in_python


@pytest.mark.parametrize(
    ("settings", "said", "in_python"),
    [
        ({"data_path": "my a.csv"}, "data.path=my a.csv: none", "data_path='my a.csv': none"),
        ({"data_path": Path("a b.csv")}, "data.path=a b.csv: none", "data_path='a b.csv': none"),
        ({"name": "it's"}, "name=it's is taken", 'name="it\'s" is taken'),
        ({"data_symbols": ["A B", "C"]}, "data.symbols=A B,C: no", "data_symbols=['A B', 'C']: no"),
        ({"data_valid_from": pd.Timestamp("2015-01-31")}, "data.valid_from=2015-01-31 00:00:00: no",
         "data_valid_from='2015-01-31 00:00:00': no"),
        ({"trials": "two"}, "trials=two: expected a number", "trials='two': expected a number"),
        ({"trials": "2"}, "trials=2 is few; trials=64 works", "trials=2 is few; trials=64 works"),
        ({"fix": {"depht": 2}}, "fix.depht: unknown", "fix={'depht': …}: unknown"),
        ({"fix": {"wide": "a b"}}, "fix.wide=a b: expected", "fix={'wide': 'a b'}: expected"),
        ({"data_target": "ret, net"}, "data.target=ret, net: no", "data_target='ret, net': no"),
        ({"data_lag": True}, "data.lag=True: expected", "data_lag=True: expected"),
        ({"data_horizon": 1}, "data.horizon=12 works", "data_horizon=12 works"),
        ({"data_path": "x"}, "data.path=x.csv works", "data_path='x.csv' works"),
    ],
)  # fmt: skip
def test_what_was_given_is_known_with_its_end(
    settings: dict[str, Any], said: str, in_python: str
) -> None:
    assert as_in_python(said, settings) == in_python


def test_what_launch_offers_is_accepted_by_launch(tmp_path: Path) -> None:
    market = make_market(600, 3)
    table = pd.DataFrame(
        {
            "timestamp": np.repeat(market.timestamps, 3),
            "symbol": np.tile(market.symbols, 600),
            "close": market.fields["close"].ravel(),
        }
    )

    def dry(**words: Any) -> None:
        launch(
            "quick_test",
            table,
            backend=lambda settings: Local(),
            dry_run=True,
            trials=4,
            runs_dir=str(tmp_path),
            **words,
        )

    with pytest.raises(UserError, match=r"more than half") as refused:
        dry(epochs=1)
    offered = re.findall(r"fix={'(\S+)': (\d+)} or epochs=(\d+) works", str(refused.value))
    ((key, value, epochs),) = offered
    dry(epochs=1, fix={key: int(value)})
    dry(epochs=int(epochs))
