import io
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from analysis.load import load_run
from analysis.rank import main, parameter_tables, show
from analysis.ranking import rank
from tests.fixtures.runs import make_run


def test_prints_ranking_baselines_luck_and_best_model(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = make_run(tmp_path / "demo", trials=40)
    assert main([str(folder), "top=3"]) == 0
    out = capsys.readouterr().out
    assert "Luck alone is expected to bring the best of 40 tries to" in out
    assert "Statistics" in out
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


def test_a_narrow_terminal_gets_fewer_columns_and_no_broken_number(tmp_path: Path) -> None:
    run = load_run(make_run(tmp_path / "demo", trials=64))
    text = StringIO()
    show(run, 3, Console(file=text, width=80))
    lines = text.getvalue().splitlines()
    (head,) = [line for line in lines if line.lstrip().startswith("#") and "IC" in line]
    assert head.split() == ["#", "trial", "Sharpe", "seeds", "±", "se", "luck", "IC", "val_loss",
                            "epochs"]  # fmt: skip
    assert max(map(len, lines)) <= 80
    first = rank(run).iloc[0]
    mean = f"{first['sharpe_mean']:.2f}"
    rows = [line.split() for line in lines]
    (row,) = [cells for cells in rows if cells[:3] == ["1", str(first["number"]), mean]]
    assert row[-3:] == [f"{first['ic']:.4f}", f"{first['val_loss']:.4f}", str(first["epochs"])]
