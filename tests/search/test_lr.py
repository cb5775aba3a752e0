"""python -m search.lr: the table, the picture, the proposal, and what it refuses."""

from pathlib import Path

import pytest

from search.lr import main
from trainable.cli.errors import UserError

DATA = ["data=synthetic", "data.synthetic.bars=400", "data.synthetic.signal=0.3"]


def test_it_shows_a_table_draws_a_picture_and_proposes_a_range(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["space=quick_test", *DATA, "rates=12", "steps=60"]) == 0
    said = capsys.readouterr().out
    assert "12 rates from 1e-06 to 1e+00, 60 steps each: mlp" in said
    assert 'trial.suggest_float("optimizer/lr", ' in said.replace("\n", " ")
    assert (tmp_path / "runs" / "lr_quick_test.png").read_bytes().startswith(b"\x89PNG")
    assert [path.name for path in (tmp_path / "runs").iterdir()] == ["lr_quick_test.png"]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["rates=2"], "rates=2 is too few; rates=8 works"),
        (["steps=0"], "steps=0 is too few; steps=8 works"),
        (["space=quick_tst"], "did you mean 'quick_test'"),
    ],
)
def test_what_cannot_be_tested_is_refused_with_what_works(
    words: list[str], expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=expected):
        main(words)
    assert not list(tmp_path.iterdir())
