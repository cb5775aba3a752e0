"""The console script: what it lists, what it refuses, and that commands do what they always did."""

import importlib
import shlex
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from types import ModuleType

import pytest

from search.asharpe import EXAMPLES, help_text, run_module
from search.commands import COMMANDS, commands
from search.settings.help import GROUPS, MOST_USED, help_for_all
from search.settings.settings import SearchSettings
from tests.fixtures.script import asharpe
from trainable.cli.options import describe, split
from trainable.cli.started import as_started, by_script, started_by_script

SCREEN = (80, 40)  # columns, lines
Captured = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def of_a_screen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", str(SCREEN[0]))


def check_fits(text: str) -> None:
    lines = text.splitlines()
    assert len(lines) <= SCREEN[1]
    assert max(map(len, lines)) <= SCREEN[0]


@contextmanager
def module(name: str, text: str) -> Iterator[None]:
    """Has a module of this text be there to be imported."""
    made = ModuleType(name)
    exec(text, made.__dict__)
    sys.modules[name] = made
    try:
        yield
    finally:
        del sys.modules[name]


def test_without_a_word_all_commands_are_listed_by_subject(capsys: Captured) -> None:
    assert asharpe() == 0
    said = capsys.readouterr().out
    check_fits(said)
    assert asharpe("--help") == asharpe("-h") == asharpe("help") == 0
    assert capsys.readouterr().out == said * 3
    assert asharpe("help", "rank") == 0
    assert capsys.readouterr().out.startswith("asharpe rank: ")
    lines = said.splitlines()
    for name, entry in commands().items():
        (at,) = [i for i, line in enumerate(lines) if line.startswith(f"  {name} ")]
        assert entry.line in lines[at]
        title = next(line for line in lines[at::-1] if line and not line.startswith(" "))
        assert title == entry.group


def test_there_is_room_for_the_commands_that_are_to_come() -> None:
    missing = COMMANDS.keys() - commands().keys()
    groups = {entry.group for entry in COMMANDS.values()}
    of_now = {entry.group for entry in commands().values()}
    lines = len(help_text().splitlines())
    assert lines + len(missing) + 2 * len(groups - of_now) <= SCREEN[1]
    assert all(len(entry.line) <= SCREEN[0] - 13 for entry in COMMANDS.values())


def test_examples_name_commands_and_keys_that_there_are() -> None:
    for words, _ in EXAMPLES:
        script, name, *rest = shlex.split(words)
        assert (script, name in commands()) == ("asharpe", True)
        keys = {row.key for row in describe(SearchSettings)} | {"top"}
        assert {split(word)[0] for word in rest if "=" in word} <= keys


def test_help_and_completion_load_nothing_heavy() -> None:
    program = (
        "import sys; from search.asharpe import main, group; from search.completion import SHELLS\n"
        "import os; status = main([])\n"
        "os.environ |= {'_ASHARPE_COMPLETE': 'bash_complete', 'COMP_LINE': 'asharpe confirm x '}\n"
        "assert main([]) == status == 0\n"
        "heavy = {'torch', 'ray', 'optuna', 'pandas', 'numpy', 'pyarrow', 'rich', 'scipy'}\n"
        "print(sorted(heavy & {name.partition('.')[0] for name in sys.modules}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert "top=" in done.stdout  # what the completion said
    assert done.stdout.splitlines()[-1] == "[]"


def test_the_version_is_that_of_the_package(capsys: Captured) -> None:
    assert asharpe("--version") == 0
    assert capsys.readouterr().out == f"asharpe {version('asharpe')}\n"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["serach"], "unknown command 'serach'; did you mean 'search'? Available: check, "),
        (["space=medium"], "name a command first, such as asharpe search space=medium"),
        (["--hlep"], "--hlep"),
        (["completion", "zhs"], "unknown shell 'zhs'; did you mean 'zsh'?"),
        (["rank"], "no run folder named; usage: asharpe rank runs/NAME"),
        (["search", "trails=3"], "unknown key 'trails'; did you mean 'trials'?"),
        (["search", "--help", "dta"], "unknown group of keys 'dta'; did you mean 'data'?"),
        (["check"], "usage: asharpe check FILE"),
        (["train"], "name a configuration: asharpe train config.json"),
    ],
)
def test_bad_input_is_one_line_and_exit_2(words: list[str], said: str, capsys: Captured) -> None:
    assert asharpe(*words) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("error: ")
    assert captured.err.count("\n") == 1
    assert said in captured.err


def test_exit_statuses_are_those_of_the_module(capsys: Captured) -> None:
    with module("stands_in", "def main(argv): return len(argv)"):
        assert run_module("stands_in", ["--", "--help", "a=b"]) == 3
    with module("stands_in", "def main(argv): raise KeyboardInterrupt"):
        assert run_module("stands_in", []) == 130
    with (
        module("stands_in", "def main(argv): return 1 // 0"),
        pytest.raises(ZeroDivisionError),
    ):  # which Python ends with 1
        run_module("stands_in", [])
    assert capsys.readouterr().err == "Interrupted.\n"


def test_words_reach_a_command_as_they_are(
    monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    with module("stands_in", "def main(argv): print(argv); return 0"):
        entry = COMMANDS["rank"]
        stand_in = type(entry)("stands_in", entry.group, entry.line)
        monkeypatch.setattr("search.asharpe.commands", lambda: {"rank": stand_in})
        words = ["--", "--version", "-x", "a=b c", "--json", ""]
        assert asharpe("rank", *words) == 0
    assert capsys.readouterr().out == f"{words}\n"


@pytest.mark.parametrize("name", [*commands()])
def test_each_command_is_a_module_with_help_of_its_own(name: str, capsys: Captured) -> None:
    command = importlib.import_module(COMMANDS[name].module)
    assert callable(command.main)
    assert asharpe(name, "--help") == 0
    said = capsys.readouterr().out
    title, empty, usage = said.splitlines()[:3]
    assert (title, empty) == (f"asharpe {name}: {COMMANDS[name].line}", "")
    assert usage.startswith(f"usage: asharpe {name} ")
    assert "python -m" not in said
    check_fits(said)


@pytest.mark.parametrize("name", [group for group in GROUPS if group != MOST_USED])
def test_each_group_of_keys_of_a_search_fits_a_screen(name: str, capsys: Captured) -> None:
    assert asharpe("search", "--help", name) == 0
    said = capsys.readouterr().out
    check_fits(said)
    assert [key for key in GROUPS[name][1] if f"\n  {key} " not in said] == []


def test_groups_hold_every_key_and_all_of_them_are_one_help(capsys: Captured) -> None:
    keys = {row.key for row in describe(SearchSettings)} | {"data"}
    assert {key for _, several in GROUPS.values() for key in several} == keys
    assert asharpe("search", "--help=all") == 0
    every = capsys.readouterr().out
    help_for_all()
    title, _, same = every.partition("\n\n")
    assert title.startswith("asharpe search: ")
    assert capsys.readouterr().out == same.replace("asharpe search", "python -m search.run")
    assert [key for key in keys if f"\n  {key} " not in every] == []


def test_messages_say_what_was_typed() -> None:
    said = "Next: python -m search.run name=x. python -m search.runner, python -m search.run;"
    assert as_started(said) == said
    assert not started_by_script()
    with by_script({"search.run": ("asharpe search", "searches")}):
        assert started_by_script()
        assert as_started(said) == (
            "Next: asharpe search name=x. python -m search.runner, asharpe search;"
        )
    assert as_started(said) == said


def test_a_reader_that_has_seen_enough_is_no_error(tmp_path: Path) -> None:
    command = f"{shlex.quote(sys.executable)} -m search.asharpe | head -1; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "0"
    assert done.stderr == ""
