"""Files in the working folder that are called as a module of Python's or of ours."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from search.space.loading import load_space
from tests.fixtures.searches import MARKET, ROOT, TINY, write_space
from trainable.cli.import_path import put_last

HIDING = ("random", "queue", "secrets", "types", "json", "trainable", "search")
OURS = ("spaces", "analysis", "trainable")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Returns a working folder whose files hide modules; that is an error at once."""
    for name in HIDING:
        (tmp_path / f"{name}.py").write_text("raise SystemExit(f'hidden by {__file__}')\n")
    for name in OURS:
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("raise SystemExit(f'hidden by {__file__}')\n")
    (tmp_path / "helper.py").write_text("CHOICES = ['8', '16-8']\n")
    text = TINY.replace("EPOCHS", "import helper\n\nEPOCHS").replace(
        '["8", "16-8"]', "helper.CHOICES"
    )
    write_space(tmp_path, text)
    return tmp_path


def python(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    program = [sys.executable, *words]
    return subprocess.run(program, cwd=folder, env=env, capture_output=True, text=True, check=False)


def test_a_search_does_not_see_them(folder: Path) -> None:
    (folder / "search.py").unlink()  # Python itself takes that for the command
    done = python(folder, "-m", "search.run", *MARKET, "space=tiny.py", "dry_run=true")
    assert (done.returncode, done.stderr) == (0, "")
    assert "tiny: 3 parameters" in done.stdout


def test_a_file_that_is_called_as_the_command_needs_python_p(folder: Path) -> None:
    assert "search.py" in python(folder, "-m", "search.run", "--help").stderr
    done = python(folder, "-P", "-m", "search.run", "--help")
    assert (done.returncode, done.stderr) == (0, "")


def test_a_program_of_ones_own_is_told_which_file_to_rename(tmp_path: Path) -> None:
    (tmp_path / "analysis.py").touch()
    (tmp_path / "mine.py").write_text("from search import launch\n")
    said = python(tmp_path, "mine.py").stderr.splitlines()[-1]
    assert said.startswith(f"ImportError: {tmp_path}/analysis.py takes the place of the package")


def test_spaces_are_found_beside_a_folder_of_that_name(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    monkeypatch.syspath_prepend(str(folder))
    assert load_space("quick_test").path == "spaces/quick_test.py"


def test_a_space_imports_its_neighbours_from_anywhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "path", list(sys.path))
    (tmp_path / "neighbour_of_a_space.py").write_text("EPOCHS = 7\n")
    write_space(tmp_path, "from neighbour_of_a_space import EPOCHS\ndef space(trial): return {}\n")
    assert load_space(tmp_path / "tiny.py").epochs == 7
    assert sys.path[-1] == str(tmp_path)  # it hides nothing


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (
            ["/ours", "/py/lib", "/py/site-packages"],
            ["/py/lib", "/ours", "/py/site-packages", "/me"],
        ),
        (["/ours", "/ours", "/py/lib"], ["/ours", "/py/lib", "/me"]),
        (["/me", "/py/lib", "/d/dist-packages"], ["/py/lib", "/me", "/d/dist-packages"]),
        (["/ours", "/py/lib"], ["/py/lib", "/ours", "/me"]),
    ],
)
def test_the_working_folder_comes_last_and_ours_before_what_is_installed(
    monkeypatch: pytest.MonkeyPatch, before: list[str], after: list[str]
) -> None:
    monkeypatch.setattr(sys, "path", before)
    put_last("/me")
    assert before == after
