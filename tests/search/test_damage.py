"""Every file of a run cut short, emptied and bit-flipped: refused by name, or without harm."""

import json
import os
import shutil
import socket
from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pandas as pd
import pytest

from analysis import rank
from analysis.load import load_run
from search import status
from search.planning.plan import Plan, make_plan
from search.run_folder.consistency import check_coherent
from search.run_folder.folder import RunFolder
from search.run_folder.lock import LOCK, drivers_of, release, take_lock
from search.run_folder.long_tables import ScoredRows
from search.run_folder.reports import ReportStore
from search.session.observer import SearchObserver
from search.session.resume import with_stored
from search.session.same_search import check_same
from search.settings.reading import settings_from
from search.study.study import SearchStudy
from tests.fixtures.here import interrupt_after, search_here
from tests.fixtures.searches import MARKET, table, write_space
from trainable import predict
from trainable.cli.commands import status_of
from trainable.cli.errors import UserError
from trainable.io.checksums import MANIFEST

PLACES = 16
NEWLINE = b"\n"
WORDS = (
    *MARKET, "space=tiny.py", "trials=8", "finalist_seeds=2", "rungs=1,2,4", "cohort=4",
    "checkpoint_steps=8", "report=false",
)  # fmt: skip
TABLES = ("trials.parquet", "epochs.parquet", "returns.parquet", "predictions.parquet")
ENDS = ["number", "kind", "parent", "state", "stop_reason", "seed"]


class Home:
    """A folder with a finished run, `done`, and an interrupted one, `cut`, which are never changed.

    Attributes:
        path: the folder; the present one while these tests run.
        plan: of the two.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        write_space(path)
        assert search_here(*WORDS, "name=done") == 0
        with patch.object(SearchObserver, "tick", interrupt_after(5)):
            assert search_here(*WORDS, "name=cut") == 130
        self.plan: Plan = make_plan(settings_from([*WORDS, "name=done"]))
        self.scored = ScoredRows.of(self.plan.dataset)

    def copy(self, name: str) -> Path:
        """Puts a fresh copy of a run in its place."""
        folder = self.path / "runs" / name
        whole = self.path / f"whole-{name}"
        if not whole.exists():
            shutil.copytree(folder, whole)
        shutil.rmtree(folder)
        shutil.copytree(whole, folder)
        return folder


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    before = Path.cwd()
    path = tmp_path_factory.mktemp("home")
    os.chdir(path)
    yield Home(path)
    os.chdir(before)


def damages(content: bytes) -> Iterator[bytes]:
    """Yields a file emptied, cut at many offsets, and with one bit flipped at twice as many."""
    yield b""
    for k in range(1, PLACES):
        yield content[: len(content) * k // PLACES]
    for k in range(2 * PLACES):
        yield flipped(content, len(content) * k // (2 * PLACES), k % 8)
    for back in range(1, 33):  # where a Parquet file says how long its footer is
        yield flipped(content, len(content) - min(back, len(content)), back % 8)


def flipped(content: bytes, place: int, bit: int) -> bytes:
    return content[:place] + bytes([content[place] ^ 1 << bit]) + content[place + 1 :]


def attempt(read: Callable[[], Any]) -> tuple[Any, str | None]:
    """Returns what was read, and why it could not be."""
    try:
        return read(), None
    except UserError as error:
        return None, str(error)


def refused(path: Path, read: Callable[[], Any], every: int = 1) -> float:
    """Reads a file in every state of damage; returns the share of them that were refused.

    What is refused is refused in one line that names the file; what is not reads as before.
    """
    whole, expected = path.read_bytes(), read()
    count = refusals = 0
    for content in islice(damages(whole), None, None, every):
        path.write_bytes(content)
        count += 1
        found, why = attempt(read)
        if why is None:
            assert found == expected, count
        else:
            refusals += 1
            assert path.name in why
            assert "\n" not in why
    path.write_bytes(whole)
    assert read() == expected
    return refusals / count


def text(frame: pd.DataFrame) -> str:
    return frame.to_csv(index=False)


@pytest.mark.parametrize("name", TABLES)
def test_a_damaged_table_is_refused_by_the_ranking(home: Home, name: str) -> None:
    folder = home.copy("done")

    def read() -> str:
        run = load_run(folder)
        return text(getattr(run, name.removesuffix(".parquet")))

    assert refused(folder / name, read) > 0.95


def test_a_damaged_run_json_is_refused_by_all_who_read_it(home: Home) -> None:
    folder = home.copy("done")
    file = folder / "run.json"
    words = ["name=done", "resume=true"]
    known = load_run(folder).run.keys()

    def content(run: Mapping[str, Any]) -> dict[str, Any]:
        return {key: run[key] for key in known}  # not a check sum of another name

    assert refused(file, lambda: content(load_run(folder).run)) > 0.9
    assert refused(file, lambda: check_same(home.plan, folder)) > 0.9
    assert refused(file, lambda: with_stored(words)) > 0.9
    assert refused(file, lambda: content(status.read_status(folder).run)) > 0.9


def read_results(home: Home, folder: Path) -> list[tuple[Any, ...]]:
    """Reads every report of a run as a resumed search does."""
    run = RunFolder(folder, resumed=True, made=[], lock=(folder / LOCK, -1), driver="")
    results = ReportStore(run, home.scored)
    rows = SearchStudy.open(folder / "study.log", folder.name).rows()
    check_coherent(rows, results, rows, folder, str(folder / "study.log"))
    return [
        (r.number, r.epoch, r.steps, r.values, r.stop, str(r.net_returns))
        for batch in results.batches()
        for r in batch
    ]


def test_damaged_reports_are_refused_by_who_resumes(home: Home) -> None:
    folder = home.copy("cut")
    shards = sorted(folder.glob("shards/*.parquet"))
    assert len(shards) >= 5
    assert refused(shards[2], lambda: read_results(home, folder)) > 0.95
    folder = home.copy("done")
    for name in ("epochs.parquet", "returns.parquet"):
        assert refused(folder / name, lambda: read_results(home, folder), every=8) > 0.95


@pytest.mark.parametrize("name", ["trials", "returns"])
def test_a_damaged_list_of_sums_is_named_or_without_harm(home: Home, name: str) -> None:
    folder = home.copy("done")
    assert refused(folder / MANIFEST, lambda: text(getattr(load_run(folder), name))) < 0.9
    folder = home.copy("cut")
    refused(folder / "shards" / MANIFEST, lambda: read_results(home, folder), every=8)


@pytest.mark.parametrize("lost", ["shards/00000002.parquet", "shards/00000005.parquet"])
def test_reports_that_are_gone_are_missed(home: Home, lost: str) -> None:
    folder = home.copy("cut")
    for file in (folder / lost, *(folder / name for name in TABLES)):
        file.unlink()
    with pytest.raises(UserError, match=r"neither shards/ nor epochs.parquet holds epoch \d"):
        read_results(home, folder)


def test_epochs_that_are_gone_are_missed(home: Home) -> None:
    folder = home.copy("done")
    (folder / "epochs.parquet").unlink()
    with pytest.raises(UserError, match=r"neither shards/ nor epochs.parquet holds epoch 1"):
        read_results(home, folder)


@pytest.mark.parametrize("name", ["done", "cut"])
def test_a_bit_flipped_in_the_study_names_file_and_line(home: Home, name: str) -> None:
    folder = home.copy(name)
    log = folder / "study.log"
    whole = log.read_bytes()
    study = SearchStudy.open(log, name).rows()
    for k in range(4 * PLACES):
        place = len(whole) * k // (4 * PLACES)
        log.write_bytes(flipped(whole, place, k % 8))
        rows, why = attempt(lambda: SearchStudy.open(log, name).rows())
        if why is None:  # a bit of the name of the sum, or of the last newline
            assert rows == study or place == len(whole) - 1
        else:
            assert f"{log}:{whole[:place].count(NEWLINE) + 1}" in why


def test_a_study_cut_short_is_refused_or_loses_nothing_that_a_resume_does_not_find(
    home: Home,
) -> None:
    folder = home.copy("done")
    log = folder / "study.log"
    whole, before = log.read_bytes(), SearchStudy.open(log, "done").rows()
    lines = whole.splitlines(keepends=True)
    offsets = [len(whole) * k // PLACES for k in range(PLACES)]
    # Ends of lines, where nothing looks torn.
    offsets += [len(b"".join(lines[:-back])) for back in range(1, 9)]
    recovered = []
    for offset in offsets:
        log.write_bytes(whole[:offset])
        _, why = attempt(lambda: read_results(home, folder))
        if why is None:
            recovered.append(offset)
        else:
            assert "study.log" in why
    assert len(recovered) >= 2
    for offset in (recovered[0], recovered[-1]):
        folder = home.copy("done")
        log.write_bytes(whole[:offset])
        assert search_here("name=done", "resume=true") == 0
        rows = SearchStudy.open(log, "done").rows()
        assert [(r.params, r.state, r.reason, r.reports) for r in rows] == [
            (r.params, r.state, r.reason, r.reports) for r in before
        ]


@pytest.mark.parametrize("name", [predict.MODEL, predict.CONFIG])
def test_a_damaged_model_is_refused(home: Home, name: str) -> None:
    best = home.copy("done") / "best"
    (folder, *_) = sorted(best.glob("members/*"))

    def read() -> Any:
        model = predict.load(folder)
        weights = {name: tensor.tolist() for name, tensor in model.model.state_dict().items()}
        return model.config, model.facts, weights

    assert refused(folder / name, read) > 0.9


def test_a_damaged_lock_of_a_dead_driver_is_taken_over_or_named(home: Home) -> None:
    folder = home.copy("cut")
    file = folder / LOCK
    owner = {"pid": 2**22 - 1, "host": socket.gethostname(), "since": "2026-01-01T00:00:00+00:00"}
    whole = json.dumps(owner).encode()
    for content in damages(whole):
        file.write_bytes(content)
        drivers_of(folder)
        _, why = attempt(lambda: release(file, take_lock(file)))
        assert why is None or str(file) in why


WHOLE = [
    *(("done", name) for name in ("run.json", "study.log", *TABLES, "best/*", "trials/*/*")),
    *(("cut", name) for name in ("run.json", "study.log", *TABLES, "shards/*", "trials/*/*")),
]


@pytest.mark.parametrize(("name", "pattern"), WHOLE)
def test_resuming_with_damaged_files_ends_with_all_trials_or_says_which_file(
    home: Home, name: str, pattern: str, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = home.copy(name)
    how = ("emptied", "halved", "flipped")[(len(name) + len(pattern)) % 3]
    before = table(folder, "trials")
    files = [path for path in sorted(folder.glob(pattern)) if path.is_file()]
    assert files
    if len(files) > 1 and "best" not in pattern and "trials/" not in pattern:
        files = files[1:2]
    for file in files:
        content = file.read_bytes()
        half = len(content) // 2
        cut = content[:half] if how == "halved" else flipped(content, half, 5)
        file.write_bytes(b"" if how == "emptied" else cut)
    commands = [
        lambda: status.main([str(folder)]),
        lambda: rank.main([str(folder)]),
        lambda: search_here(f"name={name}", "resume=true"),
    ]
    for command in commands:
        capsys.readouterr()
        code = status_of(command)
        err = capsys.readouterr().err
        if code:
            (line,) = [line for line in err.splitlines() if line.startswith("error: ")]
            assert code == 2
            assert any(file.name in line for file in files), line
            continue
        if command is not commands[-1]:
            continue
        after = table(folder, "trials")
        assert len(after) >= len(before)
        ended = before[before["state"] != "RUNNING"]
        same = after[after["number"].isin(ended["number"])]
        pd.testing.assert_frame_equal(
            same[ENDS].reset_index(drop=True), ended[ENDS].reset_index(drop=True), check_dtype=False
        )
