"""The pages that lead a person step by step: their commands run, and print what they show."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.fixtures.documents import follow
from trainable import run_format
from trainable.cli.errors import UserError
from trainable.io.json_file import loads

DOCS = Path(__file__).parents[1] / "docs"
Followed = Callable[[str], Path]


@pytest.fixture(scope="module")
def folder_after(tmp_path_factory: pytest.TempPathFactory) -> Followed:
    """Returns the folder in which a page was followed, once for all tests."""
    known: dict[str, Path] = {}

    def after(page: str) -> Path:
        if page not in known:
            known[page] = folder = tmp_path_factory.mktemp("page")
            printed, shown = follow(without_advice(page), folder)
            assert shown
            assert [line for line in shown if line not in printed] == []
        return known[page]

    return after


def without_advice(page: str) -> str:
    """Returns a page without its sections that show commands for files of the reader's own."""
    text = (DOCS / page).read_text(encoding="utf-8")
    return text.partition("## Ready features")[0].partition("## A real one")[0]


def test_the_first_search_prints_what_its_page_shows(folder_after: Followed) -> None:
    assert (folder_after("first_search.md") / "runs" / "first" / "best").is_dir()


def test_data_of_ones_own_are_searched_as_their_page_says(folder_after: Followed) -> None:
    run = loads((folder_after("own_data.md") / "runs" / "mine" / "run.json").read_bytes())
    assert run["data"]["symbols"] == list("ABCDEFGH")


def test_a_network_of_ones_own_is_searched_as_its_page_says(folder_after: Followed) -> None:
    run = loads((folder_after("own_network.md") / "runs" / "net" / "run.json").read_bytes())
    assert [part["name"] for part in run["parts"]] == ["mine"]


def rows(heading: str) -> set[str]:
    """The names in the first column of the table below a heading of the page on run folders."""
    text = (DOCS / "run_folder.md").read_text(encoding="utf-8")
    (table,) = re.findall(
        rf"^## {re.escape(heading)}\n(?:[^|#\n].*\n|\n)*((?:\|.*\n)+)", text, re.MULTILINE
    )
    firsts = [line.split("|")[1] for line in table.splitlines()[2:]]
    names = [name for cell in firsts for name in re.findall(r"`([^`]+)`", cell)]
    assert len(names) == len(set(names))
    return set(names)


def is_defined(name: str, defined: set[str]) -> bool:
    """Says whether a column is in a table, by its name or by that of its family, such as `a.*`."""
    return name in defined or f"{name.partition('.')[0]}.*" in defined


FORMAT = {
    "trials.parquet": run_format.TRIAL_COLUMNS,
    "epochs.parquet": run_format.EPOCH_COLUMNS,
    "returns.parquet": run_format.RETURN_COLUMNS,
    "predictions.parquet": run_format.PREDICTION_COLUMNS,
    "confirm/trainings.parquet": run_format.CONFIRM_COLUMNS,
    "confirm/returns.parquet": run_format.CONFIRM_RETURN_COLUMNS,
}


@pytest.mark.parametrize("table", FORMAT)
def test_every_column_of_the_format_is_defined_and_no_other(table: str) -> None:
    defined = rows(table)
    assert set(FORMAT[table]) - defined == set()
    if table not in ("trials.parquet", "epochs.parquet"):  # these have columns as they come
        assert defined == set(FORMAT[table])


def test_every_column_and_key_of_a_real_run_is_defined(folder_after: Followed) -> None:
    folder = folder_after("first_search.md") / "runs" / "first"
    tables = sorted(folder.glob("*.parquet"))
    assert len(tables) >= 4
    for table in tables:
        names, defined = pq.read_schema(table).names, rows(table.name)
        assert [name for name in names if not is_defined(name, defined)] == []
    assert set(json.loads((folder / "run.json").read_text("utf-8"))) - rows("run.json") == set()
    left = {path.name + "/" * path.is_dir() for path in folder.iterdir()}
    listed = rows("Its files")
    assert {name for name in left if name not in listed and f"{name}NUMBER/" not in listed} == set()


def test_a_command_that_fails_is_noticed(tmp_path: Path) -> None:
    with pytest.raises((AssertionError, UserError)):
        follow("```sh\npython -m analysis.rank runs/none\n```\n", tmp_path)
