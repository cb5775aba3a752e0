import io
from pathlib import Path

import pytest
from rich.console import Console

from analysis.load import load_run
from analysis.rank import main, parameter_tables, show
from tests.fixtures.runs import make_run


def test_prints_ranking_baselines_luck_and_best_model(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = make_run(tmp_path / "demo", trials=40)
    assert main([str(folder), "top=3"]) == 0
    out = capsys.readouterr().out
    assert "40 useless trials on 1,247 days would reach" in out
    assert "equal_weight    0.94" in out
    assert "more: top=" in out
    assert "How trials ended: asha_rung" in out
    assert out.replace("\n", "").endswith(f"Best model: {folder / 'best'}")
    assert "\x1b" not in out
    assert max(map(len, out.splitlines())) <= 100


def test_no_survivor_and_no_model_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = make_run(tmp_path / "demo", trials=5, survivors=False)
    (folder / "best" / "model.safetensors").unlink()
    assert main([str(folder)]) == 0
    out = capsys.readouterr().out
    assert "No trial survived" in out
    assert "Best model: none was written" in out


@pytest.mark.parametrize("width", [60, 80, 100, 200])
def test_fits_any_terminal(tmp_path: Path, width: int) -> None:
    run = load_run(make_run(tmp_path / "demo", trials=20))
    console = Console(file=io.StringIO(), width=width, force_terminal=True, color_system=None)
    show(run, 10, console)
    text = console.file.getvalue()  # pyright: ignore[reportAttributeAccessIssue]
    assert max(map(len, text.splitlines())) <= width


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        ([], "no run folder named"),
        (["top=3"], "no run folder named"),
        (["nowhere"], "no run folder nowhere"),
        (["nowhere", "tap=3"], "did you mean 'top'"),
        (["nowhere", "top=x"], "top"),
        (["nowhere", "top=0"], "expected at least 1"),
    ],
)
def test_bad_input_is_one_line_and_exit_2(
    argv: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(argv) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("error: ")
    assert captured.err.count("\n") == 1
    assert message in captured.err


def test_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    assert "top" in capsys.readouterr().out


def test_whole_numbers_of_some_trials_only_are_printed_whole() -> None:
    rows = [{"rank": i, "number": i, "params.a/b": v} for i, v in enumerate((5000.0, float("nan")))]
    (table,) = parameter_tables(rows, ["params.a/b"])
    assert list(table.columns[2].cells) == ["5000", "–"]
