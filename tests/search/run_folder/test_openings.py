"""The ledger of openings: nothing in it can be changed, taken out or cut off unnoticed."""

import hashlib
import json
import multiprocessing
import os
import shutil
import time
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from search.run_folder import openings as module
from search.run_folder.openings import (
    LEDGER,
    NOTED,
    START,
    Window,
    add_opening,
    earlier,
    from_elsewhere,
    noted,
    opened_before,
    openings,
)
from trainable.cli.errors import UserError
from trainable.io.atomic import json_text
from trainable.io.checksums import with_checksum

GATE = Window(
    "gate", "2020-01-01T00:00:00", "2020-06-30T00:00:00", "abc", ("A", "B"),
    tuple(f"{k:016x}" for k in range(8)),
)  # fmt: skip


def facts(run: str, day: int = 1) -> dict[str, Any]:
    return {"at": f"2026-11-{day:02}T10:00:00+00:00", "run": run, "started": "x", "numbers": [1, 2]}


def note(runs_dir: Path, run: str, record: dict[str, Any]) -> None:
    (runs_dir / run).mkdir()
    text = json_text(with_checksum({NOTED: record}))
    (runs_dir / run / "run.json").write_text(text, encoding="utf-8")


def test_each_line_holds_the_hash_of_the_one_before(tmp_path: Path) -> None:
    assert openings(tmp_path) == []
    for day, run in enumerate(("x", "y", "z"), start=1):
        add_opening(tmp_path, GATE, facts(run, day))
    before = START
    for count, line in enumerate((tmp_path / LEDGER).read_text().splitlines(), start=1):
        record = json.loads(line)
        digest = record.pop("hash")
        text = json.dumps(record, sort_keys=True, separators=(",", ":"))
        assert digest == hashlib.sha256(text.encode()).hexdigest()
        assert (record["before"], record["count"], record["window"]) == (before, count, "gate")
        before = digest
    assert [one.record["run"] for one in openings(tmp_path)] == ["x", "y", "z"]


def changed(lines: list[str]) -> list[str]:
    return [lines[0].replace('"run":"r0"', '"run":"r9"'), *lines[1:]]


def taken_out(lines: list[str]) -> list[str]:
    return [lines[0], *lines[2:]]


def turned(lines: list[str]) -> list[str]:
    return [lines[1], lines[0], *lines[2:]]


def repeated(lines: list[str]) -> list[str]:
    return [lines[0], lines[0], *lines[1:]]


def no_json(lines: list[str]) -> list[str]:
    return [*lines[:2], "hello\n"]


def forged(lines: list[str]) -> list[str]:
    """The first line changed, with a hash of its own that fits."""
    record = json.loads(lines[0]) | {"run": "r9"}
    del record["hash"]
    text = json.dumps(record, sort_keys=True, separators=(",", ":"))
    record["hash"] = hashlib.sha256(text.encode()).hexdigest()
    return [json.dumps(record, sort_keys=True, separators=(",", ":")) + "\n", *lines[1:]]


@pytest.mark.parametrize("harm", [changed, taken_out, turned, repeated, no_json, forged])
def test_a_changed_chain_is_named_and_nothing_more_is_opened(tmp_path: Path, harm: Any) -> None:
    for number in range(3):
        add_opening(tmp_path, GATE, facts(f"r{number}"))
    file = tmp_path / LEDGER
    lines = harm(file.read_text().splitlines(keepends=True))
    file.write_text("".join(lines))
    with pytest.raises(UserError, match=rf"{LEDGER}:\d is not the line that was written"):
        openings(tmp_path)
    with pytest.raises(UserError, match="restore it from a copy"):
        add_opening(tmp_path, GATE, facts("other"))
    assert file.read_text() == "".join(lines)


def test_one_that_is_cut_short_or_gone_is_missed_by_the_run_that_wrote_it(tmp_path: Path) -> None:
    for number in range(3):
        opening = add_opening(tmp_path, GATE, facts(f"r{number}"))
        note(tmp_path, f"r{number}", noted(opening, tmp_path))
    assert len(openings(tmp_path)) == 3
    file = tmp_path / LEDGER
    lines = file.read_text().splitlines(keepends=True)
    for kept in (lines[:2], []):
        file.write_text("".join(kept))
        with pytest.raises(UserError, match="lacks the opening that run 'r"):
            openings(tmp_path)
    file.unlink()
    with pytest.raises(UserError, match="lacks the opening that run 'r0' made"):
        add_opening(tmp_path, GATE, facts("other"))
    file.write_text("".join(lines))
    assert len(openings(tmp_path)) == 3


def test_a_run_that_was_copied_in_from_elsewhere_is_named_and_blocks_nothing(
    tmp_path: Path,
) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    for runs_dir in (here, there):
        runs_dir.mkdir()
    for number in range(2):
        opening = add_opening(there, GATE, facts(f"r{number}"))
        note(there, f"r{number}", noted(opening, there))
    shutil.copytree(there / "r1", here / "copied")
    assert from_elsewhere(here, openings(here)) == ["copied"], "there is no ledger yet"
    mine = add_opening(here, GATE, facts("mine"))
    note(here, "mine", noted(mine, here))
    assert from_elsewhere(here, openings(here)) == ["copied"]
    assert from_elsewhere(there, openings(there)) == []
    whole = tmp_path / "whole"
    shutil.copytree(there, whole)  # with its ledger, which is checked as before
    assert from_elsewhere(whole, openings(whole)) == []
    lines = (whole / LEDGER).read_text().splitlines(keepends=True)
    (whole / LEDGER).write_text(lines[0])
    with pytest.raises(UserError, match="lacks the opening that run 'r1' made"):
        openings(whole)
    (here / LEDGER).unlink()
    with pytest.raises(UserError, match=r"'mine' made.*or move .*mine away if it was copied in"):
        add_opening(here, GATE, facts("other"))


def test_another_whole_ledger_in_the_place_of_ours_is_refused(tmp_path: Path) -> None:
    ours, other = tmp_path / "ours", tmp_path / "other"
    for runs_dir in (ours, other):
        runs_dir.mkdir()
    for number in range(2):
        opening = add_opening(ours, GATE, facts(f"r{number}"))
        note(ours, f"r{number}", noted(opening, ours))
    add_opening(other, GATE, facts("innocent"))
    shutil.copy(other / LEDGER, ours / LEDGER)
    with pytest.raises(UserError, match="lacks the opening that run 'r0' made"):
        openings(ours)
    with pytest.raises(UserError, match="lacks the opening that run 'r0' made"):
        add_opening(ours, GATE, facts("again"))


def test_an_opening_that_is_made_and_noted_meanwhile_is_not_missed(tmp_path: Path) -> None:
    """Whoever reads the ledger while another run writes its line and notes it."""
    read = Path.read_bytes
    (tmp_path / "a").mkdir()
    add_opening(tmp_path, GATE, facts("a"))

    def meanwhile(self: Path) -> bytes:
        content = read(self)
        if self.name == LEDGER and not (tmp_path / "b").exists():
            note(tmp_path, "b", noted(add_opening(tmp_path, GATE, facts("b")), tmp_path))
        return content

    with patch.object(Path, "read_bytes", meanwhile):
        assert [one.record["run"] for one in openings(tmp_path)] == ["a"]
    assert [one.record["run"] for one in openings(tmp_path)] == ["a", "b"]


def test_a_line_that_a_kill_tore_opened_nothing(tmp_path: Path) -> None:
    add_opening(tmp_path, GATE, facts("x"))
    with (tmp_path / LEDGER).open("a") as file:
        file.write('{"count":2,"at":"20')
    assert len(openings(tmp_path)) == 1
    assert add_opening(tmp_path, GATE, facts("y")).count == 2
    assert [one.record["run"] for one in openings(tmp_path)] == ["x", "y"]


def test_a_full_disk_leaves_the_ledger_as_it_was(tmp_path: Path) -> None:
    add_opening(tmp_path, GATE, facts("x"))
    content = (tmp_path / LEDGER).read_bytes()

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    with (
        patch.object(module.os, "fsync", full),
        pytest.raises(UserError, match=r"cannot write .*No space left"),
    ):
        add_opening(tmp_path, GATE, facts("y"))
    assert (tmp_path / LEDGER).read_bytes() == content


def write_many(runs_dir: Path, name: str) -> None:
    """Writes ten openings, each a while after it was known what stands before it."""
    write = os.pwrite

    def late(*arguments: Any) -> int:
        time.sleep(0.002)
        return write(*arguments)

    with patch.object(module.os, "pwrite", late):
        for turn in range(10):
            add_opening(runs_dir, GATE, facts(f"{name}{turn}"))


def test_several_processes_write_one_chain(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    writers = [context.Process(target=write_many, args=(tmp_path, name)) for name in "abc"]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
        assert writer.exitcode == 0
    found = openings(tmp_path)
    assert [one.count for one in found] == list(range(1, 31))
    assert {one.record["run"] for one in found} == {f"{n}{t}" for n in "abc" for t in range(10)}


def test_the_same_dates_are_those_that_share_rows(tmp_path: Path) -> None:
    add_opening(tmp_path, GATE, facts("x"))
    add_opening(tmp_path, replace(GATE, kind="test", sha256="renamed"), facts("y", 2))
    found = openings(tmp_path)
    others = tuple(f"{k:016x}" for k in range(100, 108))
    for window, count in (
        (GATE, 2),
        (replace(GATE, rows=others), 1),  # of the same file, symbols and dates
        (replace(GATE, rows=others, first="2021-01-01", last="2021-02-01"), 0),
        (replace(GATE, rows=others, symbols=("C",)), 0),
        (replace(GATE, rows=(*GATE.rows[:3], *others), sha256="converted", first="2020-03-01"), 2),
        (replace(GATE, rows=(*GATE.rows[:2], *others), sha256="other"), 0),
    ):
        assert len(earlier(found, window)) == count, window
    said = opened_before(earlier(found, GATE))
    assert said == "These dates were opened before: 2 times, first on 2026-11-01 by run x."
    assert opened_before(found[1:]) == (
        "These dates were opened before: once, on 2026-11-02 by run y."
    )
