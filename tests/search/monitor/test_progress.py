"""The live display: true numbers, at any width, in a terminal or not."""

import io
from dataclasses import replace

import pytest
from rich.console import Console, RenderableType

from search.monitor.progress import Progress, Snapshot, duration, lines, render
from search.pruning.asha import RungState

FULL = Snapshot(
    name="conservative-20261120-101500",
    total=64,
    reasons={"asha_rung": 31, "completed": 3, "flat_sharpe": 4, "nan_explosion": 2, "hung": 0},
    elapsed_s=300,
    running=16,
    waiting=4,
    best=0.92,
    best_number=17,
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
    replace(FULL, total=1, best=-0.2, luck=0.0, elsewhere=3),
    replace(FULL, total=10, done_before=40),  # more ended than were asked for
    replace(FULL, name="[red]not markup[/] " * 9, dashboard="http://" + "x" * 200),
    replace(FULL, total=0, reasons={}, periods=0, best_number=None),
]


def text(what: RenderableType, width: int) -> str:
    console = Console(width=width, file=io.StringIO(), highlight=False)
    console.print(what)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_the_luck_line_may_count_more_than_this_search():
    shown = replace(FULL, tries=192, luck=1.44)
    for said in (text(render(shown), 100), lines(shown)):
        assert "192 useless trials on 1,247 days would reach 1.44" in said
        assert "64 trials" in said


def test_the_display_says_what_the_snapshot_says():
    shown = text(render(FULL), 100)
    for part in (
        "40 of 64 trials",
        "480 trials/h, about 3 min left",
        "16, 4 seeds of finalists to go",
        "asha_rung 31, flat_sharpe 4, completed 3, nan_explosion 2",
        "0.92 (trial 17); 64 useless trials on 1,247 days would reach 1.07",
        "epoch 2: 40 (loss up to 0.1765), epoch 8: 12 (mean rank 0.74), epoch 32: 2",
        "http://127.0.0.1:8265",
    ):
        assert part in shown
    assert "hung" not in shown


def test_the_line_says_it_too():
    assert lines(FULL) == (
        "40/64 trials | running 16, 4 seeds of finalists to go | "
        "asha_rung 31, flat_sharpe 4, completed 3, nan_explosion 2 | "
        "best 0.92 (trial 17); 64 useless trials on 1,247 days would reach 1.07 | "
        "480 trials/h, about 3 min left"
    )
    shared = lines(replace(FULL, elsewhere=12))
    assert "| running 16 here, 12 elsewhere, 4 seeds of finalists to go |" in shared
    aside = lines(replace(FULL, waiting=0, regret=3))
    assert "| running 16, 3 stopped trials to finish on the side |" in aside
    assert "16, 1 stopped trial to finish on the side" in lines(replace(FULL, waiting=0, regret=1))
    assert lines(EMPTY) == "0/64 trials | running 0 | best none yet | 0 s so far"


@pytest.mark.parametrize("snapshot", ODD)
@pytest.mark.parametrize("width", [1, 2, 7, 40, 80, 200])
def test_no_width_breaks_it(snapshot: Snapshot, width: int):
    shown = text(render(snapshot), width).splitlines()
    assert max(len(line) for line in shown) <= width
    assert "\n" not in lines(snapshot)


def test_the_pace_of_a_resumed_run_leaves_out_what_ended_before():
    resumed = replace(FULL, done_before=38, elapsed_s=600)
    assert resumed.per_hour == 12
    assert resumed.left_s == 7200
    assert replace(FULL, done_before=40).left_s is None


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0, "0 s"), (89, "89 s"), (90, "2 min"), (3600, "60 min"), (12_000, "3 h 20 min"),
     (187_200, "2 d 4 h")],
)  # fmt: skip
def test_durations_as_a_person_says_them(seconds: float, said: str):
    assert duration(seconds) == said


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
        "running 0",
        "running 3",
        "running 9",
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
