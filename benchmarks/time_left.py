"""What the display of a search says of the time left, beside what was left in truth.

    python -m benchmarks.time_left [--searches 1,2,10] [--replay FOLDER] [--out FILE]

Each search runs in a terminal of 160 columns, whose screen is read as a person reads it. Of the
time from the first display of the search to the end of its process, a quarter, a half and three
quarters are looked at: what was said then, in its words, and what was left. A machine that others
use becomes faster and slower meanwhile, which nothing foresees; `--replay` takes searches over the
stored curves of `benchmarks.truth` instead, under a clock that knows nothing of the machine.
"""

import argparse
import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import sys
import tempfile
import termios
import time
from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from pathlib import Path
from typing import Any

from benchmarks import machine
from benchmarks.truth.curves import read
from benchmarks.truth.replay import NEVER_FLAT, Setup, replay
from search.monitor.outlook import outlook_of
from search.monitor.time_left import TimeLeft, time_left
from search.pruning.rung_rules import RULES
from search.scheduling.controller import Controller
from trainable.cli.commands import status_of
from trainable.cli.text import duration

SHARES = (0.25, 0.5, 0.75)
WITHIN = 0.35  # of what was left
US20 = ("data=us20", "space=conservative")
MADE = ("data=synthetic", "space=quick_test")
SEARCHES: tuple[tuple[str, ...], ...] = (
    US20,
    (*US20, "trials=16", "epochs=6"),
    (*US20, "trials=12", "epochs=8", "finalist_seeds=5", "max_concurrent=1"),
    (*US20, "trials=24", "epochs=6", "pruning=none", "finalist_seeds=1"),
    ("data=us20", "space=common", "trials=8", "epochs=4"),
    ("data=us20", "space=quick_test", "trials=256"),
    ("data=sp500", "space=quick_test", "trials=256", "epochs=64"),
    (*MADE, "data.synthetic.bars=4000", "trials=32", "epochs=12"),
    (*MADE, "data.synthetic.bars=3000", "trials=64", "epochs=8", "pruning=objective", "regret=0.1"),
    ("data=synthetic", "space=ensemble", "data.synthetic.bars=1000", "trials=10", "epochs=6",
     "sampler=random", "reduction_factor=3", "fix.schedule/warmup_steps=300"),
)  # fmt: skip
REPLAYED = {
    "64 trials": Setup("ranks", finalist_seeds=3, flat=NEVER_FLAT),
    "64 trials, some flat": Setup("ranks", finalist_seeds=1),
    "16 trials": Setup("ranks", finalist_seeds=3, trials=16, flat=NEVER_FLAT),
    "100 trials": Setup("ranks", finalist_seeds=3, trials=100, flat=NEVER_FLAT),
    "24 trials, no rungs": Setup("none", finalist_seeds=3, trials=24, flat=NEVER_FLAT),
    "64 trials, tpe": Setup("ranks", finalist_seeds=3, sampler="tpe", flat=NEVER_FLAT),
    "80 trials by loss, one seed": Setup("loss", first=1, trials=80, flat=NEVER_FLAT),
    "8 trials by Sharpe": Setup(trials=8, finalist_seeds=3, first=5, flat=NEVER_FLAT),
    "48 trials, 5 seeds": Setup(
        "ranks", rungs=(5, 20), trials=48, finalist_seeds=5, flat=NEVER_FLAT
    ),
    "64 trials, one in three": Setup(
        "ranks", reduction_factor=3, finalist_seeds=3, flat=NEVER_FLAT
    ),
}
LOOK_EVERY = 20.0  # units of the simulated clock
TERMINAL = struct.pack("HHHH", 50, 160, 0, 0)
ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
SHOWN = re.compile(r"\d[\d a-z]* so far(?:, (about [^│\n\r]*? left))?")
UNITS = {"s": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0}


@dataclass(frozen=True)
class Look:
    """What a display said of the time left.

    Attributes:
        at: seconds since the first display.
        said: in its words; empty where it said nothing.
    """

    at: float
    said: str


def main(argv: Sequence[str]) -> int:
    """Runs the searches, prints the table, and writes the JSON file."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.time_left", description=__doc__)
    every = list(range(1, len(SEARCHES) + 1))
    parser.add_argument("--searches", type=machine.numbers, default=every, help="which of them")
    parser.add_argument("--out", type=Path, default=machine.RESULTS / "time_left.json")
    parser.add_argument("--replay", type=Path, help="a market's folder of benchmarks.truth.make")
    given = parser.parse_args(argv)
    if given.replay is not None:
        return replayed(given.replay)
    rows, record = [], machine.Record(given.out, "benchmarks.time_left", argv)
    print("| search | took | at 25 % | left | at 50 % | left | at 75 % | left |")
    print("|---|---|---|---|---|---|---|---|")
    for number in given.searches:
        rows.append(measure(number))
        print(table_row(rows[-1]), flush=True)
        record.save({"rows": rows, "others_s": record.others()})
    known = [look for row in rows for look in row["looks"]]
    near = sum(abs(look["off"]) <= WITHIN for look in known if look["off"] is not None)
    held = sum(look["held"] for look in known)
    print(f"\nWithin ± {WITHIN:.0%}: {near} of {len(known)}; in the range said: {held}.")
    return 0


def replayed(folder: Path) -> int:
    """Replays searches over a market's curves, and prints how near what was said is."""
    curves = read(folder)
    epochs, near, held, looks = curves.returns.shape[1], 0, 0, 0
    print("| replayed | 25 % | 50 % | 75 % |")
    print("|---|---|---|---|")
    for name, setup in REPLAYED.items():
        factor = setup.reduction_factor if RULES[setup.rule].cuts else 1
        for seed in range(2):
            said: list[tuple[float, TimeLeft | None]] = []

            def look(controller: Controller, now: float) -> None:
                if not said or now - said[-1][0] >= LOOK_EVERY:  # noqa: B023 - called at once
                    outlook = outlook_of(controller, setup.trials, epochs, factor)  # noqa: B023
                    said.append((now, time_left(outlook)))  # noqa: B023

            whole = replay(curves, setup, seed, look).makespan
            cells = []
            for share in SHARES:
                now, left = max(one for one in said if one[0] <= share * whole)
                looks += 1
                cells.append("nothing yet")
                if left is not None:
                    off = left.expected / (whole - now) - 1
                    near += abs(off) <= WITHIN
                    held += left.low <= whole - now <= left.high
                    cells[-1] = f"{off:+.0%}"
            print(f"| {name}, seed {seed} | {' | '.join(cells)} |", flush=True)
    print(f"\nWithin ± {WITHIN:.0%}: {near} of {looks}; in the range said: {held}.")
    return 0


def measure(number: int) -> dict[str, Any]:
    """Runs one search; returns its words, how long it took, and what was said at each share."""
    words = SEARCHES[number - 1]
    with tempfile.TemporaryDirectory(prefix="left") as folder:
        looks, seconds = watch([*words, f"runs_dir={folder}", "name=timed", f"seed={number}"])
    found = []
    for share in SHARES:
        said = [look for look in looks if look.at <= share * seconds][-1].said
        left = (1 - share) * seconds
        spans = seconds_said(said)
        middle = None if spans is None else sqrt(spans[0] * spans[1])
        off = None if middle is None else middle / left - 1
        held = spans is not None and spans[0] <= left * 1.1 and spans[1] >= left * 0.9
        found.append({"share": share, "said": said, "left": left, "off": off, "held": held})
    after = seconds - looks[-1].at
    return {"search": " ".join(words), "seconds": seconds, "after_s": after, "looks": found}


def watch(words: Sequence[str]) -> tuple[list[Look], float]:
    """Runs a search in a terminal; returns what it said, and the seconds since its first display.

    Raises:
        RuntimeError: it failed.
    """
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, TERMINAL)
    env = {**os.environ, "TERM": "xterm"}
    command = [sys.executable, "-m", "search.run", *words]
    process = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env=env)
    os.close(theirs)
    looks: list[Look] = []
    text, last, begun = "", "", 0.0
    while True:
        if not select.select([ours], [], [], 0.2)[0]:
            continue
        try:
            text += os.read(ours, 65536).decode(errors="replace")
        except OSError:  # the other end is closed
            break
        whole, _, text = text.rpartition("\n")
        if shown := SHOWN.findall(ESCAPES.sub("", whole)):
            begun = begun or time.monotonic()
            looks.append(Look(time.monotonic() - begun, shown[-1]))
        last = whole or last
    os.close(ours)
    if process.wait() != 0 or not looks:
        raise RuntimeError(f"python -m search.run {' '.join(words)} failed: {last}")
    return looks, time.monotonic() - begun


def seconds_said(said: str) -> tuple[float, float] | None:
    """Returns the shortest and the longest time that such words mean; None: they say none.

    `about 4 min left` is one time, `about 3–6 min left` and `about 50 s to 2 min left` are two.
    """
    words = said.removeprefix("about ").removesuffix(" left")
    if not words:
        return None
    first, _, last = words.partition(" to ")
    if "–" in words:
        first, _, last = words.partition("–")
        first += f" {last.split()[1]}"
    low = _seconds(first)
    return low, _seconds(last) if last else low


def _seconds(words: str) -> float:
    parts = words.split()
    numbers, units = parts[::2], parts[1::2]
    return sum(float(n) * UNITS[unit] for n, unit in zip(numbers, units, strict=True))


def table_row(row: dict[str, Any]) -> str:
    """Returns one row of the table in Markdown."""
    cells = [f"`{row['search']}`", duration(row["seconds"])]
    for look in row["looks"]:
        off = "" if look["off"] is None else f" ({look['off']:+.0%})"
        said = look["said"].removeprefix("about ").removesuffix(" left") or "nothing yet"
        cells += [f"{said}{off}", duration(look["left"])]
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    sys.exit(status_of(lambda: main(sys.argv[1:])))
