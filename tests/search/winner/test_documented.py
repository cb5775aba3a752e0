"""Every command, and the Python, that docs/winner.md shows works as it stands there."""

import re
import shlex
import shutil
from contextlib import chdir
from importlib import import_module
from pathlib import Path

import pytest

from tests.fixtures import tiny
from trainable.cli.commands import status_of

TEXT = (Path(__file__).parents[3] / "docs/winner.md").read_text(encoding="utf-8")
COMMANDS = [
    line
    for block in re.findall(r"```sh\n(.*?)```", TEXT, re.DOTALL)
    for line in block.splitlines()
    if line.strip()
]


def run(command: str) -> int:
    python, flag, module, *words = shlex.split(command)
    assert (python, flag) == ("python", "-m")
    words = [word.replace("runs/NAME", "runs/x") for word in words]
    return status_of(lambda: import_module(module).main(words))


def test_the_commands_of_the_document_work_in_its_order(
    made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert len(COMMANDS) >= 8
    home = shutil.copytree(made, tmp_path / "home")
    tiny.bars().to_csv(home / "new.csv", index=False)
    with chdir(home):
        for command in COMMANDS:
            assert run(command) == 0, command
            assert capsys.readouterr().out.strip(), command
        for name in re.findall(r"out=(\S+)", " ".join(COMMANDS)):
            assert Path(name).stat().st_size > 0


def test_what_is_shown_in_other_blocks_are_such_commands() -> None:
    """Those of cron and systemd need no test of their own: what they call is called above."""
    others = re.findall(r":\n\n```\n(.*?)```", TEXT, re.DOTALL)
    called = {word for text in others for word in re.findall(r"python -m ([\w.]+)", text)}
    assert called
    assert called <= {re.findall(r"-m ([\w.]+)", command)[0] for command in COMMANDS}


def test_the_python_of_the_document_works(made: Path, tmp_path: Path) -> None:
    (source,) = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
    names = {"frame": tiny.bars()}
    with chdir(made):
        exec(source.replace("runs/NAME", "runs/x"), names)
    assert set(names["weights"].columns) == {"timestamp", "symbol", "prediction", "position"}
