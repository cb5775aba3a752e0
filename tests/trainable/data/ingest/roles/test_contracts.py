"""The contract beside a continuous future: gaps at rolls are no returns."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.fixtures.tables import AT, CLOSE, one, read
from trainable.cli.errors import UserError

CONTRACT = np.array([f"ESH{16 + i // 20}" for i in AT])  # five rolls
GAPS = 1.06 ** (AT // 20)  # prices of contracts that are not adjusted


@pytest.mark.parametrize("name", ["contract", "Contract Month", "expiry", "LocalSymbol"])
def test_gaps_between_contracts_are_refused(tmp_path: Path, name: str) -> None:
    table = one(close=CLOSE * GAPS, volume=1000 + 7 * (AT % 13), **{name: CONTRACT})
    with pytest.raises(UserError, match=rf"'{name}' changes 5 times, and the close jumps at these"):
        read(tmp_path, table)


def test_prices_without_gaps_are_read_and_the_rolls_said(tmp_path: Path) -> None:
    found = read(tmp_path, one(close=CLOSE, contract=CONTRACT, expiry=CONTRACT))
    np.testing.assert_allclose(found.fields["close"][:, 0], CLOSE)
    rolls = np.arange(20, 120, 20)
    move = np.abs(np.diff(np.log(CLOSE)))
    said = [note for note in found.quality["read_as"] if "changes 5 times" in note]
    assert len(said) == 1
    assert f"{np.median(move[rolls - 1]):.2%} there (median)" in said[0]


def test_adjusted_prices_beside_raw_ones_count(tmp_path: Path) -> None:
    table = one(close=CLOSE * GAPS, adj_close=CLOSE, contract=CONTRACT)
    np.testing.assert_allclose(read(tmp_path, table).fields["close"][:, 0], CLOSE)


def test_a_column_that_is_no_contract_says_nothing(tmp_path: Path) -> None:
    for labels in (np.where(AT % 2, "a", "b"), np.full(len(AT), "ES")):
        found = read(tmp_path, one(close=CLOSE * GAPS, delivery=labels))
        assert not any("changes" in note for note in found.quality.get("read_as", []))
    parts = [one(contract=name, close=CLOSE * (1 + i)) for i, name in enumerate(["A", "B"])]
    assert read(tmp_path, pd.concat(parts)).symbols == ("A", "B")
