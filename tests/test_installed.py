"""What `pip install .` and a wheel leave: a command that works in any folder, without the tree."""

import json
import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
OFFLINE = ("--no-index", "--no-deps", "--no-build-isolation", "--disable-pip-version-check")
PACKAGES = ("search", "trainable", "analysis", "spaces")
QUICK = ("search", "space=quick_test", "data=synthetic", "data.synthetic.bars=400")


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tree as a clone has it: builds leave files, and take what earlier ones left."""
    pytest.importorskip("setuptools", minversion="77", reason="builds are offline")
    pytest.importorskip("pip", reason="this environment was made without pip")
    folder = tmp_path_factory.mktemp("clone") / "asharpe"
    folder.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, folder)
    leave = shutil.ignore_patterns("__pycache__")
    for package in PACKAGES:
        shutil.copytree(ROOT / package, folder / package, ignore=leave)
    return folder


def pip(*words: str) -> None:
    command = [sys.executable, "-m", "pip", *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def environment(folder: Path) -> Path:
    """Makes an environment with all that is installed here but ourselves; returns its Python."""
    command = [sys.executable, "-m", "venv", "--without-pip", str(folder)]
    subprocess.run(command, check=True)
    python = folder / "bin" / "python"
    (place,) = folder.glob("lib/python*/site-packages")
    # A folder that a .pth file names is searched, without its own .pth files: our tree is not.
    (place / "others.pth").write_text(f"{sysconfig.get_path('purelib')}\n")
    return python


def ran(python: Path, folder: Path, *words: str) -> str:
    """Runs the console script in a folder; returns what it prints."""
    env = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    command = [str(python.with_name("asharpe")), *words]
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def places_of(python: Path, folder: Path) -> dict[str, Path]:
    """Returns the folders of our packages there."""
    env = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    program = f"import {', '.join(PACKAGES)}, sys\n"
    program += f"for name in {PACKAGES}: print(name, sys.modules[name].__file__)"
    command = [str(python), "-c", program]
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=True)
    lines = [line.split(maxsplit=1) for line in done.stdout.splitlines()]
    return {name: Path(file).parent for name, file in lines}


def test_a_wheel_is_all_that_is_needed(clone: Path, tmp_path: Path) -> None:
    pip("wheel", *OFFLINE, "--wheel-dir", str(tmp_path), str(clone))
    (wheel,) = tmp_path.glob("asharpe-*.whl")
    python, home = environment(tmp_path / "env"), tmp_path / "home"
    home.mkdir()
    (home / "random.py").write_text("raise ImportError('a file of the person')")
    pip("--python", str(python), "install", "--ignore-installed", *OFFLINE, str(wheel))
    places = places_of(python, tmp_path)
    assert all(place.is_relative_to(tmp_path / "env") for place in places.values())
    data = places["search"] / "backend" / "grafana.json"
    assert data.read_bytes() == (ROOT / "search/backend/grafana.json").read_bytes()
    assert ran(python, home).startswith("usage: asharpe COMMAND")
    plan = json.loads(ran(python, home, *QUICK, "dry_run=true", "--json"))
    assert plan["space"]["name"] == "quick_test"
    assert plan["data"]["name"] == "synthetic"
    assert [path.name for path in home.iterdir()] == ["random.py"]


def test_pip_install_of_a_clone_is_enough(clone: Path, tmp_path: Path) -> None:
    python = environment(tmp_path / "env")
    pip("--python", str(python), "install", "--ignore-installed", "--no-compile", *OFFLINE,
        str(clone))  # fmt: skip
    assert places_of(python, tmp_path)["search"].is_relative_to(tmp_path / "env")
    assert ran(python, tmp_path, "--version").startswith("asharpe ")
    assert ran(python, tmp_path, "search", "--help", "run").startswith("asharpe search: ")
