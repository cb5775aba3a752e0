"""The live display: true numbers, at any width, in a terminal or not."""

import io
from dataclasses import replace

import pytest
from rich.console import Console, RenderableType

from search.monitor.best import Best
from search.monitor.progress import Progress, Snapshot, lines, render
from search.monitor.time_left import TimeLeft
from search.pruning.asha import RungState

FULL = Snapshot(
    name="conservative-20261120-101500",
    total=64,
    reasons={"asha_rung": 31, "completed": 3, "flat_sharpe": 4, "nan_explosion": 2, "hung": 0},
    elapsed_s=300,
    running=16,
    seeds=8,
    seeds_ended=5,
    left=TimeLeft(180.0, 150.0, 200.0),
    best=Best(17, 0.92, 1, 0.31, 0.4),
    luck=1.07,
    periods=1247,
    rungs=(
        RungState(2, 40, -0.17654, "loss"),
        RungState(8, 12, 0.74, "ic, rank_ic, loss"),
        RungState(32, 2, None),
    ),
    dashboard="http://127.0.0.1:8265",
)
EMPTY = Snapshot(name="x", total=64)
ODD = [
    FULL,
    EMPTY,
    replace(FULL, total=1, best=Best(0, -0.2, 3), luck=0.0, elsewhere=3),
    replace(FULL, total=10, over=True),  # more ended than were asked for
    replace(FULL, name="[red]not markup[/] " * 9, dashboard="http://" + "x" * 200),
    replace(FULL, total=0, reasons={}, periods=0, best=None),
]


def text(what: RenderableType, width: int) -> str:
    console = Console(width=width, file=io.StringIO(), highlight=False)
    console.print(what)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_the_luck_line_may_count_more_than_this_search():
    shown = replace(FULL, tries=192, luck=1.44)
    for said in (text(render(shown), 100), lines(shown)):
        assert "the best of 192 tries without skill would reach 1.44 on 1,247 days" in said
        assert "64 configurations" in said


def test_the_display_says_what_the_snapshot_says():
    assert [line.rstrip() for line in text(render(FULL), 80).splitlines()] == [
        "conservative-20261120-101500  5 min so far, about 3 min left",
        f"{'━' * 25}╸{' ' * 17}40 of 64 configurations, 5 of 8 seeds",
        "training  16",
        "ended     31 stopped at a rung, 4 flat, 3 trained to the end, 2 exploded",
        "best      trial 17: Sharpe 0.31 to be expected, 0.92 on these days (one seed,",
        "          provisional)",
        "luck      the best of 64 tries without skill would reach 1.07 on 1,247 days",
        "          reached epoch 2: 40, loss needed to go on at most 0.1765",
        "          reached epoch 8: 12, mean rank by IC, rank IC and loss needed to go on",
        "          0.74",
        "watch     http://127.0.0.1:8265",
    ]
    by_sharpe = replace(FULL, rungs=(RungState(2, 64, -0.06), RungState(8, 5, None)))
    assert "reached epoch 2: 64, Sharpe needed to go on −0.06" in text(render(by_sharpe), 80)
    assert "epoch 8" not in text(render(by_sharpe), 80)  # nobody goes on from the last one
    by_loss = replace(by_sharpe, objective="val_loss")
    assert "loss needed to go on at most 0.0600" in text(render(by_loss), 80)


def test_a_search_that_is_over_is_no_longer_provisional():
    said = text(render(replace(FULL, over=True)), 100)
    assert "took 5 min" in said
    assert "so far" not in said
    assert "provisional" not in said
    assert "training" not in said


def test_the_line_says_it_too():
    assert lines(FULL) == (
        "40 of 64 configurations, 5 of 8 seeds | training 16 | "
        "31 stopped at a rung, 4 flat, 3 trained to the end, 2 exploded | "
        "best trial 17: Sharpe 0.31 to be expected, 0.92 on these days (one seed, provisional) | "
        "the best of 64 tries without skill would reach 1.07 on 1,247 days | "
        "5 min so far, about 3 min left"
    )
    assert "| training 16 here, 12 elsewhere |" in lines(replace(FULL, elsewhere=12))
    aside = lines(replace(FULL, regret=3))
    assert "| training 16, 3 stopped trials to finish on the side |" in aside
    assert lines(EMPTY) == (
        "0 of 64 configurations | training none yet: the workers start | "
        "best none yet: no configuration has finished | 0 s so far"
    )


def test_the_best_is_coloured_by_its_p_and_not_by_the_luck_line():
    for p, colour in ((0.04, "green"), (0.06, "yellow")):
        out = io.StringIO()
        console = Console(file=out, width=100, force_terminal=True, color_system="standard")
        for sharpe in (0.1, 3.0):  # below and above the line
            console.print(render(replace(FULL, best=Best(17, sharpe, 1, None, p))))
        code = {"green": "\x1b[1;32m", "yellow": "\x1b[33m"}[colour]
        assert out.getvalue().count(f"{code}trial 17") == 2


@pytest.mark.parametrize("snapshot", ODD)
@pytest.mark.parametrize("width", [1, 2, 7, 40, 80, 200])
def test_no_width_breaks_it(snapshot: Snapshot, width: int):
    shown = text(render(snapshot), width).splitlines()
    assert max(len(line) for line in shown) <= width
    assert "\n" not in lines(snapshot)


def test_without_a_terminal_a_line_every_ten_seconds_and_the_last_one():
    clock = iter([0.0, 5.0, 9.9, 10.0, 10.0, 11.0, 99.0]).__next__
    out = io.StringIO()
    with Progress(Console(file=out, width=40, highlight=False), clock=clock) as progress:
        for running in range(4):
            progress.update(replace(EMPTY, running=running))
        progress.note("trial 3 stopped: nan_explosion, a note that is wider than the terminal")
        progress.update(replace(EMPTY, running=9))
    said = out.getvalue().splitlines()
    assert [line.split(" | ")[1] for line in said if "|" in line] == [
        "training none yet: the workers start",
        "training 3",
        "training 9",
    ]
    assert "trial 3 stopped: nan_explosion, a note that is wider than the terminal" in said


def test_in_a_terminal_the_display_is_drawn_in_place():
    out = io.StringIO()
    console = Console(file=out, width=40, height=10, force_terminal=True, color_system="truecolor")
    with Progress(console) as progress:
        progress.note("before the first")
        for snapshot in ODD:
            progress.update(snapshot)
            progress.note("an [odd] event")
    shown = out.getvalue()
    assert "\x1b[2K" in shown  # lines are erased and drawn again
    assert "an [odd] event" in shown


def test_the_display_ends_when_the_search_fails():
    console = Console(file=io.StringIO(), force_terminal=True, width=80)

    def search() -> None:
        with Progress(console) as progress:
            progress.update(FULL)
            raise RuntimeError("boom")

    with pytest.raises(RuntimeError, match="boom"):
        search()
    assert isinstance(console.file, io.StringIO)
    assert console.file.getvalue().rstrip("\n").endswith("\x1b[?25h")  # the cursor is back
