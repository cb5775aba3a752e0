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
    ],
)
def test_a_setting_is_written_as_a_keyword(said: str, in_python: str) -> None:
    assert as_in_python(said) == in_python


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
