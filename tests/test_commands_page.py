"""The page on commands: its tables are the code, and its commands run."""

import io
import json
import os
import re
import shlex
from collections.abc import Iterator
from contextlib import chdir, redirect_stdout
from pathlib import Path
from unittest.mock import patch

import pytest

from search import placebo
from search.backend.local import Local
from search.commands import commands
from tests.fixtures.here import search_here
from tests.fixtures.script import asharpe

PAGE = (Path(__file__).parents[1] / "docs" / "commands.md").read_text(encoding="utf-8")


def lines() -> Iterator[str]:
    """Yields the commands of the page in their order."""
    for block in re.findall(r"^```sh\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL):
        yield from block.splitlines()


def run(line: str) -> str:
    """Runs a command of the page without Ray; returns what it prints."""
    script, name, *words = shlex.split(line)
    assert script == "asharpe"
    out = io.StringIO()
    with redirect_stdout(out):
        if name == "search" and "--help" not in line:
            status = search_here(*words)
        elif name == "placebo":
            status = placebo.main(words, lambda settings: Local())
        else:
            status = asharpe(name, *words)
    assert status == 0, line
    return out.getvalue()


@pytest.fixture(scope="module")
def printed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What each command of the page prints, run one after another in one folder."""
    folder = tmp_path_factory.mktemp("page")
    (file,) = re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)
    (folder / "one.json").write_text(file, encoding="utf-8")
    with chdir(folder), patch.dict(os.environ, {"COLUMNS": "100"}):
        return {line: run(line) for line in lines()}


def test_every_command_of_the_page_runs_and_says_something(printed: dict[str, str]) -> None:
    assert [line for line, said in printed.items() if not said.strip()] == []
    named = {shlex.split(line)[1] for line in printed}
    assert commands().keys() - named == {"grafana"}  # which needs a Ray that runs


def test_documents_hold_what_the_page_lists(printed: dict[str, str]) -> None:
    listed = {
        name: re.findall(r"`(\w+)`", keys)
        for names, keys in re.findall(r"^\| (`.*?`) \| (`run`.*|`folder`.*) \|$", PAGE, re.M)
        for name in re.findall(r"`(.*?)`", names)
    }
    found = {line: json.loads(said) for line, said in printed.items() if "--json" in line}
    assert len(found) == 4
    for line, document in found.items():
        words = shlex.split(line)
        if words[1] == "parts":
            assert [*document] == ["MODELS"]
            continue
        keys = listed["search dry_run=true" if "dry_run=true" in words else words[1]]
        assert [key for key in keys if key not in document] == []
        assert words[1] == "status" or [*document] == keys


def test_the_table_of_commands_is_the_code() -> None:
    rows = re.findall(r"^\| `(\w+)` \| `([\w.]+)` \| (.*) \|$", PAGE, re.MULTILINE)
    assert {name: (module, line) for name, module, line in rows} == {
        name: (entry.started, entry.line) for name, entry in commands().items()
    }
    groups = re.findall(r"^\| \*\*(.*)\*\* \|", PAGE, re.MULTILINE)
    assert groups == [*dict.fromkeys(entry.group for entry in commands().values())]
