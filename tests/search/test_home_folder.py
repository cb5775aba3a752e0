"""`~` at the start of a path that a person types is the home folder, in every command."""

import json
import os
from pathlib import Path

import pytest

from analysis.load import load_run, newest_run
from analysis.rank import main as rank
from search import launch
from search.backend.local import Local
from search.run import main
from search.settings.reading import settings_from, settings_of
from search.space.loading import load_space
from search.status import main as status
from tests.fixtures.here import search_here
from tests.fixtures.searches import TINY, contents, write_space
from trainable.cli.errors import UserError
from trainable.data.check import main as check
from trainable.data.settings import SyntheticSettings
from trainable.data.synthetic.market import generate

PATHS = ("space", "runs_dir", "data.path", "storage_path", "enqueue")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    home, here = tmp_path / "home", tmp_path / "here"
    home.mkdir()
    here.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(here)
    return home


@pytest.mark.parametrize("key", PATHS)
def test_every_path_of_a_search(home: Path, key: str) -> None:
    for settings in (settings_from([f"{key}=~/x.py"]), settings_of({key: Path("~/x.py")})):
        of = settings.data if key == "data.path" else settings
        assert getattr(of, key.rpartition(".")[2]) == f"{home}/x.py"


def test_the_file_of_an_sqlite_url(home: Path) -> None:
    assert settings_from(["storage=sqlite:///~/s.db"]).storage == f"sqlite:///{home}/s.db"
    there = "postgresql://u@host/~name"
    assert settings_from([f"storage={there}"]).storage == there


def test_a_tilde_elsewhere_is_a_letter(home: Path) -> None:
    settings = settings_from(["runs_dir=a/~/b", "name=~x", "fix.model/hidden_dims=~"])
    assert (settings.runs_dir, settings.name) == ("a/~/b", "~x")
    assert settings.fix == {"model/hidden_dims": "~"}


def test_an_unknown_user(home: Path) -> None:
    with pytest.raises(UserError, match=r"^data.path=~nobody_here/x.csv: there is no user 'nobody"):
        settings_from(["data.path=~nobody_here/x.csv"])
    Path("~x.csv").touch()
    assert settings_from(["data.path=~x.csv"]).data.path == "~x.csv"  # a file of this name


def prices(home: Path) -> None:
    market = generate(SyntheticSettings(symbols=5, bars=400))
    rows = [
        f"{str(time)[:10]},{symbol},{market.fields['close'][t, n]:.6f}"
        for t, time in enumerate(market.timestamps)
        for n, symbol in enumerate(market.symbols)
    ]
    (home / "prices.csv").write_text("timestamp,symbol,close\n" + "\n".join(rows), encoding="utf-8")


def test_a_whole_search_and_the_commands_after_it(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    prices(home)
    write_space(home, TINY.replace("EPOCHS = 4", "EPOCHS = 1"))
    words = [
        "space=~/tiny.py", "data.path=~/prices.csv", "runs_dir=~/runs", "storage_path=~/files",
        "storage=sqlite:///~/study.db", "trials=2", "finalist_seeds=1",
    ]  # fmt: skip
    assert search_here(*words, "name=a") == 0
    assert search_here("runs_dir=~/runs", "name=a", "resume=true", "trials=3") == 0
    assert contents(home) == ["files", "prices.csv", "runs", "study.db", "tiny.py"]
    assert contents(Path.cwd()) == []
    run = json.loads((home / "runs" / "a" / "run.json").read_text(encoding="utf-8"))
    assert "~" not in json.dumps([run["arguments"], run["settings"], run["space"]["path"]])
    assert status(["~/runs/a"]) == 0
    assert rank(["~/runs/a"]) == 0
    assert check(["~/prices.csv"]) == 0
    assert len(load_run("~/runs/a").searched) == 3
    assert newest_run("~/runs") == home / "runs" / "a"
    capsys.readouterr()


def test_the_same_from_python(home: Path) -> None:
    prices(home)
    write_space(home, TINY.replace("EPOCHS = 4", "EPOCHS = 1"))
    assert load_space("~/tiny.py").path == str(home / "tiny.py")
    made = launch(
        Path("~/tiny.py"), "~/prices.csv", runs_dir=Path("~/runs"), dry_run=True,
        backend=lambda settings: Local(),
    )  # fmt: skip
    assert made is None
    assert contents(Path.cwd()) == []


def test_a_resume_that_finds_nothing_names_the_folder(home: Path) -> None:
    with pytest.raises(UserError, match=rf"no run 'a' to resume: {home}/runs holds none"):
        main(["runs_dir=~/runs", "name=a", "resume=true"])


def test_without_a_home(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os.path, "expanduser", lambda text: text)  # neither HOME nor a user
    with pytest.raises(UserError, match=r"runs_dir=~/runs: HOME is not set"):
        settings_from(["runs_dir=~/runs"])
