import io
from io import StringIO
from pathlib import Path

import pandas as pd
import pytest
from rich.console import Console

from analysis.load import load_run
from analysis.rank import main, parameter_tables, robustness_tables, show
from analysis.ranking import rank
from analysis.result import result_of
from analysis.robustness import robustness
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


@pytest.mark.parametrize("width", [60, 200])
def test_fits_any_terminal(tmp_path: Path, width: int) -> None:
    run = load_run(make_run(tmp_path / "demo", trials=20))
    console = Console(file=io.StringIO(), width=width, force_terminal=True, color_system=None)
    show(result_of(run), 10, console)
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
    show(result_of(run), 3, Console(file=text, width=80))
    lines = text.getvalue().splitlines()
    (head,) = [line for line in lines if line.lstrip().startswith("#") and "IC" in line]
    assert head.split() == ["#", "trial", "Sharpe", "seeds", "±", "se", "luck", "IC", "val_loss",
                            "epochs"]  # fmt: skip
    assert max(map(len, lines)) <= 80
    first = rank(run).iloc[0]
    mean = f"{first['sharpe_mean']:.2f}"
    rows = [line.split() for line in lines]
    begin = ["1", str(first["number"]), mean]
    (row,) = [cells for cells in rows if cells[:3] == begin and {"above", "below"} & {*cells}]
    assert row[-3:] == [f"{first['ic']:.4f}", f"{first['val_loss']:.4f}", str(first["epochs"])]


def test_statistics_and_robustness_follow_the_ranking(tmp_path: Path) -> None:
    run = load_run(make_run(tmp_path / "demo", trials=64))
    text = StringIO()
    show(result_of(run), 3, Console(file=text, width=80))
    shown = text.getvalue()
    places = [shown.index(said) for said in ("chance (p ", "val_loss", "Robustness", "Statistics")]
    assert places == sorted(places)
    head = shown[: shown.index("val_loss")].splitlines()
    assert len(head) <= 12
    table = shown[shown.index("Robustness") : shown.index("Statistics")]
    assert table.count("2015") == 1
    assert "one bar" not in table, "a column of nothing"
    first = robustness(run).iloc[0]
    cells = [f"{first[name]:.2f}" for name in ("sharpe_mean", "without_best_days", "year.2019")]
    (row,) = [line for line in table.splitlines() if line.split()[:1] == ["1"] and cells[1] in line]
    assert [cell for cell in row.split() if cell in cells] == cells


def test_years_that_do_not_fit_have_a_table_of_their_own() -> None:
    years = {f"year.{year}": [-0.1] for year in range(2000, 2014)}
    names = ("sharpe_mean", "one_bar_later", "break_even_bps", "without_best_days", "neighbours")
    figures = {key: [-10.25] for key in (*names, "distance")} | {"median_distance": [0.55]}
    rests_on = pd.DataFrame({"rank": [10], "number": [1000], **figures, **years})
    tables = robustness_tables(rests_on, 80)
    headings = [[str(column.header) for column in table.columns] for table in tables]
    assert headings[0][3] == "one bar\nlater"
    assert headings[1] == ["#", "trial", *map(str, range(2005, 2014))]
    (table,) = robustness_tables(rests_on, 200)
    assert len(table.columns) == 2 + 6 + 14
    for width in (80, 100, 200):
        out = StringIO()
        for table in robustness_tables(rests_on, width):
            Console(file=out, width=width).print(table)
        lines = out.getvalue().splitlines()
        assert max(map(len, lines)) <= width
        assert sum("1000" in line for line in lines) == (2 if width < 200 else 1)
        assert out.getvalue().count("−10.25") == 5, "no number is broken"
        assert out.getvalue().count("any two finalists are 0.55 apart in the median") == 1
    none = pd.DataFrame({"rank": [1], "number": [7], **dict.fromkeys(figures, float("nan"))})
    assert [len(table.columns) for table in robustness_tables(none, 80)] == [2]
