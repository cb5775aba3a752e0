"""`--json`: one document on standard output and nothing else; what is undefined is null."""

import json
import sys
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from trainable.cli.answers import answering, document, plain
from trainable.cli.commands import status_of
from trainable.cli.errors import UserError

Captured = pytest.CaptureFixture[str]


def command(argv: list[str], value: object, fault: str | None = None) -> int:
    """A command that says something and then answers, or fails."""
    with answering(argv) as (words, answer):
        assert "--json" not in words
        print("a message")
        Console().print("a screen")
        if fault is not None:
            raise UserError(fault)
        if answer.json:
            answer.value = value
    return 0


def test_the_document_is_alone_on_standard_output(capsys: Captured) -> None:
    before = sys.stdout
    assert status_of(lambda: command(["x", "--json"], {"sharpe": float("nan")})) == 0
    captured = capsys.readouterr()
    assert json.loads(captured.out) == {"sharpe": None}
    assert captured.err == "a message\na screen\n"
    assert sys.stdout is before


def test_without_the_flag_nothing_changes(capsys: Captured) -> None:
    assert status_of(lambda: command(["x"], {})) == 0
    assert capsys.readouterr() == ("a message\na screen\n", "")


def test_an_error_leaves_standard_output_empty(capsys: Captured) -> None:
    assert status_of(lambda: command(["--json"], {}, fault="it is wrong")) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.splitlines()[-1] == "error: it is wrong"


@dataclass(frozen=True)
class Figure:
    value: Any
    by: dict[int, Any]


def test_what_commands_have_becomes_what_json_knows() -> None:
    frame = pd.DataFrame({"a": [1.0, np.nan], "b": pd.array([1, pd.NA], dtype="Int64")})
    when = datetime(2020, 1, 2, tzinfo=UTC)
    value = {
        "figure": Figure(np.float32(0.5), {3: (np.inf, -np.inf, pd.NaT, pd.NA, None)}),
        "table": frame,
        "array": np.array([[1, 2], [3, 4]]),
        "scalars": [np.int64(7), np.bool_(True), np.float64("nan"), True, 2, "ü−"],
        "times": [when, date(2020, 1, 2), pd.Timestamp(when), np.datetime64("2020-01-02")],
        "path": Path("runs/x"),
        "set": frozenset({"only"}),
    }
    assert json.loads(document(value)) == {
        "figure": {"value": 0.5, "by": {"3": [None] * 5}},
        "table": [{"a": 1.0, "b": 1}, {"a": None, "b": None}],
        "array": [[1, 2], [3, 4]],
        "scalars": [7, True, None, True, 2, "ü−"],
        "times": ["2020-01-02T00:00:00+00:00", "2020-01-02", "2020-01-02T00:00:00+00:00",
                  "2020-01-02"],
        "path": "runs/x",
        "set": ["only"],
    }  # fmt: skip
    with pytest.raises(TypeError, match="object"):
        plain({"bad": object()})


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(JSON)
def test_every_value_is_strict_json_and_comes_back(value: Any) -> None:
    def refuse(name: str) -> None:
        raise AssertionError(name)

    found = json.loads(document(value), parse_constant=refuse)
    assert found == undefined_as_none(value)


def undefined_as_none(value: Any) -> Any:
    match value:
        case float():
            return value if np.isfinite(value) else None
        case list():
            return [undefined_as_none(one) for one in value]
        case dict():
            return {key: undefined_as_none(one) for key, one in value.items()}
    return value
