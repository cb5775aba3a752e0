"""What shells are offered on a TAB, and that bash, zsh and fish ask for it as they should."""

import importlib
import os
import shlex
import shutil
import subprocess
from dataclasses import is_dataclass
from pathlib import Path

import pytest

from search.asharpe import SHELLS, group, main
from search.commands import COMMANDS, commands
from search.completion import SOURCES, completed, keys_of
from search.confirmation.settings import ConfirmSettings
from search.settings.settings import SearchSettings
from search.status import StatusSettings
from spaces import __path__ as spaces_path
from tests.fixtures.script import executable
from trainable.cli.options import kinds_of
from trainable.data import sources
from trainable.data.settings import DataSettings
from trainable.train import Command


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with two runs, the second the newer one, and some files."""
    for age, name in enumerate(("second", "first")):
        (tmp_path / "runs" / name).mkdir(parents=True)
        file = tmp_path / "runs" / name / "run.json"
        file.write_text("{}")
        os.utime(file, (10**9 - age, 10**9 - age))
    (tmp_path / "my data").mkdir()
    for name in ("prices.csv", "mine.py", ".hidden.csv", "my data/p q.csv"):
        (tmp_path / name).touch()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def offered(line: str, monkeypatch: pytest.MonkeyPatch, shell: str = "fish") -> list[str]:
    """Returns the values that a shell is offered after a line."""
    monkeypatch.setenv("COMP_LINE", line)
    return [text.partition("\t")[0] for text in completed(shell, group()).splitlines()]


def test_values_follow_from_what_stands_there(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def after(line: str, shell: str = "fish") -> list[str]:
        return offered(line, monkeypatch, shell)

    assert after("asharpe ") == sorted([*commands(), "completion"])
    assert after("asharpe st") == ["status"]
    assert after("asharpe completion ") == [*SHELLS]
    assert after("asharpe rank ") == ["runs/second", "runs/first", "top="]
    assert after("asharpe rank runs/f") == ["runs/first"]
    assert after("asharpe rank runs/first ") == ["top="]
    assert after("asharpe rank runs/first top=3 ") == []
    assert after("asharpe rank ru --") == ["--help", "--json"]
    assert after("asharpe rank my") == ["my data/"]
    assert after("asharpe search data=") == [f"data={name}" for name in SOURCES]
    assert after("asharpe search space=quick_") == ["space=quick_test"]
    assert after("asharpe search space=mi") == ["space=mine.py"]
    assert after("asharpe search resume=t") == ["resume=true"]
    assert after("asharpe search name=f") == ["name=first"]
    assert after("asharpe search data.path=") == [
        "data.path=mine.py", "data.path=my data/", "data.path=prices.csv", "data.path=runs/",
    ]  # fmt: skip
    assert after("asharpe search data.path=.h") == ["data.path=.hidden.csv"]
    assert after(f"asharpe search data.path={folder}/pr") == [f"data.path={folder}/prices.csv"]
    assert after("asharpe check pr") == ["prices.csv"]
    assert after("asharpe nothing ") == after("asharpe search nothing=") == []
    assert completed("tcsh", group()) == ""


def test_keys_are_offered_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = offered("asharpe search ", monkeypatch)
    assert first[:2] == ["space=", "data="]
    later = offered("asharpe search space=medium trials=3 ", monkeypatch)
    assert set(first) - set(later) == {"space=", "trials="}
    assert offered("asharpe search tri", monkeypatch) == ["trials=", "tries.prior="]


def test_bash_takes_what_follows_its_own_border_quoted(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert offered("asharpe search data=u", monkeypatch, "bash") == ["us20"]
    assert offered("asharpe search data.path=my", monkeypatch, "bash") == [r"my\ data/"]
    line = r"asharpe search data.path=my\ data/"
    assert offered(line, monkeypatch, "bash") == [r"my\ data/p\ q.csv"]
    monkeypatch.setenv("COMP_WORDBREAKS", " \t\n")
    assert offered("asharpe search data=u", monkeypatch, "bash") == ["data=us20"]


@pytest.mark.parametrize("name", [*commands()])
def test_keys_are_those_that_the_command_takes(name: str) -> None:
    """The source was read; here the classes are asked."""
    entry = COMMANDS[name]
    module = importlib.import_module(entry.module)
    named = [text.partition(":")[::2] for text in entry.settings]
    classes = [getattr(importlib.import_module(where), cls) for where, cls in named] or [
        value
        for key, value in vars(module).items()
        if is_dataclass(value) and (key.endswith("Settings") or key == "Command")
        and value.__module__ == module.__name__
    ]  # fmt: skip
    keys = set[str]()
    for cls in classes:
        kinds = kinds_of(cls, "data." if cls is DataSettings else "")
        keys |= {key for key, kind in kinds.items() if not kind.mapping}
    found, _ = keys_of(entry)
    assert found.keys() - {"data"} == keys
    assert ("data" in found) == (name in ("search", "lr", "predict", "train"))


@pytest.mark.parametrize(
    ("name", "cls"),
    [
        ("search", SearchSettings), ("confirm", ConfirmSettings), ("status", StatusSettings),
        ("train", Command),
    ],
)  # fmt: skip
def test_what_keys_take_is_read_as_the_command_does(name: str, cls: type) -> None:
    found, _ = keys_of(COMMANDS[name])
    for key, kind in kinds_of(cls).items():
        if not kind.mapping:
            assert found[key].path == kind.path, key
            assert (found[key].base is bool) == (kind.base is bool), key


def test_sources_are_those_that_there_are() -> None:
    assert set(SOURCES) == set(sources.SOURCES)
    assert Path(next(iter(spaces_path)), "quick_test.py").is_file()


def test_the_variable_of_a_shell_is_answered(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COMP_LINE", "asharpe rank runs/s")
    monkeypatch.setenv("_ASHARPE_COMPLETE", "bash_complete")
    assert main([]) == 0
    assert capsys.readouterr().out == "runs/second\n"
    monkeypatch.setenv("COMP_LINE", "asharpe rank nothing")
    assert main([]) == 0
    assert capsys.readouterr().out == ""


BASH = """
eval "$(asharpe completion bash)"
compopt() { echo "compopt $*"; }
press() {
    COMP_LINE="$1" COMP_POINT=${#1} COMP_WORDBREAKS=$' \\t\\n"\\'><=;|&(:'
    _asharpe_completion asharpe
    printf '%s\\n' "${COMPREPLY[@]}"
}
complete -p asharpe
press 'asharpe search tria'
press 'asharpe search data=sy'
press 'asharpe search data=none'
echo "${#COMPREPLY[@]} values"
"""
ZSH = """
compdef() { echo "compdef $*"; }
compadd() { print -r -- "compadd ${@[1,-3]}"; print -rl -- ${(P)@[-1]}; }
eval "$(asharpe completion zsh)"
words=(asharpe search data=s) CURRENT=3
_asharpe_completion
words=(asharpe search tria) CURRENT=3
_asharpe_completion
"""
FISH = """
asharpe completion fish | source
complete --do-complete 'asharpe search data=s'
complete --do-complete 'asharpe rank runs/s'
"""


@pytest.mark.parametrize(
    ("shell", "text", "said"),
    [
        ("bash", BASH, [
            "complete -o nosort -F _asharpe_completion asharpe",
            "compopt -o nospace", "trials=", "synthetic", "0 values",
        ]),
        ("zsh", ZSH, [
            "compdef _asharpe_completion asharpe",
            "compadd -l -U -V last -d last_said", "data=sp500", "data=synthetic",
            "compadd -l -U -V more -S  -d more_said", "trials=",
        ]),
        ("fish", FISH, ["data=sp500", "data=synthetic", "runs/second"]),
    ],
)  # fmt: skip
def test_shells_ask_for_it(shell: str, text: str, said: list[str], folder: Path) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    file = executable(folder / "bin")
    path = f"{file.parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        [shell, "-c", text],
        env={**os.environ, "PATH": path, "HOME": str(folder)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == ""
    assert [line for line in done.stdout.splitlines() if line] == said, shlex.join(said)
