"""`python -m trainable.parts`: every part with its settings, and what is wrong with a file."""

import re
from pathlib import Path

import pytest

from tests.fixtures.parts import EXAMPLE, FLAT_MODEL
from trainable.cli.errors import UserError
from trainable.config import FIELDS, PER_MEMBER, TABLES
from trainable.data.features.table import FEATURES
from trainable.parts.__main__ import main
from trainable.parts.loaded import loaded_files


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(EXAMPLE, encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize("columns", [80, 160])
def test_every_setting_of_every_part_is_listed(
    columns: int,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    assert main(["parts=mine.py"]) == 0
    lines = capfd.readouterr().out.splitlines()
    assert max(map(len, lines)) <= columns
    listed = {line.split()[0]: line for line in lines if "/" in line.partition("  ")[2][:20]}
    for key, known in FIELDS.items():
        group, name = key.split("/")
        if group in TABLES and name != "name":
            assert ("per member" if key in PER_MEMBER else "shared") in listed[key]
            assert columns < 160 or known.meaning[:60] in listed[key]
    text = "\n".join(lines)
    assert re.search(r"my_gru \(mine\.py\)\s+model/hidden +16 +whole number .*shared", text)
    assert re.search(r"model/dropout +0\.1 +number 0 … 0\.9 +per member", text)
    assert all(re.search(rf"^{name} ", text, re.MULTILINE) for name in FEATURES)
    assert loaded_files() == ()


def test_some_tables_are_listed_by_name(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["schedules", "LOSSES"]) == 0
    said = capfd.readouterr().out
    assert "warmup_cosine" in said
    assert "adaptive_huber" in said
    assert "MODELS" not in said
    with pytest.raises(UserError, match="unknown table 'MODEL'; did you mean 'MODELS'"):
        main(["model"])
    assert main(["--help"]) == 0
    assert "parts" in capfd.readouterr().out


def test_a_good_file_is_found_good(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "mine.py"]) == 0
    said = capfd.readouterr().out
    assert "mine.py: model my_gru\n  ok    output" in said
    assert "mine.py: loss capped" in said
    assert "WRONG" not in said
    assert "Nothing is wrong" in said


def test_what_is_wrong_with_a_file_is_said(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    broken = FLAT_MODEL.replace("self.body(x.flatten(1))", "self.body(x.flatten(1).detach() * 0)")
    (folder / "mine.py").write_text(broken, encoding="utf-8")
    assert main(["check", "mine.py"]) == 2
    said = capfd.readouterr().out
    assert "  WRONG learns a planted signal: after 300 steps" in said
    assert re.search(r"\d faults? to mend before a search", said)
    with pytest.raises(UserError, match="name a file: python -m"):
        main(["check"])


def test_several_files_are_named_as_a_search_takes_them(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (folder / "flat.py").write_text(FLAT_MODEL, encoding="utf-8")
    for words in (["mine.py,flat.py"], ["parts=mine.py,flat.py"], ["mine.py", "flat.py"]):
        assert main(["check", *words]) == 0
        said = capfd.readouterr().out
        assert "mine.py: model my_gru" in said
        assert "flat.py: model flat" in said


def test_the_window_of_a_check_can_be_chosen(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    wide = FLAT_MODEL.replace(
        "        self.body", "        assert shape.window > 6\n        self.body"
    )
    (folder / "flat.py").write_text(wide, encoding="utf-8")
    assert main(["check", "flat.py", "data/window=7"]) == 0
    assert "window and features" not in capfd.readouterr().out
    assert main(["check", "flat.py"]) == 0
    assert "note  window and features: it cannot be built" in capfd.readouterr().out
    for word, says in (
        ("data/window=0", "a window has at least 1 row"),
        ("data/windw=4", "unknown key 'data/windw'; did you mean 'data/window'"),
    ):
        with pytest.raises(UserError, match=says):
            main(["check", "flat.py", word])
